/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The file of `ferry pipeline run`: a section [stage NAME] for each stage, with `name = value` on
 * each line. A line that begins with # or ; is a comment. Reading collects all errors of the file.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PIPELINE_FILE_MAX = 1024 * 1024,
    PIPELINE_STAGES_MAX = 64,
    PIPELINE_NAME_MAX = 40,     /* bytes of the name of a stage */
    PIPELINE_WORKERS_MAX = 256, /* of one stage */
    PIPELINE_ERRORS_MAX = 50,   /* errors beyond this number are dropped */
};

typedef struct PipelineStage {
    char name[PIPELINE_NAME_MAX + 1];
    int line; /* of its section */
    /* Texts point into the file's copy. NULL: not set. */
    const char *queue;   /* the default is the name of the stage */
    const char *command; /* a stage has either `command` or `call` */
    const char *call;    /* "service.method" */
    const char *next;    /* the name of a stage */
    const char *then;    /* the queue of the results; if `next` is set, the queue of that stage */
    uint64_t workers, slots, retries, delay_ms, timeout_ms; /* times of 0: not set */
    int lines[10];                                          /* of each setting; 0: not set */
} PipelineStage;

typedef struct PipelineError {
    int line; /* 0: of the whole file */
    char text[200];
} PipelineError;

typedef struct PipelineFile {
    PipelineStage stages[PIPELINE_STAGES_MAX];
    size_t n_stages;
    PipelineError errors[PIPELINE_ERRORS_MAX]; /* by line */
    size_t n_errors;
    char *copy; /* owned: the text, with a NUL after each name and value */
} PipelineFile;

/* Reads the text. 0; -EINVAL: file->errors says why; -ENOMEM. */
int pipeline_file_read(PipelineFile *file, const char *text, size_t len);
void pipeline_file_deinit(PipelineFile *file);

/* True: the stage `before` passes its results to this stage. */
bool stage_is_next_of(const PipelineStage *stage, const PipelineStage *before);
