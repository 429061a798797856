/* ferry-idl FILE: C for interface files. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "idl/commands/commands.h"
#include "idl/emit/emit.h"

File *load_and_report(Program *program, const Options *options, const char *path) {
    File *file;

    program_init(program);
    program->include_dirs = options->include_dirs;
    program->n_include_dirs = options->n_include_dirs;
    file = program_load(program, path);
    return program->reports.n_errors == 0 ? file : NULL;
}

static bool is_same(const char *path, const void *data, size_t len) {
    FILE *stream = fopen(path, "rbe");
    char *there = stream ? malloc(len + 1) : NULL;
    bool same = there && fread(there, 1, len + 1, stream) == len && memcmp(there, data, len) == 0;

    free(there);
    if (stream)
        fclose(stream);
    return same;
}

int write_file(const char *path, const void *data, size_t len) {
    char *temporary;
    FILE *stream;
    bool good;

    if (is_same(path, data, len))
        return 0;
    if (asprintf(&temporary, "%s.%ld.tmp", path, (long)getpid()) < 0) {
        fputs("ferry-idl: out of memory\n", stderr);
        return 1;
    }
    stream = fopen(temporary, "wbe");
    good = stream && fwrite(data, 1, len, stream) == len;
    if (stream && fclose(stream) != 0)
        good = false;
    good = good && rename(temporary, path) == 0;
    if (!good) {
        fprintf(stderr, "ferry-idl: cannot write '%s': %s\n", path, strerror(errno));
        unlink(temporary);
    }
    free(temporary);
    return good ? 0 : 1;
}

static int write_both(const Options *options, const Emit *emit) {
    char *path;
    int r = 0;

    if (options->to_stdout) {
        fwrite(emit->header.data, 1, emit->header.len, stdout);
        fwrite(emit->source.data, 1, emit->source.len, stdout);
        return 0;
    }
    for (int i = 0; i < 2 && r == 0; i++) {
        const Buffer *text = i == 0 ? &emit->header : &emit->source;

        if (asprintf(&path, "%s/%s.%c", options->out_dir, emit->base, i == 0 ? 'h' : 'c') < 0)
            return 1;
        r = write_file(path, text->data, text->len);
        free(path);
    }
    return r;
}

static void put_path(Buffer *to, const char *path) {
    for (; *path; path++)
        put(to, *path == ' ' ? "\\ " : *path == '$' ? "$$" : "%c", *path);
}

static int write_depfile(const Options *options, const Program *program, const Emit *emit) {
    CLEANUP(buffer_deinit) Buffer text = {0};

    if (!options->depfile)
        return 0;
    put_path(&text, options->out_dir);
    put(&text, "/%s.h ", emit->base);
    put_path(&text, options->out_dir);
    put(&text, "/%s.c:", emit->base);
    for (const File *file = program->files; file; file = file->next) {
        put(&text, " ");
        put_path(&text, file->source.path);
    }
    put(&text, "\n");
    return text.failed ? 1 : write_file(options->depfile, text.data, text.len);
}

static int generate(const Options *options, const char *path) {
    Program program;
    File *file = load_and_report(&program, options, path);
    Emit emit = {0};
    int r = 1;

    if (file) {
        emit_prepare(&emit, &program, file, options->name, options->tables);
        emit.version = options->version;
    }
    if (file && program.reports.n_errors == 0) {
        emit_files(&emit);
        if (program.reports.n_errors > 0)
            r = 1;
        else if (emit.header.failed || emit.source.failed)
            fputs("ferry-idl: out of memory\n", stderr);
        else
            r = write_both(options, &emit);
        if (r == 0)
            r = write_depfile(options, &program, &emit);
    }
    reports_print(&program.reports, stderr, options->colour);
    emit_deinit(&emit);
    program_deinit(&program);
    return r;
}

int command_generate(Options *options) {
    int r = 0;

    for (size_t i = 0; i < options->n_files; i++)
        r |= generate(options, options->files[i]);
    return r;
}
