/* SPDX-License-Identifier: Apache-2.0 */

/* No call hangs: deadlines, lost servers, lost brokers, brokers that were never started. */

#include "support/broker.h"
#include "support/suite.h"

static TestBroker broker;

static const ferry_bytes one = {"\x01", 1, NULL};

typedef struct Server {
    ferry_request *requests[200];
    int n;
} Server;

static int defer(ferry_request *request, void *ctx) {
    Server *server = ctx;

    server->requests[server->n++] = ferry_request_defer(request);
    return 0;
}

static void answer_all(Server *server) {
    for (int i = 0; i < server->n; i++)
        ferry_request_return(server->requests[i], one);
    server->n = 0;
}

typedef struct Ends {
    int n, code;
    bool unknown;
} Ends;

static void end(const ferry_reply *reply, const ferry_error *error, void *ctx) {
    Ends *ends = ctx;

    (void)reply;
    ends->n++;
    ends->code = error ? error->code : 0;
    ends->unknown = error && error->outcome_unknown;
}

static void a_call_ends_by_its_deadline(void) {
    ferry_client *client = connect_client(&broker), *served = connect_client(&broker);
    ferry_client *quick = NULL;
    ferry_error error = FERRY_ERROR_INIT;
    Server server = {.n = 0};
    Ends ends = {0};
    uint64_t before;

    CU_ASSERT_EQUAL(ferry_serve_method(served, "test.Slow.call", &(ferry_serve_options){.slots = 9},
                                       defer, &server, NULL, NULL),
                    0);
    CU_ASSERT_EQUAL(ferry_with(client, &(ferry_options){.timeout_ms = 50}, &quick, NULL), 0);
    before = clock_ms();
    CU_ASSERT_EQUAL(ferry_call(quick, "test.Slow.call", one, NULL, &error), -ETIMEDOUT);
    CU_ASSERT_TRUE(error.outcome_unknown);
    CU_ASSERT_STRING_EQUAL(error.message, "no answer within 50 ms");
    CU_ASSERT_TRUE(clock_ms() - before >= 49);
    CU_ASSERT_EQUAL(ferry_call_async(quick, "test.Slow.call", one, end, &ends, NULL), 0);
    CU_ASSERT_TRUE(process_both_until(client, served, &ends.n, 1));
    CU_ASSERT_EQUAL(ends.code, -ETIMEDOUT);
    answer_all(&server);
    ferry_process(served, NULL);
    CU_ASSERT_EQUAL(ferry_ping(client, NULL, NULL), 0);
    ferry_process(client, NULL);
    CU_ASSERT_EQUAL(ends.n, 1);
    ferry_error_clear(&error);
    ferry_close(quick);
    ferry_close(served);
    ferry_close(client);
}

static void the_deadline_holds_while_the_broker_is_stopped(void) {
    ferry_client *client = connect_client(&broker), *quick = NULL;
    ferry_error error = FERRY_ERROR_INIT;

    CU_ASSERT_EQUAL(ferry_with(client, &(ferry_options){.timeout_ms = 100}, &quick, NULL), 0);
    kill(broker.pid, SIGSTOP);
    CU_ASSERT_EQUAL(ferry_call(quick, "test.Slow.call", one, NULL, &error), -ETIMEDOUT);
    CU_ASSERT_STRING_EQUAL(error.message, "no answer within 100 ms");
    CU_ASSERT_EQUAL(ferry_ping(quick, NULL, &error), -ETIMEDOUT);
    CU_ASSERT_STRING_EQUAL(error.message, "the broker did not answer the ping within 100 ms");
    CU_ASSERT_EQUAL(ferry_push(quick, "q", one, NULL, &error), -ETIMEDOUT);
    CU_ASSERT_STRING_EQUAL(error.message, "the push was not confirmed within 100 ms");
    CU_ASSERT_TRUE(error.outcome_unknown);
    CU_ASSERT_EQUAL(ferry_push_async(quick, "q", one, NULL, NULL, NULL, NULL), 0);
    CU_ASSERT_EQUAL(ferry_flush(quick, &error), -ETIMEDOUT);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "not confirmed within 100 ms"));
    kill(broker.pid, SIGCONT);
    ferry_error_clear(&error);
    ferry_close(quick);
    ferry_close(client);
}

static void calls_of_a_lost_server_end_at_once(void) {
    ferry_client *client = connect_client(&broker), *served = connect_client(&broker);
    Server server = {.n = 0};
    Ends ends = {0};

    CU_ASSERT_EQUAL(ferry_serve_method(served, "test.Lost.call",
                                       &(ferry_serve_options){.slots = 100}, defer, &server, NULL,
                                       NULL),
                    0);
    for (int i = 0; i < 100; i++)
        CU_ASSERT_EQUAL(ferry_call_async(client, "test.Lost.call", one, end, &ends, NULL), 0);
    CU_ASSERT_TRUE(process_both_until(served, client, &server.n, 100));
    ferry_close(served);
    CU_ASSERT_TRUE(process_until(client, &ends.n, 100));
    CU_ASSERT_EQUAL(ends.code, -ECONNRESET);
    CU_ASSERT_TRUE(ends.unknown);
    answer_all(&server);
    ferry_close(client);
}

static int echo(ferry_request *request, void *ctx) {
    (void)ctx;
    return ferry_request_return(request, request->body);
}

static void note(const ferry_message *message, void *ctx) {
    int *n = ctx;

    (void)message;
    ++*n;
}

static int set_up(ferry_client *client, void *ctx) {
    (void)ctx;
    return ferry_serve_method(client, "test.Back.echo", NULL, echo, NULL, NULL, NULL);
}

static void all_programs_resume_after_a_killed_broker(void) {
    ferry_client *client = connect_client(&broker);
    ferry_error error = FERRY_ERROR_INIT;
    Runner runner;
    int n = 0, r = -1;

    runner_start(&runner, &broker, set_up, NULL);
    CU_ASSERT_EQUAL(ferry_subscribe(client, "back.*", NULL, note, &n, NULL, NULL), 0);
    CU_ASSERT_EQUAL(ferry_call(client, "test.Back.echo", one, NULL, NULL), 0);
    broker_kill(&broker);
    broker_respawn(&broker);
    for (int i = 0; i < 3000 && r < 0; i++) {
        r = ferry_call(client, "test.Back.echo", one, NULL, &error);
        if (r < 0)
            usleep(20000);
    }
    CU_ASSERT_EQUAL(r, 0);
    CU_ASSERT_EQUAL(ferry_publish(client, "back.again", one, NULL, NULL), 0);
    CU_ASSERT_TRUE(process_until(client, &n, 1));
    ferry_error_clear(&error);
    runner_stop(&runner);
    ferry_close(client);
}

static void without_a_broker_calls_wait_five_seconds(void) {
    ferry_client *client = NULL, *quick = NULL;
    ferry_error error = FERRY_ERROR_INIT;
    uint64_t before = clock_ms();
    Ends ends = {0};

    CU_ASSERT_EQUAL(ferry_open("ipc:///tmp/ferry-test-nobody", NULL, &client, NULL), 0);
    CU_ASSERT_EQUAL(ferry_call_async(client, "test.Back.echo", one, end, &ends, NULL), 0);
    CU_ASSERT_EQUAL(ferry_with(client, &(ferry_options){.timeout_ms = 100}, &quick, NULL), 0);
    CU_ASSERT_EQUAL(ferry_call(quick, "test.Back.echo", one, NULL, &error), -ETIMEDOUT);
    CU_ASSERT_FALSE(error.outcome_unknown);
    CU_ASSERT_STRING_EQUAL(error.message, "no connection within 100 ms: no broker listens at "
                                          "ipc:///tmp/ferry-test-nobody");
    CU_ASSERT_EQUAL(ferry_ping(client, NULL, &error), -ENOTCONN);
    CU_ASSERT_TRUE(clock_ms() - before > 4900);
    CU_ASSERT_TRUE(process_until(client, &ends.n, 1));
    CU_ASSERT_EQUAL(ends.code, -ENOTCONN);
    CU_ASSERT_FALSE(ends.unknown);
    CU_ASSERT_EQUAL(ferry_publish(client, "a", one, NULL, &error), -ENOTCONN);
    ferry_error_clear(&error);
    ferry_close(quick);
    ferry_close(client);
}

/* A program that starts before its broker. */
typedef struct Early {
    ferry_client *client; /* atomic */
    int served;           /* atomic: 1, or the negative errno of ferry_serve_method() */
} Early;

static int echo_early(ferry_request *request, void *ctx) {
    (void)ctx;
    return ferry_request_return(request, request->body);
}

static void *serve_early(void *ctx) {
    Early *early = ctx;
    ferry_client *client = NULL;
    int r;

    CU_ASSERT_EQUAL(
        ferry_open(broker.url, &(ferry_options){.wait_for_broker = true}, &client, NULL), 0);
    __atomic_store_n(&early->client, client, __ATOMIC_RELEASE);
    r = ferry_serve_method(client, "test.Early.echo", NULL, echo_early, NULL, NULL, NULL);
    __atomic_store_n(&early->served, r == 0 ? 1 : r, __ATOMIC_RELEASE);
    if (r == 0)
        ferry_run(client, NULL);
    return NULL;
}

static void with_the_option_a_program_may_start_before_its_broker(void) {
    const ferry_options patient = {.wait_for_broker = true, .wait_for_server = true};
    ferry_client *client = NULL;
    Early early = {0};
    Ends ends = {0};
    pthread_t thread;

    broker_kill(&broker);
    pthread_create(&thread, NULL, serve_early, &early);
    CU_ASSERT_EQUAL(ferry_open(broker.url, &patient, &client, NULL), 0);
    CU_ASSERT_EQUAL(ferry_call_async(client, "test.Early.echo", one, end, &ends, NULL), 0);
    usleep(5500 * 1000); /* longer than a program without the option would wait */
    ferry_process(client, NULL);
    CU_ASSERT_EQUAL(ends.n, 0);
    CU_ASSERT_EQUAL(__atomic_load_n(&early.served, __ATOMIC_ACQUIRE), 0);
    CU_ASSERT_EQUAL(ferry_publish(client, "early.bird", one, NULL, NULL), 0);
    broker_respawn(&broker);
    CU_ASSERT_TRUE(process_until(client, &ends.n, 1));
    CU_ASSERT_EQUAL(ends.code, 0);
    ferry_close(client);
    ferry_stop(early.client);
    pthread_join(thread, NULL);
    CU_ASSERT_EQUAL(early.served, 1);
    ferry_close(early.client);
}

static void ferry_stop_ends_the_wait_for_a_broker(void) {
    Early early = {0};
    pthread_t thread;

    broker_kill(&broker);
    pthread_create(&thread, NULL, serve_early, &early);
    while (!__atomic_load_n(&early.client, __ATOMIC_ACQUIRE))
        usleep(1000);
    /* The thread may not be waiting yet, and a stop ends only a wait under way: repeat it. */
    while (__atomic_load_n(&early.served, __ATOMIC_ACQUIRE) == 0) {
        ferry_stop(early.client);
        usleep(10000);
    }
    pthread_join(thread, NULL);
    CU_ASSERT_EQUAL(early.served, -ENOTCONN);
    ferry_close(early.client);
    broker_respawn(&broker);
}

static int nested(ferry_request *request, void *ctx) {
    _Atomic uint64_t *left_ms = ctx;
    ferry_error error = FERRY_ERROR_INIT;
    int r;

    *left_ms = ferry_request_left_ms(request);
    r = ferry_call(ferry_request_client(request), "test.Never.call", one, NULL, &error);
    r = ferry_request_fail(request, r, &error);
    ferry_error_clear(&error);
    return r;
}

static _Atomic uint64_t left_ms;

static int set_up_nested(ferry_client *client, void *ctx) {
    return ferry_serve_method(client, "test.Nested.call", NULL, nested, ctx, NULL, NULL);
}

static void a_nested_call_inherits_the_deadline(void) {
    ferry_client *client = connect_client(&broker), *quick = NULL, *never = connect_client(&broker);
    ferry_error error = FERRY_ERROR_INIT;
    Server server = {.n = 0};
    Runner runner;
    Ends ends = {0};

    runner_start(&runner, &broker, set_up_nested, &left_ms);
    CU_ASSERT_EQUAL(ferry_serve_method(never, "test.Never.call", NULL, defer, &server, NULL, NULL),
                    0);
    CU_ASSERT_EQUAL(ferry_with(client, &(ferry_options){.timeout_ms = 2000}, &quick, NULL), 0);
    CU_ASSERT_EQUAL(ferry_call_async(quick, "test.Nested.call", one, end, &ends, NULL), 0);
    CU_ASSERT_TRUE(process_both_until(never, client, &server.n, 1));
    CU_ASSERT_TRUE(left_ms > 0 && left_ms <= 2000);
    CU_ASSERT_TRUE(ferry_request_left_ms(server.requests[0]) <= left_ms);
    CU_ASSERT_TRUE(process_until(client, &ends.n, 1));
    CU_ASSERT_EQUAL(ends.code, -ETIMEDOUT);
    /* The nested call is cancelled, too. */
    for (int i = 0; i < 60000 && !ferry_request_cancelled(server.requests[0]); i++)
        usleep(1000);
    CU_ASSERT_TRUE(ferry_request_cancelled(server.requests[0]));
    answer_all(&server);
    ferry_error_clear(&error);
    runner_stop(&runner);
    ferry_close(quick);
    ferry_close(never);
    ferry_close(client);
}

typedef struct Waited {
    uint64_t began_ms;
    int n;
    uint32_t left_ms, passed_ms; /* left_ms, passed_ms: of the second request */
} Waited;

/* The first request takes long; the second one was received together with it. */
static int take_turns(ferry_request *request, void *ctx) {
    Waited *waited = ctx;

    if (waited->n++ == 0) {
        waited->began_ms = clock_ms();
        usleep(400 * 1000);
    } else {
        waited->left_ms = ferry_request_left_ms(request);
        waited->passed_ms = (uint32_t)(clock_ms() - waited->began_ms);
    }
    return ferry_request_return(request, one);
}

/* Without a timeout of its own the nested call has the rest of the deadline, not 30 s. */
static void a_nested_call_inherits_a_long_deadline(void) {
    ferry_client *client = connect_client(&broker), *slow = NULL, *last = connect_client(&broker);
    Server server = {.n = 0};
    Runner runner;
    Ends ends = {0};

    runner_start(&runner, &broker, set_up_nested, &left_ms);
    CU_ASSERT_EQUAL(ferry_serve_method(last, "test.Never.call", NULL, defer, &server, NULL, NULL),
                    0);
    CU_ASSERT_EQUAL(ferry_with(client, &(ferry_options){.timeout_ms = 3600000}, &slow, NULL), 0);
    CU_ASSERT_EQUAL(ferry_call_async(slow, "test.Nested.call", one, end, &ends, NULL), 0);
    CU_ASSERT_TRUE(process_both_until(last, client, &server.n, 1));
    CU_ASSERT_TRUE(ferry_request_left_ms(server.requests[0]) > 1800000);
    answer_all(&server);
    CU_ASSERT_TRUE(process_both_until(client, last, &ends.n, 1));
    runner_stop(&runner);
    ferry_close(slow);
    ferry_close(last);
    ferry_close(client);
}

static void a_request_that_waits_behind_a_handler_uses_up_its_deadline(void) {
    ferry_client *client = connect_client(&broker), *served = connect_client(&broker), *with = NULL;
    Waited waited = {0};
    Ends ends = {0};

    CU_ASSERT_EQUAL(ferry_serve_method(served, "test.Turns.call",
                                       &(ferry_serve_options){.slots = 2}, take_turns, &waited,
                                       NULL, NULL),
                    0);
    CU_ASSERT_EQUAL(ferry_with(client, &(ferry_options){.timeout_ms = 60000}, &with, NULL), 0);
    ferry_cork(client);
    CU_ASSERT_EQUAL(ferry_call_async(with, "test.Turns.call", one, end, &ends, NULL), 0);
    CU_ASSERT_EQUAL(ferry_call_async(with, "test.Turns.call", one, end, &ends, NULL), 0);
    CU_ASSERT_EQUAL(ferry_uncork(client, NULL), 0);
    CU_ASSERT_TRUE(process_both_until(client, served, &ends.n, 2));
    CU_ASSERT_EQUAL(waited.n, 2);
    CU_ASSERT(waited.passed_ms >= 400);
    CU_ASSERT(waited.left_ms + waited.passed_ms <= 60000);
    ferry_close(with);
    ferry_close(served);
    ferry_close(client);
}

static int set_up_echo(ferry_client *client, void *ctx) {
    return ferry_serve_method(client, "test.Echo.echo", NULL, echo, ctx, NULL, NULL);
}

typedef struct Computing {
    ferry_client *client;
    int n, blocking;
    Ends ends;
} Computing;

/* Both calls have their whole timeout, although the turn has lasted longer than that. */
static void compute_and_call(void *ctx) {
    Computing *computing = ctx;

    usleep(4100 * 1000);
    CU_ASSERT_EQUAL(
        ferry_call_async(computing->client, "test.Echo.echo", one, end, &computing->ends, NULL), 0);
    computing->blocking = ferry_call(computing->client, "test.Echo.echo", one, NULL, NULL);
    computing->n++;
}

static void timeouts_count_from_the_call_in_a_long_callback(void) {
    ferry_client *client = connect_client(&broker);
    Computing computing = {.n = 0};
    Runner runner;

    runner_start(&runner, &broker, set_up_echo, NULL);
    CU_ASSERT_EQUAL(
        ferry_with(client, &(ferry_options){.timeout_ms = 4000}, &computing.client, NULL), 0);
    CU_ASSERT_EQUAL(ferry_post(client, compute_and_call, &computing), 0);
    CU_ASSERT_TRUE(process_until(client, &computing.n, 1));
    CU_ASSERT_EQUAL(computing.blocking, 0);
    CU_ASSERT_TRUE(process_until(client, &computing.ends.n, 1));
    CU_ASSERT_EQUAL(computing.ends.code, 0);
    ferry_close(computing.client);
    runner_stop(&runner);
    ferry_close(client);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_call_ends_by_its_deadline),
        TEST(the_deadline_holds_while_the_broker_is_stopped),
        TEST(calls_of_a_lost_server_end_at_once),
        TEST(all_programs_resume_after_a_killed_broker),
        TEST(without_a_broker_calls_wait_five_seconds),
        TEST(with_the_option_a_program_may_start_before_its_broker),
        TEST(ferry_stop_ends_the_wait_for_a_broker),
        TEST(a_nested_call_inherits_the_deadline),
        TEST(a_nested_call_inherits_a_long_deadline),
        TEST(a_request_that_waits_behind_a_handler_uses_up_its_deadline),
        TEST(timeouts_count_from_the_call_in_a_long_callback),
        TESTS_END,
    };
    int status;

    broker_spawn(&broker);
    status = run_suite("client: deadlines", tests);
    broker_terminate(&broker);
    return status;
}
