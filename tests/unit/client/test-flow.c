#include "clients/c/flow.h"

#include "support/suite.h"

static void credit_is_spent_and_given(void) {
    Flow flow;

    flow_init(&flow);
    CU_ASSERT_TRUE(flow_may_send(&flow));
    flow_sent(&flow, 1 << 20);
    CU_ASSERT_FALSE(flow_may_send(&flow));
    flow_more(&flow, (1 << 20) - WIRE_STREAM_CREDIT + FLOW_ITEM_COST);
    CU_ASSERT_FALSE(flow_may_send(&flow));
    flow_more(&flow, 1);
    CU_ASSERT_TRUE(flow_may_send(&flow));
    for (int i = 0; i < 10; i++)
        flow_more(&flow, UINT64_MAX);
    CU_ASSERT_TRUE(flow_may_send(&flow));
    flow_deinit(&flow);
}

static void items_are_taken_in_order_and_granted_back(void) {
    static char body[FLOW_GRANT];
    ferry_bytes item;
    Flow flow;

    flow_init(&flow);
    CU_ASSERT_EQUAL(flow_take(&flow, &item), 0);
    CU_ASSERT_EQUAL(flow_item(&flow, span_text("a"), NULL), 0);
    CU_ASSERT_EQUAL(flow_item(&flow, span_of(body, sizeof(body)), NULL), 0);
    CU_ASSERT_TRUE(flow.wake);
    CU_ASSERT_EQUAL(flow_take(&flow, &item), 1);
    CU_ASSERT_EQUAL(item.len, 1);
    CU_ASSERT_EQUAL(flow_grant(&flow), 0);
    CU_ASSERT_EQUAL(flow_take(&flow, &item), 1);
    CU_ASSERT_EQUAL(flow_grant(&flow), 1 + sizeof(body) + 2 * FLOW_ITEM_COST);
    CU_ASSERT_EQUAL(flow_grant(&flow), 0);
    flow_deinit(&flow);
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
        TEST(a_block_is_shared_not_copied),
        TESTS_END,
    };

    return run_suite("client flows", tests);
}
