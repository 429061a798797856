#include "clients/c/pool.h"

#include "support/suite.h"

static void pauses_double_up_to_a_bound(void) {
    unsigned failures = 0;
    uint64_t last_ms = POOL_PAUSE_MS / 2;

    for (int i = 0; i < 6; i++) {
        uint64_t pause_ms = pool_pause_ms(&failures, 0);

        CU_ASSERT_EQUAL(pause_ms, 2 * last_ms);
        last_ms = pause_ms;
    }
    for (int i = 0; i < 100; i++)
        last_ms = pool_pause_ms(&failures, POOL_SETTLED_MS - 1);
    CU_ASSERT_EQUAL(last_ms, POOL_PAUSE_MAX_MS);
}

static void who_has_lived_is_replaced_at_once(void) {
    unsigned failures = 5;

    CU_ASSERT_EQUAL(pool_pause_ms(&failures, POOL_SETTLED_MS), 0);
    CU_ASSERT_EQUAL(pool_pause_ms(&failures, 0), POOL_PAUSE_MS);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(pauses_double_up_to_a_bound),
        TEST(who_has_lived_is_replaced_at_once),
        TESTS_END,
    };

    return run_suite("client pools", tests);
}
