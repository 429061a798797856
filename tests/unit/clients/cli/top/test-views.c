/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/cli/top/views.h"

#include <stdio.h>

#include "support/suite.h"

static json_t *services(json_int_t mail, json_int_t shop) {
    return json_pack("[{s:s, s:I, s:I}, {s:s, s:I, s:I}]", "name", "mail.Mail", "calls", mail,
                     "errors", (json_int_t)0, "name", "shop.Shop", "calls", shop, "errors",
                     (json_int_t)1);
}

static json_int_t number(const json_t *rows, size_t i, const char *key) {
    return json_integer_value(json_object_get(json_array_get(rows, i), key));
}

static const char *name_of(const json_t *rows, size_t i) {
    const char *name = json_string_value(json_object_get(json_array_get(rows, i), "name"));

    return name ? name : "";
}

static void rates_are_differences_per_second(void) {
    const TopView *view = top_view(TOP_SERVICES);
    json_t *first = services(100, 10), *second = services(300, 4);

    top_add_rates(view, first, NULL, 1);
    CU_ASSERT_EQUAL(number(first, 0, "calls_rate"), 0);
    top_add_rates(view, second, first, 2);
    CU_ASSERT_EQUAL(number(second, 0, "calls_rate"), 100);
    /* The service was restarted, so its counter has restarted. */
    CU_ASSERT_EQUAL(number(second, 1, "calls_rate"), 2);
    CU_ASSERT_EQUAL(number(second, 1, "errors_rate"), 0);
    json_decref(first);
    json_decref(second);
}

static void a_new_row_counts_from_zero(void) {
    json_t *none = json_array(), *rows = services(5, 0);

    top_add_rates(top_view(TOP_SERVICES), rows, none, 1);
    CU_ASSERT_EQUAL(number(rows, 0, "calls_rate"), 5);
    json_decref(none);
    json_decref(rows);
}

static void sessions_are_told_apart_by_number(void) {
    json_t *first = json_pack("[{s:i, s:s, s:i}, {s:i, s:s, s:i}]", "session", 1, "name", "same",
                              "in", 10, "session", 2, "name", "same", "in", 20);
    json_t *second = json_pack("[{s:i, s:s, s:i}, {s:i, s:s, s:i}]", "session", 2, "name", "same",
                               "in", 21, "session", 1, "name", "same", "in", 15);

    top_add_rates(top_view(TOP_SESSIONS), second, first, 1);
    CU_ASSERT_EQUAL(number(second, 0, "in_rate"), 1);
    CU_ASSERT_EQUAL(number(second, 1, "in_rate"), 5);
    json_decref(first);
    json_decref(second);
}

static void patterns_are_not_listed_as_topics(void) {
    json_t *rows = json_pack("[{s:s, s:i}, {s:s, s:i}]", "pattern", "a.*", "subscribers", 1, "name",
                             "a.b", "published", 2);

    top_add_rates(top_view(TOP_TOPICS), rows, NULL, 1);
    CU_ASSERT_EQUAL(json_array_size(rows), 1);
    CU_ASSERT_STRING_EQUAL(name_of(rows, 0), "a.b");
    json_decref(rows);
}

static void rows_are_filtered_and_sorted(void) {
    const TopView *view = top_view(TOP_SERVICES);
    json_t *rows = services(5, 9), *arranged;

    /* Numbers downwards, texts upwards. */
    arranged = top_arrange(view, rows, &(TopOrder){.column = 7});
    CU_ASSERT_STRING_EQUAL(name_of(arranged, 0), "shop.Shop");
    json_decref(arranged);
    arranged = top_arrange(view, rows, &(TopOrder){.column = 7, .is_reversed = true});
    CU_ASSERT_STRING_EQUAL(name_of(arranged, 0), "mail.Mail");
    json_decref(arranged);
    arranged = top_arrange(view, rows, &(TopOrder){.column = 0});
    CU_ASSERT_STRING_EQUAL(name_of(arranged, 0), "mail.Mail");
    json_decref(arranged);
    arranged = top_arrange(view, rows, &(TopOrder){.filter = "SHOP"});
    CU_ASSERT_EQUAL(json_array_size(arranged), 1);
    CU_ASSERT_STRING_EQUAL(name_of(arranged, 0), "shop.Shop");
    json_decref(arranged);
    json_decref(rows);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(rates_are_differences_per_second),  TEST(a_new_row_counts_from_zero),
        TEST(sessions_are_told_apart_by_number), TEST(patterns_are_not_listed_as_topics),
        TEST(rows_are_filtered_and_sorted),      TESTS_END,
    };

    return run_suite("clients/cli/top views", tests);
}
