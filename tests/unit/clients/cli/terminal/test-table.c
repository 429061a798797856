/* SPDX-License-Identifier: Apache-2.0 */
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "clients/cli/terminal/table.h"
#include "support/suite.h"

static const Column columns[] = {
    {"NAME", "name", COLUMN_TEXT},    {"JOBS", "jobs", COLUMN_NUMBER},
    {"BYTES", "bytes", COLUMN_BYTES}, {"DEAD", "dead", COLUMN_ERRORS},
    {"", "paused", COLUMN_FLAG},      {NULL, NULL, COLUMN_TEXT},
};

static bool prints(const char *text, TableStyle style, const char *wanted) {
    json_t *rows = json_loads(text, 0, NULL);
    char *out = NULL;
    size_t len = 0;
    FILE *to = open_memstream(&out, &len);
    bool same;

    CU_ASSERT_PTR_NOT_NULL_FATAL(rows);
    table_print(rows, columns, style, to);
    fclose(to);
    same = strcmp(out, wanted) == 0;
    if (!same)
        fprintf(stderr, "\n%s\n", out);
    free(out);
    json_decref(rows);
    return same;
}

static const TableStyle pipe_style = {false, false, 0}, people = {true, false, 0},
                        colour = {true, true, 0};

#define ROWS                                                                                       \
    "[{\"name\":\"mail\",\"jobs\":12,\"bytes\":2048,\"dead\":0,\"paused\":false},"                 \
    "{\"name\":\"größe\",\"jobs\":1000,\"bytes\":5,\"dead\":3,\"paused\":true}]"

static void a_pipe_gets_lines_of_plain_values(void) {
    CU_ASSERT_TRUE(prints(ROWS, pipe_style, "mail\t12\t2048\t0\t-\ngröße\t1000\t5\t3\tpaused\n"));
    CU_ASSERT_TRUE(prints("[]", pipe_style, ""));
}

static void a_table_fits_its_terminal(void) {
    const char *rows =
        "[{\"name\":\"a.queue.with.a.very.long.name\",\"jobs\":1,\"bytes\":2048,\"dead\":0,"
        "\"paused\":false}]";

    /* 29 + 2 + 4 + 2 + 7 + 2 + 4 + 2 + 1 columns */
    CU_ASSERT_TRUE(prints(rows, (TableStyle){.for_people = true, .width = 53},
                          "NAME                           JOBS    BYTES  DEAD  \n"
                          "a.queue.with.a.very.long.name     1  2.0 KiB     0  -\n"));
    CU_ASSERT_TRUE(prints(rows, (TableStyle){.for_people = true, .width = 44},
                          "NAME                  JOBS    BYTES  DEAD  \n"
                          "a.queue.with.a.very…     1  2.0 KiB     0  -\n"));
    CU_ASSERT_TRUE(prints(rows, (TableStyle){.for_people = true, .width = 35},
                          "NAME                  JOBS    BYTES\n"
                          "a.queue.with.a.very…     1  2.0 KiB\n"));
    CU_ASSERT_TRUE(prints(rows, (TableStyle){.for_people = true, .width = 14},
                          "NAME      JOBS\n"
                          "a.queue…     1\n"));
    CU_ASSERT_TRUE(prints(rows, (TableStyle){.for_people = true, .width = 1},
                          "NAME\n"
                          "a.queue…\n"));
}

static void a_pipe_gets_all_of_a_text(void) {
    char rows[400], wanted[400], name[301];

    memset(name, 'x', 300);
    name[300] = '\0';
    snprintf(rows, sizeof(rows), "[{\"name\":\"%s\\n\",\"jobs\":1}]", name);
    snprintf(wanted, sizeof(wanted), "%s\\x0a\t1\t-\t-\t-\n", name);
    CU_ASSERT_TRUE(prints(rows, pipe_style, wanted));
}

static void rows_are_sorted_by_their_names(void) {
    static const Column numbers[] = {{"N", "n", COLUMN_NUMBER}, {NULL, NULL, COLUMN_TEXT}};
    json_t *rows =
        json_loads("[{\"name\":\"b\",\"n\":1},{\"n\":2},{\"name\":\"a\",\"n\":3}]", 0, NULL);
    json_t *by_name = table_sorted(rows, columns), *by_number = table_sorted(rows, numbers);
    char *text = json_dumps(by_name, JSON_COMPACT);

    CU_ASSERT_STRING_EQUAL(text, "[{\"n\":2},{\"name\":\"a\",\"n\":3},{\"name\":\"b\",\"n\":1}]");
    CU_ASSERT_TRUE(json_equal(by_number, rows));
    free(text);
    json_decref(by_name);
    json_decref(by_number);
    json_decref(rows);
}

static void people_get_columns(void) {
    CU_ASSERT_TRUE(prints(ROWS, people,
                          "NAME   JOBS    BYTES  DEAD  \n"
                          "mail     12  2.0 KiB     0  -\n"
                          "größe  1000      5 B     3  paused\n"));
    CU_ASSERT_TRUE(prints("[]", people, "none\n"));
}

static void errors_are_red(void) {
    json_t *rows = json_loads(ROWS, 0, NULL);
    char *out = NULL;
    size_t len = 0;
    FILE *to = open_memstream(&out, &len);

    table_print(rows, columns, colour, to);
    fclose(to);
    CU_ASSERT_PTR_NOT_NULL(strstr(out, "\x1b[31m3\x1b[0m"));
    CU_ASSERT_PTR_NULL(strstr(out, "\x1b[31m0\x1b[0m"));
    free(out);
    json_decref(rows);
}

static void a_line_stays_a_line_whatever_a_name_holds(void) {
    CU_ASSERT_TRUE(prints("[{\"name\":\"a\\tb\\nc\\u001b[2J\"}]", pipe_style,
                          "a\\x09b\\x0ac\\x1b[2J\t-\t-\t-\t-\n"));
}

static void absent_and_odd_values_are_shown(void) {
    CU_ASSERT_TRUE(prints("[{\"name\":\"\",\"jobs\":-3,\"bytes\":[1,2],\"dead\":1.5},{}]",
                          pipe_style, "-\t-3\t2\t1.5\t-\n-\t-\t-\t-\t-\n"));
}

static void wide_characters_take_two_places(void) {
    CU_ASSERT_EQUAL(table_width("ab"), 2);
    CU_ASSERT_EQUAL(table_width("größe"), 5);
    CU_ASSERT_EQUAL(table_width("日本"), 4);
    CU_ASSERT_EQUAL(table_width("\xff\xfe"), 2);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_pipe_gets_lines_of_plain_values),
        TEST(a_table_fits_its_terminal),
        TEST(a_pipe_gets_all_of_a_text),
        TEST(rows_are_sorted_by_their_names),
        TEST(people_get_columns),
        TEST(errors_are_red),
        TEST(a_line_stays_a_line_whatever_a_name_holds),
        TEST(absent_and_odd_values_are_shown),
        TEST(wide_characters_take_two_places),
        TESTS_END,
    };

    setlocale(LC_ALL, "C.UTF-8");
    return run_suite("cli table", tests);
}
