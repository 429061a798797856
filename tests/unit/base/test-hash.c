/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hash.h"

#include <pthread.h>
#include <stdlib.h>

#include "support/oom.h"
#include "support/suite.h"

typedef struct Item {
    UT_hash_handle hh;
    char name[16];
} Item;

static void added_items_are_found(void) {
    Item *table = NULL, *item, *next;
    unsigned n = 0;

    for (int i = 0; i < 1000; i++) {
        item = calloc(1, sizeof(*item));
        snprintf(item->name, sizeof(item->name), "name.%d", i);
        HASH_ADD_STR(table, name, item);
        CU_ASSERT_TRUE(hash_added(item));
    }
    HASH_FIND_STR(table, "name.777", item);
    CU_ASSERT_PTR_NOT_NULL_FATAL(item);
    CU_ASSERT_STRING_EQUAL(item->name, "name.777");
    HASH_FIND_STR(table, "name.1000", item);
    CU_ASSERT_PTR_NULL(item);
    HASH_ITER(hh, table, item, next) {
        HASH_DEL(table, item);
        free(item);
        n++;
    }
    CU_ASSERT_EQUAL(n, 1000);
}

static void *seed_of_thread(void *ret) {
    *(uint64_t *)ret = hash_seed();
    return NULL;
}

static void all_threads_have_one_seed(void) {
    enum { N = 8 };
    pthread_t threads[N];
    uint64_t seeds[N];

    hash_seed_value = 0;
    for (int i = 0; i < N; i++)
        pthread_create(&threads[i], NULL, seed_of_thread, &seeds[i]);
    for (int i = 0; i < N; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < N; i++)
        CU_ASSERT_EQUAL(seeds[i], hash_seed());
    CU_ASSERT_EQUAL(hash_seed() & 1, 1);
}

static void the_seed_changes_the_collisions(void) {
    uint64_t before;

    hash_seed_value = 12345;
    before = hash_bytes("name", 4);
    hash_seed_value = 54321;
    CU_ASSERT_NOT_EQUAL(hash_bytes("name", 4), before);
}

static void out_of_memory_is_reported_and_the_table_stays_valid(void) {
    OOM_EACH(n) {
        static Item items[64];
        Item *table = NULL, *found;
        int added = 0;

        memset(items, 0, sizeof(items));
        for (int i = 0; i < 64; i++) {
            snprintf(items[i].name, sizeof(items[i].name), "name.%d", i);
            HASH_ADD_STR(table, name, &items[i]);
            if (!hash_added(&items[i]))
                break;
            added++;
        }
        OOM_STOP;
        CU_ASSERT(oom_happened() || added == 64);
        CU_ASSERT_EQUAL(HASH_COUNT(table), (unsigned)added);
        for (int i = 0; i < added; i++) {
            HASH_FIND_STR(table, items[i].name, found);
            CU_ASSERT_PTR_EQUAL(found, &items[i]);
        }
        HASH_CLEAR(hh, table);
    }
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(added_items_are_found),
        TEST(all_threads_have_one_seed),
        TEST(the_seed_changes_the_collisions),
        TEST(out_of_memory_is_reported_and_the_table_stays_valid),
        TESTS_END,
    };

    return run_suite("base hash tables", tests);
}
