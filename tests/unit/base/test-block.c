/* SPDX-License-Identifier: Apache-2.0 */
#include "base/block.h"

#include <errno.h>
#include <stdlib.h>

#include "support/oom.h"
#include "support/suite.h"

static void a_block_lives_until_its_last_owner_frees_it(void) {
    char *block = ferry_alloc(100);

    CU_ASSERT_PTR_NOT_NULL_FATAL(block);
    memset(block, 7, 100);
    CU_ASSERT_TRUE(block_is_sole(block));
    CU_ASSERT_PTR_EQUAL(ferry_keep(block), block);
    CU_ASSERT_FALSE(block_is_sole(block));
    CU_ASSERT_PTR_NULL(ferry_free(block));
    CU_ASSERT_TRUE(block_is_sole(block));
    CU_ASSERT_EQUAL(block[99], 7);
    CU_ASSERT_PTR_NULL(ferry_free(block));
}

static void null_is_accepted_as_a_block(void) {
    CU_ASSERT_PTR_NULL(ferry_keep(NULL));
    CU_ASSERT_PTR_NULL(ferry_free(NULL));
}

static void a_block_may_have_no_bytes(void) {
    void *block = ferry_alloc(0);

    CU_ASSERT_PTR_NOT_NULL(block);
    ferry_free(block);
}

static void a_size_that_overflows_is_refused(void) {
    /* volatile hides the value from the compiler, which would warn about a malloc() of this
     * size. */
    volatile size_t size = SIZE_MAX;

    CU_ASSERT_PTR_NULL(ferry_alloc(size));
    CU_ASSERT_PTR_NULL(ferry_alloc(size - 16));
}

static void blocks_are_aligned_for_any_type(void) {
    for (size_t size = 0; size < 40; size++) {
        void *block = ferry_alloc(size);

        CU_ASSERT_EQUAL((uintptr_t)block % 16, 0);
        ferry_free(block);
    }
}

static int n_freed;

static void count_free(void *ctx) {
    n_freed += *(int *)ctx;
}

static void the_last_owner_frees_wrapped_memory(void) {
    static char memory[10];
    int three = 3;
    ferry_bytes bytes;

    n_freed = 0;
    CU_ASSERT_EQUAL(ferry_wrap(memory, 10, count_free, &three, &bytes), 0);
    CU_ASSERT_PTR_EQUAL(bytes.data, memory);
    CU_ASSERT_EQUAL(bytes.len, 10);
    ferry_keep(bytes.block);
    ferry_free(bytes.block);
    CU_ASSERT_EQUAL(n_freed, 0);
    ferry_free(bytes.block);
    CU_ASSERT_EQUAL(n_freed, 3);

    CU_ASSERT_EQUAL(ferry_wrap(memory, 10, NULL, NULL, &bytes), 0);
    ferry_free(bytes.block);
    CU_ASSERT_EQUAL(ferry_wrap(NULL, 1, NULL, NULL, &bytes), -EINVAL);
    CU_ASSERT_EQUAL(ferry_wrap(NULL, 0, NULL, NULL, &bytes), 0);
    ferry_free(bytes.block);
}

static void a_block_around_another_owns_it(void) {
    int one = 1;
    ferry_bytes inner, other;
    void *outer;

    n_freed = 0;
    ferry_wrap(NULL, 0, count_free, &one, &inner);
    ferry_wrap(NULL, 0, count_free, &one, &other);
    outer = block_new_around(8, inner.block);
    CU_ASSERT_PTR_EQUAL(block_swap_inner(outer, other.block), inner.block);
    ferry_free(inner.block);
    CU_ASSERT_EQUAL(n_freed, 1);
    ferry_free(outer);
    CU_ASSERT_EQUAL(n_freed, 2);
}

typedef struct Lent {
    BlockHeader header;
    int value;
} Lent;

static const void *keep_lent(const void *lent) {
    int *copy = ferry_alloc(sizeof(int));

    if (copy)
        *copy = *(const int *)lent;
    return copy;
}

static void keeping_a_lent_block_copies_it(void) {
    Lent lent = {.value = 5};
    const int *kept;

    block_init_lent(&lent.header, keep_lent);
    kept = ferry_keep(&lent.value);
    CU_ASSERT_PTR_NOT_NULL_FATAL(kept);
    CU_ASSERT_PTR_NOT_EQUAL(kept, &lent.value);
    lent.value = 6;
    CU_ASSERT_EQUAL(*kept, 5);
    ferry_free(kept);
    ferry_free(&lent.value);
}

static void holding_shares_a_block_and_copies_other_bytes(void) {
    Lent lent = {.value = 5};
    char *block = ferry_alloc(3);
    ferry_bytes held;

    memcpy(block, "abc", 3);
    CU_ASSERT_EQUAL(block_hold(ferry_shared(block, 3), &held), 0);
    CU_ASSERT_PTR_EQUAL(held.data, block);
    ferry_free(block);
    CU_ASSERT_EQUAL(memcmp(held.data, "abc", 3), 0);
    ferry_free(held.block);

    CU_ASSERT_EQUAL(block_hold(ferry_bytes_of("xy", 2), &held), 0);
    CU_ASSERT_EQUAL(memcmp(held.data, "xy", 2), 0);
    ferry_free(held.block);

    block_init_lent(&lent.header, keep_lent);
    CU_ASSERT_EQUAL(block_hold((ferry_bytes){&lent.value, sizeof(lent.value), &lent.value}, &held),
                    0);
    lent.value = 6;
    CU_ASSERT_EQUAL(*(const int *)held.data, 5);
    ferry_free(held.block);

    CU_ASSERT_EQUAL(block_hold(ferry_bytes_of(NULL, 0), &held), 0);
    CU_ASSERT_EQUAL(held.len, 0);
    ferry_free(held.block);
}

static void a_buffer_becomes_a_block_without_a_copy(void) {
    Buffer buffer = {0};
    const void *data;
    ferry_bytes bytes;

    buffer_append(&buffer, (char[sizeof(BlockHeader)]){0}, sizeof(BlockHeader));
    buffer_append(&buffer, "abc", 3);
    data = buffer.data + sizeof(BlockHeader);
    bytes = block_of_buffer(&buffer);
    CU_ASSERT_PTR_NULL(buffer.data);
    CU_ASSERT_PTR_EQUAL(bytes.data, data);
    CU_ASSERT_PTR_EQUAL(bytes.block, data);
    CU_ASSERT_EQUAL(bytes.len, 3);
    CU_ASSERT_EQUAL(memcmp(bytes.data, "abc", 3), 0);
    ferry_free(bytes.block);
}

static void only_a_sole_owner_sees_the_size(void) {
    void *block = block_new_around(40, NULL);

    CU_ASSERT_EQUAL(block_sole_size(block), 40);
    ferry_keep(block);
    CU_ASSERT_EQUAL(block_sole_size(block), 0);
    ferry_free(block);
    CU_ASSERT_EQUAL(block_sole_size(block), 40);
    ferry_free(block);
}

static void out_of_memory_is_reported(void) {
    OOM_EACH(n) {
        Lent lent = {.value = 5};
        ferry_bytes held = {NULL, 0, NULL}, wrapped = {NULL, 0, NULL};
        int r;

        block_init_lent(&lent.header, keep_lent);
        r = block_hold((ferry_bytes){&lent.value, sizeof(lent.value), &lent.value}, &held);
        if (r == 0)
            r = ferry_wrap("a", 1, NULL, NULL, &wrapped);
        OOM_STOP;
        /* If there is no memory for a kept copy of a lent block, its bytes may still be copied. */
        if (!oom_happened())
            CU_ASSERT_EQUAL(r, 0);
        CU_ASSERT(r == 0 || r == -ENOMEM);
        CU_ASSERT(r == 0 || !wrapped.block);
        ferry_free(held.block);
        ferry_free(wrapped.block);
    }
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_block_lives_until_its_last_owner_frees_it),
        TEST(null_is_accepted_as_a_block),
        TEST(a_block_may_have_no_bytes),
        TEST(a_size_that_overflows_is_refused),
        TEST(blocks_are_aligned_for_any_type),
        TEST(the_last_owner_frees_wrapped_memory),
        TEST(a_block_around_another_owns_it),
        TEST(keeping_a_lent_block_copies_it),
        TEST(holding_shares_a_block_and_copies_other_bytes),
        TEST(a_buffer_becomes_a_block_without_a_copy),
        TEST(only_a_sole_owner_sees_the_size),
        TEST(out_of_memory_is_reported),
        TESTS_END,
    };

    return run_suite("base blocks", tests);
}
