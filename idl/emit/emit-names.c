/* SPDX-License-Identifier: Apache-2.0 */
/* The services, containers and names of one file, found before anything is written. See emit.h. */

#include <string.h>

#include "idl/emit/emit.h"

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

/* Finds containers in the order of the file. Collisions are resolved in this order. */
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

typedef struct Files {
    const File **v;
    size_t n, cap;
} Files;

/* Adds a file after its includes, each once. */
static void add_files(Program *program, Files *files, const File *file) {
    for (size_t i = 0; i < files->n; i++)
        if (files->v[i] == file)
            return;
    for (const Header *h = file->headers; h; h = h->next)
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

/* The include of this file that leads to the other one. */
static Place include_of(Program *program, const File *file, const File *other) {
    for (const Header *h = file->headers; h; h = h->next) {
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

/* A program cannot include two headers with one include guard. */
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

static void take(Names *names, Place place, const char *name, const char *suffix) {
    names_take(names, region_printf(&names->program->region, "%s%s", name, suffix), place);
}

static void take_exception(Names *names, const Definition *d) {
    Program *program = names->program;
    const char *thrown = region_printf(&program->region, "%s_throw_%s", c_prefix(program, d->file),
                                       c_part(program, d->file, d));

    take(names, d->name.place, c_name(program, d), "_in");
    take(names, d->name.place, thrown, "");
    take(names, d->name.place, thrown, "_at");
}

static void take_definition(Names *names, const Definition *d) {
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

static void take_function(Names *names, const char *service, const Function *function) {
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

static void take_service(Names *names, const Definition *d) {
    const char *c = c_name(names->program, d);
    int n = 0;

    take(names, d->name.place, c, "_handlers");
    take(names, d->name.place, c, "_serve");
    for (const Definition *from = d; from; from = from->base)
        for (const Function *f = from->functions; f && n++ < PROGRAM_METHODS_MAX; f = f->next)
            take_function(names, c, f);
}

/* Takes the names in a file's header, except containers. */
static void take_file(Names *names, const File *file, bool tables) {
    for (const Definition *d = file->definitions; d; d = d->next)
        if (d->kind != DEFINITION_SERVICE)
            take_definition(names, d);
        else if (!tables)
            take_service(names, d);
}

typedef struct FileNames {
    struct FileNames *next;
    const File *file;
    Names names;
} FileNames;

/* The names that a file's containers must not have: those of the file and of its includes. */
static const Names *names_of(Emit *emit, const File *file) {
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
    const Names *names = names_of(emit, file);
    Region *region = &emit->program->region;

    for (int i = 0; i < (map ? OF_MAPS : OF_ALL); i++)
        if (names_is_taken(names, region_printf(region, "%s%s", name, container_suffixes[i])))
            return true;
    return false;
}

static void take_container(Emit *emit, Container *c) {
    bool map = c->type->kind == TYPE_MAP;

    for (int i = 0; i < (map ? OF_MAPS : OF_ALL); i++)
        take(&emit->names, c->place, c->c, container_suffixes[i]);
    if (c->shared)
        take(&emit->names, c->place, upper_case(emit->program, c->c), "_DEFINED");
}

/* Finds a stem with which the names of all tables of a method are free. */
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
    Names arguments = {.program = emit->program};

    for (const Field *field = m->function->args; field; field = field->next)
        names_take(&arguments, argument_name(emit, field), field->name.place);
    names_deinit(&arguments);
    m->local = take_stem(emit, m->local);
    if (emit->tables)
        take(&emit->names, m->function->name.place, args_name(emit, m), "");
}

static void take_fields(Emit *emit, const Definition *definition) {
    Names members = {.program = emit->program};

    /* The member "which" of a union is added by the compiler. */
    if (definition->kind == DEFINITION_UNION)
        names_take(&members, "which", definition->name.place);
    for (const Field *field = definition->fields; field; field = field->next)
        names_take(&members, member_name(emit, definition, field), field->name.place);
    names_deinit(&members);
}

/* Handlers are members of a struct, so they cannot be named like keywords. */
static void take_handlers(Emit *emit, const EmitService *s) {
    Names members = {.program = emit->program};

    for (const EmitMethod *m = s->methods; m; m = m->next)
        names_take(&members, c_word(emit->program, m->word), m->function->name.place);
    names_deinit(&members);
}

/* Names in headers come first. Names that only the source has are chosen after them. */
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

/* The namespace that is the file's prefix, or the beginning of the file. */
static Place place_of_prefix(const File *file) {
    Place place = {&file->source, 0, 0};
    bool c = false;

    for (const Header *h = file->headers; h; h = h->next)
        if (h->kind == HEADER_NAMESPACE &&
            (strcmp(h->scope.text, "c") == 0 || (!c && strcmp(h->scope.text, "*") == 0))) {
            c = strcmp(h->scope.text, "c") == 0;
            place = h->name.place;
        }
    return place;
}

/* The library's names begin with ferry_. Its own interfaces may have them: their namespace is
 * ferry. */
static void check_prefix(Emit *emit) {
    if (strcmp(emit->prefix, "ferry") != 0 &&
        (strncmp(emit->prefix, "ferry_", 6) != 0 ||
         strcmp(wire_prefix(emit->program, emit->file), "ferry.") == 0))
        return;
    report_error(
        &emit->program->reports, place_of_prefix(emit->file), "add 'namespace c other_name'",
        "the C names of this file would begin with '%s_', as the library's own do", emit->prefix);
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
    for (FileNames *own = emit->file_names; own; own = own->next)
        names_deinit(&own->names);
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
