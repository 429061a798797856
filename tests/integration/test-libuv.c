/* ferry in a libuv loop. */

#include <ferry/adapters/libuv.h>

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

int main(void) {
    CU_TestInfo tests[] = {
        TEST(messages_flow_without_a_pause),
        TESTS_END,
    };
    int status;

    broker_spawn(&broker);
    status = run_suite("client: libuv", tests);
    broker_terminate(&broker);
    return status;
}
