/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/loop/trim.h"

#include "support/suite.h"

enum { MIB = 1 << 20 };

static void free_memory_is_given_back_when_the_broker_is_quiet(void) {
    Trim trim = {0};

    CU_ASSERT_FALSE(trim_look(&trim, 10 * MIB, 1 * MIB, 0));
    CU_ASSERT_FALSE(trim_look(&trim, 200 * MIB, 190 * MIB, 100000)); /* the memory is in use */
    CU_ASSERT_FALSE(trim_look(&trim, 200 * MIB, 1 * MIB, 200000));   /* the broker is busy */
    CU_ASSERT_TRUE(trim_look(&trim, 200 * MIB, 1 * MIB, 200100));
    CU_ASSERT_FALSE(trim_look(&trim, 12 * MIB, 1 * MIB, 200100));
}

static void memory_that_cannot_be_given_back_is_tried_once(void) {
    Trim trim = {0};

    CU_ASSERT_TRUE(trim_look(&trim, 100 * MIB, 0, 0));
    CU_ASSERT_FALSE(trim_look(&trim, 90 * MIB, 0, 0));
    CU_ASSERT_FALSE(trim_look(&trim, 100 * MIB, 0, 0));
    CU_ASSERT_TRUE(trim_look(&trim, 120 * MIB, 0, 0)); /* more excess memory */
    CU_ASSERT_FALSE(trim_look(&trim, 50 * MIB, 0, 0));
    CU_ASSERT_FALSE(trim_look(&trim, 20 * MIB, 0, 0));
    CU_ASSERT_TRUE(trim_look(&trim, 50 * MIB, 0, 0));
}

static void memory_freed_after_a_try_is_given_back_later(void) {
    Trim trim = {0};

    CU_ASSERT_TRUE(trim_look(&trim, 200 * MIB, 150 * MIB, 0));
    /* 50 MiB were given back, and 150 MiB have become free since. */
    CU_ASSERT_TRUE(trim_look(&trim, 150 * MIB, 0, 0));
    CU_ASSERT_FALSE(trim_look(&trim, 5 * MIB, 0, 0));
}

static void tries_go_on_while_they_give_back_much(void) {
    Trim trim = {0};

    CU_ASSERT_TRUE(trim_look(&trim, 600 * MIB, 0, 0));
    CU_ASSERT_TRUE(trim_look(&trim, 160 * MIB, 0, 0));
    CU_ASSERT_TRUE(trim_look(&trim, 60 * MIB, 0, 0));
    CU_ASSERT_FALSE(trim_look(&trim, 59 * MIB, 0, 0));
}

static void memory_that_is_freed_late_is_given_back_after_a_pause(void) {
    Trim trim = {0};
    int n = 0;

    CU_ASSERT_TRUE(trim_look(&trim, 200 * MIB, 0, 0));
    CU_ASSERT_FALSE(trim_look(&trim, 200 * MIB, 0, 0)); /* the first try gave back no memory */
    while (n < 100 && !trim_look(&trim, 200 * MIB, 0, 0))
        n++;
    CU_ASSERT_EQUAL(n, 7);
    CU_ASSERT_FALSE(trim_look(&trim, 200 * MIB, 0, 0));
    for (n = 0; n < 100 && !trim_look(&trim, 200 * MIB, 0, 0);)
        n++;
    CU_ASSERT_EQUAL(n, 15); /* each pause is twice as long */
    CU_ASSERT_FALSE(trim_look(&trim, 10 * MIB, 0, 0));
}

static void used_memory_is_never_given_back(void) {
    Trim trim = {0};

    CU_ASSERT_FALSE(trim_look(&trim, 10 * MIB, 500 * MIB, 0));
    CU_ASSERT_FALSE(trim_look(&trim, 0, 0, 0));
}

static void the_system_reports_the_resident_memory(void) {
    CU_ASSERT(trim_resident() > 100 * 1024);
    trim_start();
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(free_memory_is_given_back_when_the_broker_is_quiet),
        TEST(memory_that_cannot_be_given_back_is_tried_once),
        TEST(memory_freed_after_a_try_is_given_back_later),
        TEST(tries_go_on_while_they_give_back_much),
        TEST(memory_that_is_freed_late_is_given_back_after_a_pause),
        TEST(used_memory_is_never_given_back),
        TEST(the_system_reports_the_resident_memory),
        TESTS_END,
    };

    return run_suite("broker memory after a burst", tests);
}
