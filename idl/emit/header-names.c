/* SPDX-License-Identifier: Apache-2.0 */
/* Names in the headers of interface files. See header-names.h. */

#include "idl/emit/header-names.h"

#include <string.h>

/* ---- files ---- */

void add_files(Program *program, Files *files, const File *file) {
    for (size_t i = 0; i < files->n; i++)
        if (files->v[i] == file)
            return;
    for (const FileHeader *h = file->headers; h; h = h->next)
        if (h->kind == HEADER_INCLUDE && h->file)
            add_files(program, files, h->file);
    if (files->n == files->cap) {
        const File **more;

        files->cap = 2 * files->cap + 8;
        more = region_alloc(&program->region, files->cap * sizeof(*more));
        for (size_t i = 0; i < files->n; i++)
            more[i] = files->v[i];
        files->v = more;
    }
    files->v[files->n++] = file;
}

/* ---- names ---- */

static void take(CNames *names, Place place, const char *name, const char *suffix) {
    names_take(names, region_printf(&names->program->region, "%s%s", name, suffix), place);
}

static void take_exception(CNames *names, const Definition *d) {
    Program *program = names->program;
    const char *thrown = region_printf(&program->region, "%s_throw_%s", c_prefix(program, d->file),
                                       c_part(program, d->file, d));

    take(names, d->name.place, c_name(program, d), "_in");
    take(names, d->name.place, thrown, "");
    take(names, d->name.place, thrown, "_at");
}

static void take_definition(CNames *names, const Definition *d) {
    Program *program = names->program;
    const char *c = c_name(program, d), *upper = upper_case(program, c);
    Place place = d->name.place;

    if (d->kind == DEFINITION_CONST) {
        take(names, place, upper, "");
        return;
    }
    take(names, place, c, "");
    if (d->kind == DEFINITION_ENUM) {
        take(names, place, c, "_name");
        for (const EnumValue *v = d->values; v; v = v->next)
            take(names, v->name.place, c_constant(program, d, v->annotations, v->name.text), "");
    }
    if (!definition_has_fields(d))
        return;
    take(names, place, upper, "_INIT");
    take(names, place, c, "_pack");
    take(names, place, c, "_unpack");
    take(names, place, c, "_copy");
    take(names, place, c, "_print");
    if (d->kind == DEFINITION_EXCEPTION)
        take_exception(names, d);
    if (d->kind == DEFINITION_UNION)
        for (const Field *f = d->fields; f; f = f->next)
            take(names, f->name.place, c_constant(program, d, f->annotations, f->name.text), "");
}

static void take_function(CNames *names, const char *service, const Function *function) {
    const char *c = region_printf(&names->program->region, "%s_%s", service,
                                  c_spelling(function->annotations, function->name.text));
    bool out = function->result && function->result->kind == TYPE_STREAM, in = false;
    Place place = function->name.place;

    for (const Field *field = function->args; field; field = field->next)
        in = in || field->type->kind == TYPE_STREAM;
    take(names, place, c, "");
    if (!function->oneway)
        take(names, place, c, "_return");
    if (out) {
        take(names, place, c, "_next");
        take(names, place, c, "_yield");
    }
    if (in) {
        take(names, place, c, "_send");
        take(names, place, c, "_end");
        take(names, place, c, "_receive");
    }
    if (!in && !out && !function->oneway) {
        take(names, place, c, "_async");
        take(names, place, c, "_fn");
    }
}

static void take_service(CNames *names, const Definition *d) {
    const char *c = c_name(names->program, d);
    int n = 0;

    take(names, d->name.place, c, "_handlers");
    take(names, d->name.place, c, "_serve");
    for (const Definition *from = d; from; from = from->base)
        for (const Function *f = from->functions; f && n++ < PROGRAM_METHODS_MAX; f = f->next)
            take_function(names, c, f);
}

void take_file(CNames *names, const File *file, bool tables) {
    for (const Definition *d = file->definitions; d; d = d->next)
        if (d->kind != DEFINITION_SERVICE)
            take_definition(names, d);
        else if (!tables)
            take_service(names, d);
}

typedef struct FileNames {
    struct FileNames *next;
    const File *file;
    CNames names;
} FileNames;

/* The names that containers of a file must not have: all names of the file and of its includes. */
static const CNames *names_of(Emit *emit, const File *file) {
    Files files = {NULL, 0, 0};
    FileNames *own;

    for (own = emit->file_names; own; own = own->next)
        if (own->file == file)
            return &own->names;
    own = region_new(&emit->program->region, FileNames);
    *own = (FileNames){emit->file_names, file, {.program = emit->program, .quiet = true}};
    emit->file_names = own;
    add_files(emit->program, &files, file);
    for (size_t i = 0; i < files.n; i++)
        take_file(&own->names, files.v[i], false);
    return &own->names;
}

static const char *const container_suffixes[] = {"", "_pack", "_unpack", "_entry", "_find"};

enum { OF_ALL = 3, OF_MAPS = 5 }; /* of container_suffixes */

bool is_declared(Emit *emit, const File *file, const char *name, bool map) {
    const CNames *names = names_of(emit, file);
    Region *region = &emit->program->region;

    for (int i = 0; i < (map ? OF_MAPS : OF_ALL); i++)
        if (names_is_taken(names, region_printf(region, "%s%s", name, container_suffixes[i])))
            return true;
    return false;
}

void take_container(Emit *emit, Container *c) {
    bool map = c->type->kind == TYPE_MAP;

    for (int i = 0; i < (map ? OF_MAPS : OF_ALL); i++)
        take(&emit->names, c->place, c->c, container_suffixes[i]);
    if (c->shared)
        take(&emit->names, c->place, upper_case(emit->program, c->c), "_DEFINED");
}

void header_names_deinit(Emit *emit) {
    for (FileNames *own = emit->file_names; own; own = own->next)
        names_deinit(&own->names);
}
