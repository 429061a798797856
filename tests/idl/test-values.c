/* SPDX-License-Identifier: Apache-2.0 */
/* The functions of generated types for values. */

#include "support/suite.h"
#include "y_calc.h"
#include "y_containers.h"
#include "y_same_prefix.h"
#include "y_same_prefix_too.h"

static void a_struct_is_copied_and_printed(void) {
    calc_range range = {.low = 1, .high = 9, .step = &(int32_t){2}}, *copy = NULL;
    char *text = NULL;

    CU_ASSERT_EQUAL_FATAL(calc_range_copy(&range, &copy, NULL), 0);
    CU_ASSERT_EQUAL(copy->high, 9);
    CU_ASSERT_PTR_NOT_EQUAL(copy->step, range.step);
    CU_ASSERT_EQUAL(calc_range_print(copy, &text), 0);
    CU_ASSERT_STRING_EQUAL(text, "{\"low\": 1, \"high\": 9, \"step\": 2}");
    ferry_free(text);
    ferry_free(copy);
}

static void an_exception_is_packed_too(void) {
    calc_division_by_zero thrown = {.dividend = 7}, *back = NULL;
    ferry_bytes bytes;

    CU_ASSERT_EQUAL_FATAL(calc_division_by_zero_pack(&thrown, &bytes, NULL), 0);
    CU_ASSERT_EQUAL_FATAL(calc_division_by_zero_unpack(bytes, &back, NULL), 0);
    CU_ASSERT_EQUAL(back->dividend, 7);
    ferry_free(back);
    ferry_free(bytes.block);
}

static void lists_and_maps_are_packed_too(void) {
    containers_list_item items = {2, (containers_item[]){{"a"}, {"b"}}}, *list = NULL;
    containers_map_i32_item named = {1, (containers_map_i32_item_entry[]){{5, {"five"}}}},
                            *map = NULL;
    ferry_bytes bytes;

    CU_ASSERT_EQUAL_FATAL(containers_list_item_pack(&items, &bytes, NULL), 0);
    CU_ASSERT_EQUAL_FATAL(containers_list_item_unpack(bytes, &list, NULL), 0);
    CU_ASSERT_EQUAL(list->n, 2);
    CU_ASSERT_STRING_EQUAL(list->v[1].name, "b");
    ferry_free(list);
    ferry_free(bytes.block);
    CU_ASSERT_EQUAL_FATAL(containers_map_i32_item_pack(&named, &bytes, NULL), 0);
    CU_ASSERT_EQUAL_FATAL(containers_map_i32_item_unpack(bytes, &map, NULL), 0);
    CU_ASSERT_STRING_EQUAL(containers_map_i32_item_find(map, 5)->name, "five");
    ferry_free(map);
    ferry_free(bytes.block);
}

static void a_failed_pack_returns_no_block(void) {
    containers_item item = {.name = NULL};
    ferry_bytes bytes = {"x", 1, "x"};

    CU_ASSERT_EQUAL(containers_item_pack(&item, &bytes, NULL), -EINVAL);
    CU_ASSERT_PTR_NULL(bytes.block);
    CU_ASSERT_EQUAL(bytes.len, 0);
}

/* Three sources with the same namespace have the same map. The linker keeps one definition of its
 * functions. */
static void files_of_one_namespace_share_a_map(void) {
    mapped_map_string_string map = {1, (mapped_map_string_string_entry[]){{"k", "v"}}};
    mapped_q q = {.m = map};
    mapped_r r = {.m = map};

    CU_ASSERT_STRING_EQUAL(*mapped_map_string_string_find(&q.m, "k"), "v");
    CU_ASSERT_PTR_NULL(mapped_map_string_string_find(&r.m, "x"));
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_struct_is_copied_and_printed),     TEST(an_exception_is_packed_too),
        TEST(lists_and_maps_are_packed_too),      TEST(a_failed_pack_returns_no_block),
        TEST(files_of_one_namespace_share_a_map), TESTS_END,
    };

    return run_suite("generated values", tests);
}
