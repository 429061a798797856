/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "support/suite.h"
#include "unit/rpc/schema/tree.h"

static void printed(const ferry_type *type, const void *value, const char *wanted) {
    char *text = NULL;

    CU_ASSERT_EQUAL(ferry_value_print(type, value, &text), 0);
    CU_ASSERT_STRING_EQUAL(text ? text : "", wanted);
    ferry_free(text);
}

static void a_value_is_one_line_of_json(void) {
    static const int32_t marks[] = {3, -4}, five = 5;
    static const Leaf leaves[] = {{1, "a", 2, &five}, {-1, NULL, 7, NULL}};
    static const Size sizes[] = {{"x", 1}, {"y\"", INT64_MIN}};
    Tree tree = {.name = "oak",
                 .leaves = {2, leaves},
                 .marks = {2, marks},
                 .sizes = {2, sizes},
                 .shape = {1, {.side = 9}},
                 .color = 1,
                 .raw = {"b\xff", 2, NULL},
                 .on = true,
                 .weight = 0.1,
                 .small = -3};

    printed(&tree_type, &tree,
            "{\"name\": \"oak\", \"leaves\": [{\"tiny\": 1, \"note\": \"a\", \"n\": 2, \"m\": 5}, "
            "{\"tiny\": -1, \"n\": 7}], \"marks\": [3, -4], "
            "\"sizes\": {\"x\": 1, \"y\\\"\": -9223372036854775808}, \"shape\": {\"side\": 9}, "
            "\"color\": \"RED\", \"raw\": \"b\\u00ff\", "
            "\"id\": \"00000000-0000-0000-0000-000000000000\", \"on\": true, \"weight\": 0.1, "
            "\"small\": -3}");
}

static void values_without_a_name_are_numbers_or_null(void) {
    int32_t color = 77;
    Shape shape = {.which = 0};

    printed(&color_type, &color, "77");
    printed(&shape_type, &shape, "null");
}

static void numbers_without_a_json_form_are_texts(void) {
    printed(&ferry_type_double, &(double){NAN}, "\"nan\"");
    printed(&ferry_type_double, &(double){-INFINITY}, "\"-inf\"");
    printed(&ferry_type_double, &(double){1e300}, "1e+300");
}

static void text_is_escaped_for_a_terminal(void) {
    const char *text = "a\n\x1b[31m\x7f\xc2\x85\u202e\u2066\u00e9\xc3";

    printed(&ferry_type_string, &text,
            "\"a\\n\\u001b[31m\\u007f\\u0085\\u202e\\u2066\u00e9\\u00c3\"");
}

static void keys_of_maps_are_texts_or_pairs(void) {
    typedef struct Entry {
        int32_t key;
        bool value;
    } Entry;
    static const ferry_type numbers = {.kind = FERRY_KIND_MAP,
                                       .size = 16,
                                       .value_offset = offsetof(Entry, value),
                                       .entry_size = sizeof(Entry),
                                       .key = &ferry_type_i32,
                                       .item = &ferry_type_bool};
    typedef struct Pair {
        ferry_set_i32 key;
        int32_t value;
    } Pair;
    static const ferry_type sets = {.kind = FERRY_KIND_MAP,
                                    .size = 16,
                                    .value_offset = offsetof(Pair, value),
                                    .entry_size = sizeof(Pair),
                                    .key = &marks_type,
                                    .item = &ferry_type_i32};
    static const int32_t marks[] = {1};
    static const Entry entries[] = {{-1, true}, {2, false}};
    static const Pair pairs[] = {{{1, marks}, 5}};
    struct {
        size_t n;
        const void *v;
    } number_map = {2, entries}, set_map = {1, pairs};

    printed(&numbers, &number_map, "{\"-1\": true, \"2\": false}");
    printed(&sets, &set_map, "[[[1], 5]]");
}

static void a_tree_with_a_cycle_is_refused(void) {
    Tree tree = {.name = "loop", .shape = {1, {.side = 1}}};
    char text[] = "x", *ret = text;

    tree.next = &tree;
    CU_ASSERT_EQUAL(ferry_value_print(&tree_type, &tree, &ret), -EINVAL);
    CU_ASSERT_PTR_NULL(ret);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_value_is_one_line_of_json),
        TEST(values_without_a_name_are_numbers_or_null),
        TEST(numbers_without_a_json_form_are_texts),
        TEST(text_is_escaped_for_a_terminal),
        TEST(keys_of_maps_are_texts_or_pairs),
        TEST(a_tree_with_a_cycle_is_refused),
        TESTS_END,
    };

    return run_suite("rpc/schema values as JSON", tests);
}
