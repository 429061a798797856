/* SPDX-License-Identifier: Apache-2.0 */

/* Retries, back-pressure, and calls whose callers do not wait any more. */

#include "support/broker.h"
#include "support/suite.h"

static TestBroker broker;

enum { CALLS = 200, ADVICE_MS = 300 };

/* A server that fails the first n times, with advice or without. */
typedef struct Flaky {
    int fail, seen, advice_ms;
    uint64_t first_ms, last_ms;
} Flaky;

static int answer(ferry_request *request, void *ctx) {
    Flaky *flaky = ctx;

    flaky->last_ms = clock_ms();
    if (flaky->seen == 0)
        flaky->first_ms = flaky->last_ms;
    if (flaky->seen++ >= flaky->fail)
        return ferry_request_return(request, request->body);
    if (flaky->advice_ms >= 0)
        ferry_request_retry_after(request, (uint32_t)flaky->advice_ms);
    return ferry_request_throw(request, flaky->advice_ms < 0 ? "ferry.Overloaded" : "shop.Closed",
                               NULL, "not now");
}

static int serve(ferry_client *client, void *ctx) {
    return ferry_serve_method(client, "flaky.Flaky.ask", &(ferry_serve_options){.slots = 64},
                              answer, ctx, NULL, NULL);
}

typedef struct World {
    Runner runner;
    ferry_client *client, *idempotent;
} World;

static void start(World *world, Flaky *flaky) {
    runner_start(&world->runner, &broker, serve, flaky);
    world->client = connect_client(&broker);
    CU_ASSERT_EQUAL(
        ferry_with(world->client, &(ferry_options){.idempotent = true}, &world->idempotent, NULL),
        0);
}

static void end(World *world) {
    runner_stop(&world->runner);
    ferry_close(world->idempotent);
    ferry_close(world->client);
}

static int ask(ferry_client *client, ferry_error *reterr) {
    return ferry_call(client, "flaky.Flaky.ask", ferry_bytes_of("\x90", 1), NULL, reterr);
}

static void idempotent_calls_are_retried(void) {
    Flaky flaky = {.fail = 2, .advice_ms = -1};
    World world;

    start(&world, &flaky);
    CU_ASSERT_EQUAL(ask(world.idempotent, NULL), 0);
    CU_ASSERT_EQUAL(flaky.seen, 3);
    end(&world);
}

static void other_calls_are_not_retried(void) {
    FERRY_AUTO(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    Flaky flaky = {.fail = 1, .advice_ms = ADVICE_MS};
    World world;

    start(&world, &flaky);
    CU_ASSERT_EQUAL(ask(world.client, &error), -EREMOTEIO);
    CU_ASSERT_EQUAL(flaky.seen, 1);
    CU_ASSERT_EQUAL(ferry_error_retry_ms(&error), ADVICE_MS);
    end(&world);
}

static void a_servers_advice_is_followed(void) {
    Flaky flaky = {.fail = 1, .advice_ms = ADVICE_MS};
    World world;

    start(&world, &flaky);
    CU_ASSERT_EQUAL(ask(world.idempotent, NULL), 0);
    CU_ASSERT_EQUAL(flaky.seen, 2);
    CU_ASSERT_TRUE(flaky.last_ms - flaky.first_ms >= ADVICE_MS - 1);
    end(&world);
}

/* The server's error says more than the deadline in which a wait would end. */
static void advice_beyond_the_deadline_ends_the_call(void) {
    FERRY_AUTO(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    FERRY_AUTO(ferry_close) ferry_client *quick = NULL;
    Flaky flaky = {.fail = 1, .advice_ms = 600000};
    uint64_t start_ms;
    World world;

    start(&world, &flaky);
    ferry_with(world.idempotent, &(ferry_options){.timeout_ms = 300000}, &quick, NULL);
    start_ms = clock_ms();
    CU_ASSERT_EQUAL(ask(quick, &error), -EREMOTEIO);
    CU_ASSERT_TRUE(clock_ms() - start_ms < 300000);
    CU_ASSERT_EQUAL(ferry_error_retry_ms(&error), 600000);
    CU_ASSERT_EQUAL(flaky.seen, 1);
    quick = ferry_close(quick);
    end(&world);
}

typedef struct Ends {
    int n, n_failed;
} Ends;

static void on_end(const ferry_reply *reply, const ferry_error *error, void *ctx) {
    Ends *ends = ctx;

    (void)reply;
    ends->n++;
    ends->n_failed += error != NULL;
}

/* Five attempts for each call would be a thousand: the retry budget is ten, and one for each ten
 * calls. */
static void retries_do_not_overload_a_failing_server(void) {
    Flaky flaky = {.fail = INT32_MAX, .advice_ms = -1};
    Ends ends = {0};
    World world;

    start(&world, &flaky);
    for (int i = 0; i < CALLS; i++)
        CU_ASSERT_EQUAL(ferry_call_async(world.idempotent, "flaky.Flaky.ask",
                                         ferry_bytes_of("\x90", 1), on_end, &ends, NULL),
                        0);
    CU_ASSERT_TRUE(process_until(world.client, &ends.n, CALLS));
    CU_ASSERT_EQUAL(ends.n_failed, CALLS);
    printf("\n    %d calls of a server that fails: %d attempts", CALLS, flaky.seen);
    CU_ASSERT_TRUE(flaky.seen > CALLS && flaky.seen <= CALLS + CALLS / 10 + 10);

    /* The server recovers, and the calls succeed. */
    flaky.fail = 0;
    CU_ASSERT_EQUAL(ask(world.idempotent, NULL), 0);
    end(&world);
}

/* ---- calls whose callers do not wait any more ---- */

typedef struct Busy {
    int n;
    bool release; /* the first call may end */
} Busy;

static int busy(ferry_request *request, void *ctx) {
    Busy *state = ctx;

    if (__atomic_add_fetch(&state->n, 1, __ATOMIC_SEQ_CST) == 1)
        for (int i = 0; i < 60000 && !__atomic_load_n(&state->release, __ATOMIC_SEQ_CST); i++)
            usleep(1000);
    return ferry_request_return(request, request->body);
}

static int serve_busy(ferry_client *client, void *ctx) {
    return ferry_serve_method(client, "busy.Busy.ask", &(ferry_serve_options){.slots = 64}, busy,
                              ctx, NULL, NULL);
}

/* All calls are at the server when they expire: it is busy with the first one. */
static void expired_requests_are_not_begun(void) {
    ferry_client *client = connect_client(&broker), *quick = NULL;
    Runner runner;
    Ends slow = {0}, late = {0};
    Busy state = {0};

    runner_start(&runner, &broker, serve_busy, &state);
    ferry_with(client, &(ferry_options){.timeout_ms = 100}, &quick, NULL);
    CU_ASSERT_EQUAL(
        ferry_call_async(client, "busy.Busy.ask", ferry_bytes_of("\x90", 1), on_end, &slow, NULL),
        0);
    ferry_ping(client, NULL, NULL);
    for (int i = 0; i < 60000 && __atomic_load_n(&state.n, __ATOMIC_SEQ_CST) == 0; i++)
        usleep(1000);
    for (int i = 0; i < 20; i++)
        CU_ASSERT_EQUAL(ferry_call_async(quick, "busy.Busy.ask", ferry_bytes_of("\x90", 1), on_end,
                                         &late, NULL),
                        0);
    CU_ASSERT_TRUE(process_until(client, &late.n, 20));
    CU_ASSERT_EQUAL(late.n_failed, 20);
    usleep(300000); /* the server itself measures that they have expired */
    __atomic_store_n(&state.release, true, __ATOMIC_SEQ_CST);
    CU_ASSERT_TRUE(process_until(client, &slow.n, 1));
    CU_ASSERT_EQUAL(slow.n_failed, 0);
    CU_ASSERT_EQUAL(ferry_call(client, "busy.Busy.ask", ferry_bytes_of("\x90", 1), NULL, NULL), 0);
    runner_stop(&runner);
    CU_ASSERT_EQUAL(state.n, 2);
    ferry_close(quick);
    ferry_close(client);
}

/* ---- ferry_request_watch() ---- */

typedef struct Watched {
    ferry_request *request;
    int n_begun, n_told, n_cancelled;
} Watched;

static void on_change(ferry_request *request, void *ctx) {
    Watched *watched = ctx;

    CU_ASSERT_PTR_EQUAL(request, watched->request);
    watched->n_told++;
    watched->n_cancelled += ferry_request_cancelled(request);
}

static int watch(ferry_request *request, void *ctx) {
    Watched *watched = ctx;

    watched->request = ferry_request_defer(request);
    CU_ASSERT_EQUAL(ferry_request_watch(NULL, on_change, watched), -EINVAL);
    CU_ASSERT_EQUAL(ferry_request_watch(watched->request, NULL, watched), -EINVAL);
    CU_ASSERT_EQUAL(ferry_request_watch(watched->request, on_change, watched), 0);
    watched->n_begun++;
    return 0;
}

static void a_watched_request_is_told_of_its_cancellation(void) {
    ferry_client *client = connect_client(&broker), *server = connect_client(&broker);
    ferry_client *handle = NULL;
    Watched watched = {.n_begun = 0};
    Ends ends = {0};

    CU_ASSERT_EQUAL(
        ferry_serve_method(server, "watch.Watch.ask", NULL, watch, &watched, NULL, NULL), 0);
    ferry_with(client, NULL, &handle, NULL);
    CU_ASSERT_EQUAL(
        ferry_call_async(handle, "watch.Watch.ask", ferry_bytes_of("\x90", 1), on_end, &ends, NULL),
        0);
    CU_ASSERT_TRUE(process_both_until(server, client, &watched.n_begun, 1));
    ferry_close(handle);
    CU_ASSERT_TRUE(process_both_until(server, client, &watched.n_cancelled, 1));
    CU_ASSERT_EQUAL(watched.n_told, 1);
    CU_ASSERT_EQUAL(ends.n_failed, 1);
    CU_ASSERT_EQUAL(ferry_request_return(watched.request, ferry_bytes_of("\x01", 1)), 0);
    for (int i = 0; i < 20; i++)
        ferry_process(server, NULL);
    CU_ASSERT_EQUAL(watched.n_told, 1);

    /* The request is told of the end of its connection, too, once; it can still be answered. */
    watched = (Watched){.n_begun = 0};
    CU_ASSERT_EQUAL(
        ferry_call_async(client, "watch.Watch.ask", ferry_bytes_of("\x90", 1), on_end, &ends, NULL),
        0);
    CU_ASSERT_TRUE(process_both_until(server, client, &watched.n_begun, 1));
    broker_kill(&broker);
    CU_ASSERT_TRUE(process_both_until(server, client, &watched.n_cancelled, 1));
    CU_ASSERT_EQUAL(ferry_request_return(watched.request, ferry_bytes_of("\x01", 1)), 0);
    broker_respawn(&broker);
    ferry_close(server);
    ferry_close(client);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(idempotent_calls_are_retried),
        TEST(other_calls_are_not_retried),
        TEST(a_servers_advice_is_followed),
        TEST(advice_beyond_the_deadline_ends_the_call),
        TEST(retries_do_not_overload_a_failing_server),
        TEST(expired_requests_are_not_begun),
        TEST(a_watched_request_is_told_of_its_cancellation),
        TESTS_END,
    };
    int status;

    broker_spawn(&broker);
    status = run_suite("client: retries, and calls that are over", tests);
    broker_terminate(&broker);
    return status;
}
