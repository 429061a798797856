/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/c/core/names.h"

#include "support/suite.h"

static void a_method_is_taken_apart(void) {
    NameCache *names = names_new();
    const CachedName *name = names_find_method(names, "calc.Calc.add", NULL);

    CU_ASSERT_PTR_NOT_NULL_FATAL(name);
    CU_ASSERT_TRUE(span_is(name_service(name), "calc.Calc"));
    CU_ASSERT_TRUE(span_is(name_method(name), "add"));
    CU_ASSERT_PTR_EQUAL(names_find_method(names, "calc.Calc.add", NULL), name);
    names_free(names);
}

static void another_text_at_the_same_address_is_another_name(void) {
    NameCache *names = names_new();
    char text[16] = "a.b";

    CU_ASSERT_TRUE(span_is(name_span(names_find(names, text, NULL)), "a.b"));
    strcpy(text, "c.d");
    CU_ASSERT_TRUE(span_is(name_span(names_find(names, text, NULL)), "c.d"));
    strcpy(text, "..");
    CU_ASSERT_PTR_NULL(names_find(names, text, NULL));
    names_free(names);
}

static void bad_names_are_refused(void) {
    static const char *const bad[] = {"", ".", "a.", ".a", "a..b", "a b", "a.*", ">", "\xFF"};
    ferry_error error = FERRY_ERROR_INIT;
    NameCache *names = names_new();
    char longest[300];

    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        CU_ASSERT_PTR_NULL(names_find(names, bad[i], &error));
        CU_ASSERT_EQUAL(error.code, -EINVAL);
    }
    CU_ASSERT_PTR_NULL(names_find(names, NULL, &error));
    CU_ASSERT_PTR_NULL(names_find_method(names, "nodot", &error));
    memset(longest, 'x', sizeof(longest));
    longest[256] = '\0';
    CU_ASSERT_PTR_NULL(names_find(names, longest, &error));
    longest[255] = '\0';
    CU_ASSERT_PTR_NOT_NULL(names_find(names, longest, &error));
    ferry_error_clear(&error);
    names_free(names);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_method_is_taken_apart),
        TEST(another_text_at_the_same_address_is_another_name),
        TEST(bad_names_are_refused),
        TESTS_END,
    };

    return run_suite("client names", tests);
}
