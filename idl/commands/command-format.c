/* SPDX-License-Identifier: Apache-2.0 */
/* ferry-idl format: the canonical text. */

#include <string.h>

#include "idl/commands/commands.h"
#include "idl/syntax/format.h"

/* Formatting needs only the file; its includes need not exist. */
static int format(const Options *options, const char *path) {
    CLEANUP(buffer_deinit) Buffer text = {0};
    const char *data;
    Program program;
    File *file;
    int r = 1;

    program_init(&program);
    file = program_parse(&program, path);
    if (file && program.reports.n_errors == 0) {
        format_file(&program.region, file, &text);
        r = text.failed ? 1 : 0;
    }
    data = text.data ? (const char *)text.data : "";
    reports_print(&program.reports, stderr, options->colour);
    if (r == 0 && options->check) {
        r = text.len != file->source.len || memcmp(data, file->source.text, text.len) != 0;
        if (r)
            complain("%s is not canonical: run 'ferry-idl format -i' on it", path);
    } else if (r == 0 && options->in_place) {
        r = write_file(path, data, text.len);
    } else if (r == 0) {
        fwrite(data, 1, text.len, stdout);
    }
    program_deinit(&program);
    return r;
}

int command_format(Options *options) {
    int r = 0;

    for (size_t i = 0; i < options->n_files; i++)
        r |= format(options, options->files[i]);
    return r;
}
