/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/cli/run/pattern.h"

#include "support/suite.h"

static void a_pattern_covers_names_as_subscriptions_do(void) {
    CU_ASSERT_TRUE(pattern_covers("orders.new", "orders.new"));
    CU_ASSERT_FALSE(pattern_covers("orders.new", "orders.newer"));
    CU_ASSERT_FALSE(pattern_covers("orders.new", "orders"));
    CU_ASSERT_FALSE(pattern_covers("orders", "orders.new"));
    CU_ASSERT_TRUE(pattern_covers("*", "orders"));
    CU_ASSERT_TRUE(pattern_covers("orders.*.paid", "orders.eu.paid"));
    CU_ASSERT_FALSE(pattern_covers("orders.*", "orders.eu.paid"));
    CU_ASSERT_FALSE(pattern_covers("orders.*", "orders"));
    CU_ASSERT_TRUE(pattern_covers(">", "orders"));
    CU_ASSERT_TRUE(pattern_covers("orders.>", "orders.eu.paid"));
    CU_ASSERT_FALSE(pattern_covers("orders.>", "orders"));
    CU_ASSERT_FALSE(pattern_covers("", "orders"));
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_pattern_covers_names_as_subscriptions_do),
        TESTS_END,
    };

    return run_suite("cli patterns", tests);
}
