/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the services, containers and names of one file before the files are written. See emit.h. */

#include <string.h>

#include "idl/emit/header-names.h"

/* ---- services ---- */

static const char *method_doc(Emit *emit, const Function *function) {
    Region *region = &emit->program->region;
    const Annotation *deprecated = annotation_find(function->annotations, "deprecated");
    const char *doc = function->doc ? function->doc : "";

    for (const Field *field = function->throws; field; field = field->next)
        doc = region_printf(region, "%s%s%s", doc,
                            field != function->throws ? ", "
                            : *doc                    ? " Throws "
                                                      : "Throws ",
                            c_name(emit->program, type_definition(field->type)));
    if (function->throws)
        doc = region_printf(region, "%s.", doc);
    if (deprecated)
        doc = region_printf(region, "%s%sDeprecated%s%s.", doc, *doc ? " " : "",
                            deprecated->has_value ? ": " : "",
                            deprecated->has_value ? deprecated->value : "");
    for (const Field *field = function->args; field; field = field->next)
        if (field->doc)
            doc = region_printf(region, "%s%s%s: %s", doc, *doc ? "\n" : "", field->name.text,
                                field->doc);
    return *doc ? doc : NULL;
}

static EmitMethod *method_new(Emit *emit, const EmitService *service, const Function *function) {
    Region *region = &emit->program->region;
    EmitMethod *method = region_new(region, EmitMethod);

    method->function = function;
    method->service = service->definition;
    method->inherited = function->owner != service->definition;
    method->word = c_spelling(function->annotations, function->name.text);
    method->c = region_printf(region, "%s_%s", service->c, method->word);
    method->local = region_printf(region, "%s%s", service->local, method->word);
    method->doc = method_doc(emit, function);
    for (const Field *field = function->args; field; field = field->next)
        if (field->type->kind == TYPE_STREAM)
            method->in = field;
        else
            method->n_args++;
    if (function->result && function->result->kind == TYPE_STREAM)
        method->out = function->result->item;
    else
        method->result = function->result;
    return method;
}

/* Inherited methods come first. */
static void add_methods(Emit *emit, EmitService *service, const Definition *from,
                        EmitMethod ***last) {
    if (from->base)
        add_methods(emit, service, from->base, last);
    for (const Function *function = from->functions; function; function = function->next) {
        EmitMethod *method;

        if (++emit->n_methods >= PROGRAM_METHODS_MAX) {
            if (emit->n_methods == PROGRAM_METHODS_MAX)
                report_error(&emit->program->reports, service->definition->name.place, NULL,
                             "there are more than %d methods, including inherited ones",
                             PROGRAM_METHODS_MAX);
            return;
        }
        method = method_new(emit, service, function);

        **last = method;
        *last = &method->next;
        service->n_methods++;
    }
}

static EmitService *service_new(Emit *emit, const Definition *definition) {
    Program *program = emit->program;
    EmitService *service = region_new(&program->region, EmitService);
    EmitMethod **last = &service->methods;

    service->definition = definition;
    service->c = c_name(program, definition);
    service->local =
        strcmp(service->c, emit->prefix) == 0
            ? ""
            : region_printf(&program->region, "%s_", c_part(program, definition->file, definition));
    add_methods(emit, service, definition, &last);
    return service;
}

/* ---- containers ---- */

static void add_containers(Emit *emit, const Type *type) {
    const Type *is;

    if (!type)
        return;
    if (type->kind == TYPE_STREAM) {
        add_containers(emit, type->item);
        return;
    }
    is = type_true(type);
    if (is->kind >= TYPE_LIST && is->kind <= TYPE_MAP)
        container_of(emit, is);
}

static void find_in_service(Emit *emit, const Definition *service) {
    for (const Definition *d = service; d; d = d->base)
        for (const Function *function = d->functions; function; function = function->next) {
            add_containers(emit, function->result);
            for (const Field *f = function->args; f; f = f->next)
                add_containers(emit, f->type);
        }
}

/* Finds containers in the order of the file. The order decides which of two containers gets another
 * name. */
static void find_containers(Emit *emit, const File *file) {
    for (const Definition *d = file->definitions; d; d = d->next) {
        if (d->kind == DEFINITION_CONST || d->kind == DEFINITION_TYPEDEF)
            add_containers(emit, d->type);
        for (const Field *f = definition_has_fields(d) ? d->fields : NULL; f; f = f->next)
            add_containers(emit, f->type);
        if (d->kind == DEFINITION_SERVICE)
            find_in_service(emit, d);
    }
}

/* ---- files ---- */

/* The include in this file through which the other file is included. */
static Place include_of(Program *program, const File *file, const File *other) {
    for (const FileHeader *h = file->headers; h; h = h->next) {
        Files files = {NULL, 0, 0};

        if (h->kind == HEADER_INCLUDE && h->file)
            add_files(program, &files, h->file);
        for (size_t i = 0; i < files.n; i++)
            if (files.v[i] == other)
                return h->name.place;
    }
    return (Place){&file->source, 0, 0};
}

static const char *base_guard(const Emit *emit, const File *file) {
    return c_guard(emit->program, file == emit->file ? emit->base : file->base);
}

/* A program cannot include two headers with the same include guard. */
static void check_guards(Emit *emit, const Files *files) {
    for (size_t i = 0; i < files->n; i++)
        for (size_t k = 0; k < i; k++) {
            const char *guard = base_guard(emit, files->v[i]);

            if (strcmp(guard, base_guard(emit, files->v[k])) != 0)
                continue;
            report_error(&emit->program->reports,
                         include_of(emit->program, emit->file, files->v[k]),
                         "give one of the files another name",
                         "the headers of '%s' and '%s' would both have the include guard '%s'",
                         files->v[k]->source.path, files->v[i]->source.path, guard);
        }
}

/* ---- names ---- */

/* Finds a stem for which the names of all tables of a method are free. */
static const char *take_stem(Emit *emit, const char *stem) {
    static const char *const suffixes[] = {"_method", "_args",   "_args_fields", "_args_type",
                                           "_answer", "_throws", "_dispatch",    "_nothing"};
    enum { N = sizeof(suffixes) / sizeof(*suffixes) };
    Region *region = &emit->program->region;
    size_t n_free = 0;

    while (n_free < N) {
        for (n_free = 0; n_free < N; n_free++)
            if (names_is_taken(&emit->names, region_printf(region, "%s%s", stem, suffixes[n_free])))
                break;
        if (n_free < N)
            stem = region_printf(region, "%s_", stem);
    }
    for (size_t i = 0; i < N; i++)
        names_own(&emit->names, region_printf(region, "%s%s", stem, suffixes[i]));
    return stem;
}

/* Takes the names of a method's arguments and tables. */
static void take_method(Emit *emit, EmitMethod *m) {
    CNames arguments = {.program = emit->program};

    for (const Field *field = m->function->args; field; field = field->next)
        names_take(&arguments, argument_name(emit, field), field->name.place);
    names_deinit(&arguments);
    m->local = take_stem(emit, m->local);
    if (emit->tables)
        names_take(&emit->names, args_name(emit, m), m->function->name.place);
}

static void take_fields(Emit *emit, const Definition *definition) {
    CNames members = {.program = emit->program};

    /* The compiler adds the member "which" to a union. */
    if (definition->kind == DEFINITION_UNION)
        names_take(&members, "which", definition->name.place);
    for (const Field *field = definition->fields; field; field = field->next)
        names_take(&members, member_name(emit, definition, field), field->name.place);
    names_deinit(&members);
}

/* Handlers are members of a struct, so their names cannot be keywords. */
static void take_handlers(Emit *emit, const EmitService *s) {
    CNames members = {.program = emit->program};

    for (const EmitMethod *m = s->methods; m; m = m->next)
        names_take(&members, c_word(emit->program, m->word), m->function->name.place);
    names_deinit(&members);
}

/* Takes the names in headers first. Names that only the source uses are chosen after them. */
static void take_names(Emit *emit, const Files *files) {
    for (size_t i = 0; i < files->n; i++)
        take_file(&emit->names, files->v[i], files->v[i] == emit->file && emit->tables);
    for (Container *c = emit->containers; c; c = c->next)
        if (strncmp(c->c, "ferry_", 6) != 0)
            take_container(emit, c);
    emit->guard = names_own(&emit->names, c_guard(emit->program, emit->base));
    for (Container *c = emit->containers; c; c = c->next)
        c->local = names_own(&emit->names, c->local);
    for (const Definition *d = emit->file->definitions; d; d = d->next)
        if (definition_has_fields(d))
            take_fields(emit, d);
    for (EmitService *s = emit->services; s; s = s->next) {
        s->table =
            names_own(&emit->names, region_printf(&emit->program->region, "%smethods", s->local));
        take_handlers(emit, s);
        for (EmitMethod *m = s->methods; m; m = m->next)
            take_method(emit, m);
    }
}

/* The place of the namespace that is the file's prefix, or the beginning of the file. */
static Place place_of_prefix(const File *file) {
    Place place = {&file->source, 0, 0};
    bool c = false;

    for (const FileHeader *h = file->headers; h; h = h->next)
        if (h->kind == HEADER_NAMESPACE &&
            (strcmp(h->scope.text, "c") == 0 || (!c && strcmp(h->scope.text, "*") == 0))) {
            c = strcmp(h->scope.text, "c") == 0;
            place = h->name.place;
        }
    return place;
}

/* Names of the library begin with ferry_. Only the library's own interfaces, whose namespace is
 * ferry, may have names of this form. */
static void check_prefix(Emit *emit) {
    if (strcmp(emit->prefix, "ferry") != 0 &&
        (strncmp(emit->prefix, "ferry_", 6) != 0 ||
         strcmp(wire_prefix(emit->program, emit->file), "ferry.") == 0))
        return;
    report_error(&emit->program->reports, place_of_prefix(emit->file),
                 "add 'namespace c other_name'",
                 "the C names of this file would begin with '%s_', like the names of the library",
                 emit->prefix);
}

void emit_prepare(Emit *emit, Program *program, File *file, const char *base, bool tables) {
    Files files = {NULL, 0, 0};
    EmitService **last;

    *emit = (Emit){.program = program, .file = file, .tables = tables};
    emit->base = base ? base : file->base;
    last = &emit->services;
    emit->last_container = &emit->containers;
    emit->names.program = emit->own.program = emit->hidden.program = program;
    emit->prefix = c_prefix(program, file);
    for (const Definition *d = file->definitions; d; d = d->next)
        if (d->kind == DEFINITION_SERVICE) {
            *last = service_new(emit, d);
            last = &(*last)->next;
        }
    check_prefix(emit);
    add_files(program, &files, file);
    check_guards(emit, &files);
    for (size_t i = 0; i < files.n; i++)
        find_containers(emit, files.v[i]);
    take_names(emit, &files);
}

void emit_names_deinit(Emit *emit) {
    header_names_deinit(emit);
    names_deinit(&emit->names);
    names_deinit(&emit->own);
    names_deinit(&emit->hidden);
}

const char *own_name(Emit *emit, const char *stem, const char *suffix) {
    const char *name = region_printf(&emit->program->region, "%s%s", stem, suffix);

    for (int i = 2; names_is_taken(&emit->names, name); i++)
        name = region_printf(&emit->program->region, "%s_%d%s", stem, i, suffix);
    return names_own(&emit->own, name);
}
