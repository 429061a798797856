/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/c/core/flow.h"

#include <errno.h>

#include "support/oom.h"
#include "support/suite.h"

static void credit_is_spent_and_given(void) {
    Flow flow;

    flow_init(&flow);
    CU_ASSERT_TRUE(flow_may_send(&flow));
    flow_sent(&flow, 1 << 20);
    CU_ASSERT_FALSE(flow_may_send(&flow));
    flow_more(&flow, (1 << 20) - WIRE_STREAM_CREDIT + WIRE_ITEM_COST);
    CU_ASSERT_FALSE(flow_may_send(&flow));
    flow_more(&flow, 1);
    CU_ASSERT_TRUE(flow_may_send(&flow));
    for (int i = 0; i < 10; i++)
        flow_more(&flow, UINT64_MAX);
    CU_ASSERT_TRUE(flow_may_send(&flow));
    flow_deinit(&flow);
}

static void items_are_taken_in_order_and_granted_back(void) {
    static char body[WIRE_STREAM_CREDIT / 4];
    ferry_bytes item;
    Flow flow;

    flow_init(&flow);
    CU_ASSERT_EQUAL(flow_take(&flow, &item), 0);
    CU_ASSERT_EQUAL(flow_item(&flow, span_text("a"), NULL), 0);
    CU_ASSERT_EQUAL(flow_item(&flow, span_of(body, sizeof(body)), NULL), 0);
    CU_ASSERT_EQUAL(flow_item(&flow, span_text("b"), NULL), 0);
    CU_ASSERT_TRUE(flow.wake);
    CU_ASSERT_EQUAL(flow_take(&flow, &item), 1);
    CU_ASSERT_EQUAL(item.len, 1);
    CU_ASSERT_EQUAL(flow_grant(&flow), 0);
    CU_ASSERT_EQUAL(flow_take(&flow, &item), 1);
    CU_ASSERT_EQUAL(flow_grant(&flow), 1 + sizeof(body) + 2 * WIRE_ITEM_COST);
    CU_ASSERT_EQUAL(flow_grant(&flow), 0);
    flow_deinit(&flow);
}

/* An item of a quarter of the window comes, and one is taken. */
static uint64_t granted_for_a_quarter(Flow *flow) {
    static char body[FLOW_WINDOW_MAX];
    ferry_bytes item;

    CU_ASSERT_EQUAL(flow_item(flow, span_of(body, flow->window / 4 - WIRE_ITEM_COST), NULL), 0);
    CU_ASSERT_EQUAL(flow_take(flow, &item), 1);
    return flow_grant(flow);
}

static void only_a_fast_reader_gets_a_larger_window(void) {
    static char body[WIRE_STREAM_CREDIT / 4 - WIRE_ITEM_COST];
    Flow slow, fast;

    flow_init(&slow);
    flow_init(&fast);
    /* There is always one more for the slow one to take. */
    CU_ASSERT_EQUAL(flow_item(&slow, span_of(body, sizeof(body)), NULL), 0);
    for (int i = 0; i < 10; i++) {
        uint64_t before = fast.window, granted = granted_for_a_quarter(&fast);

        CU_ASSERT_EQUAL(granted, before / 4 + (fast.window - before));
        CU_ASSERT_EQUAL(fast.window, before < FLOW_WINDOW_MAX ? 2 * before : before);
        CU_ASSERT_EQUAL(granted_for_a_quarter(&slow), WIRE_STREAM_CREDIT / 4);
    }
    CU_ASSERT_EQUAL(slow.window, WIRE_STREAM_CREDIT);
    CU_ASSERT_EQUAL(fast.window, FLOW_WINDOW_MAX);
    flow_deinit(&slow);
    flow_deinit(&fast);
}

static void count(void *owner) {
    ++*(int *)owner;
}

static void a_flow_without_room_is_woken_once(void) {
    Flow *full = NULL;
    Flow flows[3];
    int n = 0;

    flows_wake_full(&full);
    for (int i = 0; i < 3; i++) {
        flow_init(&flows[i]);
        flows[i].note = i < 2 ? count : NULL;
        flows[i].owner = &n;
        flow_wait_for_room(&flows[i], &full);
        flow_wait_for_room(&flows[i], &full);
    }
    flow_deinit(&flows[1]);
    flows_wake_full(&full);
    CU_ASSERT_EQUAL(n, 1);
    CU_ASSERT_TRUE(flows[0].wake);
    CU_ASSERT_TRUE(flows[2].wake);
    CU_ASSERT_PTR_NULL(full);
    flow_wait_for_room(&flows[0], &full);
    flow_wait_for_room(&flows[2], &full);
    flow_deinit(&flows[0]);
    flow_deinit(&flows[2]);
    CU_ASSERT_PTR_NULL(full);
}

static void small_items_allocate_nothing_after_the_first(void) {
    static char body[200];
    ferry_bytes item;
    Flow flow;

    flow_init(&flow);
    for (int i = 0; i < 100; i++) {
        if (i == 3)
            oom_plan(1);
        CU_ASSERT_EQUAL_FATAL(flow_item(&flow, span_of(body, (size_t)i), NULL), 0);
        CU_ASSERT_EQUAL(flow_item(&flow, span_of(body, sizeof(body)), NULL), 0);
        CU_ASSERT_EQUAL(flow_take(&flow, &item), 1);
        CU_ASSERT_EQUAL(item.len, (size_t)i);
        CU_ASSERT_EQUAL(flow_take(&flow, &item), 1);
    }
    oom_stop();
    CU_ASSERT_FALSE(oom_happened());
    flow_deinit(&flow);
}

static void items_without_credit_are_refused(void) {
    static char body[WIRE_STREAM_CREDIT / 2];
    ferry_bytes item;
    Flow flow;

    flow_init(&flow);
    CU_ASSERT_EQUAL(flow_item(&flow, span_of(body, sizeof(body)), NULL), 0);
    /* The last item may be larger than the credit that is left. */
    CU_ASSERT_EQUAL(flow_item(&flow, span_of(body, sizeof(body)), NULL), 0);
    CU_ASSERT_EQUAL(flow_item(&flow, span_of("", 0), NULL), -EPROTO);
    CU_ASSERT_EQUAL(flow_take(&flow, &item), 1);
    CU_ASSERT_EQUAL(flow_item(&flow, span_of("", 0), NULL), -EPROTO);
    flow_not_granted(&flow, flow_grant(&flow));
    CU_ASSERT_EQUAL(flow_item(&flow, span_of("", 0), NULL), -EPROTO);
    CU_ASSERT_TRUE(flow_grant(&flow) > 0);
    CU_ASSERT_EQUAL(flow_item(&flow, span_of("", 0), NULL), 0);
    flow_deinit(&flow);
}

static void out_of_memory_is_reported(void) {
    char *block = ferry_alloc(10);

    OOM_EACH(n) {
        Flow flow;
        int r, s;

        flow_init(&flow);
        r = flow_item(&flow, span_text("a"), NULL);
        s = flow_item(&flow, span_of(block, 10), block);
        OOM_STOP;
        CU_ASSERT_EQUAL(r == -ENOMEM || s == -ENOMEM, oom_happened());
        flow_deinit(&flow);
    }
    ferry_free(block);
}

static void a_block_is_shared_not_copied(void) {
    char *block = ferry_alloc(10);
    ferry_bytes item;
    Flow flow;

    flow_init(&flow);
    CU_ASSERT_EQUAL(flow_item(&flow, span_of(block, 10), block), 0);
    ferry_free(block);
    CU_ASSERT_EQUAL(flow_take(&flow, &item), 1);
    CU_ASSERT_PTR_EQUAL(item.data, block);
    flow_deinit(&flow);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(credit_is_spent_and_given),
        TEST(items_are_taken_in_order_and_granted_back),
        TEST(only_a_fast_reader_gets_a_larger_window),
        TEST(a_flow_without_room_is_woken_once),
        TEST(a_block_is_shared_not_copied),
        TEST(small_items_allocate_nothing_after_the_first),
        TEST(items_without_credit_are_refused),
        TEST(out_of_memory_is_reported),
        TESTS_END,
    };

    return run_suite("client flows", tests);
}
