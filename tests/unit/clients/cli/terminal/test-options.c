/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "clients/cli/terminal/options.h"
#include "support/suite.h"

typedef struct Values {
    bool loud;
    const char *name, *format;
    Texts binds;
    uint64_t count, timeout_ms, size;
} Values;

static const Option table[] = {
    OPTION_PLAIN(OPTION_FLAG, 'l', "loud", Values, loud, NULL, ""),
    OPTION_PLAIN(OPTION_TEXT, 0, "name", Values, name, "NAME", ""),
    OPTION_ROW(OPTION_TEXT, 0, "format", Values, format, "F", "", 0, 0, "text|json"),
    OPTION_PLAIN(OPTION_LIST, 'b', "bind", Values, binds, "E", ""),
    OPTION_RANGE(OPTION_COUNT, 'n', "count", Values, count, "N", "", 1, 9),
    OPTION_RANGE(OPTION_MS, 't', "timeout", Values, timeout_ms, "T", "", 1, 0),
    OPTION_PLAIN(OPTION_BYTES, 0, "size", Values, size, "S", ""),
    OPTION_END,
};

static Values values;
static Parsed parsed;
static char problem[OPTIONS_PROBLEM_MAX];

enum { WORDS_MAX = 200 };

/* The words, parted by blanks, behind a command's name. */
static int parse(const char *line) {
    static char text[1024];
    char *argv[WORDS_MAX] = {"command"};
    OptionSet sets[] = {{table, &values}};
    int argc = 1;

    memset(&values, 0, sizeof(values));
    parsed_deinit(&parsed);
    strcpy(text, line);
    for (char *word = strtok(text, " "); word; word = strtok(NULL, " "))
        argv[argc++] = word;
    return options_parse(sets, 1, argc, argv, &parsed, problem);
}

static bool says(const char *line, const char *what) {
    return parse(line) == -EINVAL && strstr(problem, what);
}

static void values_land_in_the_struct(void) {
    CU_ASSERT_EQUAL(parse("-l --name x --count 7 -t 250ms --size 4K --bind a -b b"), 0);
    CU_ASSERT_TRUE(values.loud);
    CU_ASSERT_STRING_EQUAL(values.name, "x");
    CU_ASSERT_EQUAL(values.count, 7);
    CU_ASSERT_EQUAL(values.timeout_ms, 250);
    CU_ASSERT_EQUAL(values.size, 4096);
    CU_ASSERT_EQUAL(values.binds.n, 2);
    CU_ASSERT_STRING_EQUAL(values.binds.v[1], "b");
    CU_ASSERT_EQUAL(parsed.argc, 0);
}

static void options_and_arguments_may_be_mixed(void) {
    CU_ASSERT_EQUAL(parse("a -l b --count=3 c"), 0);
    CU_ASSERT_EQUAL(parsed.argc, 3);
    CU_ASSERT_STRING_EQUAL(parsed.argv[0], "a");
    CU_ASSERT_STRING_EQUAL(parsed.argv[2], "c");
}

static void negative_numbers_are_arguments(void) {
    CU_ASSERT_EQUAL(parse("x -1 -l -0.5 -.5"), 0);
    CU_ASSERT_TRUE(values.loud);
    CU_ASSERT_EQUAL(parsed.argc, 4);
    CU_ASSERT_STRING_EQUAL(parsed.argv[1], "-1");
    CU_ASSERT_STRING_EQUAL(parsed.argv[2], "-0.5");
    CU_ASSERT_STRING_EQUAL(parsed.argv[3], "-.5");
}

static void negative_numbers_may_be_values(void) {
    CU_ASSERT_EQUAL(parse("--name -5"), 0);
    CU_ASSERT_STRING_EQUAL(values.name, "-5");
    CU_ASSERT_TRUE(says("--count -5", "'-5' is not a whole number"));
}

static void a_dash_is_an_argument(void) {
    CU_ASSERT_EQUAL(parse("topic -"), 0);
    CU_ASSERT_EQUAL(parsed.argc, 2);
    CU_ASSERT_STRING_EQUAL(parsed.argv[1], "-");
}

static void two_dashes_end_the_options(void) {
    CU_ASSERT_EQUAL(parse("-- --loud -l"), 0);
    CU_ASSERT_FALSE(values.loud);
    CU_ASSERT_EQUAL(parsed.argc, 2);
}

static void unknown_options_are_named(void) {
    CU_ASSERT_TRUE(says("--loudd", "no option '--loudd': did you mean '--loud'?"));
    CU_ASSERT_TRUE(says("--xyzzy", "no option '--xyzzy'"));
    CU_ASSERT_TRUE(says("-l -x", "no option '-x'"));
    CU_ASSERT_TRUE(says("-lxl y", "no option '-x'"));
    CU_ASSERT_TRUE(says("a b --coumt 3 c", "did you mean '--count'?"));
}

static void missing_and_surplus_values_are_named(void) {
    CU_ASSERT_TRUE(says("--name", "option '--name' needs a value: --name NAME"));
    CU_ASSERT_TRUE(says("-n", "option '-n' needs a value"));
    CU_ASSERT_TRUE(says("--loud=yes", "option '--loud' takes no value"));
}

static void bad_values_are_named(void) {
    CU_ASSERT_TRUE(says("--count x", "--count: 'x' is not a whole number"));
    CU_ASSERT_TRUE(says("--count 3.5", "is not a whole number"));
    CU_ASSERT_TRUE(says("--count 99999999999999999999", "is not a whole number"));
    CU_ASSERT_TRUE(says("--count 0", "out of range: 1 to 9"));
    CU_ASSERT_TRUE(says("--count 10", "out of range: 1 to 9"));
    CU_ASSERT_TRUE(says("--timeout 0", "too small: at least 1 ms"));
    CU_ASSERT_TRUE(says("--timeout soon", "is not a time like 250ms, 5s or 2m"));
    CU_ASSERT_TRUE(says("--size big", "is not a size"));
    CU_ASSERT_TRUE(says("--format xml", "'xml' is not one of text|json"));
}

static void a_list_has_an_end(void) {
    char line[1024] = "";

    for (int i = 0; i < TEXTS_MAX; i++)
        strcat(line, " -b x");
    CU_ASSERT_EQUAL(parse(line), 0);
    strcpy(line, "-bx");
    for (int i = 0; i < TEXTS_MAX; i++)
        strcat(line, " -bx");
    CU_ASSERT_TRUE(says(line, "more than 64"));
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(values_land_in_the_struct),
        TEST(options_and_arguments_may_be_mixed),
        TEST(negative_numbers_are_arguments),
        TEST(negative_numbers_may_be_values),
        TEST(a_dash_is_an_argument),
        TEST(two_dashes_end_the_options),
        TEST(unknown_options_are_named),
        TEST(missing_and_surplus_values_are_named),
        TEST(bad_values_are_named),
        TEST(a_list_has_an_end),
        TESTS_END,
    };
    int status = run_suite("cli options", tests);

    parsed_deinit(&parsed);
    return status;
}
