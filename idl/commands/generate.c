/* SPDX-License-Identifier: Apache-2.0 */
/* ferry-idl FILE: compiles interface files to C. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
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
    bool same = there && fread(there, 1, len + 1, stream) == len &&
                (len == 0 || memcmp(there, data, len) == 0);

    free(there);
    if (stream)
        fclose(stream);
    return same;
}

/* Writes a new file with the mode of the old file, and then replaces the old file by it. */
static bool replace(const char *path, const void *data, size_t len) {
    struct stat old;
    char *temporary;
    FILE *stream;
    bool good;

    if (asprintf(&temporary, "%s.%ld.tmp", path, (long)getpid()) < 0)
        return false;
    stream = fopen(temporary, "wbe");
    good = stream && (stat(path, &old) < 0 || fchmod(fileno(stream), old.st_mode & 07777) == 0) &&
           fwrite(data, 1, len, stream) == len;
    if (stream && fclose(stream) != 0)
        good = false;
    good = good && rename(temporary, path) == 0;
    if (!good) {
        int code = errno;

        unlink(temporary);
        errno = code;
    }
    free(temporary);
    return good;
}

int write_file(const char *path, const void *data, size_t len) {
    char *target;
    bool good;

    if (is_same(path, data, len))
        return 0;
    target = realpath(path, NULL); /* a link is kept, and its target is replaced */
    good = replace(target ? target : path, data, len);
    if (!good)
        complain("cannot write '%s': %s", path, strerror(errno));
    free(target);
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

        if (asprintf(&path, "%s/%s.%c", options->out_dir, emit->base, i == 0 ? 'h' : 'c') < 0) {
            fputs("ferry-idl: out of memory\n", stderr);
            return 1;
        }
        r = write_file(path, text->data, text->len);
        free(path);
    }
    return r;
}

static void put_path(Buffer *to, const char *path) {
    for (; *path; path++)
        put(to, *path == ' ' ? "\\ " : *path == '$' ? "$$" : "%c", *path);
}

/* "calc.h calc.c: calc.thrift" */
static void put_dependencies(Buffer *to, const Options *options, const Program *program,
                             const Emit *emit) {
    put_path(to, options->out_dir);
    put(to, "/%s.h ", emit->base);
    put_path(to, options->out_dir);
    put(to, "/%s.c:", emit->base);
    for (const File *file = program->files; file; file = file->next) {
        put(to, " ");
        put_path(to, file->source.path);
    }
    put(to, "\n");
}

static int generate(const Options *options, const char *path, Buffer *dependencies) {
    Program program;
    File *file = load_and_report(&program, options, path);
    Emit emit = {0};
    int r = 1;

    if (file) {
        emit_prepare(&emit, &program, file, options->name, options->tables);
        emit.version = options->version;
    }
    if (file && program.reports.n_errors == 0) {
        emit_files(&emit); /* may report too many values */
        if (emit.header.failed || emit.source.failed)
            fputs("ferry-idl: out of memory\n", stderr);
        else if (program.reports.n_errors == 0)
            r = write_both(options, &emit);
        put_dependencies(dependencies, options, &program, &emit);
    }
    reports_print(&program.reports, stderr, options->colour);
    emit_deinit(&emit);
    program_deinit(&program);
    return r;
}

int command_generate(Options *options) {
    CLEANUP(buffer_deinit) Buffer dependencies = {0};
    int r = 0;

    for (size_t i = 0; i < options->n_files; i++)
        r |= generate(options, options->files[i], &dependencies);
    if (r != 0 || !options->depfile)
        return r;
    if (dependencies.failed) {
        fputs("ferry-idl: out of memory\n", stderr);
        return 1;
    }
    return write_file(options->depfile, dependencies.data, dependencies.len);
}
