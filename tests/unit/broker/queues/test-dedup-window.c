#include "broker/queues/dedup-window.h"

#include "support/suite.h"

enum { MAX = 100 };

static uint64_t total;

static void what_was_added_is_known(void) {
    CLEANUP(push_ledger_free) PushLedger *ledger = push_ledger_new(&total);

    CU_ASSERT_FALSE(push_ledger_has(ledger, 1));
    for (uint64_t id = 1; id <= 50; id++)
        CU_ASSERT_EQUAL(push_ledger_add(ledger, id * 2, MAX), 0);
    for (uint64_t id = 1; id <= 50; id++) {
        CU_ASSERT_TRUE(push_ledger_has(ledger, id * 2));
        CU_ASSERT_FALSE(push_ledger_has(ledger, id * 2 - 1));
    }
    CU_ASSERT_FALSE(push_ledger_has(ledger, UINT64_MAX));
    CU_ASSERT_EQUAL(push_ledger_add(ledger, UINT64_MAX, MAX), 0);
    CU_ASSERT_TRUE(push_ledger_has(ledger, UINT64_MAX));
}

static void ids_may_come_in_any_order_and_twice(void) {
    CLEANUP(push_ledger_free) PushLedger *ledger = push_ledger_new(&total);

    for (uint64_t i = 0; i < 97; i++)
        CU_ASSERT_EQUAL(push_ledger_add(ledger, 1 + i * 31 % 97, MAX), 0);
    for (uint64_t i = 0; i < 97; i++)
        CU_ASSERT_EQUAL(push_ledger_add(ledger, 1 + i * 31 % 97, MAX), 0);
    CU_ASSERT_EQUAL(push_ledger_count(ledger), 97);
    for (uint64_t id = 1; id <= 97; id++)
        CU_ASSERT_TRUE(push_ledger_has(ledger, id));
}

static void the_lowest_are_forgotten_first(void) {
    CLEANUP(push_ledger_free) PushLedger *ledger = push_ledger_new(&total);

    for (uint64_t id = 1; id <= 100000; id++)
        CU_ASSERT_EQUAL_FATAL(push_ledger_add(ledger, id, MAX), 0);
    CU_ASSERT_EQUAL(push_ledger_count(ledger), MAX);
    CU_ASSERT_FALSE(push_ledger_has(ledger, 100000 - MAX));
    CU_ASSERT_TRUE(push_ledger_has(ledger, 100000 - MAX + 1));
    CU_ASSERT_TRUE(push_ledger_has(ledger, 100000));
    CU_ASSERT_EQUAL(push_ledger_add(ledger, 100001, 1), 0);
    CU_ASSERT_EQUAL(push_ledger_count(ledger), 1);
    CU_ASSERT_EQUAL(push_ledger_add(ledger, 7, 1), 0); /* below all that is kept */
    CU_ASSERT_EQUAL(push_ledger_count(ledger), 1);
    CU_ASSERT_TRUE(push_ledger_has(ledger, 100001));
}

static void a_floor_forgets_what_is_below_it(void) {
    CLEANUP(push_ledger_free) PushLedger *ledger = push_ledger_new(&total);

    push_ledger_floor(ledger, 5);
    for (uint64_t id = 1; id <= 10; id++)
        CU_ASSERT_EQUAL(push_ledger_add(ledger, id, MAX), 0);
    push_ledger_floor(ledger, 0);
    CU_ASSERT_EQUAL(push_ledger_count(ledger), 10);
    push_ledger_floor(ledger, 5);
    CU_ASSERT_FALSE(push_ledger_has(ledger, 4));
    CU_ASSERT_TRUE(push_ledger_has(ledger, 5));
    push_ledger_floor(ledger, UINT64_MAX);
    CU_ASSERT_EQUAL(push_ledger_count(ledger), 0);
    CU_ASSERT_EQUAL(push_ledger_add(ledger, 3, MAX), 0);
    CU_ASSERT_TRUE(push_ledger_has(ledger, 3));
}

static void what_it_takes_is_counted(void) {
    PushLedger *ledger;

    total = 1000;
    ledger = push_ledger_new(&total);
    for (uint64_t id = 1; id <= 1000; id++)
        CU_ASSERT_EQUAL(push_ledger_add(ledger, id, 4096), 0);
    CU_ASSERT(total >= 1000 + 8000 && total <= 1000 + 16384);
    push_ledger_floor(ledger, 2000);
    CU_ASSERT_EQUAL(total, 1000);
    CU_ASSERT_EQUAL(push_ledger_add(ledger, 2000, 4096), 0);
    push_ledger_free(ledger);
    CU_ASSERT_EQUAL(total, 1000);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(what_was_added_is_known),
        TEST(what_it_takes_is_counted),
        TEST(ids_may_come_in_any_order_and_twice),
        TEST(the_lowest_are_forgotten_first),
        TEST(a_floor_forgets_what_is_below_it),
        TESTS_END,
    };

    return run_suite("broker push ledger", tests);
}
