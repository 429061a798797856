/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Direct calls and brokers: servers tell each broker what they have counted, and a server of
 * several brokers has one endpoint for all of them.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "ferry-broker.h"
#include "support/broker.h"
#include "support/suite.h"

enum { N = 3, PATIENCE_MS = 120000, FIRST = 200, WITHOUT_BROKER = 100, FAILURES = 10 };

static TestBroker brokers[N];
static TestBroker all;
static Runner server;
static char endpoint[64];

static int say(ferry_request *request, void *ctx) {
    (void)ctx;
    return ferry_request_return(request, request->body);
}

static int fail(ferry_request *request, void *ctx) {
    (void)ctx;
    return ferry_request_throw(request, "calc.TooBig", NULL, "too big");
}

static int serve(ferry_client *client, void *ctx) {
    ferry_serve_options options = {.listen = endpoint, .slots = 4};
    ferry_error error = FERRY_ERROR_INIT;
    int r = ferry_serve_method(client, "calc.Echo.say", &options, say, ctx, NULL, &error);

    if (r == 0)
        r = ferry_serve_method(client, "calc.Echo.fail", NULL, fail, ctx, NULL, &error);
    if (r < 0)
        ferry_error_print(&error, stderr);
    ferry_error_clear(&error);
    return r;
}

static void begin(unsigned n, const char *listen) {
    *all.url = '\0';
    for (unsigned i = 0; i < n; i++) {
        broker_spawn(&brokers[i]);
        broker_list(&all, brokers[i].url);
    }
    snprintf(endpoint, sizeof(endpoint), "%s", listen);
    runner_start(&server, &all, serve, NULL);
}

static void end(unsigned n) {
    runner_stop(&server);
    for (unsigned i = 0; i < n; i++)
        broker_terminate(&brokers[i]);
}

static ferry_client *connect_to(const TestBroker *broker) {
    ferry_options options = {.direct = true, .wait_for_server = true, .timeout_ms = 60000};
    ferry_client *client = NULL;

    CU_ASSERT_EQUAL_FATAL(ferry_open(broker->url, &options, &client, NULL), 0);
    return client;
}

static void call(ferry_client *client, const char *method, unsigned n, int wanted) {
    ferry_error error = FERRY_ERROR_INIT;

    for (unsigned i = 0; i < n; i++) {
        int r = ferry_call(client, method, ferry_str("hello"), NULL, &error);

        if (r != wanted)
            ferry_error_print(&error, stderr);
        CU_ASSERT_EQUAL_FATAL(r, wanted);
    }
    ferry_error_clear(&error);
}

/* While the broker is stopped, each call goes straight to the server. */
static void call_without(const TestBroker *broker, ferry_client *client) {
    call(client, "calc.Echo.say", FIRST, 0);
    kill(broker->pid, SIGSTOP);
    call(client, "calc.Echo.say", WITHOUT_BROKER, 0);
    call(client, "calc.Echo.fail", FAILURES, -EREMOTEIO);
    kill(broker->pid, SIGCONT);
}

/* Waits until the broker has counted this many calls of calc.Echo. The caller frees the result. */
static ferry_broker_list_method_status *counted(const TestBroker *broker, int64_t n) {
    uint64_t until_ms = clock_ms() + PATIENCE_MS;
    ferry_client *client = connect_client(broker);
    ferry_broker_list_method_status *methods = NULL;
    int64_t sum = 0;

    while (sum < n && clock_ms() < until_ms) {
        ferry_free(methods);
        methods = NULL;
        sum = 0;
        CU_ASSERT_EQUAL_FATAL(ferry_broker_methods(client, "calc.Echo", &methods, NULL), 0);
        for (uint32_t i = 0; i < methods->n; i++)
            sum += methods->v[i].calls;
        usleep(10000);
    }
    CU_ASSERT_EQUAL(sum, n);
    ferry_close(client);
    return methods;
}

static int64_t sum_of(const ferry_broker_method_status *method) {
    int64_t sum = 0;

    for (uint32_t i = 0; i < method->latencies.n; i++)
        sum += method->latencies.v[i];
    return sum;
}

static void expect_counts(const TestBroker *broker) {
    ferry_broker_list_method_status *methods = counted(broker, FIRST + WITHOUT_BROKER + FAILURES);

    CU_ASSERT_EQUAL_FATAL(methods->n, 2);
    for (uint32_t i = 0; i < 2; i++) {
        const ferry_broker_method_status *method = &methods->v[i];
        bool is_say = strcmp(method->method, "say") == 0;

        CU_ASSERT_EQUAL(method->calls, is_say ? FIRST + WITHOUT_BROKER : FAILURES);
        CU_ASSERT_EQUAL(method->errors, is_say ? 0 : FAILURES);
        CU_ASSERT_EQUAL(sum_of(method), method->calls);
        CU_ASSERT_TRUE(method->total_us >= method->calls);
        CU_ASSERT_STRING_EQUAL(method->last_error, is_say ? "" : "calc.TooBig");
    }
    ferry_free(methods);
}

static void the_broker_learns_what_servers_count(void) {
    ferry_client *client;

    begin(1, "tcp://127.0.0.1:*");
    client = connect_to(&brokers[0]);
    call_without(&brokers[0], client);
    expect_counts(&brokers[0]);
    ferry_close(client);
    end(1);
}

/* A port that was free a moment ago. */
static unsigned free_port(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    CU_ASSERT_EQUAL_FATAL(bind(fd, (struct sockaddr *)&address, len), 0);
    getsockname(fd, (struct sockaddr *)&address, &len);
    close(fd);
    return ntohs(address.sin_port);
}

static void one_port_serves_callers_of_three_brokers(void) {
    ferry_client *clients[N];
    char listen[64];

    snprintf(listen, sizeof(listen), "tcp://127.0.0.1:%u", free_port());
    begin(N, listen);
    for (int i = 0; i < N; i++) {
        clients[i] = connect_to(&brokers[i]);
        call_without(&brokers[i], clients[i]);
    }
    /* Each broker counts the calls of its own callers. */
    for (int i = 0; i < N; i++)
        expect_counts(&brokers[i]);
    for (int i = 0; i < N; i++)
        broker_kill(&brokers[i]);
    for (int i = 0; i < N; i++) {
        call(clients[i], "calc.Echo.say", WITHOUT_BROKER, 0);
        ferry_close(clients[i]);
    }
    end(N);
}

/* The next broker of the caller does not know the server yet, or any more. */
static void calls_go_on_while_a_server_returns_to_its_broker(void) {
    ferry_client *client;

    broker_spawn(&brokers[1]);
    begin(1, "tcp://127.0.0.1:*");
    *all.url = '\0';
    broker_list(&all, brokers[0].url);
    broker_list(&all, brokers[1].url);
    strcat(all.url, "?prefer=order");
    client = connect_to(&all);
    call_without(&brokers[0], client);
    broker_kill(&brokers[0]);
    /* The answer to this ping comes after the answer about the servers. */
    while (ferry_ping(client, NULL, NULL) < 0)
        continue;
    call(client, "calc.Echo.say", WITHOUT_BROKER, 0);
    ferry_close(client);
    end(1);
    broker_terminate(&brokers[1]);
}

/* A broker that restarts gets the endpoint again, and new callers learn of it there. */
static void a_broker_that_restarts_learns_of_the_port(void) {
    ferry_client *client;
    char listen[64];

    snprintf(listen, sizeof(listen), "tcp://127.0.0.1:%u", free_port());
    begin(N, listen);
    for (int i = 0; i < N; i++) {
        broker_kill(&brokers[i]);
        broker_respawn(&brokers[i]);
        client = connect_to(&brokers[i]);
        call_without(&brokers[i], client);
        ferry_close(client);
    }
    end(N);
}

/* ---- in the loop of a program ---- */

static void note_answer(const ferry_reply *reply, const ferry_error *error, void *ctx) {
    (void)reply;
    if (error)
        ferry_error_print(error, stderr);
    *(int *)ctx += error == NULL;
}

static void add_to(int loop, int fd) {
    struct epoll_event event = {.events = EPOLLIN};

    CU_ASSERT_EQUAL_FATAL(epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event), 0);
}

/* The clients run only when the loop says that they have something to do. */
static void loop_until(int loop, ferry_client *one, ferry_client *two, const int *n, int wanted) {
    struct epoll_event event;

    while (*n < wanted) {
        CU_ASSERT_EQUAL_FATAL(epoll_wait(loop, &event, 1, PATIENCE_MS), 1);
        CU_ASSERT_EQUAL_FATAL(ferry_process(one, NULL), 0);
        CU_ASSERT_EQUAL_FATAL(ferry_process(two, NULL), 0);
    }
}

static void a_server_of_three_brokers_runs_in_the_loop_of_its_program(void) {
    ferry_client *program, *caller;
    int loop = epoll_create1(EPOLL_CLOEXEC), n = 0;

    begin(N, "tcp://127.0.0.1:*");
    runner_stop(&server);
    program = connect_client(&all);
    add_to(loop, ferry_fd(program));
    CU_ASSERT_EQUAL_FATAL(serve(program, NULL), 0);
    caller = connect_to(&brokers[1]);
    add_to(loop, ferry_fd(caller));
    for (int i = 1; i <= FIRST; i++) {
        ferry_call_async(caller, "calc.Echo.say", ferry_str("x"), note_answer, &n, NULL);
        loop_until(loop, program, caller, &n, i);
    }
    kill(brokers[1].pid, SIGSTOP);
    for (int i = FIRST + 1; i <= FIRST + WITHOUT_BROKER; i++) {
        ferry_call_async(caller, "calc.Echo.say", ferry_str("x"), note_answer, &n, NULL);
        loop_until(loop, program, caller, &n, i);
    }
    kill(brokers[1].pid, SIGCONT);
    ferry_close(caller);
    ferry_close(program);
    close(loop);
    for (unsigned i = 0; i < N; i++)
        broker_terminate(&brokers[i]);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(the_broker_learns_what_servers_count),
        TEST(one_port_serves_callers_of_three_brokers),
        TEST(a_broker_that_restarts_learns_of_the_port),
        TEST(calls_go_on_while_a_server_returns_to_its_broker),
        TEST(a_server_of_three_brokers_runs_in_the_loop_of_its_program),
        TESTS_END,
    };

    return run_suite("client: brokers of direct calls", tests);
}
