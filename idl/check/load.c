/* SPDX-License-Identifier: Apache-2.0 */
/* Finds, reads, parses and checks interface files. Each file is read once. See program.h. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "idl/check/check-private.h"
#include "idl/syntax/parser.h"

static const char *base_name(Program *program, const char *path) {
    const char *slash = strrchr(path, '/');
    const char *start = slash ? slash + 1 : path;
    const char *dot = strrchr(start, '.');

    return region_text(&program->region, start,
                       dot && dot > start ? (size_t)(dot - start) : strlen(start));
}

/* Reads the whole file into the region. Returns 0, or a negative errno. */
static int read_source(Program *program, const char *path, Source *source) {
    FILE *stream = fopen(path, "rbe");
    char *text = NULL;
    size_t len = 0, got;
    int r = 0;

    if (!stream)
        return -errno;
    text = malloc(SOURCE_MAX + 1);
    if (!text) {
        fclose(stream);
        return -ENOMEM;
    }
    while (len <= SOURCE_MAX && (got = fread(text + len, 1, SOURCE_MAX + 1 - len, stream)) > 0)
        len += got;
    if (ferror(stream))
        r = errno ? -errno : -EIO;
    else if (len > SOURCE_MAX)
        r = -EFBIG;
    else
        *source = (Source){path, region_text(&program->region, text, len), len, 0};
    free(text);
    fclose(stream);
    return r;
}

/* The text ends at the first NUL byte, so that NUL bytes are reported once. */
static void check_encoding(Program *program, Source *source) {
    const char *nul = memchr(source->text, 0, source->len);

    if (source->len >= 2 &&
        (memcmp(source->text, "\xFF\xFE", 2) == 0 || memcmp(source->text, "\xFE\xFF", 2) == 0)) {
        report_error(&program->reports, ((Place){source, 0, 2}), "save it as UTF-8",
                     "the file is UTF-16");
        source->len = 0;
        return;
    }
    if (nul) {
        report_error(&program->reports, ((Place){source, (uint32_t)(nul - source->text), 1}), NULL,
                     "there is a NUL byte in the file");
        source->len = (size_t)(nul - source->text);
    }
}

static File *file_new(Program *program, const char *path, Source source) {
    File *file = region_new(&program->region, File);

    file->source = source;
    file->source.path = path;
    file->source.order = ++program->n_sources;
    file->base = base_name(program, path);
    check_encoding(program, &file->source);
    return file;
}

enum { FILE_OPEN = 1, FILE_DONE };

static File *load(Program *program, const char *path, const FileHeader *from, int depth);

static void load_includes(Program *program, File *file, int depth);

/* Parses a file, loads its includes, and checks it. */
static void complete(Program *program, File *file, int depth) {
    file->state = FILE_OPEN;
    file->next = program->files; /* so that an include of this file finds it */
    program->files = file;
    parse_file(file, &program->region, &program->reports);
    load_includes(program, file, depth);
    check_file(program, file);
    file->state = FILE_DONE;
}

static File *load(Program *program, const char *path, const FileHeader *from, int depth) {
    Place place = from ? from->name.place : (Place){NULL, 0, 0};
    char *real = program->closed ? NULL : realpath(path, NULL);
    Source source;
    File *file;
    int r;

    if (!real) {
        report_error(&program->reports, place, NULL, "cannot read '%s': %s", path,
                     program->closed ? "includes are not available here" : strerror(errno));
        return NULL;
    }
    for (file = program->files; file; file = file->next)
        if (file->real_path && strcmp(file->real_path, real) == 0)
            break;
    if (file) {
        free(real);
        if (file->state == FILE_OPEN && from) {
            report_error(&program->reports, place,
                         "move the definitions that both need into a third file",
                         "'%s' includes itself through this file", file->source.path);
            return NULL;
        }
        return file;
    }
    r = read_source(program, path, &source);
    if (r == 0) {
        file = file_new(program, region_text(&program->region, path, strlen(path)), source);
        file->real_path = region_text(&program->region, real, strlen(real));
    } else {
        report_error(&program->reports, place, NULL, "cannot read '%s': %s", path, strerror(-r));
    }
    free(real);
    if (r == 0)
        complete(program, file, depth);
    return file;
}

static bool readable(const char *path) {
    FILE *stream = fopen(path, "rbe");

    if (stream)
        fclose(stream);
    return stream != NULL;
}

/* Looks beside the including file, then in the directories of -I. */
static const char *find_include(Program *program, const File *file, const char *name) {
    const char *slash = strrchr(file->source.path, '/'), *path;

    if (name[0] == '/')
        return name;
    path = slash ? region_printf(&program->region, "%.*s/%s", (int)(slash - file->source.path),
                                 file->source.path, name)
                 : name;
    if (readable(path))
        return path;
    for (size_t i = 0; i < program->n_include_dirs; i++) {
        const char *there =
            region_printf(&program->region, "%s/%s", program->include_dirs[i], name);

        if (readable(there))
            return there;
    }
    return NULL;
}

static void load_includes(Program *program, File *file, int depth) {
    for (FileHeader *header = file->headers; header; header = header->next) {
        const char *path;

        if (header->kind != HEADER_INCLUDE)
            continue;
        header->prefix = base_name(program, header->name.text);
        if (depth == PROGRAM_DEPTH_MAX) {
            report_error(&program->reports, header->name.place, NULL,
                         "files include each other more than %d levels deep", PROGRAM_DEPTH_MAX);
            return;
        }
        path = program->closed ? header->name.text : find_include(program, file, header->name.text);
        if (!path)
            report_error(&program->reports, header->name.place,
                         "the compiler looks beside this file, then in the directories of -I",
                         "there is no file '%s'", header->name.text);
        else
            header->file = load(program, path, header, depth + 1);
    }
}

File *program_load(Program *program, const char *path) {
    return load(program, path, NULL, 0);
}

File *program_parse(Program *program, const char *path) {
    Source source;
    File *file;
    int r = read_source(program, path, &source);

    if (r < 0) {
        report_error(&program->reports, ((Place){NULL, 0, 0}), NULL, "cannot read '%s': %s", path,
                     strerror(-r));
        return NULL;
    }
    file = file_new(program, path, source);
    parse_file(file, &program->region, &program->reports);
    return file;
}

File *program_load_text(Program *program, const char *name, const char *text, size_t len) {
    Source source = {name, region_text(&program->region, text, len), len, 0};
    File *file;

    file = file_new(program, name, source);
    complete(program, file, 0);
    return file;
}
