/* SPDX-License-Identifier: Apache-2.0 */

/* ferry in a loop of libuv. */

#include <ferry/adapters/libuv.h>
#include <ferry/schema.h>

#include "loop-test.h"

static TestBroker broker;

static void stop(void *loop) {
    uv_stop(loop);
}

static void tick(uv_timer_t *timer) {
    loop_tick(timer->data);
}

static void messages_flow_without_a_pause(void) {
    uv_loop_t *loop = uv_default_loop();
    LoopTest test = {.stop = stop, .ctx = loop};
    uv_poll_t sub, pub;
    uv_timer_t timer;

    loop_test_open(&test, &broker);
    CU_ASSERT_EQUAL(ferry_uv_attach(loop, &sub, test.sub), 0);
    CU_ASSERT_EQUAL(ferry_uv_attach(loop, &pub, test.pub), 0);
    uv_timer_init(loop, &timer);
    timer.data = &test;
    uv_timer_start(&timer, tick, 1, 1);
    uv_run(loop, UV_RUN_DEFAULT);
    ferry_uv_detach(&sub, NULL);
    ferry_uv_detach(&pub, NULL);
    uv_close((uv_handle_t *)&timer, NULL);
    uv_run(loop, UV_RUN_DEFAULT);
    uv_loop_close(loop);
    loop_test_close(&test);
}

/* ---- a server whose answers are computed by libuv's threads ---- */

enum { SLOTS = 4, CALLS = 16, COMPUTE_MS = 50 };

typedef struct Desk {
    uv_loop_t *loop;
    int n_begun, n_open, most_open, n_answered, n_right;
} Desk;

typedef struct Later {
    uv_work_t work;
    Desk *desk;
    ferry_request *request;
    int32_t number;
} Later;

/* Runs on any thread: it does not touch a client. */
static void compute(uv_work_t *work) {
    Later *later = work->data;

    usleep(COMPUTE_MS * 1000);
    later->number = 2 * later->number;
}

static void computed(uv_work_t *work, int status) {
    Later *later = work->data;
    const char packed = (char)later->number;

    (void)status;
    later->desk->n_open--;
    CU_ASSERT_EQUAL(ferry_request_return(later->request, ferry_bytes_of(&packed, 1)), 0);
    free(later);
}

static int begin(ferry_request *request, void *ctx) {
    Later *later = calloc(1, sizeof(*later));
    Desk *desk = ctx;

    ferry_unpack(request->body, NULL, "[i]", &later->number);
    later->desk = desk;
    later->work.data = later;
    later->request = ferry_request_defer(request);
    desk->n_begun++;
    desk->most_open = ++desk->n_open > desk->most_open ? desk->n_open : desk->most_open;
    return uv_queue_work(desk->loop, &later->work, compute, computed);
}

static void on_double(const ferry_reply *reply, const ferry_error *error, void *ctx) {
    Desk *desk = ctx;

    desk->n_right += !error && reply_int(reply) == 2 * 7;
    if (++desk->n_answered == CALLS)
        uv_stop(desk->loop);
}

static void answers_may_come_from_other_threads(void) {
    FERRY_AUTO(ferry_free) ferry_description *description = NULL;
    ferry_client *server = connect_client(&broker), *caller = connect_client(&broker);
    uv_poll_t serving, calling;
    uv_loop_t loop;
    Desk desk = {.loop = &loop};
    uint64_t start_ms;

    uv_loop_init(&loop);
    CU_ASSERT_EQUAL(ferry_serve_method(server, "uv.Desk.twice",
                                       &(ferry_serve_options){.slots = SLOTS}, begin, &desk, NULL,
                                       NULL),
                    0);
    CU_ASSERT_EQUAL(ferry_describe(caller, "uv.Desk", &description, NULL), 0);
    CU_ASSERT_EQUAL(description->instances[0].slots, SLOTS);
    CU_ASSERT_EQUAL(ferry_uv_attach(&loop, &serving, server), 0);
    CU_ASSERT_EQUAL(ferry_uv_attach(&loop, &calling, caller), 0);
    start_ms = clock_ms();
    for (int i = 0; i < CALLS; i++)
        CU_ASSERT_EQUAL(ferry_call_async(caller, "uv.Desk.twice", ferry_bytes_of("\x91\x07", 2),
                                         on_double, &desk, NULL),
                        0);
    uv_run(&loop, UV_RUN_DEFAULT);
    printf("\n    %d answers of %d ms each, after %llu ms: %d at once", CALLS, COMPUTE_MS,
           (unsigned long long)(clock_ms() - start_ms), desk.most_open);
    CU_ASSERT_EQUAL(desk.n_begun, CALLS);
    CU_ASSERT_EQUAL(desk.n_right, CALLS);
    CU_ASSERT_TRUE(desk.most_open >= SLOTS);
    ferry_uv_detach(&serving, NULL);
    ferry_uv_detach(&calling, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    CU_ASSERT_EQUAL(uv_loop_close(&loop), 0);
    ferry_close(server);
    ferry_close(caller);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(messages_flow_without_a_pause),
        TEST(answers_may_come_from_other_threads),
        TESTS_END,
    };
    int status;

    broker_spawn(&broker);
    status = run_suite("client: libuv", tests);
    broker_terminate(&broker);
    return status;
}
