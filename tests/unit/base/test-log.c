/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/suite.h"

/* The text that fn writes to standard error. */
static const char *written(void (*fn)(void)) {
    static char text[8192];
    int saved = dup(STDERR_FILENO);
    FILE *file = tmpfile();
    size_t n;

    fflush(stderr);
    dup2(fileno(file), STDERR_FILENO);
    fn();
    fflush(stderr);
    dup2(saved, STDERR_FILENO);
    close(saved);
    rewind(file);
    n = fread(text, 1, sizeof(text) - 1, file);
    text[n] = '\0';
    fclose(file);
    return text;
}

static void log_something(void) {
    log_warning("a queue is full: queue='%s' jobs=%d", "mail", 3);
    log_debug("this is not shown");
}

static void log_too_much(void) {
    char long_text[5000];

    memset(long_text, 'x', sizeof(long_text) - 1);
    long_text[sizeof(long_text) - 1] = '\0';
    log_error("%s", long_text);
}

static void log_a_forgery(void) {
    log_info("a peer says '%s'", "\x1b]0;title\x07 \xe2\x80\xae \xc2\x9b\nerror all is lost");
}

static void text_of_peers_is_escaped_and_stays_on_its_line(void) {
    setenv("JOURNAL_STREAM", "1:2", 1);
    CU_ASSERT_STRING_EQUAL(written(log_a_forgery),
                           "<6>a peer says '\\x1b]0;title\\x07 \\xe2\\x80\\xae \\xc2\\x9b "
                           "error all is lost'\n");
    unsetenv("JOURNAL_STREAM");
}

static void a_line_has_time_level_and_event(void) {
    const char *line;
    unsigned year;

    unsetenv("JOURNAL_STREAM");
    line = written(log_something);
    CU_ASSERT_EQUAL(sscanf(line, "%4u-", &year), 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(line, "Z warning a queue is full: queue='mail' jobs=3\n"));
    CU_ASSERT_PTR_NULL(strstr(line, "not shown"));
}

static void under_systemd_it_has_a_priority_instead(void) {
    setenv("JOURNAL_STREAM", "1:2", 1);
    CU_ASSERT_STRING_EQUAL(written(log_something), "<4>a queue is full: queue='mail' jobs=3\n");
    unsetenv("JOURNAL_STREAM");
}

static void log_values(void) {
    log_info("a session: it has ended: session=7 name='a \"b\" \\x0a' peer=127.0.0.1:4711 zero=0 "
             "id=007");
    log_error("no values: here");
    log_error("%s", "");
}

static void log_json_too_much(void) {
    char text[2000];

    memset(text, '"', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    log_error("%s: a=1 b='%s'", text, text);
}

static void json_has_an_object_in_each_line(void) {
    const char *line;

    log_format = LOG_JSON;
    line = written(log_values);
    CU_ASSERT_EQUAL(strncmp(line, "{\"time\":\"20", 11), 0);
    CU_ASSERT_PTR_NOT_NULL(
        strstr(line, "Z\",\"level\":\"info\",\"message\":\"a session: it has ended\",\"session\":7,"
                     "\"name\":\"a \\\"b\\\" \\\\x0a\",\"peer\":\"127.0.0.1:4711\",\"zero\":0,"
                     "\"id\":\"007\"}\n"));
    CU_ASSERT_PTR_NOT_NULL(strstr(line, "\"level\":\"error\",\"message\":\"no values: here\"}\n"));
    CU_ASSERT_PTR_NOT_NULL(strstr(line, "\"message\":\"\"}\n"));
    setenv("JOURNAL_STREAM", "1:2", 1);
    CU_ASSERT_EQUAL(strncmp(written(log_values), "<6>{", 4), 0);
    unsetenv("JOURNAL_STREAM");
    line = written(log_json_too_much);
    CU_ASSERT_TRUE(strlen(line) <= 4096);
    CU_ASSERT_STRING_EQUAL(line + strlen(line) - 3, "\"}\n");
    log_format = LOG_TEXT;
}

static void a_line_that_is_too_long_is_cut_and_still_ends(void) {
    const char *line = written(log_too_much);

    CU_ASSERT(strlen(line) < 2200);
    CU_ASSERT_EQUAL(line[strlen(line) - 1], '\n');
}

static void levels_have_names(void) {
    LogLevel level = LOG_LEVEL_ERROR;

    CU_ASSERT_EQUAL(log_level_parse("debug", &level), 0);
    CU_ASSERT_EQUAL(level, LOG_LEVEL_DEBUG);
    CU_ASSERT(log_level_parse("loud", &level) < 0);
    CU_ASSERT(log_level_parse("", &level) < 0);
    CU_ASSERT_EQUAL(level, LOG_LEVEL_DEBUG);
}

/* A pipe without a reader: every line is written at once or dropped. */
static void a_pipe_without_a_reader_does_not_block_the_program(void) {
    enum { LINES = 2000 };
    int saved = dup(STDERR_FILENO), ends[2];
    char text[65536];
    uint64_t dropped;
    ssize_t n;

    CU_ASSERT_EQUAL_FATAL(pipe(ends), 0);
    fflush(stderr);
    dup2(ends[1], STDERR_FILENO);
    for (int i = 0; i < LINES; i++)
        log_warning("a line of about a hundred bytes, so that two thousand of them do not fit: %d",
                    i);
    dropped = log_dropped();
    n = read(ends[0], text, sizeof(text));
    CU_ASSERT_TRUE(n > 0);
    log_warning("read again");
    n = read(ends[0], text, sizeof(text) - 1);
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(ends[0]);
    close(ends[1]);
    CU_ASSERT_TRUE(dropped > 0 && dropped < LINES);
    CU_ASSERT_EQUAL(log_dropped(), 0);
    CU_ASSERT_TRUE_FATAL(n > 0);
    text[n] = '\0';
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "log lines were dropped"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "read again"));
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_line_has_time_level_and_event),
        TEST(under_systemd_it_has_a_priority_instead),
        TEST(text_of_peers_is_escaped_and_stays_on_its_line),
        TEST(json_has_an_object_in_each_line),
        TEST(a_line_that_is_too_long_is_cut_and_still_ends),
        TEST(levels_have_names),
        TEST(a_pipe_without_a_reader_does_not_block_the_program),
        TESTS_END,
    };

    return run_suite("base log", tests);
}
