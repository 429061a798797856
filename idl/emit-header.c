/* The header: types, then functions of callers, then those of servers. See emit.h. */

#include <string.h>

#include "idl/emit.h"

static const char *guard(Emit *emit) {
    char *name = pool_printf(&emit->program->pool, "%s_H", upper_case(emit->program, emit->base));

    for (char *p = name; *p; p++)
        if (!((*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9')))
            *p = '_';
    return name;
}

/* ---- constants ---- */

static bool is_macro(const Type *type) {
    return (is_scalar(type) && kind_of(type) != TYPE_UUID) || is_string(type);
}

static void put_const(Emit *emit, const Definition *d) {
    const char *c = upper_case(emit->program, c_name(emit->program, d));
    Hoist none = {.name = c};

    put_comment(&emit->header, "", d->doc);
    if (is_macro(d->type)) {
        const char *value = c_value(emit, d->type, d->value, &none);

        put(&emit->header, *value == '-' ? "#define %s (%s)\n" : "#define %s %s\n", c, value);
    } else {
        put(&emit->header, "extern const %s %s;\n", c_type(emit, d->type), c);
    }
}

static void put_constants(Emit *emit) {
    bool any = false;

    for (const Definition *d = emit->file->definitions; d; d = d->next) {
        if (d->kind != DEFINITION_CONST)
            continue;
        if (!any)
            put(&emit->header, "\n/* ---- constants ---- */\n\n");
        any = true;
        put_const(emit, d);
    }
}

/* ---- types ---- */

static void put_enum(Emit *emit, const Definition *d) {
    const char *c = c_name(emit->program, d), *upper = upper_case(emit->program, c);

    put(&emit->header, "\n");
    put_comment(&emit->header, "", d->doc);
    put(&emit->header, "typedef int32_t %s;\n", c);
    if (d->values)
        put(&emit->header, "enum {\n");
    for (const EnumValue *v = d->values; v; v = v->next) {
        put_comment(&emit->header, "    ", v->doc);
        put(&emit->header, "    %s_%s = %s%s\n", upper,
            upper_case(emit->program, snake_case(emit->program, v->name.text)),
            v->number == INT32_MIN
                ? "INT32_MIN"
                : pool_printf(&emit->program->pool, "%lld", (long long)v->number),
            v->next ? "," : "");
    }
    if (d->values)
        put(&emit->header, "};\n");
    put(&emit->header, "const char *%s_name(%s value); /* NULL: it has none */\n", c, c);
}

enum { TYPE_NEW, TYPE_STARTED, TYPE_WRITTEN }; /* Definition.state, while types are written */

static void put_type(Emit *emit, Definition *d);

static bool is_ours(const Emit *emit, const Definition *d) {
    return d->file == emit->file;
}

/* A pointer to it is to be declared: its name must be known. */
static void need_name(Emit *emit, const Type *type) {
    const Type *is = type_true(type);

    if (type->kind == TYPE_NAMED && type->target->kind == DEFINITION_TYPEDEF &&
        is_ours(emit, type->target)) {
        put_type(emit, type->target);
        return;
    }
    if (is->kind != TYPE_NAMED || !is_ours(emit, is->target) ||
        is->target->kind == DEFINITION_ENUM || is->target->state == TYPE_WRITTEN)
        return;
    if (is->target->state != TYPE_STARTED || !is->target->declared) {
        put(&emit->header, "typedef struct %s %s;\n", c_name(emit->program, is->target),
            c_name(emit->program, is->target));
        is->target->declared = true;
    }
}

/* A value of it is to be declared: all of it must be known. */
static void need_type(Emit *emit, const Type *type);

static void put_entry(Emit *emit, Container *container) {
    const Type *type = container->type;

    if (container->has_entry)
        return;
    container->has_entry = true;
    put(&emit->header, "\nstruct %s_entry {\n    %s;\n    %s;\n};\n", container->c,
        c_declare(emit, type->key, "key"), c_declare(emit, type->item, "value"));
}

static bool is_complete(Emit *emit, const Type *type) {
    const Type *is = type_true(type);

    if (is->kind == TYPE_NAMED)
        return !is_ours(emit, is->target) || is->target->kind == DEFINITION_ENUM ||
               is->target->state == TYPE_WRITTEN;
    return is->kind <= TYPE_UUID || container_of(emit, is)->declared;
}

static void need_container(Emit *emit, const Type *type) {
    Container *container = container_of(emit, type);
    const char *c = container->c;

    if (!container->ours || container->declared)
        return;
    container->declared = true;
    if (type->kind == TYPE_MAP) {
        put(&emit->header,
            "\ntypedef struct %s_entry %s_entry;\ntypedef struct %s {\n    size_t n;\n"
            "    const %s_entry *v;\n} %s;\n",
            c, c, c, c, c);
        need_name(emit, type->key);
        need_name(emit, type->item);
        if (kind_of(type->item) >= TYPE_LIST && kind_of(type->item) <= TYPE_MAP)
            need_type(emit, type->item);
        if (kind_of(type->key) >= TYPE_LIST && kind_of(type->key) <= TYPE_MAP)
            need_type(emit, type->key);
        if (is_complete(emit, type->key) && is_complete(emit, type->item))
            put_entry(emit, container);
        return;
    }
    need_name(emit, type->item);
    if (kind_of(type->item) >= TYPE_LIST && kind_of(type->item) <= TYPE_MAP)
        need_type(emit, type->item);
    put(&emit->header, "\ntypedef struct %s {\n    size_t n;\n    %s;\n} %s;\n", c,
        c_pointer(emit, type->item, "v"), c);
}

static void need_type(Emit *emit, const Type *type) {
    const Type *is = type_true(type);

    if (type->kind == TYPE_NAMED && is_ours(emit, type->target))
        put_type(emit, type->target);
    else if (is->kind >= TYPE_LIST && is->kind <= TYPE_MAP)
        need_container(emit, is);
}

static void put_typedef(Emit *emit, Definition *d) {
    const Type *is = type_true(d->type);
    const char *c = c_name(emit->program, d);

    if (is->kind == TYPE_NAMED)
        need_name(emit, d->type);
    else
        need_type(emit, d->type);
    put(&emit->header, "\n");
    put_comment(&emit->header, "", d->doc);
    put(&emit->header, "typedef %s;\n", c_declare(emit, d->type, c));
}

/* What stands behind a field: its documentation, if it is short, and whether it may be absent. */
static void put_field(Emit *emit, const Definition *owner, const Field *field, const char *indent) {
    Pool *pool = &emit->program->pool;
    const char *name = member_name(emit, owner, field), *note = "", *line;
    bool behind = field->optional || field->pointer;

    line = is_string(field->type) || !behind ? c_declare(emit, field->type, name)
                                             : c_pointer(emit, field->type, name);
    if (field->optional)
        note = field->value ? "optional: received as its default when absent"
                            : "optional: NULL when absent";
    if (field->doc && !strchr(field->doc, '\n'))
        note = pool_printf(pool, "%s%s%s", field->doc, *note ? " " : "",
                           *note ? pool_printf(pool, "(%s)", note) : "");
    else
        put_comment(&emit->header, indent, field->doc);
    if (*note && strlen(indent) + strlen(line) + strlen(note) + 8 > 100) {
        put_comment(&emit->header, indent, note);
        note = "";
    }
    put(&emit->header, "%s%s;", indent, line);
    if (*note)
        put_comment(&emit->header, " ", note);
    else
        put(&emit->header, "\n");
}

static void put_members(Emit *emit, const Definition *d) {
    const char *upper = upper_case(emit->program, c_name(emit->program, d));

    if (d->kind != DEFINITION_UNION) {
        for (const Field *f = d->fields; f; f = f->next)
            put_field(emit, d, f, "    ");
        if (!d->fields)
            put(&emit->header, "    char nothing; /* C has no empty structs */\n");
        return;
    }
    put(&emit->header, "    int32_t which; /* %s_...; 0: one that is not known here */\n", upper);
    put(&emit->header, "    union {\n");
    for (const Field *f = d->fields; f; f = f->next)
        put_field(emit, d, f, "        ");
    put(&emit->header, "    };\n");
}

static void put_which(Emit *emit, const Definition *d) {
    const char *upper = upper_case(emit->program, c_name(emit->program, d));
    int which = 1;

    put(&emit->header, "enum {\n");
    for (const Field *f = d->fields; f; f = f->next)
        put(&emit->header, "    %s_%s = %d%s\n", upper,
            upper_case(emit->program, snake_case(emit->program, f->name.text)), which++,
            f->next ? "," : "");
    put(&emit->header, "};\n");
}

static void put_struct(Emit *emit, Definition *d) {
    const char *c = c_name(emit->program, d);
    bool above = d->doc && (strchr(d->doc, '\n') || strlen(d->doc) + 2 * strlen(c) > 70);

    for (const Field *f = d->fields; f; f = f->next) {
        if ((f->optional || f->pointer) && kind_of(f->type) == TYPE_NAMED)
            need_name(emit, f->type);
        else
            need_type(emit, f->type);
    }
    put(&emit->header, "\n");
    if (above)
        put_comment(&emit->header, "", d->doc);
    put(&emit->header, d->declared ? "struct %s {" : "typedef struct %s {", c);
    if (d->doc && !above)
        put_comment(&emit->header, " ", d->doc);
    else
        put(&emit->header, "\n");
    put_members(emit, d);
    if (d->declared)
        put(&emit->header, "};\n");
    else
        put(&emit->header, "} %s;\n", c);
    if (d->kind == DEFINITION_UNION)
        put_which(emit, d);
}

static void put_type(Emit *emit, Definition *d) {
    if (d->state != TYPE_NEW)
        return;
    d->state = TYPE_STARTED;
    if (d->kind == DEFINITION_TYPEDEF)
        put_typedef(emit, d);
    else if (definition_has_fields(d))
        put_struct(emit, d);
    d->state = TYPE_WRITTEN;
}

static void put_types(Emit *emit) {
    for (Definition *d = emit->file->definitions; d; d = d->next) {
        d->state = TYPE_NEW;
        d->declared = false;
        if (d->kind == DEFINITION_ENUM)
            put_enum(emit, d);
    }
    for (Definition *d = emit->file->definitions; d; d = d->next)
        put_type(emit, d);
    for (Container *c = emit->containers; c; c = c->next)
        need_container(emit, c->type);
    for (Container *c = emit->containers; c; c = c->next)
        if (c->ours && c->type->kind == TYPE_MAP)
            put_entry(emit, c);
}

/* ---- what comes with types ---- */

/* `#define CALC_RANGE_INIT { 0, 0, NULL }`, on lines of at most 100 columns. */
static void put_macro(Buffer *to, const char *head, const char *const *items, size_t n) {
    size_t all = strlen(head) + 4, column = 5;

    for (size_t i = 0; i < n; i++)
        all += strlen(items[i]) + 2;
    put(to, "%s%s", head, all > 100 ? " \\\n    {" : " {");
    for (size_t i = 0; i < n; i++) {
        column += strlen(items[i]) + 2;
        if (all > 100 && i > 0 && column > 98) {
            put(to, " \\\n     ");
            column = strlen(items[i]) + 7;
        }
        put(to, " %s%s", items[i], i + 1 < n ? "," : "");
    }
    put(to, " }\n");
}

static void put_init(Emit *emit, const Definition *d) {
    Program *program = emit->program;
    const char *c = c_name(program, d);
    const char *head = pool_printf(&program->pool, "#define %s_INIT", upper_case(program, c));
    const char **items = pool_alloc(&program->pool, (count_fields(d->fields) + 1) * sizeof(*items));
    size_t n = 0;

    for (const Field *f = d->fields; f; f = f->next) {
        Hoist hoist = {
            .name = pool_printf(&program->pool, "%s_%s_default", c, f->name.text),
            .arrays = &emit->source,
            .declarations = &emit->declarations,
        };

        if (d->kind == DEFINITION_UNION && f->value) {
            put(&emit->header, "%s %s\n", head, c_member(emit, d, f, &hoist));
            return;
        }
        items[n++] = c_initial(emit, f, &hoist);
    }
    if (d->kind == DEFINITION_UNION) {
        items[1] = pool_printf(&program->pool, "{ %s }", items[0]);
        items[0] = "0";
        n = 2;
    }
    put_macro(&emit->header, head, n ? items : (const char *const[]){"0"}, n ? n : 1);
}

static void put_inits(Emit *emit) {
    Buffer macros = {0}, header = emit->header;
    bool any = false;

    emit->header = macros;
    for (const Definition *d = emit->file->definitions; d; d = d->next)
        if (definition_has_fields(d)) {
            any = true;
            put_init(emit, d);
        }
    macros = emit->header;
    emit->header = header;
    if (any)
        put(&emit->header, "\n/* ---- structs with their defaults ---- */\n\n");
    put(&emit->header, "%.*s", (int)emit->declarations.len,
        emit->declarations.data ? (const char *)emit->declarations.data : "");
    put(&emit->header, "%.*s", (int)macros.len, macros.data ? (const char *)macros.data : "");
    buffer_deinit(&macros);
}

static void put_packers(Emit *emit) {
    bool any = false;

    for (const Definition *d = emit->file->definitions; d; d = d->next) {
        const char *c = c_name(emit->program, d);

        if (d->kind != DEFINITION_STRUCT && d->kind != DEFINITION_UNION)
            continue;
        if (!any)
            put(&emit->header, "\n/* ---- bodies for topics, queues and caches ----\n *\n"
                               " * What comes out is a block: ferry_free(ret->block), "
                               "ferry_free(*ret).\n */\n\n");
        any = true;
        put_wrapped(&emit->header, pool_printf(&emit->program->pool, "int %s_pack(", c),
                    (const char *const[]){pool_printf(&emit->program->pool, "const %s *value", c),
                                          "ferry_bytes *ret", "ferry_error *reterr"},
                    3, ");\n");
        put_wrapped(&emit->header, pool_printf(&emit->program->pool, "int %s_unpack(", c),
                    (const char *const[]){"ferry_bytes bytes",
                                          pool_printf(&emit->program->pool, "%s **ret", c),
                                          "ferry_error *reterr"},
                    3, ");\n");
    }
}

static void put_finders(Emit *emit) {
    bool any = false;

    for (const Container *c = emit->containers; c; c = c->next) {
        const Type *type = c->type;

        if (!c->ours || type->kind != TYPE_MAP)
            continue;
        put(&emit->header, "%s", any ? "" : "\n/* The value beside a key, or NULL. */\n");
        any = true;
        put_wrapped(
            &emit->header,
            pool_printf(&emit->program->pool, "%s%s_find(", c_pointer(emit, type->item, ""), c->c),
            (const char *const[]){pool_printf(&emit->program->pool, "const %s *map", c->c),
                                  c_parameter(emit, type->key, false, "key")},
            2, ");\n");
    }
}

static void put_tables(Emit *emit) {
    bool any = false;

    for (const Definition *d = emit->file->definitions; d; d = d->next) {
        if (!definition_has_fields(d) && d->kind != DEFINITION_ENUM)
            continue;
        put(&emit->header, "%sextern const ferry_type ferry_type_%s;\n",
            any ? "" : "\n/* ---- tables ---- */\n\n", c_name(emit->program, d));
        any = true;
    }
    for (const Service *s = emit->services; s; s = s->next)
        put(&emit->header, "%sextern const ferry_service ferry_service_%s;\n",
            any || s != emit->services ? "" : "\n/* ---- tables ---- */\n\n", s->c);
}

static void put_exceptions(Emit *emit) {
    Program *program = emit->program;
    bool any = false;

    for (const Definition *d = emit->file->definitions; d; d = d->next) {
        const char *c = c_name(program, d), *part = snake_case(program, d->name.text);

        if (d->kind != DEFINITION_EXCEPTION)
            continue;
        if (!any)
            put(&emit->header,
                "\n/* ---- exceptions ----\n *\n"
                " * _in: the exception in an error, or NULL when it is another one. "
                "Lives as long as the\n * error. _throw_: a handler's answer.\n */\n");
        any = true;
        put(&emit->header, "\nconst %s *%s_in(const ferry_error *error);\n", c, c);
        put(&emit->header,
            "#define %s_throw_%s(request, ...) \\\n"
            "    %s_throw_%s_at(FERRY_HERE, request, __VA_ARGS__)\n",
            emit->prefix, part, emit->prefix, part);
        put_wrapped(&emit->header,
                    pool_printf(&program->pool, "int %s_throw_%s_at(", emit->prefix, part),
                    (const char *const[]){"const char *file", "int line", "const char *func",
                                          "ferry_request *request",
                                          pool_printf(&program->pool, "const %s *value", c)},
                    5, ");\n");
    }
}

/* ---- services ---- */

static void put_caller(Emit *emit, const Method *m) {
    Program *program = emit->program;

    put_comment(&emit->header, "", m->doc);
    put_prototype(emit, &emit->header, m, PROTOTYPE_CALL, ";\n");
    if (m->out)
        put_prototype(emit, &emit->header, m, PROTOTYPE_NEXT, ";\n");
    if (m->in) {
        put_prototype(emit, &emit->header, m, PROTOTYPE_SEND, ";\n");
        put_prototype(emit, &emit->header, m, PROTOTYPE_END, ";\n");
    }
    if (m->in || m->out || m->function->oneway)
        return;
    if (m->result)
        put(&emit->header, "typedef void (*%s_fn)(%s, const ferry_error *error, void *ctx);\n",
            m->c,
            kind_of(m->result) == TYPE_BINARY ? c_pointer(emit, m->result, "result")
                                              : c_parameter(emit, m->result, false, "result"));
    else
        put(&emit->header, "typedef void (*%s_fn)(const ferry_error *error, void *ctx);\n", m->c);
    put_prototype(emit, &emit->header, m, PROTOTYPE_ASYNC, ";\n");
    (void)program;
}

static void put_server(Emit *emit, const Method *m) {
    if (m->in)
        put_prototype(emit, &emit->header, m, PROTOTYPE_RECEIVE, ";\n");
    if (m->out)
        put_prototype(emit, &emit->header, m, PROTOTYPE_YIELD, ";\n");
    if (!m->function->oneway)
        put_prototype(emit, &emit->header, m, PROTOTYPE_RETURN,
                      m->out ? "; /* the end of the stream */\n" : ";\n");
}

static void put_handlers(Emit *emit, const Service *s) {
    put(&emit->header, "\ntypedef struct %s_handlers { /* NULL: ferry.NoSuchMethod */\n", s->c);
    for (const Method *m = s->methods; m; m = m->next)
        put_prototype(emit, &emit->header, m, PROTOTYPE_HANDLER, ";\n");
    if (!s->methods)
        put(&emit->header, "    char nothing; /* C has no empty structs */\n");
    put(&emit->header, "} %s_handlers;\n\n", s->c);
    put_wrapped(&emit->header, pool_printf(&emit->program->pool, "int %s_serve(", s->c),
                (const char *const[]){
                    "ferry_client *client",
                    pool_printf(&emit->program->pool, "const %s_handlers *handlers", s->c),
                    "const ferry_serve_options *options", "void *ctx", "ferry_error *reterr"},
                5, ");\n\n");
}

static void put_service(Emit *emit, const Service *s) {
    const char *name = wire_name(emit->program, s->definition);

    put(&emit->header, "\n/* ---- %s: callers ---- */\n\n", name);
    put_comment(&emit->header, "", s->definition->doc);
    put(&emit->header, s->definition->doc ? "\n" : "");
    for (const Method *m = s->methods; m; m = m->next)
        put_caller(emit, m);
    put(&emit->header, "\n/* ---- %s: servers ---- */\n", name);
    put_handlers(emit, s);
    for (const Method *m = s->methods; m; m = m->next)
        put_server(emit, m);
}

/* With tables alone, whoever calls or serves does so with these. */
static void put_arguments(Emit *emit, const Service *s) {
    put(&emit->header, "\n/* ---- %s: arguments ---- */\n",
        wire_name(emit->program, s->definition));
    for (const Method *m = s->methods; m; m = m->next) {
        put(&emit->header, m->n_args > 0 ? "\n" : "");
        put_args_struct(emit, &emit->header, m);
    }
}

void emit_header(Emit *emit) {
    Buffer *to = &emit->header;
    const char *name = guard(emit);
    const char *file = strrchr(emit->file->source.path, '/');

    put(to, "/* Made by ferry-idl %s from %s. Do not edit. */\n", emit->version,
        file ? file + 1 : emit->file->source.path);
    put(to, "#ifndef %s\n#define %s\n\n#include <ferry/schema.h>\n", name, name);
    for (const Header *h = emit->file->headers; h; h = h->next)
        if (h->kind == HEADER_INCLUDE && h->file)
            put(to, "%s#include \"%s.h\"\n", h == emit->file->headers ? "\n" : "", h->file->base);
    put(to, "\n#ifdef __cplusplus\nextern \"C\" {\n#endif\n");
    if (emit->file->doc) {
        put(to, "\n");
        put_comment(to, "", emit->file->doc);
    }
    put(to,
        "\n/* Structs own nothing: what they point to is the caller's when sent, the block's when "
        "received. */\n");
    put_types(emit);
    put_constants(emit);
    put_inits(emit);
    if (!emit->tables) {
        put_finders(emit);
        put_packers(emit);
        put_exceptions(emit);
    }
    for (const Service *s = emit->services; s; s = s->next)
        if (emit->tables)
            put_arguments(emit, s);
        else
            put_service(emit, s);
    put_tables(emit);
    put(to, "\n#ifdef __cplusplus\n}\n#endif\n#endif\n");
}
