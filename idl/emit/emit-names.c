/* The services, containers and names of one file, found before anything is written. See emit.h. */

#include <string.h>

#include "idl/emit/emit.h"

/* ---- services ---- */

static const char *method_doc(Emit *emit, const Function *function) {
    Pool *pool = &emit->program->pool;
    const Annotation *deprecated = annotation_find(function->annotations, "deprecated");
    const char *doc = function->doc ? function->doc : "";

    for (const Field *field = function->throws; field; field = field->next)
        doc = pool_printf(pool, "%s%s%s", doc,
                          field != function->throws ? ", "
                          : *doc                    ? " Throws "
                                                    : "Throws ",
                          c_name(emit->program, type_definition(field->type)));
    if (function->throws)
        doc = pool_printf(pool, "%s.", doc);
    if (deprecated)
        doc = pool_printf(pool, "%s%sDeprecated%s%s.", doc, *doc ? " " : "",
                          deprecated->has_value ? ": " : "",
                          deprecated->has_value ? deprecated->value : "");
    for (const Field *field = function->args; field; field = field->next)
        if (field->doc)
            doc = pool_printf(pool, "%s%s%s: %s", doc, *doc ? "\n" : "", field->name.text,
                              field->doc);
    return *doc ? doc : NULL;
}

static Method *method_new(Emit *emit, const Service *service, const Function *function) {
    Pool *pool = &emit->program->pool;
    Method *method = pool_new(pool, Method);

    method->function = function;
    method->service = service->definition;
    method->inherited = function->owner != service->definition;
    method->c = pool_printf(pool, "%s_%s", service->c, function->name.text);
    method->local = pool_printf(pool, "%s%s", service->local, function->name.text);
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

/* Those of the service that is extended come first. */
static void add_methods(Emit *emit, Service *service, const Definition *from, Method ***last) {
    if (from->base)
        add_methods(emit, service, from->base, last);
    for (const Function *function = from->functions; function; function = function->next) {
        Method *method;

        if (++emit->n_methods >= PROGRAM_METHODS_MAX) {
            if (emit->n_methods == PROGRAM_METHODS_MAX)
                report_error(&emit->program->reports, service->definition->name.place, NULL,
                             "there are more than %d methods, with those of services that are "
                             "extended",
                             PROGRAM_METHODS_MAX);
            return;
        }
        method = method_new(emit, service, function);

        **last = method;
        *last = &method->next;
        service->n_methods++;
    }
}

static Service *service_new(Emit *emit, const Definition *definition) {
    Program *program = emit->program;
    Service *service = pool_new(&program->pool, Service);
    Method **last = &service->methods;

    service->definition = definition;
    service->c = c_name(program, definition);
    service->local =
        strcmp(service->c, emit->prefix) == 0
            ? ""
            : pool_printf(&program->pool, "%s_", snake_case(program, definition->name.text));
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

static void find_containers(Emit *emit) {
    for (const Definition *d = emit->file->definitions; d; d = d->next) {
        if (d->kind == DEFINITION_CONST || d->kind == DEFINITION_TYPEDEF)
            add_containers(emit, d->type);
        for (const Field *f = definition_has_fields(d) ? d->fields : NULL; f; f = f->next)
            add_containers(emit, f->type);
    }
    for (const Service *s = emit->services; s; s = s->next)
        for (const Method *m = s->methods; m; m = m->next) {
            add_containers(emit, m->function->result);
            for (const Field *f = m->function->args; f; f = f->next)
                add_containers(emit, f->type);
        }
}

/* ---- names ---- */

static void take(Emit *emit, Place place, const char *name, const char *suffix) {
    names_take(&emit->names, pool_printf(&emit->program->pool, "%s%s", name, suffix), place);
}

static void take_fields(Emit *emit, const Definition *definition) {
    Names members = {.program = emit->program};

    /* A union has a member of ours beside them. */
    if (definition->kind == DEFINITION_UNION)
        names_take(&members, "which", definition->name.place);
    for (const Field *field = definition->fields; field; field = field->next)
        names_take(&members, member_name(emit, definition, field), field->name.place);
    names_deinit(&members);
}

static void take_definition(Emit *emit, const Definition *d) {
    Program *program = emit->program;
    const char *c = c_name(program, d), *upper = upper_case(program, c);
    const char *part = snake_case(program, d->name.text);
    Place place = d->name.place;

    if (d->kind == DEFINITION_CONST) {
        take(emit, place, upper, "");
        return;
    }
    if (d->kind != DEFINITION_SERVICE)
        take(emit, place, c, "");
    if (d->kind == DEFINITION_ENUM) {
        take(emit, place, c, "_name");
        for (const EnumValue *v = d->values; v; v = v->next)
            take(emit, v->name.place, pool_printf(&program->pool, "%s_", upper),
                 upper_case(program, snake_case(program, v->name.text)));
    }
    if (!definition_has_fields(d))
        return;
    take_fields(emit, d);
    take(emit, place, upper, "_INIT");
    if (d->kind == DEFINITION_EXCEPTION) {
        take(emit, place, c, "_in");
        take(emit, place, pool_printf(&program->pool, "%s_throw_%s", emit->prefix, part), "");
        take(emit, place, pool_printf(&program->pool, "%s_throw_%s", emit->prefix, part), "_at");
    } else {
        take(emit, place, c, "_pack");
        take(emit, place, c, "_unpack");
    }
    if (d->kind == DEFINITION_UNION)
        for (const Field *f = d->fields; f; f = f->next)
            take(emit, f->name.place, pool_printf(&program->pool, "%s_", upper),
                 upper_case(program, snake_case(program, f->name.text)));
}

/* A method's tables share a stem that leaves all of their names free. */
static const char *take_stem(Emit *emit, const char *stem) {
    static const char *const suffixes[] = {"_method", "_args",   "_args_fields", "_args_type",
                                           "_answer", "_throws", "_dispatch",    "_nothing"};
    enum { N = sizeof(suffixes) / sizeof(*suffixes) };
    Pool *pool = &emit->program->pool;
    size_t n_free = 0;

    while (n_free < N) {
        for (n_free = 0; n_free < N; n_free++)
            if (names_is_taken(&emit->names, pool_printf(pool, "%s%s", stem, suffixes[n_free])))
                break;
        if (n_free < N)
            stem = pool_printf(pool, "%s_", stem);
    }
    for (size_t i = 0; i < N; i++)
        names_own(&emit->names, pool_printf(pool, "%s%s", stem, suffixes[i]));
    return stem;
}

static void take_method(Emit *emit, Method *m) {
    Place place = m->function->name.place;
    Names arguments = {.program = emit->program};
    bool streams = m->in || m->out;

    for (const Field *field = m->function->args; field; field = field->next)
        names_take(&arguments, argument_name(emit, field), field->name.place);
    names_deinit(&arguments);
    m->local = take_stem(emit, m->local);
    if (emit->tables) {
        take(emit, place, args_name(emit, m), "");
        return;
    }
    take(emit, place, m->c, "");
    if (!m->function->oneway)
        take(emit, place, m->c, "_return");
    if (m->out) {
        take(emit, place, m->c, "_next");
        take(emit, place, m->c, "_yield");
    }
    if (m->in) {
        take(emit, place, m->c, "_send");
        take(emit, place, m->c, "_end");
        take(emit, place, m->c, "_receive");
    }
    if (!streams && !m->function->oneway) {
        take(emit, place, m->c, "_async");
        take(emit, place, m->c, "_fn");
    }
}

/* The handlers are members of a struct, where C's keywords are none. */
static void take_members(Emit *emit, const Service *s) {
    Names members = {.program = emit->program};

    for (const Method *m = s->methods; m; m = m->next)
        names_take(&members, c_word(emit->program, m->function->name.text),
                   m->function->name.place);
    names_deinit(&members);
}

static void take_names(Emit *emit) {
    for (const Definition *d = emit->file->definitions; d; d = d->next)
        take_definition(emit, d);
    for (Container *c = emit->containers; c; c = c->next) {
        if (c->ours)
            take(emit, c->place, c->c, "");
        if (c->ours && c->type->kind == TYPE_MAP) {
            take(emit, c->place, c->c, "_entry");
            take(emit, c->place, c->c, "_find");
        }
        c->local = names_own(&emit->names, c->local);
    }
    for (Service *s = emit->services; s; s = s->next) {
        take(emit, s->definition->name.place, s->c, "_handlers");
        take(emit, s->definition->name.place, s->c, "_serve");
        s->table =
            names_own(&emit->names, pool_printf(&emit->program->pool, "%smethods", s->local));
        take_members(emit, s);
        for (Method *m = s->methods; m; m = m->next)
            take_method(emit, m);
    }
}

void emit_prepare(Emit *emit, Program *program, File *file, bool tables) {
    Service **last;

    *emit = (Emit){.program = program, .file = file, .base = file->base, .tables = tables};
    last = &emit->services;
    emit->last_container = &emit->containers;
    emit->names.program = emit->own.program = emit->hidden.program = program;
    emit->prefix = c_prefix(program, file);
    for (const Definition *d = file->definitions; d; d = d->next)
        if (d->kind == DEFINITION_SERVICE) {
            *last = service_new(emit, d);
            last = &(*last)->next;
        }
    find_containers(emit);
    take_names(emit);
}

const char *own_name(Emit *emit, const char *stem, const char *suffix) {
    const char *name = pool_printf(&emit->program->pool, "%s%s", stem, suffix);

    for (int i = 2; names_is_taken(&emit->names, name); i++)
        name = pool_printf(&emit->program->pool, "%s_%d%s", stem, i, suffix);
    return names_own(&emit->own, name);
}
