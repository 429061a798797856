/* SPDX-License-Identifier: Apache-2.0 */
/* The header: types (emit-types.c), constants, and functions for values, callers and servers. See
 * emit.h. */

#include <string.h>

#include "idl/emit/emit.h"

/* Writes a heading before the first element of its kind. */
static void put_heading(Emit *emit, bool *is_there, const char *text) {
    if (!*is_there)
        put(&emit->header, "%s", text);
    *is_there = true;
}

/* ---- constants ---- */

static void put_const(Emit *emit, const Definition *d) {
    const char *c = upper_case(emit->program, c_name(emit->program, d));
    Hoist none = {.name = c};

    put_comment(&emit->header, "", d->doc);
    if (is_macro(d)) {
        const char *value = c_value(emit, d->type, d->value, &none);

        put(&emit->header, *value == '-' ? "#define %s (%s)\n" : "#define %s %s\n", c, value);
    } else if (is_string(d->type)) {
        put(&emit->header, "extern const char %s[%zu];\n", c, value_true(d->value)->len + 1);
    } else {
        put(&emit->header, "extern const %s %s;\n", c_type(emit, d->type), c);
    }
}

static void put_constants(Emit *emit) {
    bool any = false;

    for (const Definition *d = emit->file->definitions; d; d = d->next) {
        if (d->kind != DEFINITION_CONST)
            continue;
        put_heading(emit, &any, "\n/* ---- constants ---- */\n\n");
        put_const(emit, d);
    }
}

/* ---- declarations that belong to types ---- */

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

static void put_init(Emit *emit, const Definition *d, Buffer *to) {
    Program *program = emit->program;
    const char *c = c_name(program, d);
    const char *head = region_printf(&program->region, "#define %s_INIT", upper_case(program, c));
    const char **items =
        region_alloc(&program->region, (count_fields(d->fields) + 2) * sizeof(*items));
    size_t n = 0;

    for (const Field *f = d->fields; f; f = f->next) {
        Hoist hoist = {
            .name = region_printf(&program->region, "%s_%s_default", c, f->name.text),
            .arrays = &emit->source,
            .declarations = &emit->declarations,
        };

        if (d->kind == DEFINITION_UNION && f->value) {
            put(to, "%s %s\n", head, c_member(emit, d, f, &hoist));
            return;
        }
        items[n++] = c_initial(emit, f, &hoist);
    }
    if (d->kind == DEFINITION_UNION) {
        items[1] = region_printf(&program->region, "{ %s }", n > 0 ? items[0] : "0");
        items[0] = "0";
        n = 2;
    }
    put_macro(to, head, n ? items : (const char *const[]){"0"}, n ? n : 1);
}

static void put_inits(Emit *emit) {
    Buffer macros = {0};

    for (const Definition *d = emit->file->definitions; d; d = d->next)
        if (definition_has_fields(d))
            put_init(emit, d, &macros);
    if (macros.len > 0)
        put(&emit->header, "\n/* ---- structs with their defaults ---- */\n\n");
    put_buffer(&emit->header, &emit->declarations);
    put_buffer(&emit->header, &macros);
    buffer_deinit(&macros);
}

static void put_value_functions(Emit *emit) {
    bool any = false;

    for (const Definition *d = emit->file->definitions; d; d = d->next) {
        if (!definition_has_fields(d))
            continue;
        put_heading(
            emit, &any,
            "\n/* ---- values ----\n *\n"
            " * _pack and _unpack: bodies for topics, queues and caches. _copy: a value with all "
            "that it\n * points to. _print: JSON, for logs. Each result is one block: "
            "ferry_free(ret->block) after\n * _pack, ferry_free(*ret) after the others; also "
            "after a failure.\n */\n\n");
        for (int f = VALUE_PACK; f <= VALUE_PRINT; f++)
            put_value_prototype(emit, &emit->header, c_name(emit->program, d), (ValueFunction)f,
                                ";\n");
    }
    for (const Container *c = emit->containers; c; c = c->next)
        for (int f = VALUE_PACK; c->ours && f <= VALUE_UNPACK; f++) {
            put_heading(emit, &any, "\n/* ---- values ---- */\n\n");
            put_value_prototype(emit, &emit->header, c->c, (ValueFunction)f, ";\n");
        }
}

static void put_finders(Emit *emit) {
    bool any = false;

    for (const Container *c = emit->containers; c; c = c->next) {
        const Type *type = c->type;

        if (!c->ours || type->kind != TYPE_MAP)
            continue;
        put_heading(emit, &any, "\n/* ---- maps: the value of a key, or NULL ---- */\n\n");
        put_wrapped(
            &emit->header,
            region_printf(&emit->program->region, "%s%s_find(", c_pointer(emit, type->item, ""),
                          c->c),
            (const char *const[]){region_printf(&emit->program->region, "const %s *map", c->c),
                                  c_parameter(emit, type->key, false, "key")},
            2, ");\n");
    }
}

static void put_tables(Emit *emit) {
    const char *heading = "\n/* ---- tables ---- */\n\n";
    bool any = false;

    for (const Definition *d = emit->file->definitions; d; d = d->next) {
        if (!definition_has_fields(d) && d->kind != DEFINITION_ENUM)
            continue;
        put_heading(emit, &any, heading);
        put(&emit->header, "extern const ferry_type ferry_type_%s;\n", c_name(emit->program, d));
    }
    for (const EmitService *s = emit->services; s; s = s->next) {
        put_heading(emit, &any, heading);
        put(&emit->header, "extern const ferry_service ferry_service_%s;\n", s->c);
    }
}

static void put_exceptions(Emit *emit) {
    Program *program = emit->program;
    bool any = false;

    for (const Definition *d = emit->file->definitions; d; d = d->next) {
        const char *c = c_name(program, d), *part = c_part(program, d->file, d);

        if (d->kind != DEFINITION_EXCEPTION)
            continue;
        put_heading(emit, &any,
                    "\n/* ---- exceptions ----\n *\n"
                    " * _in: the exception in an error, or NULL if the error is another one. It "
                    "is valid as long as\n"
                    " * the error. _throw_: answers a request with the exception.\n */\n");
        put(&emit->header, "\nconst %s *%s_in(const ferry_error *error);\n", c, c);
        put(&emit->header,
            "#define %s_throw_%s(request, ...) \\\n"
            "    %s_throw_%s_at(FERRY_HERE, request, __VA_ARGS__)\n",
            emit->prefix, part, emit->prefix, part);
        put_wrapped(&emit->header,
                    region_printf(&program->region, "int %s_throw_%s_at(", emit->prefix, part),
                    (const char *const[]){"const char *file", "int line", "const char *func",
                                          "ferry_request *request",
                                          region_printf(&program->region, "const %s *value", c)},
                    5, ");\n");
    }
}

/* ---- services ---- */

static void put_caller(Emit *emit, const EmitMethod *m) {
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
}

static void put_server(Emit *emit, const EmitMethod *m) {
    if (m->in)
        put_prototype(emit, &emit->header, m, PROTOTYPE_RECEIVE, ";\n");
    if (m->out)
        put_prototype(emit, &emit->header, m, PROTOTYPE_YIELD, ";\n");
    if (!m->function->oneway)
        put_prototype(emit, &emit->header, m, PROTOTYPE_RETURN,
                      m->out ? "; /* the end of the stream */\n" : ";\n");
}

static void put_handlers(Emit *emit, const EmitService *s) {
    put(&emit->header, "\ntypedef struct %s_handlers { /* NULL: ferry.NoSuchMethod */\n", s->c);
    for (const EmitMethod *m = s->methods; m; m = m->next)
        put_prototype(emit, &emit->header, m, PROTOTYPE_HANDLER, ";\n");
    if (!s->methods)
        put(&emit->header, "    char nothing; /* C has no empty structs */\n");
    put(&emit->header, "} %s_handlers;\n\n", s->c);
    put_wrapped(&emit->header, region_printf(&emit->program->region, "int %s_serve(", s->c),
                (const char *const[]){
                    "ferry_client *client",
                    region_printf(&emit->program->region, "const %s_handlers *handlers", s->c),
                    "const ferry_serve_options *options", "void *ctx", "ferry_registration **ret",
                    "ferry_error *reterr"},
                6, ");\n\n");
}

static void put_service(Emit *emit, const EmitService *s) {
    const char *name = wire_name(emit->program, s->definition);

    put(&emit->header, "\n/* ---- %s: callers ---- */\n\n", name);
    put_comment(&emit->header, "", s->definition->doc);
    put(&emit->header, s->definition->doc ? "\n" : "");
    for (const EmitMethod *m = s->methods; m; m = m->next)
        put_caller(emit, m);
    put(&emit->header, "\n/* ---- %s: servers ---- */\n", name);
    put_handlers(emit, s);
    for (const EmitMethod *m = s->methods; m; m = m->next)
        put_server(emit, m);
}

/* For --tables: programs then use the structs of arguments directly. */
static void put_arguments(Emit *emit, const EmitService *s) {
    put(&emit->header, "\n/* ---- %s: arguments ---- */\n",
        wire_name(emit->program, s->definition));
    for (const EmitMethod *m = s->methods; m; m = m->next) {
        put(&emit->header, m->n_args > 0 ? "\n" : "");
        put_args_struct(emit, &emit->header, m);
    }
}

static bool is_first_include(const File *file, const FileHeader *include) {
    for (const FileHeader *h = file->headers; h != include; h = h->next)
        if (h->kind == HEADER_INCLUDE && h->file == include->file)
            return false;
    return true;
}

static void put_includes(Emit *emit) {
    bool any = false;

    for (const FileHeader *h = emit->file->headers; h; h = h->next) {
        if (h->kind != HEADER_INCLUDE || !h->file || !is_first_include(emit->file, h))
            continue;
        put_heading(emit, &any, "\n");
        put(&emit->header, "#include \"%s.h\"\n", h->file->base);
    }
}

void emit_header(Emit *emit) {
    Buffer *to = &emit->header;
    const char *file = strrchr(emit->file->source.path, '/');

    put(to, "/* Made by ferry-idl %s from %s. Do not edit. */\n", emit->version,
        file ? file + 1 : emit->file->source.path);
    put(to, "#ifndef %s\n#define %s\n\n#include <ferry/ferry.h>\n", emit->guard, emit->guard);
    put_includes(emit);
    put(to, "\n#ifdef __cplusplus\nextern \"C\" {\n#endif\n");
    if (emit->file->doc) {
        put(to, "\n");
        put_comment(to, "", emit->file->doc);
    }
    put(to,
        "\n/* Structs own no memory. The caller owns the values that a sent value points to. The "
        "values\n"
        " * that a received value points to belong to its block. */\n");
    emit_types(emit);
    put_constants(emit);
    put_inits(emit);
    if (!emit->tables) {
        put_finders(emit);
        put_value_functions(emit);
        put_exceptions(emit);
    }
    for (const EmitService *s = emit->services; s; s = s->next)
        if (emit->tables)
            put_arguments(emit, s);
        else
            put_service(emit, s);
    put_tables(emit);
    put(to, "\n#ifdef __cplusplus\n}\n#endif\n#endif\n");
}
