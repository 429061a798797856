/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "clients/cli/terminal/print.h"
#include "support/suite.h"

/* The text of a JSON text, printed. */
static char *printed(const char *text, PrintStyle style) {
    json_t *json = json_loads(text, JSON_DECODE_ANY, NULL);
    char *out = NULL;
    size_t len = 0;
    FILE *to = open_memstream(&out, &len);

    CU_ASSERT_PTR_NOT_NULL_FATAL(json);
    print_json(json, style, to);
    fclose(to);
    json_decref(json);
    return out;
}

static bool prints(const char *text, const char *wanted, PrintStyle style) {
    char *out = printed(text, style);
    bool same = strcmp(out, wanted) == 0;

    if (!same)
        fprintf(stderr, "\n%s\n", out);
    free(out);
    return same;
}

static const PrintStyle plain = {false, false}, wide = {true, false}, coloured = {false, true};

static void a_value_is_one_line_for_programs(void) {
    CU_ASSERT_TRUE(prints("{\"a\":[1,2,{\"b\":null}],\"c\":true}",
                          "{\"a\": [1, 2, {\"b\": null}], \"c\": true}", plain));
    CU_ASSERT_TRUE(prints("[]", "[]", plain));
    CU_ASSERT_TRUE(prints("{}", "{}", wide));
}

static void doubles_are_as_short_as_they_can_be(void) {
    CU_ASSERT_TRUE(prints("[0.1, 1.0, 1e300, -0.0, 0.30000000000000004]",
                          "[0.1, 1.0, 1e+300, -0.0, 0.30000000000000004]", plain));
}

static void lists_of_scalars_stay_on_a_line(void) {
    CU_ASSERT_TRUE(prints("{\"a\":[1,2],\"b\":[{\"c\":1}]}",
                          "{\n  \"a\": [1, 2],\n  \"b\": [\n    {\n      \"c\": 1\n    }\n  ]\n}",
                          wide));
}

static void colours_surround_the_words(void) {
    CU_ASSERT_TRUE(prints("{\"a\": 1}", "{\x1b[34m\"a\"\x1b[0m: \x1b[36m1\x1b[0m}", coloured));
}

static void nothing_in_a_text_reaches_the_terminal_as_a_control(void) {
    CU_ASSERT_TRUE(prints("\"\\u001b[31m\\u009b\\u007f\\n\\\"\"",
                          "\"\\u001b[31m\\u009b\\u007f\\n\\\"\"", plain));
    CU_ASSERT_TRUE(prints("\"naïve ✓\"", "\"naïve ✓\"", plain));
}

static void rows_are_a_line_each(void) {
    json_t *json = json_loads("[{\"a\":1},{\"a\":2}]", 0, NULL), *none = json_array();
    char *out = NULL;
    size_t len = 0;
    FILE *to = open_memstream(&out, &len);

    print_json_rows(json, plain, to);
    print_json_rows(none, plain, to);
    fclose(to);
    CU_ASSERT_STRING_EQUAL(out, "[{\"a\": 1},\n{\"a\": 2}]\n[]\n");
    free(out);
    json_decref(json);
    json_decref(none);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_value_is_one_line_for_programs),
        TEST(doubles_are_as_short_as_they_can_be),
        TEST(lists_of_scalars_stay_on_a_line),
        TEST(rows_are_a_line_each),
        TEST(colours_surround_the_words),
        TEST(nothing_in_a_text_reaches_the_terminal_as_a_control),
        TESTS_END,
    };

    return run_suite("cli print", tests);
}
