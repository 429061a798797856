/* SPDX-License-Identifier: Apache-2.0 */
#include "base/slab.h"

#include "support/suite.h"

#include <stdbool.h>
#include <string.h>

static void pieces_do_not_overlap(void) {
    enum { N = 3000 };
    static uint8_t *pieces[N];
    uint64_t bytes = 0;
    bool intact = true;
    Slabs slabs;

    slabs_init(&slabs, &bytes);
    for (size_t i = 0; i < N; i++) {
        size_t size = i * 7 % 5000;

        pieces[i] = slabs_alloc(&slabs, size);
        CU_ASSERT_PTR_NOT_NULL_FATAL(pieces[i]);
        CU_ASSERT_EQUAL((uintptr_t)pieces[i] % 16, 0);
        memset(pieces[i], (int)(i & 0xFF), size);
    }
    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j < i * 7 % 5000; j++)
            intact &= pieces[i][j] == (i & 0xFF);
    CU_ASSERT_TRUE(intact);
    for (size_t i = 0; i < N; i++)
        slabs_free(&slabs, pieces[i * 1009 % N], i * 1009 % N * 7 % 5000);
    slabs_deinit(&slabs);
    CU_ASSERT_EQUAL(bytes, 0);
}

static void the_memory_of_a_burst_is_freed(void) {
    enum { N = 10000 };
    static void *pieces[N];
    uint64_t bytes = 0;
    Slabs slabs;

    slabs_init(&slabs, &bytes);
    for (size_t i = 0; i < N; i++)
        pieces[i] = slabs_alloc(&slabs, 200);
    CU_ASSERT_TRUE(bytes >= N * 200);
    CU_ASSERT_TRUE(bytes <= N * 240);
    for (size_t i = 0; i < N; i++)
        slabs_free(&slabs, pieces[i], 200);
    CU_ASSERT_TRUE(bytes <= SLAB_BYTES);
    slabs_deinit(&slabs);
    CU_ASSERT_EQUAL(bytes, 0);
}

static void freed_pieces_are_reused(void) {
    uint64_t bytes = 0, peak;
    Slabs slabs;

    slabs_init(&slabs, &bytes);
    slabs_free(&slabs, slabs_alloc(&slabs, 100), 100);
    peak = bytes;
    for (int i = 0; i < 10000; i++) {
        void *one = slabs_alloc(&slabs, 100), *two = slabs_alloc(&slabs, 100);

        slabs_free(&slabs, one, 100);
        slabs_free(&slabs, two, 100);
    }
    CU_ASSERT_EQUAL(bytes, peak);
    slabs_free(&slabs, NULL, 100);
    slabs_deinit(&slabs);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(pieces_do_not_overlap),
        TEST(the_memory_of_a_burst_is_freed),
        TEST(freed_pieces_are_reused),
        TESTS_END,
    };

    return run_suite("broker slabs", tests);
}
