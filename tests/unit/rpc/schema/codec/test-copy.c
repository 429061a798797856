/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/schema/codec/codec.h"
#include "support/suite.h"
#include "unit/rpc/schema/tree.h"

static void a_copy_shares_no_memory_with_the_value(void) {
    char name[] = "oak", key[] = "a", note[] = "first", raw[] = "bytes";
    int32_t m = 5, marks[] = {1, 2};
    Leaf leaves[] = {{1, note, 2, &m}};
    Size sizes[] = {{key, 7}};
    Tree next = {.name = "next", .shape = {1, {.side = 3}}};
    Tree tree = {.name = name,
                 .leaves = {1, leaves},
                 .marks = {2, marks},
                 .sizes = {1, sizes},
                 .shape = {2, {.leaf = {4, note, 5, NULL}}},
                 .next = &next,
                 .color = -2,
                 .raw = {raw, 5, NULL},
                 .on = true,
                 .weight = 0.5,
                 .small = -3};
    Tree *copy = NULL;

    CU_ASSERT_EQUAL_FATAL(ferry_value_copy(&tree_type, &tree, &copy, NULL), 0);
    name[0] = key[0] = note[0] = raw[0] = 'x';
    m = marks[0] = 0;
    sizes[0].value = 0;
    leaves[0].tiny = 0;
    next.name = NULL;
    CU_ASSERT_STRING_EQUAL(copy->name, "oak");
    CU_ASSERT_EQUAL(copy->leaves.n, 1);
    CU_ASSERT_EQUAL(copy->leaves.v[0].tiny, 1);
    CU_ASSERT_STRING_EQUAL(copy->leaves.v[0].note, "first");
    CU_ASSERT_EQUAL(*copy->leaves.v[0].m, 5);
    CU_ASSERT_EQUAL(copy->marks.v[0], 1);
    CU_ASSERT_STRING_EQUAL(copy->sizes.v[0].key, "a");
    CU_ASSERT_EQUAL(copy->sizes.v[0].value, 7);
    CU_ASSERT_EQUAL(copy->shape.which, 2);
    CU_ASSERT_STRING_EQUAL(copy->shape.u.leaf.note, "first");
    CU_ASSERT_PTR_NULL(copy->shape.u.leaf.m);
    CU_ASSERT_STRING_EQUAL(copy->next->name, "next");
    CU_ASSERT_EQUAL(memcmp(copy->raw.data, "bytes", 5), 0);
    CU_ASSERT_PTR_NULL(copy->raw.block);
    CU_ASSERT_EQUAL(copy->weight, 0.5);
    ferry_free(copy);
}

static void a_copy_keeps_values_that_cannot_be_sent(void) {
    Tree tree = {.name = NULL, .shape = {0, {0}}}, *copy = NULL;

    CU_ASSERT_EQUAL_FATAL(ferry_value_copy(&tree_type, &tree, &copy, NULL), 0);
    CU_ASSERT_PTR_NULL(copy->name);
    CU_ASSERT_EQUAL(copy->shape.which, 0);
    ferry_free(copy);
}

static void a_tree_with_a_cycle_is_refused(void) {
    Tree tree = {.name = "loop", .shape = {1, {.side = 1}}}, *copy = &tree;
    ferry_error error = FERRY_ERROR_INIT;

    tree.next = &tree;
    CU_ASSERT_EQUAL(ferry_value_copy(&tree_type, &tree, &copy, &error), -EINVAL);
    CU_ASSERT_STRING_EQUAL(error.message, "t.Tree: nested deeper than 32 levels");
    CU_ASSERT_PTR_NULL(copy);
    ferry_error_clear(&error);
}

static void freeing_after_a_failure_is_allowed(void) {
    Tree tree = {.name = NULL}, *unpacked = &tree;
    ferry_bytes bytes = {"x", 1, "x"};

    CU_ASSERT_EQUAL(ferry_value_pack(&tree_type, &tree, &bytes, NULL), -EINVAL);
    CU_ASSERT_PTR_NULL(bytes.data);
    CU_ASSERT_EQUAL(bytes.len, 0);
    CU_ASSERT_PTR_NULL(bytes.block);
    ferry_free(bytes.block);
    CU_ASSERT_EQUAL(ferry_value_unpack(&tree_type, (ferry_bytes){"\x80", 1, NULL}, &unpacked, NULL),
                    -EINVAL);
    CU_ASSERT_PTR_NULL(unpacked);
    ferry_free(unpacked);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_copy_shares_no_memory_with_the_value),
        TEST(a_copy_keeps_values_that_cannot_be_sent),
        TEST(a_tree_with_a_cycle_is_refused),
        TEST(freeing_after_a_failure_is_allowed),
        TESTS_END,
    };

    return run_suite("rpc/schema copies", tests);
}
