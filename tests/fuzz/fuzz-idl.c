/* Interface files: whatever is accepted is formatted to a text that is accepted too and canonical,
 * and makes C. */

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "idl/emit.h"
#include "idl/format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *format(const char *text, size_t len, size_t *ret_len) {
    Program program;
    Buffer to = {0};
    File *file;

    program_init(&program);
    program.closed = true;
    file = program_load_text(&program, "fuzz.thrift", text, len);
    if (program.reports.n_errors == 0)
        format_file(&program, file, &to);
    else
        to.failed = true;
    program_deinit(&program);
    if (to.failed) {
        buffer_deinit(&to);
        return NULL;
    }
    buffer_append(&to, "", 1);
    *ret_len = to.len - 1;
    return (char *)to.data;
}

static void check_format(const char *text, size_t len) {
    size_t once_len = 0, twice_len = 0;
    char *once = format(text, len, &once_len), *twice;

    if (!once)
        return;
    twice = format(once, once_len, &twice_len);
    if (!twice || once_len != twice_len || memcmp(once, twice, once_len) != 0)
        abort();
    free(once);
    free(twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Program program;
    Emit emit = {0};
    File *file;

    if (size > 64 * 1024)
        return 0;
    program_init(&program);
    program.closed = true;
    file = program_load_text(&program, "fuzz.thrift", (const char *)data, size);
    if (program.reports.n_errors == 0) {
        emit_prepare(&emit, &program, file);
        emit.version = "0";
        if (program.reports.n_errors == 0)
            emit_files(&emit);
        emit_deinit(&emit);
        check_format((const char *)data, size);
    } else {
        /* The printing of reports walks the text too. */
        FILE *sink = fopen("/dev/null", "w");

        if (sink) {
            reports_print(&program.reports, sink, true);
            fclose(sink);
        }
    }
    program_deinit(&program);
    return 0;
}
