/* SPDX-License-Identifier: Apache-2.0 */

/* ferry in a loop of libev. Deadlines come through the same descriptor. */

#include <ferry/adapters/libev.h>

#include "loop-test.h"

static TestBroker broker;

static void stop(void *loop) {
    ev_break(loop, EVBREAK_ALL);
}

static void tick(struct ev_loop *loop, ev_timer *timer, int events) {
    (void)loop, (void)events;
    loop_tick(timer->data);
}

static void start_timer(struct ev_loop *loop, ev_timer *timer, LoopTest *test) {
    timer->active = timer->pending = timer->priority = 0;
    timer->cb = tick;
    timer->at = timer->repeat = 0.001;
    timer->data = test;
    ev_timer_start(loop, timer);
}

static void messages_flow_without_a_pause(void) {
    struct ev_loop *loop = ev_loop_new(0);
    LoopTest test = {.stop = stop, .ctx = loop};
    ev_io sub, pub;
    ev_timer timer;

    loop_test_open(&test, &broker);
    CU_ASSERT_EQUAL(ferry_ev_attach(loop, &sub, test.sub), 0);
    CU_ASSERT_EQUAL(ferry_ev_attach(loop, &pub, test.pub), 0);
    start_timer(loop, &timer, &test);
    ev_run(loop, 0);
    ev_timer_stop(loop, &timer);
    ferry_ev_detach(loop, &sub);
    ferry_ev_detach(loop, &pub);
    ev_loop_destroy(loop);
    loop_test_close(&test);
}

static void late(const ferry_reply *reply, const ferry_error *error, void *loop) {
    CU_ASSERT_PTR_NULL(reply);
    CU_ASSERT_EQUAL(error ? error->code : 0, -ETIMEDOUT);
    stop(loop);
}

static int defer(ferry_request *request, void *ctx) {
    ferry_request **kept = ctx;

    *kept = ferry_request_defer(request);
    return 0;
}

static void deadlines_come_by_the_descriptor(void) {
    struct ev_loop *loop = ev_loop_new(0);
    ferry_client *client = connect_client(&broker), *quick = NULL;
    ferry_request *kept = NULL;
    uint64_t before;
    ev_io io;

    CU_ASSERT_EQUAL(ferry_serve_method(client, "test.Slow.call", NULL, defer, &kept, NULL, NULL),
                    0);
    CU_ASSERT_EQUAL(ferry_with(client, &(ferry_options){.timeout_ms = 50}, &quick, NULL), 0);
    CU_ASSERT_EQUAL(ferry_ev_attach(loop, &io, client), 0);
    before = clock_ms();
    CU_ASSERT_EQUAL(
        ferry_call_async(quick, "test.Slow.call", ferry_bytes_of("\x90", 1), late, loop, NULL), 0);
    ev_run(loop, 0);
    CU_ASSERT_TRUE(clock_ms() - before >= 49);
    if (kept)
        ferry_request_return(kept, ferry_bytes_of("\x01", 1));
    ferry_ev_detach(loop, &io);
    ev_loop_destroy(loop);
    ferry_close(quick);
    ferry_close(client);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(messages_flow_without_a_pause),
        TEST(deadlines_come_by_the_descriptor),
        TESTS_END,
    };
    int status;

    broker_spawn(&broker);
    status = run_suite("client: libev", tests);
    broker_terminate(&broker);
    return status;
}
