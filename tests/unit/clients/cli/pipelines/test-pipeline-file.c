/* SPDX-License-Identifier: Apache-2.0 */
/* Files of pipelines: read, and refused with all their errors. */

#include "clients/cli/pipelines/pipeline-file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/suite.h"

static PipelineFile file;

static int read_text(const char *text) {
    return pipeline_file_read(&file, text, strlen(text));
}

static void settings_of_stages_are_read(void) {
    CU_ASSERT_EQUAL_FATAL(read_text("# photos\n"
                                    "[stage fetch]\n"
                                    "command = curl -s \"$(cat)\" ; true # all of it\n"
                                    "next = resize\r\n"
                                    "\n"
                                    "  ; a comment\n"
                                    "[ stage  resize ]\n"
                                    "queue = photos.to-resize\n"
                                    "call=images.Resizer.resize\n"
                                    "workers = 4\n slots = 2\nretries = 3\ndelay = 5s\n"
                                    "timeout = 1m\n"
                                    "then = uploads"),
                          0);
    CU_ASSERT_EQUAL(file.n_stages, 2);
    CU_ASSERT_STRING_EQUAL(file.stages[0].name, "fetch");
    CU_ASSERT_STRING_EQUAL(file.stages[0].queue, "fetch");
    CU_ASSERT_STRING_EQUAL(file.stages[0].command, "curl -s \"$(cat)\" ; true # all of it");
    CU_ASSERT_STRING_EQUAL(file.stages[0].then, "photos.to-resize");
    CU_ASSERT_EQUAL(file.stages[0].workers, 1);
    CU_ASSERT_EQUAL(file.stages[0].slots, 1);
    CU_ASSERT_EQUAL(file.stages[0].retries, 0);
    CU_ASSERT_STRING_EQUAL(file.stages[1].call, "images.Resizer.resize");
    CU_ASSERT_STRING_EQUAL(file.stages[1].then, "uploads");
    CU_ASSERT_EQUAL(file.stages[1].workers, 4);
    CU_ASSERT_EQUAL(file.stages[1].slots, 2);
    CU_ASSERT_EQUAL(file.stages[1].retries, 3);
    CU_ASSERT_EQUAL(file.stages[1].delay_ms, 5000);
    CU_ASSERT_EQUAL(file.stages[1].timeout_ms, 60000);
    CU_ASSERT_TRUE(stage_is_next_of(&file.stages[1], &file.stages[0]));
    CU_ASSERT_FALSE(stage_is_next_of(&file.stages[0], &file.stages[1]));
    pipeline_file_deinit(&file);
}

static void each_error_has_its_line(void) {
    static const struct {
        const char *text;
        int line;
        const char *problem;
    } rows[] = {
        {"", 0, "the file has no stage"},
        {"command = x\n", 1, "'command' stands before the first [stage NAME]"},
        {"[stage a]\n", 1, "the stage 'a' has neither 'command' nor 'call'"},
        {"[stage a]\ncommand =\n", 2, "command has no value"},
        {"[stage a]\ncommand = x\ncall = a.b\n", 3, "has a command already, on line 2"},
        {"[stage a]\ncommand = x\ncommand = y\n", 3, "command is set already, on line 2"},
        {"[stage a]\ncomand = x\ncommand = x\n", 2, "no setting 'comand'; did you mean 'command'?"},
        {"[stage a]\ncommand = x\nworkers = 0\n", 3, "workers is a number from 1 to 256, not '0'"},
        {"[stage a]\ncommand = x\nworkers = 257\n", 3, "workers is a number from 1 to 256"},
        {"[stage a]\ncommand = x\nworkers = 2x\n", 3, "workers is a number"},
        {"[stage a]\ncommand = x\nslots = -1\n", 3, "slots is a number from 1 to 65536"},
        {"[stage a]\ncommand = x\nretries = 99999999999999999999\n", 3, "retries is a number"},
        {"[stage a]\ncommand = x\ndelay = soon\n", 3, "delay is a time"},
        {"[stage a]\ncommand = x\ntimeout = 0\n", 3, "timeout is a time"},
        {"[stage a]\ncommand = x\nqueue = A B\n", 3, "queue = A B: "},
        {"[stage a]\ncommand = x\nqueue = ferry.x\n", 3, "are reserved for the broker"},
        {"[stage a]\ncall = x\n", 2, "call = x: a method is SERVICE.METHOD"},
        {"[stage a]\ncall = a..b\n", 2, "call = a..b: "},
        {"[stage a]\ncommand = x\nnext = b\n", 3, "there is no stage 'b'"},
        {"[stage a]\ncommand = x\nthen = q\nnext = b\n[stage b]\ncommand = x\n", 3,
         "'then' is for queues without a stage"},
        {"[stage a]\ncommand = x\nnext = a\n", 1, "stages must not form a circle"},
        {"[stage a]\ncommand = x\nthen = a\n", 1, "stages must not form a circle"},
        {"[stage a]\ncommand = x\n[stage a]\ncommand = y\n", 3, "a stage 'a' already, on line 1"},
        {"[stage a]\ncommand = x\n[stage b]\ncommand = y\nqueue = a\n", 5, "has the queue 'a'"},
        {"[stage]\n", 1, "unknown section [stage]"},
        {"[queue a]\nx = y\n", 1, "unknown section [queue a]"},
        {"[stage a b]\n", 1, "'a b' is not the name of a stage"},
        {"[stage a\ncommand = x\n", 1, "a section is a line like [stage NAME]"},
        {"[stage a] x\n", 1, "a section is a line like [stage NAME]"},
        {"[stage a]\ncommand = x\nhello\n", 3, "expected 'name = value'"},
        {"[stage \xff]\n", 0, "the file is not text in UTF-8"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        CU_ASSERT_EQUAL(read_text(rows[i].text), -EINVAL);
        CU_ASSERT(file.n_errors > 0);
        if (file.errors[0].line != rows[i].line || !strstr(file.errors[0].text, rows[i].problem)) {
            printf("%s: %d: %s\n", rows[i].text, file.errors[0].line, file.errors[0].text);
            CU_FAIL("another error");
        }
        pipeline_file_deinit(&file);
    }
}

static void all_errors_are_kept_by_line(void) {
    CU_ASSERT_EQUAL(read_text("[stage a]\nnext = nowhere\nworkers = x\n[stage b]\nfoo = 1\n"),
                    -EINVAL);
    CU_ASSERT_EQUAL(file.n_errors, 5);
    for (size_t i = 1; i < file.n_errors; i++)
        CU_ASSERT(file.errors[i - 1].line <= file.errors[i].line);
    pipeline_file_deinit(&file);
}

static void long_circles_are_found(void) {
    CU_ASSERT_EQUAL(read_text("[stage a]\ncommand = x\nnext = b\n[stage b]\ncommand = x\nnext = c\n"
                              "[stage c]\ncommand = x\nnext = b\n"),
                    -EINVAL);
    CU_ASSERT_EQUAL(file.n_errors, 2); /* b and c; a only leads there */
    CU_ASSERT_EQUAL(file.errors[0].line, 4);
    pipeline_file_deinit(&file);
}

static void files_have_limits(void) {
    static char text[PIPELINE_FILE_MAX + 2];
    size_t len = 0;

    memset(text, '\n', sizeof(text));
    CU_ASSERT_EQUAL(pipeline_file_read(&file, text, PIPELINE_FILE_MAX + 1), -EINVAL);
    CU_ASSERT_PTR_NOT_NULL(strstr(file.errors[0].text, "more than 1048576 bytes"));
    for (int i = 0; i <= PIPELINE_STAGES_MAX; i++)
        len += (size_t)sprintf(text + len, "[stage s%d]\ncommand = x\n", i);
    CU_ASSERT_EQUAL(pipeline_file_read(&file, text, len), -EINVAL);
    CU_ASSERT_EQUAL(file.n_stages, PIPELINE_STAGES_MAX);
    CU_ASSERT_EQUAL(file.n_errors, 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(file.errors[0].text, "more than 64 stages"));
    pipeline_file_deinit(&file);
    for (len = 0; len < 5000; len += 2)
        memcpy(text + len, "x\n", 2);
    CU_ASSERT_EQUAL(pipeline_file_read(&file, text, len), -EINVAL);
    CU_ASSERT_EQUAL(file.n_errors, PIPELINE_ERRORS_MAX);
    pipeline_file_deinit(&file);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(settings_of_stages_are_read), TEST(each_error_has_its_line),
        TEST(all_errors_are_kept_by_line), TEST(long_circles_are_found),
        TEST(files_have_limits),           TESTS_END,
    };

    return run_suite("files of pipelines", tests);
}
