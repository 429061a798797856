/* SPDX-License-Identifier: Apache-2.0 */

/* Calls that go straight to a server. A call that succeeds while no broker runs has gone there. */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "rpc/keys/key.h"
#include "support/broker.h"
#include "support/oom.h"
#include "support/process.h"
#include "support/raw-peer.h"
#include "support/suite.h"
#include "y_direct.h"

enum { PATIENCE_MS = 60000 };

static TestBroker broker;
static Runner server;
static char endpoint[160];

static int echo(ferry_request *request, void *ctx) {
    (void)ctx;
    return ferry_request_return(request, request->body);
}

static int throw(ferry_request * request, void *ctx) {
    (void)ctx;
    return ferry_request_throw(request, "calc.TooBig", NULL, "%d is too big", 7);
}

static int who(ferry_request *request, void *ctx) {
    (void)ctx;
    return ferry_request_return(request, ferry_str(request->caller));
}

static int serve(ferry_client *client, void *ctx) {
    ferry_serve_options options = {.listen = *endpoint ? endpoint : NULL, .slots = 4};
    int r = ferry_serve_method(client, "calc.Echo.say", &options, echo, ctx, NULL, NULL);

    if (r == 0)
        r = ferry_serve_method(client, "calc.Echo.throw", NULL, throw, ctx, NULL, NULL);
    return r < 0 ? r : ferry_serve_method(client, "calc.Echo.who", NULL, who, ctx, NULL, NULL);
}

static ferry_client *connect_direct(const char *name) {
    ferry_options options = {.name = name, .direct = true, .timeout_ms = 60000};
    ferry_client *client = NULL;

    CU_ASSERT_EQUAL_FATAL(ferry_open(broker.url, &options, &client, NULL), 0);
    return client;
}

static int say(ferry_client *client, const char *text, ferry_error *error) {
    FERRY_AUTO(ferry_free) ferry_reply *reply = NULL;
    int r = ferry_call(client, "calc.Echo.say", ferry_str(text), &reply, error);

    if (r == 0) {
        CU_ASSERT_EQUAL(reply->body.len, strlen(text));
        CU_ASSERT_EQUAL(memcmp(reply->body.data, text, strlen(text)), 0);
    }
    return r;
}

/* The first calls go through the broker, until the connection to the server is there. */
static void begin_at(const char *at, Runner *runner) {
    broker_spawn(&broker);
    snprintf(endpoint, sizeof(endpoint), "%s", at);
    runner_start(runner, &broker, serve, NULL);
}

static void calls_until_direct(ferry_client *client) {
    for (int i = 0; i < 200; i++)
        CU_ASSERT_EQUAL(say(client, "hello", NULL), 0);
}

static void calls_need_no_broker(const char *at) {
    ferry_client *client;

    begin_at(at, &server);
    client = connect_direct("alice");
    calls_until_direct(client);
    broker_kill(&broker);
    for (int i = 0; i < 100; i++)
        CU_ASSERT_EQUAL(say(client, "without a broker", NULL), 0);
    ferry_close(client);
    runner_stop(&server);
    broker_terminate(&broker);
}

static void calls_over_tcp_need_no_broker(void) {
    calls_need_no_broker("tcp://127.0.0.1:*");
}

static void calls_over_a_unix_socket_need_no_broker(void) {
    char path[160];

    snprintf(path, sizeof(path), "ipc:///tmp/ferry-direct-%d.sock", getpid());
    calls_need_no_broker(path);
}

/* ---- callers, errors and bodies ---- */

static void the_server_knows_its_caller_and_throws_as_ever(void) {
    FERRY_AUTO(ferry_free) ferry_reply *reply = NULL;
    ferry_error error = FERRY_ERROR_INIT;
    ferry_client *client;

    begin_at("tcp://127.0.0.1:*", &server);
    client = connect_direct("alice");
    calls_until_direct(client);
    broker_kill(&broker);
    CU_ASSERT_EQUAL_FATAL(ferry_call(client, "calc.Echo.who", ferry_str(""), &reply, NULL), 0);
    CU_ASSERT_EQUAL(reply->body.len, 5);
    CU_ASSERT_EQUAL(memcmp(reply->body.data, "alice", 5), 0);
    CU_ASSERT_EQUAL(ferry_call(client, "calc.Echo.throw", ferry_str(""), NULL, &error), -EREMOTEIO);
    CU_ASSERT_STRING_EQUAL(error.type, "calc.TooBig");
    CU_ASSERT_STRING_EQUAL(error.message, "7 is too big");
    CU_ASSERT_EQUAL(ferry_call(client, "calc.Echo.none", ferry_str(""), NULL, &error), -ENOSYS);
    CU_ASSERT_STRING_EQUAL(error.type, "ferry.NoSuchMethod");
    ferry_error_clear(&error);
    ferry_close(client);
    runner_stop(&server);
    broker_terminate(&broker);
}

static void large_bodies_go_both_ways(void) {
    enum { LEN = 5 << 20 };
    FERRY_AUTO(ferry_free) ferry_reply *reply = NULL;
    FERRY_AUTO(ferry_free) char *body = ferry_alloc(LEN);
    ferry_client *client;

    memset(body, 'x', LEN);
    begin_at("tcp://127.0.0.1:*", &server);
    client = connect_direct("alice");
    calls_until_direct(client);
    broker_kill(&broker);
    CU_ASSERT_EQUAL_FATAL(
        ferry_call(client, "calc.Echo.say", ferry_shared(body, LEN), &reply, NULL), 0);
    CU_ASSERT_EQUAL(reply->body.len, LEN);
    CU_ASSERT_EQUAL(memcmp(reply->body.data, body, LEN), 0);
    ferry_close(client);
    runner_stop(&server);
    broker_terminate(&broker);
}

static void a_server_that_does_not_listen_is_called_through_the_broker(void) {
    ferry_client *client;

    broker_spawn(&broker);
    *endpoint = '\0';
    runner_start(&server, &broker, serve, NULL);
    client = connect_direct("alice");
    calls_until_direct(client);
    ferry_close(client);
    runner_stop(&server);
    broker_terminate(&broker);
}

static void what_is_no_endpoint_is_refused(void) {
    ferry_serve_options options = {.listen = "http://127.0.0.1:80"};
    ferry_error error = FERRY_ERROR_INIT;
    ferry_client *client;

    broker_spawn(&broker);
    client = connect_client(&broker);
    CU_ASSERT_EQUAL(ferry_serve_method(client, "calc.Echo.say", &options, echo, NULL, NULL, &error),
                    -EINVAL);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "http://127.0.0.1:80"));
    ferry_error_clear(&error);
    ferry_close(client);
    broker_terminate(&broker);
}

/* Each allocation fails once. The second attempt succeeds. */
static void a_server_listens_after_it_was_out_of_memory(void) {
    ferry_serve_options options = {.listen = "tcp://127.0.0.1:*"};
    unsigned n_failed = 0;

    broker_spawn(&broker);
    for (unsigned n = 1; n == 1 || oom_happened(); n++) {
        ferry_client *client = connect_client(&broker);
        int r;

        oom_plan(n);
        r = ferry_serve_method(client, "calc.Echo.say", &options, echo, NULL, NULL, NULL);
        oom_stop();
        n_failed += r == -ENOMEM;
        CU_ASSERT_TRUE(r == 0 || oom_happened());
        CU_ASSERT_EQUAL(
            ferry_serve_method(client, "calc.Echo.say", &options, echo, NULL, NULL, NULL), 0);
        ferry_close(client);
    }
    CU_ASSERT_TRUE(n_failed > 3);
    broker_terminate(&broker);
}

/* ---- generated code ---- */

static int add(ferry_request *request, int32_t a, int32_t b, void *ctx) {
    (void)ctx;
    return straight_sums_add_return(request, (int64_t)a + b);
}

static int serve_sums(ferry_client *client, void *ctx) {
    static const straight_sums_handlers handlers = {.add = add};
    ferry_serve_options options = {.listen = "tcp://127.0.0.1:*"};

    return straight_sums_serve(client, &handlers, &options, ctx, NULL, NULL);
}

/* The annotation `direct` of the service stands in place of the option. */
static void an_annotated_service_is_called_directly(void) {
    ferry_client *client;
    int64_t sum = 0;

    broker_spawn(&broker);
    runner_start(&server, &broker, serve_sums, NULL);
    client = connect_client(&broker);
    for (int i = 0; i < 200; i++)
        CU_ASSERT_EQUAL(straight_sums_add(client, i, 1, &sum, NULL), 0);
    broker_kill(&broker);
    CU_ASSERT_EQUAL(straight_sums_add(client, 2, 3, &sum, NULL), 0);
    CU_ASSERT_EQUAL(sum, 5);
    ferry_close(client);
    runner_stop(&server);
    broker_terminate(&broker);
}

/* ---- slots ---- */

typedef struct Held {
    ferry_request *requests[8];
    int n, n_cancelled;
} Held;

static void on_change(ferry_request *request, void *ctx) {
    Held *held = ctx;

    if (ferry_request_cancelled(request))
        held->n_cancelled++;
}

static int hold(ferry_request *request, void *ctx) {
    Held *held = ctx;

    held->requests[held->n] = ferry_request_defer(request);
    ferry_request_watch(request, on_change, held);
    held->n++;
    return 0;
}

static void count_answer(const ferry_reply *reply, const ferry_error *error, void *ctx) {
    (void)reply, (void)error;
    ++*(int *)ctx;
}

/* A server of two slots and its direct caller, in this process. The route is up. */
static void begin_held(Held *held, ferry_client **ret_server, ferry_client **ret_caller) {
    ferry_serve_options options = {.listen = "tcp://127.0.0.1:*", .slots = 2};
    int n = 0;

    *held = (Held){.n = 0};
    broker_spawn(&broker);
    *ret_server = connect_client(&broker);
    *ret_caller = connect_direct("alice");
    CU_ASSERT_EQUAL_FATAL(
        ferry_serve_method(*ret_server, "held.Calls.wait", &options, hold, held, NULL, NULL), 0);
    CU_ASSERT_EQUAL_FATAL(
        ferry_serve_method(*ret_server, "held.Calls.say", NULL, echo, NULL, NULL, NULL), 0);
    for (int i = 1; i <= 50; i++) {
        ferry_call_async(*ret_caller, "held.Calls.say", ferry_str("x"), count_answer, &n, NULL);
        CU_ASSERT_TRUE_FATAL(process_both_until(*ret_server, *ret_caller, &n, i));
    }
    broker_kill(&broker);
}

static void end_held(ferry_client *held_server, ferry_client *caller) {
    ferry_close(caller);
    ferry_close(held_server);
    broker_terminate(&broker);
}

static void a_server_works_on_as_many_calls_as_it_has_slots(void) {
    ferry_client *held_server, *caller;
    int n_answers = 0;
    Held held;

    begin_held(&held, &held_server, &caller);
    for (int i = 0; i < 5; i++)
        CU_ASSERT_EQUAL(ferry_call_async(caller, "held.Calls.wait", ferry_str("x"), count_answer,
                                         &n_answers, NULL),
                        0);
    CU_ASSERT_TRUE(process_both_until(held_server, caller, &held.n, 2));
    for (int i = 0; i < 20; i++) {
        ferry_process(caller, NULL);
        ferry_process(held_server, NULL);
    }
    CU_ASSERT_EQUAL(held.n, 2);
    for (int i = 0; i < 5; i++) {
        CU_ASSERT_TRUE_FATAL(process_both_until(held_server, caller, &held.n, i + 1));
        ferry_request_return(held.requests[i], ferry_str("y"));
        CU_ASSERT_TRUE(process_both_until(held_server, caller, &n_answers, i + 1));
    }
    end_held(held_server, caller);
}

static void a_cancelled_call_cancels_its_request(void) {
    ferry_client *held_server, *caller, *handle = NULL;
    int n_answers = 0;
    Held held;

    begin_held(&held, &held_server, &caller);
    CU_ASSERT_EQUAL_FATAL(ferry_with(caller, NULL, &handle, NULL), 0);
    CU_ASSERT_EQUAL(
        ferry_call_async(handle, "held.Calls.wait", ferry_str("x"), count_answer, &n_answers, NULL),
        0);
    CU_ASSERT_TRUE(process_both_until(held_server, caller, &held.n, 1));
    ferry_close(handle);
    CU_ASSERT_TRUE(process_both_until(held_server, caller, &held.n_cancelled, 1));
    CU_ASSERT_EQUAL(n_answers, 1);
    ferry_request_return(held.requests[0], ferry_str("late"));
    end_held(held_server, caller);
}

static void a_deadline_ends_the_call_and_its_request(void) {
    ferry_client *held_server, *caller, *quick = NULL;
    int n_answers = 0;
    Held held;

    begin_held(&held, &held_server, &caller);
    CU_ASSERT_EQUAL_FATAL(ferry_with(caller, &(ferry_options){.timeout_ms = 1000}, &quick, NULL),
                          0);
    CU_ASSERT_EQUAL(
        ferry_call_async(quick, "held.Calls.wait", ferry_str("x"), count_answer, &n_answers, NULL),
        0);
    CU_ASSERT_TRUE(process_both_until(held_server, caller, &n_answers, 1));
    CU_ASSERT_TRUE(process_both_until(held_server, caller, &held.n_cancelled, 1));
    ferry_request_return(held.requests[0], ferry_str("late"));
    ferry_close(quick);
    end_held(held_server, caller);
}

/* ---- servers that go ---- */

static ferry_client *stopped_by_signal;

static void on_signal(int signal) {
    (void)signal;
    ferry_stop(stopped_by_signal);
}

static int play_serve(int argc, char **argv) {
    ferry_serve_options options = {.listen = "tcp://127.0.0.1:*", .slots = 100};
    ferry_client *client = NULL;
    Held held = {.n = 0};

    if (argc < 1 || ferry_open(argv[0], NULL, &client, NULL) < 0 ||
        ferry_serve_method(client, "calc.Echo.say", &options, echo, NULL, NULL, NULL) < 0 ||
        ferry_serve_method(client, "calc.Echo.wait", NULL, hold, &held, NULL, NULL) < 0)
        return 1;
    stopped_by_signal = client;
    signal(SIGTERM, on_signal);
    tell("ready 0");
    return ferry_run(client, NULL) < 0;
}

static const Role roles[] = {{"serve", play_serve}, {NULL, NULL}};

static void start_server(Process *process) {
    role_start(process, "serve", broker.url, NULL);
    CU_ASSERT_TRUE_FATAL(told_count(process, "ready", 0, PATIENCE_MS, NULL));
}

typedef struct Lost {
    int n, n_lost;
} Lost;

static void count_lost(const ferry_reply *reply, const ferry_error *error, void *ctx) {
    Lost *lost = ctx;

    (void)reply;
    lost->n++;
    lost->n_lost += error && strcmp(error->type, "ferry.ServerLost") == 0 && error->outcome_unknown;
}

static void a_call_whose_server_is_killed_has_an_unknown_outcome(void) {
    ferry_client *client;
    Process process;
    Lost lost = {0};

    broker_spawn(&broker);
    start_server(&process);
    client = connect_direct("alice");
    calls_until_direct(client);
    broker_kill(&broker);
    CU_ASSERT_EQUAL(
        ferry_call_async(client, "calc.Echo.wait", ferry_str("x"), count_lost, &lost, NULL), 0);
    for (int i = 0; i < 20; i++)
        ferry_process(client, NULL);
    process_end(&process, SIGKILL, PATIENCE_MS);
    CU_ASSERT_TRUE(process_until(client, &lost.n, 1));
    CU_ASSERT_EQUAL(lost.n_lost, 1);
    ferry_close(client);
    broker_terminate(&broker);
}

/* While one of two servers is killed, idempotent calls go on without an error. */
static void idempotent_calls_go_on_at_another_server(void) {
    ferry_client *client, *idempotent = NULL;
    ferry_error error = FERRY_ERROR_INIT;
    Process processes[2];
    int n_failed = 0;

    broker_spawn(&broker);
    start_server(&processes[0]);
    start_server(&processes[1]);
    client = connect_direct("alice");
    CU_ASSERT_EQUAL_FATAL(
        ferry_with(client, &(ferry_options){.idempotent = true}, &idempotent, NULL), 0);
    calls_until_direct(idempotent);
    process_end(&processes[0], SIGKILL, PATIENCE_MS);
    for (int i = 0; i < 200; i++)
        n_failed += say(idempotent, "on", &error) < 0;
    CU_ASSERT_EQUAL(n_failed, 0);
    if (n_failed > 0)
        ferry_error_print(&error, stderr);
    ferry_error_clear(&error);
    process_end(&processes[1], SIGKILL, PATIENCE_MS);
    ferry_close(idempotent);
    ferry_close(client);
    broker_terminate(&broker);
}

typedef struct Stream {
    ferry_client *client;
    int n_begun, n_ended, n_failed;
} Stream;

static void call_again(const ferry_reply *reply, const ferry_error *error, void *ctx) {
    Stream *stream = ctx;

    (void)reply;
    stream->n_ended++;
    stream->n_failed += error != NULL;
    if (error)
        ferry_error_print(error, stderr);
    if (stream->n_begun < 4000) {
        stream->n_begun++;
        ferry_call_async(stream->client, "calc.Echo.say", ferry_str("x"), call_again, stream, NULL);
    }
}

/* A server that stops finishes its direct calls: no call of a busy caller fails, idempotent or
 * not. */
static void a_server_that_stops_loses_no_call(void) {
    Process processes[2];
    Stream stream = {0};

    broker_spawn(&broker);
    start_server(&processes[0]);
    start_server(&processes[1]);
    stream.client = connect_direct("alice");
    calls_until_direct(stream.client);
    for (; stream.n_begun < 50; stream.n_begun++)
        ferry_call_async(stream.client, "calc.Echo.say", ferry_str("x"), call_again, &stream, NULL);
    CU_ASSERT_TRUE(process_until(stream.client, &stream.n_ended, 1000));
    process_signal(&processes[0], SIGTERM);
    CU_ASSERT_TRUE(process_until(stream.client, &stream.n_ended, 4000));
    CU_ASSERT_EQUAL(stream.n_failed, 0);
    process_end(&processes[0], 0, PATIENCE_MS);
    process_end(&processes[1], SIGKILL, PATIENCE_MS);
    ferry_close(stream.client);
    broker_terminate(&broker);
}

/* ---- strangers ---- */

static const uint8_t stranger[16] = "not a ticket";

static int raw_caller(uint16_t port, const Message *first) {
    int fd = raw_connect(port);

    CU_ASSERT_TRUE_FATAL(fd >= 0);
    CU_ASSERT_TRUE(raw_greet(fd, NULL, 0));
    CU_ASSERT_TRUE(raw_say(fd, first));
    return fd;
}

static void expect_fault(int fd, const char *type) {
    Message message;

    CU_ASSERT_EQUAL_FATAL(raw_hear(fd, OP_FAULT, PATIENCE_MS, &message), HEARD);
    CU_ASSERT_PTR_NOT_NULL(
        memmem(message.fault.map.data, message.fault.map.len, type, strlen(type)));
    CU_ASSERT_TRUE(raw_is_cut(fd, PATIENCE_MS));
    raw_close(fd);
}

static void strangers_are_refused(void) {
    Message hello = {.op = OP_HELLO,
                     .hello.version_min = 1,
                     .hello.version_max = 1,
                     .hello.client = {stranger, 16},
                     .hello.bytes = 1 << 20};
    Message call = {.op = OP_CALL,
                    .id = 1,
                    .name = span_text("calc.Echo"),
                    .call.method = span_text("say"),
                    .call.timeout_ms = 1000};
    uint16_t port = free_port();
    ferry_client *client;
    char at[40];
    int fd;

    snprintf(at, sizeof(at), "tcp://127.0.0.1:%u", port);
    begin_at(at, &server);
    /* No ticket of this kind comes. */
    expect_fault(raw_caller(port, &hello), "ferry.PermissionDenied");
    /* A call before WELCOME. */
    fd = raw_caller(port, &hello);
    CU_ASSERT_TRUE(raw_say(fd, &call));
    expect_fault(fd, "ferry.NoSession");
    /* A call instead of HELLO; another protocol; half a client id. */
    expect_fault(raw_caller(port, &call), "ferry.NoSession");
    fd = raw_connect(port);
    CU_ASSERT_TRUE(raw_bytes(fd, "GET / HTTP/1.1\r\n\r\n", 18));
    CU_ASSERT_TRUE(raw_is_cut(fd, PATIENCE_MS));
    raw_close(fd);
    hello.hello.client.len = 8;
    expect_fault(raw_caller(port, &hello), "ferry.Protocol");
    /* The server still answers. */
    client = connect_direct("alice");
    calls_until_direct(client);
    broker_kill(&broker);
    CU_ASSERT_EQUAL(say(client, "still here", NULL), 0);
    ferry_close(client);
    runner_stop(&server);
    broker_terminate(&broker);
}

/* ---- keys ---- */

typedef struct Identity {
    char file[128], public_key[KEY_TEXT_MAX];
} Identity;

static void make_identity(Identity *identity, const char *folder, const char *name) {
    KeyPair *pair = NULL;

    snprintf(identity->file, sizeof(identity->file), "%s/%s.key", folder, name);
    CU_ASSERT_EQUAL_FATAL(key_pair_new(&pair), 0);
    CU_ASSERT_EQUAL_FATAL(key_file_write(identity->file, pair, NULL), 0);
    key_text(pair->public_key, identity->public_key);
    key_pair_free(pair);
}

static ferry_client *connect_as(const Identity *identity, const Identity *of_broker,
                                const char *url) {
    ferry_options options = {.direct = true,
                             .timeout_ms = 10000,
                             .key_file = identity->file,
                             .server_key = of_broker->public_key};
    ferry_client *client = NULL;

    CU_ASSERT_EQUAL_FATAL(ferry_open(url, &options, &client, NULL), 0);
    CU_ASSERT_EQUAL_FATAL(ferry_ping(client, NULL, NULL), 0);
    return client;
}

static int user(ferry_request *request, void *ctx) {
    const char *name = ferry_request_user(request);

    (void)ctx;
    return ferry_request_return(request, ferry_str(name ? name : ""));
}

typedef struct Answer {
    int n, code;
    char text[64];
} Answer;

static void keep_answer(const ferry_reply *reply, const ferry_error *error, void *ctx) {
    Answer *answer = ctx;

    answer->n++;
    answer->code = error ? error->code : 0;
    snprintf(answer->text, sizeof(answer->text), "%.*s", reply ? (int)reply->body.len : 0,
             reply ? (const char *)reply->body.data : "");
}

static Answer ask_user(ferry_client *of_server, ferry_client *caller) {
    Answer answer = {0};

    ferry_call_async(caller, "calc.Echo.user", ferry_str(""), keep_answer, &answer, NULL);
    CU_ASSERT_TRUE(process_both_until(of_server, caller, &answer.n, 1));
    return answer;
}

/* The server knows the user of a direct call, and a user without the right gets no ticket. */
static void keys_and_rights_hold_without_the_broker(void) {
    ferry_serve_options options = {.listen = "tcp://127.0.0.1:*", .slots = 10};
    char folder[] = "/tmp/ferry-direct-XXXXXX", config[1024], command[64];
    Identity of_broker, of_server, alice, bob;
    ferry_client *clients[3];
    Answer answer;
    Daemon daemon;

    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
    make_identity(&of_broker, folder, "broker");
    make_identity(&of_server, folder, "server");
    make_identity(&alice, folder, "alice");
    make_identity(&bob, folder, "bob");
    snprintf(config, sizeof(config),
             "[server]\nkey = %s\n[user server]\nkey = %s\nmay = serve calc.*\n"
             "[user alice]\nkey = %s\nmay = call calc.*\n[user bob]\nkey = %s\nmay = call other\n",
             of_broker.file, of_server.public_key, alice.public_key, bob.public_key);
    daemon_start(&daemon, &(DaemonOptions){.tcp = true, .config = config});
    clients[0] = connect_as(&of_server, &of_broker, daemon.url);
    CU_ASSERT_EQUAL_FATAL(
        ferry_serve_method(clients[0], "calc.Echo.user", &options, user, NULL, NULL, NULL), 0);
    clients[1] = connect_as(&alice, &of_broker, daemon.url);
    clients[2] = connect_as(&bob, &of_broker, daemon.url);
    for (int i = 0; i < 100; i++) {
        answer = ask_user(clients[0], clients[1]);
        CU_ASSERT_STRING_EQUAL(answer.text, "alice");
        answer = ask_user(clients[0], clients[2]);
        CU_ASSERT_EQUAL(answer.code, -EACCES);
    }
    daemon_kill(&daemon);
    answer = ask_user(clients[0], clients[1]);
    CU_ASSERT_STRING_EQUAL(answer.text, "alice");
    for (int i = 2; i >= 0; i--)
        ferry_close(clients[i]);
    daemon_end(&daemon);
    snprintf(command, sizeof(command), "rm -r %s", folder);
    CU_ASSERT_EQUAL(system(command), 0);
}

int main(int argc, char **argv) {
    CU_TestInfo tests[] = {
        TEST(calls_over_tcp_need_no_broker),
        TEST(calls_over_a_unix_socket_need_no_broker),
        TEST(the_server_knows_its_caller_and_throws_as_ever),
        TEST(large_bodies_go_both_ways),
        TEST(a_server_that_does_not_listen_is_called_through_the_broker),
        TEST(what_is_no_endpoint_is_refused),
        TEST(a_server_listens_after_it_was_out_of_memory),
        TEST(an_annotated_service_is_called_directly),
        TEST(a_server_works_on_as_many_calls_as_it_has_slots),
        TEST(a_cancelled_call_cancels_its_request),
        TEST(a_deadline_ends_the_call_and_its_request),
        TEST(a_call_whose_server_is_killed_has_an_unknown_outcome),
        TEST(idempotent_calls_go_on_at_another_server),
        TEST(a_server_that_stops_loses_no_call),
        TEST(strangers_are_refused),
        TEST(keys_and_rights_hold_without_the_broker),
        TESTS_END,
    };

    roles_play(argc, argv, roles);
    return run_suite("client: direct calls", tests);
}
