/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/loop/trim.h"

#include "support/suite.h"

enum { MIB = 1 << 20 };

static void much_that_is_free_is_given_back_when_it_is_quiet(void) {
    Trim trim = {0};

    CU_ASSERT_FALSE(trim_look(&trim, 10 * MIB, 1 * MIB, 0));
    CU_ASSERT_FALSE(trim_look(&trim, 200 * MIB, 190 * MIB, 100000)); /* in use */
    CU_ASSERT_FALSE(trim_look(&trim, 200 * MIB, 1 * MIB, 200000));   /* busy */
    CU_ASSERT_TRUE(trim_look(&trim, 200 * MIB, 1 * MIB, 200100));
    CU_ASSERT_FALSE(trim_look(&trim, 12 * MIB, 1 * MIB, 200100));
}

static void what_cannot_be_given_back_is_tried_once(void) {
    Trim trim = {0};

    CU_ASSERT_TRUE(trim_look(&trim, 100 * MIB, 0, 0));
    CU_ASSERT_FALSE(trim_look(&trim, 90 * MIB, 0, 0));
    CU_ASSERT_FALSE(trim_look(&trim, 100 * MIB, 0, 0));
    CU_ASSERT_TRUE(trim_look(&trim, 120 * MIB, 0, 0)); /* more has come */
    CU_ASSERT_FALSE(trim_look(&trim, 50 * MIB, 0, 0));
    CU_ASSERT_FALSE(trim_look(&trim, 20 * MIB, 0, 0));
    CU_ASSERT_TRUE(trim_look(&trim, 50 * MIB, 0, 0));
}

static void what_is_freed_meanwhile_is_given_back_later(void) {
    Trim trim = {0};

    CU_ASSERT_TRUE(trim_look(&trim, 200 * MIB, 150 * MIB, 0));
    /* 50 MiB were given back, and 150 have come free since. */
    CU_ASSERT_TRUE(trim_look(&trim, 150 * MIB, 0, 0));
    CU_ASSERT_FALSE(trim_look(&trim, 5 * MIB, 0, 0));
}

static void while_it_gives_back_much_it_is_tried_again(void) {
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
    CU_ASSERT_FALSE(trim_look(&trim, 200 * MIB, 0, 0)); /* the first try gave back nothing */
    while (n < 100 && !trim_look(&trim, 200 * MIB, 0, 0))
        n++;
    CU_ASSERT_EQUAL(n, 7);
    CU_ASSERT_FALSE(trim_look(&trim, 200 * MIB, 0, 0));
    for (n = 0; n < 100 && !trim_look(&trim, 200 * MIB, 0, 0);)
        n++;
    CU_ASSERT_EQUAL(n, 15); /* each pause is twice as long */
    CU_ASSERT_FALSE(trim_look(&trim, 10 * MIB, 0, 0));
}

static void who_uses_more_than_is_resident_keeps_it(void) {
    Trim trim = {0};

    CU_ASSERT_FALSE(trim_look(&trim, 10 * MIB, 500 * MIB, 0));
    CU_ASSERT_FALSE(trim_look(&trim, 0, 0, 0));
}

static void the_system_tells_how_much_is_resident(void) {
    CU_ASSERT(trim_resident() > 100 * 1024);
    trim_start();
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(much_that_is_free_is_given_back_when_it_is_quiet),
        TEST(what_cannot_be_given_back_is_tried_once),
        TEST(what_is_freed_meanwhile_is_given_back_later),
        TEST(while_it_gives_back_much_it_is_tried_again),
        TEST(memory_that_is_freed_late_is_given_back_after_a_pause),
        TEST(who_uses_more_than_is_resident_keeps_it),
        TEST(the_system_tells_how_much_is_resident),
        TESTS_END,
    };

    return run_suite("broker memory after a burst", tests);
}
