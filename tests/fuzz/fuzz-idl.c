/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interface files. A file is refused with a report, or accepted. From an accepted file, C is
 * written without an error, or a report says why not. Its canonical text is accepted, too, and
 * formatting that text again does not change it.
 */

#include <stdlib.h>
#include <string.h>

#include "idl/emit/emit.h"
#include "idl/syntax/format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Prints every report, so that its positions and carets are computed. */
static void print_reports(const Program *program) {
    static FILE *nowhere;

    if (!nowhere)
        nowhere = fopen("/dev/null", "we");
    if (nowhere)
        reports_print(&program->reports, nowhere, true);
}

/* NULL: the file was refused, and a reason must be given. */
static File *load(Program *program, const void *text, size_t len) {
    File *file;

    program_init(program);
    program->closed = true;
    file = program_load_text(program, "fuzz.thrift", text, len);
    if (!file && program->reports.n_errors == 0)
        abort();
    print_reports(program);
    return program->reports.n_errors == 0 ? file : NULL;
}

static void generate(Program *program, File *file, bool tables) {
    Emit emit = {0};

    emit_prepare(&emit, program, file, NULL, tables);
    emit.version = "0";
    if (program->reports.n_errors == 0) {
        emit_files(&emit);
        if (emit.header.len == 0 || emit.source.len == 0)
            abort();
    }
    print_reports(program);
    emit_deinit(&emit);
}

static void check_canonical(const Buffer *text) {
    CLEANUP(buffer_deinit) Buffer again = {0};
    Program program;
    File *file = load(&program, text->data, text->len);

    if (!file)
        abort();
    format_file(&program.region, file, &again);
    if (again.len != text->len || (text->len > 0 && memcmp(again.data, text->data, text->len) != 0))
        abort();
    program_deinit(&program);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    CLEANUP(buffer_deinit) Buffer text = {0};
    Program program;
    File *file = load(&program, data, size);

    if (file) {
        format_file(&program.region, file, &text);
        check_canonical(&text);
        generate(&program, file, size % 2);
    }
    program_deinit(&program);
    return 0;
}
