/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as the file of a pipeline: stages that can run, or errors that can be printed. */

#include <stdlib.h>
#include <string.h>

#include <ferry/ferry.h>

#include "base/text.h"
#include "clients/cli/pipelines/pipeline-file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static PipelineFile file;

static void check_errors(int n_lines) {
    int before = 0;

    if (file.n_errors == 0 || file.n_errors > PIPELINE_ERRORS_MAX)
        abort();
    for (size_t i = 0; i < file.n_errors; i++) {
        const PipelineError *error = &file.errors[i];

        if (error->line < before || error->line > n_lines || !*error->text ||
            !text_is_utf8(error->text, strlen(error->text)) ||
            !text_is_safe(error->text, strlen(error->text)) || strchr(error->text, '\n'))
            abort();
        before = error->line;
    }
}

/* The stages behind this one: they end. */
static void follow(const PipelineStage *stage) {
    for (size_t n = 0; stage; n++) {
        const PipelineStage *next = NULL;

        for (size_t i = 0; i < file.n_stages && !next; i++)
            if (stage_is_next_of(&file.stages[i], stage))
                next = &file.stages[i];
        if (n > file.n_stages || (stage->next && (!next || strcmp(next->name, stage->next) != 0)))
            abort();
        stage = next;
    }
}

static void check_stage(const PipelineStage *stage) {
    if (!*stage->name || !stage->queue || ferry_name_problem(stage->queue) ||
        (stage->then && ferry_name_problem(stage->then)))
        abort();
    if (!stage->command == !stage->call || stage->workers < 1 ||
        stage->workers > PIPELINE_WORKERS_MAX || stage->slots < 1)
        abort();
    for (const PipelineStage *other = file.stages; other < stage; other++)
        if (strcmp(other->name, stage->name) == 0 || strcmp(other->queue, stage->queue) == 0)
            abort();
    follow(stage);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    int n_lines = 1, r = pipeline_file_read(&file, (const char *)data, size);

    for (size_t i = 0; i < size; i++)
        n_lines += data[i] == '\n';
    if (r < 0) {
        check_errors(n_lines);
    } else {
        if (file.n_stages < 1 || file.n_stages > PIPELINE_STAGES_MAX || file.n_errors > 0)
            abort();
        for (size_t i = 0; i < file.n_stages; i++)
            check_stage(&file.stages[i]);
    }
    pipeline_file_deinit(&file);
    return 0;
}
