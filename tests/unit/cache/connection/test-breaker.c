/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/connection/breaker.h"

#include "support/suite.h"

static void it_opens_after_three_failures_in_a_row(void) {
    Breaker breaker = {0};

    CU_ASSERT_FALSE(breaker_failed(&breaker, 0, 0));
    CU_ASSERT_FALSE(breaker_failed(&breaker, 0, 0));
    breaker_succeeded(&breaker);
    CU_ASSERT_FALSE(breaker_failed(&breaker, 0, 0));
    CU_ASSERT_FALSE(breaker_failed(&breaker, 0, 0));
    CU_ASSERT_TRUE(breaker_admits(&breaker, 0));
    CU_ASSERT_TRUE(breaker_failed(&breaker, 0, 0));
    CU_ASSERT_TRUE(breaker_is_open(&breaker));
    CU_ASSERT_FALSE(breaker_admits(&breaker, BREAKER_FIRST_MS - 1));
    CU_ASSERT_EQUAL(breaker.opens, 1);
    CU_ASSERT_EQUAL(breaker.refused, 1);
}

static void one_probe_decides(void) {
    Breaker breaker = {0};

    for (int i = 0; i < 3; i++)
        breaker_failed(&breaker, 0, 0);
    CU_ASSERT_TRUE(breaker_admits(&breaker, BREAKER_FIRST_MS));
    CU_ASSERT_FALSE(breaker_admits(&breaker, BREAKER_FIRST_MS));
    CU_ASSERT_FALSE(breaker_failed(&breaker, BREAKER_FIRST_MS, 0));
    CU_ASSERT_FALSE(breaker_admits(&breaker, BREAKER_FIRST_MS * 3 - 1));
    CU_ASSERT_TRUE(breaker_admits(&breaker, BREAKER_FIRST_MS * 3));
    breaker_succeeded(&breaker);
    CU_ASSERT_TRUE(breaker_admits(&breaker, BREAKER_FIRST_MS * 3));
    CU_ASSERT_FALSE(breaker_is_open(&breaker));
}

static void its_pause_doubles_up_to_a_limit(void) {
    Breaker breaker = {0};
    uint64_t now = 0;

    for (int i = 0; i < 3; i++)
        breaker_failed(&breaker, now, 1023);
    for (int i = 0; i < 20; i++) {
        CU_ASSERT_TRUE(breaker.until_ms - now <= BREAKER_LONGEST_MS * 5 / 4);
        now = breaker.until_ms;
        CU_ASSERT_TRUE(breaker_admits(&breaker, now));
        breaker_failed(&breaker, now, 1023);
    }
    CU_ASSERT_EQUAL(breaker.pause_ms, BREAKER_LONGEST_MS);
}

static void a_probe_that_vanishes_is_followed_by_another(void) {
    Breaker breaker = {0};

    for (int i = 0; i < 3; i++)
        breaker_failed(&breaker, 0, 0);
    CU_ASSERT_TRUE(breaker_admits(&breaker, 100));
    CU_ASSERT_FALSE(breaker_admits(&breaker, 199));
    CU_ASSERT_TRUE(breaker_admits(&breaker, 200));
}

static void failures_begun_before_it_opened_do_not_prolong_it(void) {
    Breaker breaker = {0};

    for (int i = 0; i < 10; i++)
        breaker_failed(&breaker, 0, 0);
    CU_ASSERT_EQUAL(breaker.opens, 1);
    CU_ASSERT_EQUAL(breaker.until_ms, BREAKER_FIRST_MS);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(it_opens_after_three_failures_in_a_row),
        TEST(one_probe_decides),
        TEST(its_pause_doubles_up_to_a_limit),
        TEST(a_probe_that_vanishes_is_followed_by_another),
        TEST(failures_begun_before_it_opened_do_not_prolong_it),
        TESTS_END,
    };

    return run_suite("cache circuit breaker", tests);
}
