/* SPDX-License-Identifier: Apache-2.0 */
/* The file of a pipeline. See pipeline-file.h. */

#include "clients/cli/pipelines/pipeline-file.h"

#include <ferry/ferry.h>

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "rpc/wire/name.h"

typedef enum Kind { KIND_TEXT, KIND_QUEUE, KIND_METHOD, KIND_COUNT, KIND_MS } Kind;

static const struct {
    const char *name;
    Kind kind;
    size_t offset; /* in PipelineStage */
    uint64_t min, max;
} settings[] = {
    {"queue", KIND_QUEUE, offsetof(PipelineStage, queue), 0, 0},
    {"command", KIND_TEXT, offsetof(PipelineStage, command), 0, 0},
    {"call", KIND_METHOD, offsetof(PipelineStage, call), 0, 0},
    {"next", KIND_TEXT, offsetof(PipelineStage, next), 0, 0},
    {"then", KIND_QUEUE, offsetof(PipelineStage, then), 0, 0},
    {"workers", KIND_COUNT, offsetof(PipelineStage, workers), 1, PIPELINE_WORKERS_MAX},
    {"slots", KIND_COUNT, offsetof(PipelineStage, slots), 1, 65536},
    {"retries", KIND_COUNT, offsetof(PipelineStage, retries), 0, 1000000},
    {"delay", KIND_MS, offsetof(PipelineStage, delay_ms), 1, UINT64_C(365) * 86400 * 1000},
    {"timeout", KIND_MS, offsetof(PipelineStage, timeout_ms), 1, UINT64_C(365) * 86400 * 1000},
};

enum { QUEUE, COMMAND, CALL, NEXT, THEN, N_SETTINGS = sizeof(settings) / sizeof(*settings) };

/* ---- errors ---- */

static void add_error(PipelineFile *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void add_error(PipelineFile *file, int line, const char *format, ...) {
    size_t at = file->n_errors;
    char text[sizeof(file->errors[at].text)];
    va_list args;

    if (at == PIPELINE_ERRORS_MAX)
        return;
    /* Errors between stages are found after the errors of single lines. */
    for (; at > 0 && file->errors[at - 1].line > line; at--)
        file->errors[at] = file->errors[at - 1];
    file->errors[at].line = line;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    /* Values are shown as they are, and may be cut within a character. */
    text_copy_safe(file->errors[at].text, sizeof(file->errors[at].text), text);
    file->n_errors++;
}

/* ---- one line ---- */

static char *trim(char *text) {
    size_t len;

    text += strspn(text, " \t\r");
    len = strlen(text);
    while (len > 0 && strchr(" \t\r", text[len - 1]))
        len--;
    text[len] = '\0';
    return text;
}

static PipelineStage *stage_find(PipelineFile *file, const char *name) {
    for (size_t i = 0; i < file->n_stages; i++)
        if (strcmp(file->stages[i].name, name) == 0)
            return &file->stages[i];
    return NULL;
}

static bool is_stage_name(const char *name) {
    size_t len = strlen(name);

    return len > 0 && len <= PIPELINE_NAME_MAX &&
           name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")] ==
               '\0';
}

/* NULL: the section has an error, and its settings are not read. */
static PipelineStage *begin_stage(PipelineFile *file, int line, char *text) {
    char shown[TEXT_ESCAPED_MAX], *end = strchr(text, ']'), *name;
    PipelineStage *stage;

    if (!end || *trim(end + 1)) {
        add_error(file, line, "a section is a line like [stage NAME]");
        return NULL;
    }
    *end = '\0';
    text = trim(text + 1);
    if (strncmp(text, "stage", 5) != 0 || (text[5] != ' ' && text[5] != '\t')) {
        add_error(file, line, "unknown section [%.60s]: the sections are [stage NAME]",
                  text_escape(shown, text, strlen(text)));
        return NULL;
    }
    name = trim(text + 5);
    if (!is_stage_name(name))
        add_error(file, line,
                  "'%.60s' is not the name of a stage: 1 to %d letters, digits, - and _",
                  text_escape(shown, name, strlen(name)), PIPELINE_NAME_MAX);
    else if ((stage = stage_find(file, name)))
        add_error(file, line, "there is a stage '%s' already, on line %d", name, stage->line);
    else if (file->n_stages == PIPELINE_STAGES_MAX)
        add_error(file, line, "there are more than %d stages", PIPELINE_STAGES_MAX);
    else {
        stage = &file->stages[file->n_stages++];
        *stage = (PipelineStage){.line = line, .workers = 1, .slots = 1};
        memcpy(stage->name, name, strlen(name) + 1);
        return stage;
    }
    return NULL;
}

static const char *problem_of_queue(const char *name) {
    const char *problem = ferry_name_problem(name);

    if (!problem && name_is_reserved(name, strlen(name)))
        return "names that begin with 'ferry.' are reserved for the broker";
    return problem;
}

static void set_number(PipelineFile *file, int line, size_t i, const char *value, uint64_t *to) {
    uint64_t number = 0;
    char least[24], most[24];
    int r = settings[i].kind == KIND_MS ? text_parse_ms(value, &number)
                                        : text_parse_count(value, &number);

    if (r == 0 && number >= settings[i].min && number <= settings[i].max) {
        *to = number;
        return;
    }
    if (settings[i].kind == KIND_MS)
        add_error(file, line, "%s is a time from %s to %s, like 250ms, 5s or 2m, not '%.40s'",
                  settings[i].name, text_format_ms(least, settings[i].min),
                  text_format_ms(most, settings[i].max), value);
    else
        add_error(file, line, "%s is a number from %" PRIu64 " to %" PRIu64 ", not '%.40s'",
                  settings[i].name, settings[i].min, settings[i].max, value);
}

static void set(PipelineFile *file, PipelineStage *stage, int line, size_t i, const char *value) {
    char *to = (char *)stage + settings[i].offset;
    const char *problem = NULL;

    if (stage->lines[i]) {
        add_error(file, line, "%s is set already, on line %d", settings[i].name, stage->lines[i]);
        return;
    }
    stage->lines[i] = line;
    if (*value == '\0') {
        add_error(file, line, "%s has no value", settings[i].name);
        return;
    }
    if (settings[i].kind == KIND_COUNT || settings[i].kind == KIND_MS) {
        set_number(file, line, i, value, (uint64_t *)(void *)to);
        return;
    }
    if (settings[i].kind == KIND_QUEUE)
        problem = problem_of_queue(value);
    else if (settings[i].kind == KIND_METHOD && !strchr(value, '.'))
        problem = "a method is SERVICE.METHOD";
    else if (settings[i].kind == KIND_METHOD)
        problem = ferry_name_problem(value);
    if (problem)
        add_error(file, line, "%s = %.60s: %s", settings[i].name, value, problem);
    memcpy(to, &value, sizeof(value));
}

static void read_setting(PipelineFile *file, PipelineStage *stage, int line, char *text) {
    char *equals = strchr(text, '='), shown[TEXT_ESCAPED_MAX], *name;
    const char *names[N_SETTINGS], *near;

    if (!equals) {
        add_error(file, line, "expected 'name = value' or '[stage NAME]'");
        return;
    }
    *equals = '\0';
    name = trim(text);
    for (size_t i = 0; i < N_SETTINGS; i++) {
        if (strcmp(name, settings[i].name) == 0) {
            if (stage)
                set(file, stage, line, i, trim(equals + 1));
            else if (file->n_errors == 0)
                add_error(file, line, "'%s' stands before the first [stage NAME]", name);
            return;
        }
        names[i] = settings[i].name;
    }
    near = text_nearest(name, names, N_SETTINGS);
    add_error(file, line, "a stage has no setting '%.60s'%s%s%s",
              text_escape(shown, name, strlen(name)), near ? "; did you mean '" : "",
              near ? near : "", near ? "'?" : "");
}

/* ---- between stages ---- */

bool stage_is_next_of(const PipelineStage *stage, const PipelineStage *before) {
    return before->then && strcmp(before->then, stage->queue) == 0;
}

/* True: the results of the stage return to it, so the pipeline would never end. */
static bool is_in_a_circle(PipelineFile *file, const PipelineStage *stage) {
    const PipelineStage *at = stage;

    for (size_t n = 0; n < file->n_stages; n++) {
        const PipelineStage *next = NULL;

        for (size_t i = 0; i < file->n_stages && !next; i++)
            if (stage_is_next_of(&file->stages[i], at))
                next = &file->stages[i];
        if (!next)
            return false;
        if (next == stage)
            return true;
        at = next;
    }
    return false;
}

static void check_stage(PipelineFile *file, PipelineStage *stage) {
    const PipelineStage *next = NULL;

    if (!stage->lines[COMMAND] && !stage->lines[CALL])
        add_error(file, stage->line,
                  "the stage '%s' has neither 'command' nor 'call': set one of them", stage->name);
    if (stage->command && stage->call)
        add_error(file, stage->lines[CALL], "the stage '%s' has a command already, on line %d",
                  stage->name, stage->lines[COMMAND]);
    if (stage->next && stage->then)
        add_error(file, stage->lines[THEN],
                  "the stage '%s' has 'next' already, on line %d: 'then' is for queues without a "
                  "stage",
                  stage->name, stage->lines[NEXT]);
    if (stage->next && !(next = stage_find(file, stage->next)))
        add_error(file, stage->lines[NEXT], "there is no stage '%.60s'", stage->next);
    if (next)
        stage->then = next->queue;
}

static void check_stages(PipelineFile *file) {
    for (size_t i = 0; i < file->n_stages; i++) {
        PipelineStage *stage = &file->stages[i];

        if (!stage->queue)
            stage->queue = stage->name;
        if (!stage->lines[QUEUE] && problem_of_queue(stage->queue))
            add_error(file, stage->line, "'%s' is not the name of a queue: set 'queue'",
                      stage->name);
    }
    for (size_t i = 0; i < file->n_stages; i++) {
        for (size_t j = 0; j < i; j++)
            if (strcmp(file->stages[i].queue, file->stages[j].queue) == 0)
                add_error(file,
                          file->stages[i].lines[QUEUE] ? file->stages[i].lines[QUEUE]
                                                       : file->stages[i].line,
                          "the stage '%s' has the queue '%.60s' already", file->stages[j].name,
                          file->stages[j].queue);
        check_stage(file, &file->stages[i]);
    }
    for (size_t i = 0; i < file->n_stages; i++)
        if (is_in_a_circle(file, &file->stages[i]))
            add_error(file, file->stages[i].line,
                      "the results of the stage '%s' return to it: stages must not form a circle",
                      file->stages[i].name);
    if (file->n_stages == 0 && file->n_errors == 0)
        add_error(file, 0, "the file has no stage: a stage begins with [stage NAME]");
}

int pipeline_file_read(PipelineFile *file, const char *text, size_t len) {
    char *line, *next;
    PipelineStage *stage = NULL;
    bool is_known = true;

    *file = (PipelineFile){0};
    if (len > PIPELINE_FILE_MAX) {
        add_error(file, 0, "the file has more than %d bytes", PIPELINE_FILE_MAX);
        return -EINVAL;
    }
    if (!text_is_utf8(text, len) || memchr(text, '\0', len)) {
        add_error(file, 0, "the file is not text in UTF-8");
        return -EINVAL;
    }
    file->copy = malloc(len + 1);
    if (!file->copy)
        return -ENOMEM;
    memcpy(file->copy, text, len);
    file->copy[len] = '\0';
    line = file->copy;
    for (int n = 1; line; n++, line = next) {
        next = strchr(line, '\n');
        if (next)
            *next++ = '\0';
        line = trim(line);
        if (*line == '[') {
            stage = begin_stage(file, n, line);
            is_known = stage != NULL;
        } else if (is_known && *line && !strchr("#;", *line)) {
            read_setting(file, stage, n, line);
        }
    }
    check_stages(file);
    return file->n_errors > 0 ? -EINVAL : 0;
}

void pipeline_file_deinit(PipelineFile *file) {
    free(file->copy);
    file->copy = NULL;
}
