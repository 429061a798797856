/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/c/resend/retry.h"

#include "base/error.h"
#include "support/suite.h"

static void only_temporary_errors_are_retried(void) {
    static const struct {
        const char *type;
        bool worth;
    } cases[] = {{"ferry.ServerLost", true},    {"ferry.ConnectionLost", true},
                 {"ferry.Overloaded", true},    {"ferry.DeadlineExceeded", false},
                 {"ferry.NoSuchMethod", false}, {"calc.DivisionByZero", false}};
    ferry_error error = FERRY_ERROR_INIT;

    CU_ASSERT_FALSE(retry_is_worth(&error));
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        error_set(&error, cases[i].type, "x");
        CU_ASSERT_EQUAL(retry_is_worth(&error), cases[i].worth);
    }
    error_build(&error, &(ErrorParts){.type = "calc.Busy", .retry_ms = 100});
    CU_ASSERT_TRUE(retry_is_worth(&error));
    ferry_error_clear(&error);
}

static void pauses_grow_and_have_a_bound(void) {
    for (unsigned attempts = 1; attempts < 40; attempts++) {
        uint64_t longest = 0;

        for (uint64_t random = 0; random < 5000; random++) {
            uint64_t delay = retry_delay_ms(attempts, -1, random);

            longest = delay > longest ? delay : longest;
        }
        if (attempts == 1)
            CU_ASSERT_EQUAL(longest, RETRY_BASE_MS);
        if (attempts == 2)
            CU_ASSERT_EQUAL(longest, 2 * RETRY_BASE_MS);
        CU_ASSERT_TRUE(longest <= RETRY_MAX_MS);
    }
}

/* The jitter must cover the whole range: clients that failed at the same time must retry at
 * different times. */
static void the_jitter_is_full(void) {
    enum { CEILING = RETRY_BASE_MS << 2 };
    int n[4] = {0};

    for (uint64_t random = 0; random < 4 * (CEILING + 1); random++)
        n[retry_delay_ms(3, -1, random) * 4 / (CEILING + 1)]++;
    for (int i = 0; i < 4; i++)
        CU_ASSERT_TRUE(n[i] >= CEILING - 4 && n[i] <= CEILING + 8);
    CU_ASSERT_EQUAL(retry_delay_ms(3, -1, 0), 0);
    CU_ASSERT_TRUE(retry_delay_ms(1000, -1, UINT64_MAX) <= RETRY_MAX_MS);
}

static void the_servers_advice_is_the_shortest_delay(void) {
    for (uint64_t random = 0; random < 1000; random++) {
        uint64_t delay = retry_delay_ms(1, 700, random);

        CU_ASSERT_TRUE(delay >= 700 && delay <= 700 + RETRY_BASE_MS);
    }
    CU_ASSERT_TRUE(retry_delay_ms(1, 0, 0) == 0);
    CU_ASSERT_TRUE(retry_delay_ms(1, INT64_MAX, UINT64_MAX) >= INT64_MAX);
}

static void the_budget_runs_out_and_is_earned_back(void) {
    int64_t budget = RETRY_BUDGET_MAX;
    int n = 0;

    while (retry_spend(&budget))
        n++;
    CU_ASSERT_EQUAL(n, RETRY_BUDGET_MAX / RETRY_COST);
    for (int i = 0; i < 10; i++)
        retry_earn(&budget);
    CU_ASSERT_TRUE(retry_spend(&budget));
    CU_ASSERT_FALSE(retry_spend(&budget));
    for (int i = 0; i < 100000; i++)
        retry_earn(&budget);
    CU_ASSERT_EQUAL(budget, RETRY_BUDGET_MAX);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(only_temporary_errors_are_retried),
        TEST(pauses_grow_and_have_a_bound),
        TEST(the_jitter_is_full),
        TEST(the_servers_advice_is_the_shortest_delay),
        TEST(the_budget_runs_out_and_is_earned_back),
        TESTS_END,
    };

    return run_suite("client retries", tests);
}
