/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/wire/name.h"

#include <string.h>

#include "support/suite.h"

static bool matches(const char *pattern, const char *name) {
    return pattern_matches(pattern, strlen(pattern), name, strlen(name));
}

static bool valid(const char *name) {
    return name_is_valid(name, strlen(name));
}

static bool pattern(const char *text) {
    return pattern_is_valid(text, strlen(text));
}

static void star_covers_exactly_one_token(void) {
    CU_ASSERT_TRUE(matches("orders.*.created", "orders.eu.created"));
    CU_ASSERT_FALSE(matches("orders.*", "orders.eu.created"));
    CU_ASSERT_FALSE(matches("orders.*", "orders"));
    CU_ASSERT_TRUE(matches("*", "orders"));
    CU_ASSERT_TRUE(matches("*.*", "a.b"));
    CU_ASSERT_FALSE(matches("*.*", "a"));
}

static void the_last_wildcard_covers_one_token_or_more(void) {
    CU_ASSERT_TRUE(matches("orders.>", "orders.eu"));
    CU_ASSERT_TRUE(matches("orders.>", "orders.eu.created"));
    CU_ASSERT_FALSE(matches("orders.>", "orders"));
    CU_ASSERT_FALSE(matches("orders.>", "order.eu"));
    CU_ASSERT_TRUE(matches(">", "a"));
    CU_ASSERT_TRUE(matches("*.>", "a.b"));
    CU_ASSERT_FALSE(matches("*.>", "a"));
}

static void a_name_matches_only_itself(void) {
    CU_ASSERT_TRUE(matches("a.b", "a.b"));
    CU_ASSERT_FALSE(matches("a.b", "a.bb"));
    CU_ASSERT_FALSE(matches("a.b", "a"));
    CU_ASSERT_FALSE(matches("a.b", "a.b.c"));
    CU_ASSERT_FALSE(matches("a.B", "a.b"));
}

static void names_are_tokens_of_utf8_separated_by_dots(void) {
    static const char *const good[] = {
        "a", "a.b", "calc.Calc", "a-b_c:d/e", "0.1.2", "gr\xc3\xbc.\xc3\x9f", "\xf0\x9f\x9a\xa2"};
    static const char *const bad[] = {
        "",  ".",   "a.",   ".a",    "a..b", "a b",      "a.*",   "*",
        ">", "a>b", "a\nb", "a\x7f", "a\t",  "\xc0\xaf", "a\xff", "a.\xed\xa0\x80"};

    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        CU_ASSERT_TRUE(valid(good[i]));
        CU_ASSERT_TRUE(pattern(good[i]));
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        CU_ASSERT_FALSE(valid(bad[i]));
        CU_ASSERT_PTR_NOT_NULL(name_problem(bad[i], strlen(bad[i])));
    }
    CU_ASSERT_FALSE(name_is_valid("a\0b", 3));
    CU_ASSERT_FALSE(name_is_valid(NULL, 0));
}

static void a_wildcard_is_a_whole_token(void) {
    static const char *const good[] = {"*", ">", "a.*", "a.>", "*.*.>", "a.*.b"};
    static const char *const bad[] = {"a*", "*a", "a.b*", ">.a", "a.>.b",
                                      "a>", ">>", "**",   "*.",  "a.> "};

    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        CU_ASSERT_TRUE(pattern(good[i]));
        CU_ASSERT_FALSE(valid(good[i]));
        CU_ASSERT_TRUE(pattern_is_wild(good[i], strlen(good[i])));
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        CU_ASSERT_FALSE(pattern(bad[i]));
    CU_ASSERT_FALSE(pattern_is_wild("a.b", 3));
}

static const char *problem_of(const char *text) {
    const char *problem = pattern_problem(text, strlen(text));

    return problem ? problem : "";
}

static void the_problem_of_a_pattern_is_about_patterns(void) {
    CU_ASSERT_PTR_NULL(pattern_problem("a.*.>", 5));
    CU_ASSERT_STRING_EQUAL(problem_of("a*"), "'*' and '>' must stand alone between dots");
    CU_ASSERT_STRING_EQUAL(problem_of("a.>.b"), "'>' may only stand at the end");
    CU_ASSERT_STRING_EQUAL(problem_of("*."), "a part between dots is empty");
    CU_ASSERT_STRING_EQUAL(name_problem("a*", 2), "'*' and '>' are for patterns");
}

static void names_have_at_most_255_bytes(void) {
    char name[257];

    memset(name, 'a', sizeof(name));
    CU_ASSERT_TRUE(name_is_valid(name, 255));
    CU_ASSERT_FALSE(name_is_valid(name, 256));
    CU_ASSERT_FALSE(pattern_is_valid(name, 256));
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(star_covers_exactly_one_token), TEST(the_last_wildcard_covers_one_token_or_more),
        TEST(a_name_matches_only_itself),    TEST(names_are_tokens_of_utf8_separated_by_dots),
        TEST(a_wildcard_is_a_whole_token),   TEST(the_problem_of_a_pattern_is_about_patterns),
        TEST(names_have_at_most_255_bytes),  TESTS_END,
    };

    return run_suite("rpc/wire names", tests);
}
