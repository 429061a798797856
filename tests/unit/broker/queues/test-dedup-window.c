/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/queues/dedup-window.h"

#include "support/suite.h"

enum { MAX = 100 };

static uint64_t total;

static void added_ids_are_known(void) {
    CLEANUP(dedup_window_free) DedupWindow *window = dedup_window_new(&total);

    CU_ASSERT_FALSE(dedup_window_has(window, 1));
    for (uint64_t id = 1; id <= 50; id++)
        CU_ASSERT_EQUAL(dedup_window_add(window, id * 2, MAX), 0);
    for (uint64_t id = 1; id <= 50; id++) {
        CU_ASSERT_TRUE(dedup_window_has(window, id * 2));
        CU_ASSERT_FALSE(dedup_window_has(window, id * 2 - 1));
    }
    CU_ASSERT_FALSE(dedup_window_has(window, UINT64_MAX));
    CU_ASSERT_EQUAL(dedup_window_add(window, UINT64_MAX, MAX), 0);
    CU_ASSERT_TRUE(dedup_window_has(window, UINT64_MAX));
}

static void ids_may_come_in_any_order_and_twice(void) {
    CLEANUP(dedup_window_free) DedupWindow *window = dedup_window_new(&total);

    for (uint64_t i = 0; i < 97; i++)
        CU_ASSERT_EQUAL(dedup_window_add(window, 1 + i * 31 % 97, MAX), 0);
    for (uint64_t i = 0; i < 97; i++)
        CU_ASSERT_EQUAL(dedup_window_add(window, 1 + i * 31 % 97, MAX), 0);
    CU_ASSERT_EQUAL(dedup_window_count(window), 97);
    for (uint64_t id = 1; id <= 97; id++)
        CU_ASSERT_TRUE(dedup_window_has(window, id));
}

static void the_lowest_are_forgotten_first(void) {
    CLEANUP(dedup_window_free) DedupWindow *window = dedup_window_new(&total);

    for (uint64_t id = 1; id <= 100000; id++)
        CU_ASSERT_EQUAL_FATAL(dedup_window_add(window, id, MAX), 0);
    CU_ASSERT_EQUAL(dedup_window_count(window), MAX);
    CU_ASSERT_FALSE(dedup_window_has(window, 100000 - MAX));
    CU_ASSERT_TRUE(dedup_window_has(window, 100000 - MAX + 1));
    CU_ASSERT_TRUE(dedup_window_has(window, 100000));
    CU_ASSERT_EQUAL(dedup_window_add(window, 100001, 1), 0);
    CU_ASSERT_EQUAL(dedup_window_count(window), 1);
    CU_ASSERT_EQUAL(dedup_window_add(window, 7, 1), 0); /* below all ids in the window */
    CU_ASSERT_EQUAL(dedup_window_count(window), 1);
    CU_ASSERT_TRUE(dedup_window_has(window, 100001));
}

static void a_floor_forgets_lower_ids(void) {
    CLEANUP(dedup_window_free) DedupWindow *window = dedup_window_new(&total);

    dedup_window_floor(window, 5);
    for (uint64_t id = 1; id <= 10; id++)
        CU_ASSERT_EQUAL(dedup_window_add(window, id, MAX), 0);
    dedup_window_floor(window, 0);
    CU_ASSERT_EQUAL(dedup_window_count(window), 10);
    dedup_window_floor(window, 5);
    CU_ASSERT_FALSE(dedup_window_has(window, 4));
    CU_ASSERT_TRUE(dedup_window_has(window, 5));
    dedup_window_floor(window, UINT64_MAX);
    CU_ASSERT_EQUAL(dedup_window_count(window), 0);
    CU_ASSERT_EQUAL(dedup_window_add(window, 3, MAX), 0);
    CU_ASSERT_TRUE(dedup_window_has(window, 3));
}

static void the_memory_of_a_window_is_counted(void) {
    DedupWindow *window;

    total = 1000;
    window = dedup_window_new(&total);
    for (uint64_t id = 1; id <= 1000; id++)
        CU_ASSERT_EQUAL(dedup_window_add(window, id, 4096), 0);
    CU_ASSERT(total >= 1000 + 8000 && total <= 1000 + 16384);
    dedup_window_floor(window, 2000);
    CU_ASSERT_EQUAL(total, 1000);
    CU_ASSERT_EQUAL(dedup_window_add(window, 2000, 4096), 0);
    dedup_window_free(window);
    CU_ASSERT_EQUAL(total, 1000);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(added_ids_are_known),
        TEST(the_memory_of_a_window_is_counted),
        TEST(ids_may_come_in_any_order_and_twice),
        TEST(the_lowest_are_forgotten_first),
        TEST(a_floor_forgets_lower_ids),
        TESTS_END,
    };

    return run_suite("broker push window", tests);
}
