/* SPDX-License-Identifier: Apache-2.0 */
#include "base/block-pool.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/block.h"
#include "support/suite.h"

enum { MIB = 1024 * 1024 };

static void *take(size_t size) {
    size_t got = 0;
    void *piece = block_pool_take(size, &got);

    CU_ASSERT_TRUE(!piece || got >= size);
    return piece;
}

static void a_piece_is_used_again_for_about_its_size(void) {
    void *piece = malloc(MIB), *found;
    size_t size = 0;

    CU_ASSERT_TRUE(block_pool_put(piece, MIB));
    CU_ASSERT_PTR_NULL(take(MIB + 1));
    CU_ASSERT_PTR_NULL(take(MIB / 2));
    found = block_pool_take(MIB - 1000, &size);
    CU_ASSERT_PTR_EQUAL(found, piece);
    CU_ASSERT_EQUAL(size, MIB);
    CU_ASSERT_PTR_NULL(take(MIB - 1000));
    free(found);
}

static void small_and_huge_pieces_stay_with_their_owner(void) {
    char piece[1];

    CU_ASSERT_FALSE(block_pool_put(piece, BLOCK_POOL_SIZE_MIN - 1));
    CU_ASSERT_FALSE(block_pool_put(piece, BLOCK_POOL_SIZE_MAX + 1));
    CU_ASSERT_PTR_NULL(take(BLOCK_POOL_SIZE_MIN - 1));
    CU_ASSERT_PTR_NULL(take(BLOCK_POOL_SIZE_MAX + 1));
}

static void the_pool_keeps_the_pieces_that_were_put_last(void) {
    enum { PIECES = BLOCK_POOL_BYTES_MAX / MIB };
    void *first = malloc(2 * MIB);

    CU_ASSERT_TRUE(block_pool_put(first, 2 * MIB));
    for (int i = 0; i < PIECES; i++)
        CU_ASSERT_TRUE(block_pool_put(malloc(MIB), MIB));
    CU_ASSERT_PTR_NULL(take(2 * MIB));
    for (int i = 0; i < PIECES; i++) {
        void *piece = take(MIB);

        CU_ASSERT_PTR_NOT_NULL(piece);
        free(piece);
    }
    CU_ASSERT_PTR_NULL(take(MIB));
}

static void many_pieces_of_the_smallest_size_fill_the_pool(void) {
    enum { PIECES = BLOCK_POOL_BYTES_MAX / BLOCK_POOL_SIZE_MIN };

    for (int i = 0; i < PIECES + 3; i++)
        CU_ASSERT_TRUE(block_pool_put(malloc(BLOCK_POOL_SIZE_MIN), BLOCK_POOL_SIZE_MIN));
    for (int i = 0; i < PIECES; i++)
        free(take(BLOCK_POOL_SIZE_MIN));
    CU_ASSERT_PTR_NULL(take(BLOCK_POOL_SIZE_MIN));
}

static void trimming_frees_all_pieces(void) {
    block_pool_put(malloc(MIB), MIB);
    block_pool_put(malloc(2 * MIB), 2 * MIB);
    block_pool_trim();
    CU_ASSERT_PTR_NULL(take(MIB));
    CU_ASSERT_PTR_NULL(take(2 * MIB));
}

static void a_large_block_is_in_the_pool_after_its_last_owner(void) {
    char *block = ferry_alloc(MIB), *again;

    CU_ASSERT_PTR_NOT_NULL_FATAL(block);
    ferry_keep(block);
    ferry_free(block);
    again = ferry_alloc(MIB);
    CU_ASSERT_PTR_NOT_EQUAL(again, block);
    ferry_free(block);
    ferry_free(again);
    CU_ASSERT_PTR_EQUAL(ferry_alloc(MIB - 100), again);
    CU_ASSERT_TRUE(block_is_sole(again));
    again = block_resize(again, 2 * MIB);
    CU_ASSERT_PTR_NOT_NULL_FATAL(again);
    again[2 * MIB - 1] = 1;
    ferry_free(again);
    CU_ASSERT_PTR_EQUAL(ferry_alloc(2 * MIB), again);
    ferry_free(again);
    block_pool_trim();
}

static void *use_blocks(void *arg) {
    for (int i = 0; i < 10000; i++) {
        size_t size = (size_t)(1 + i % 3) * MIB / 2;
        char *block = ferry_alloc(size);

        if (!block)
            return arg;
        block[0] = block[size - 1] = 1;
        ferry_free(block);
    }
    return NULL;
}

static void threads_share_the_pool(void) {
    int failure = 1;
    pthread_t threads[4];

    for (int i = 0; i < 4; i++)
        CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, use_blocks, &failure), 0);
    for (int i = 0; i < 4; i++) {
        void *failed = NULL;

        pthread_join(threads[i], &failed);
        CU_ASSERT_PTR_NULL(failed);
    }
    block_pool_trim();
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_piece_is_used_again_for_about_its_size),
        TEST(small_and_huge_pieces_stay_with_their_owner),
        TEST(the_pool_keeps_the_pieces_that_were_put_last),
        TEST(many_pieces_of_the_smallest_size_fill_the_pool),
        TEST(trimming_frees_all_pieces),
        TEST(a_large_block_is_in_the_pool_after_its_last_owner),
        TEST(threads_share_the_pool),
        TESTS_END,
    };

    return run_suite("base block pool", tests);
}
