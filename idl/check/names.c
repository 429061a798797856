/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the definitions of a run by their names. See program.h. */

#include "idl/check/program.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/text.h"

typedef struct NameTable {
    UT_hash_handle hh;
    Definition *definition;
} NameTable;

void program_init(Program *program) {
    *program = (Program){.closed = false};
    program->reports.region = &program->region;
}

void program_deinit(Program *program) {
    for (File *file = program->files; file; file = file->next)
        HASH_CLEAR(hh, file->names);
    region_deinit(&program->region);
}

/* ---- names ---- */

static Definition *find_here(const File *file, const char *name) {
    NameTable *entry;

    HASH_FIND(hh, file->names, name, strlen(name), entry);
    return entry ? entry->definition : NULL;
}

Definition *program_find(const File *file, const char *name) {
    const char *dot = strrchr(name, '.');
    Definition *found = NULL;

    if (!dot)
        return find_here(file, name);
    for (const FileHeader *header = file->headers; header && !found; header = header->next)
        if (header->kind == HEADER_INCLUDE && header->file &&
            strlen(header->prefix) == (size_t)(dot - name) &&
            memcmp(header->prefix, name, (size_t)(dot - name)) == 0)
            found = find_here(header->file, dot + 1);
    return found;
}

Definition *program_declare(Program *program, File *file, Definition *definition) {
    Definition *before = find_here(file, definition->name.text);
    NameTable *entry;

    if (before)
        return before;
    entry = region_new(&program->region, NameTable);
    entry->definition = definition;
    HASH_ADD_KEYPTR(hh, file->names, definition->name.text, strlen(definition->name.text), entry);
    if (!hash_added(entry)) {
        fputs("ferry-idl: out of memory\n", stderr);
        exit(EXIT_FAILURE);
    }
    return NULL;
}

const char *program_hint(Program *program, const File *file, const char *name,
                         bool (*fits)(const Definition *definition)) {
    enum { MAX = 500 };
    const char *names[MAX];
    size_t n = 0;
    const char *dot = strrchr(name, '.'), *nearest;

    if (program->reports.n_errors > REPORTS_MAX)
        return NULL; /* hints are slow, and further errors are not printed */
    for (const Definition *d = file->definitions; d && n < MAX; d = d->next)
        if (fits(d))
            names[n++] = d->name.text;
    for (const FileHeader *h = file->headers; h && !dot; h = h->next) {
        Definition *there = h->kind == HEADER_INCLUDE && h->file ? find_here(h->file, name) : NULL;

        if (there && fits(there))
            return region_printf(&program->region, "'%s.%s' has this name", h->prefix, name);
    }
    for (const FileHeader *h = file->headers; h; h = h->next)
        for (const Definition *d = h->kind == HEADER_INCLUDE && h->file ? h->file->definitions
                                                                        : NULL;
             d && n < MAX; d = d->next)
            if (fits(d))
                names[n++] = region_printf(&program->region, "%s.%s", h->prefix, d->name.text);
    nearest = text_nearest(name, names, n);
    return nearest ? region_printf(&program->region, "did you mean '%s'?", nearest) : NULL;
}

const Annotation *annotation_find(const Annotation *annotations, const char *name) {
    for (; annotations; annotations = annotations->next)
        if (strcmp(annotations->name.text, name) == 0)
            return annotations;
    return NULL;
}
