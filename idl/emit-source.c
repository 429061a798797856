/* The source: tables, and functions of two lines. See emit.h. */

#include <string.h>

#include "base/text.h"
#include "idl/emit.h"

static const char *text_of(const Buffer *buffer) {
    return buffer->data ? (const char *)buffer->data : "";
}

/* ---- notes ---- */

/* Compilers need take no longer strings. */
enum { TEXT_MAX = 4000 };

static const char *quoted(Emit *emit, const char *text) {
    size_t len = strlen(text);

    if (len > TEXT_MAX) {
        len = TEXT_MAX;
        while (len > 0 && ((unsigned char)text[len] & 0xC0) == 0x80)
            len--;
    }
    return c_string(emit->program, text, len);
}

/* The table of what is said about something: "&div_notes", or "NULL" when nothing is. */
static const char *put_notes(Emit *emit, const char *stem, const char *doc,
                             const Annotation *annotations) {
    const char *rows = annotations ? own_name(emit, stem, "_annotations") : "NULL", *name;
    size_t n = 0;

    if (!doc && !annotations)
        return "NULL";
    if (annotations)
        put(&emit->source, "static const ferry_annotation %s[] = {\n", rows);
    for (const Annotation *a = annotations; a; a = a->next, n++)
        put(&emit->source, "    {\"%s\", %s},\n", a->name.text, quoted(emit, a->value));
    if (annotations)
        put(&emit->source, "};\n");
    name = own_name(emit, stem, "_notes");
    put(&emit->source, "static const ferry_notes %s = {%s, %zu, %s};\n", name,
        doc ? quoted(emit, doc) : "NULL", n, rows);
    return pool_printf(&emit->program->pool, "&%s", name);
}

/* ---- fields ---- */

/* The object behind a field's default: "&range_step_value", or "NULL". */
static const char *put_default(Emit *emit, const char *name, const Field *field) {
    Pool *pool = &emit->program->pool;
    Hoist hoist = {.arrays = &emit->source};
    const char *object, *value;

    if (!field->value)
        return "NULL";
    hoist.name = own_name(emit, name, "_items");
    object = own_name(emit, name, "_value");
    value = c_value(emit, field->type, field->value, &hoist);
    put(&emit->source, "static const %s = %s;\n",
        is_string(field->type) ? pool_printf(pool, "char *const %s", object)
                               : pool_printf(pool, "%s %s", c_type(emit, field->type), object),
        value);
    return pool_printf(pool, "&%s", object);
}

static const char *flags_of(const Definition *owner, const Field *field) {
    if (field->optional)
        return "FERRY_OPTIONAL";
    if (field->pointer)
        return field->presence == PRESENCE_REQUIRED ? "FERRY_POINTER | FERRY_REQUIRED"
                                                    : "FERRY_POINTER";
    return owner && field->presence == PRESENCE_REQUIRED ? "FERRY_REQUIRED" : "0";
}

static void put_row(Emit *emit, Buffer *to, const char *local, const char *owner,
                    const char *member, const char *flags, const Field *f) {
    Pool *pool = &emit->program->pool;
    const char *name = pool_printf(pool, "%s_%s", local, f->name.text);
    const char *value = put_default(emit, name, f);
    const char *notes = put_notes(emit, name, f->doc, f->annotations);

    put_wrapped(to, "    {",
                (const char *const[]){pool_printf(pool, "\"%s\"", f->name.text),
                                      pool_printf(pool, "%zu", strlen(f->name.text)), flags,
                                      pool_printf(pool, "%lld", (long long)f->id), "0",
                                      pool_printf(pool, "offsetof(%s, %s)", owner, member), "0",
                                      c_table(emit, f->type), value, notes},
                10, "},\n");
}

/* Returns the name of the array. */
static const char *put_fields(Emit *emit, const Definition *d) {
    Program *program = emit->program;
    const char *local = snake_case(program, d->name.text), *name;
    CLEANUP(buffer_deinit) Buffer rows = {0};

    if (!d->fields)
        return "NULL";
    for (const Field *f = d->fields; f; f = f->next)
        put_row(emit, &rows, local, c_name(program, d), member_name(emit, d, f), flags_of(d, f), f);
    name = own_name(emit, local, "_fields");
    put(&emit->source, "static const ferry_field %s[] = {\n%s};\n", name, text_of(&rows));
    return name;
}

/* ---- types ---- */

static void put_enum_table(Emit *emit, const Definition *d) {
    Program *program = emit->program;
    const char *c = c_name(program, d), *local = snake_case(program, d->name.text), *notes;
    const char *values = d->values ? own_name(emit, local, "_values") : "NULL";
    CLEANUP(buffer_deinit) Buffer rows = {0};
    size_t n = 0;

    for (const EnumValue *v = d->values; v; v = v->next, n++) {
        const char *name = pool_printf(&program->pool, "%s_%s", local, v->name.text);

        notes = put_notes(emit, name, v->doc, v->annotations);
        put(&rows, "    {\"%s\", %s, %s},\n", v->name.text,
            v->number == INT32_MIN ? "INT32_MIN"
                                   : pool_printf(&program->pool, "%lld", (long long)v->number),
            notes);
    }
    if (n > 0)
        put(&emit->source, "static const ferry_enum_value %s[] = {\n%s};\n", values,
            text_of(&rows));
    notes = put_notes(emit, local, d->doc, d->annotations);
    put(&emit->source,
        "const ferry_type ferry_type_%s = {\n"
        "    FERRY_KIND_ENUM, sizeof(%s), \"%s\", %zu, 0, 0, 0,\n"
        "    NULL, %s, NULL, NULL, %s,\n};\n\n",
        c, c, wire_name(program, d), n, values, notes);
    put(&emit->source,
        "const char *%s_name(%s value) {\n"
        "    return ferry_enum_name(&ferry_type_%s, value);\n}\n\n",
        c, c, c);
}

static void put_struct_table(Emit *emit, const Definition *d) {
    static const char *const kinds[] = {[DEFINITION_STRUCT] = "STRUCT",
                                        [DEFINITION_UNION] = "UNION",
                                        [DEFINITION_EXCEPTION] = "EXCEPTION"};
    Program *program = emit->program;
    const char *c = c_name(program, d), *local = snake_case(program, d->name.text);
    const char *fields = put_fields(emit, d), *notes;

    notes = put_notes(emit, local, d->doc, d->annotations);
    put(&emit->source,
        "const ferry_type ferry_type_%s = {\n"
        "    FERRY_KIND_%s, sizeof(%s), \"%s\", %zu, 0, 0, 0,\n"
        "    %s, NULL, NULL, NULL, %s,\n};\n\n",
        c, kinds[d->kind], c, wire_name(program, d), count_fields(d->fields), fields, notes);
}

static void put_container_table(Emit *emit, const Container *container) {
    const Type *type = container->type;

    put(&emit->source, "static const ferry_type %s = {\n", container->local);
    if (type->kind == TYPE_MAP)
        put(&emit->source,
            "    FERRY_KIND_MAP, sizeof(%s), NULL, 0,\n"
            "    offsetof(%s_entry, value), sizeof(%s_entry), 0,\n"
            "    NULL, NULL, %s, %s, NULL,\n};\n",
            container->c, container->c, container->c, c_table(emit, type->key),
            c_table(emit, type->item));
    else
        put(&emit->source,
            "    FERRY_KIND_%s, sizeof(%s), NULL, 0, 0, 0, 0,\n"
            "    NULL, NULL, NULL, %s, NULL,\n};\n",
            type->kind == TYPE_SET ? "SET" : "LIST", container->c, c_table(emit, type->item));
}

static void put_type_functions(Emit *emit, const Definition *d) {
    const char *c = c_name(emit->program, d), *part = snake_case(emit->program, d->name.text);
    Pool *pool = &emit->program->pool;

    if (d->kind == DEFINITION_EXCEPTION) {
        put(&emit->source,
            "const %s *%s_in(const ferry_error *error) {\n"
            "    return (const %s *)ferry_exception_in(error, &ferry_type_%s);\n}\n\n",
            c, c, c, c);
        put_wrapped(&emit->source, pool_printf(pool, "int %s_throw_%s_at(", emit->prefix, part),
                    (const char *const[]){"const char *file", "int line", "const char *func",
                                          "ferry_request *request",
                                          pool_printf(pool, "const %s *value", c)},
                    5, ") {\n");
        put_wrapped(&emit->source, "    return ferry_exception_throw_at(",
                    (const char *const[]){"file", "line", "func", "request",
                                          pool_printf(pool, "&ferry_type_%s", c), "value"},
                    6, ");\n}\n\n");
        return;
    }
    put_wrapped(&emit->source, pool_printf(pool, "int %s_pack(", c),
                (const char *const[]){pool_printf(pool, "const %s *value", c), "ferry_bytes *ret",
                                      "ferry_error *reterr"},
                3, ") {\n");
    put(&emit->source, "    return ferry_value_pack(&ferry_type_%s, value, ret, reterr);\n}\n\n",
        c);
    put_wrapped(&emit->source, pool_printf(pool, "int %s_unpack(", c),
                (const char *const[]){"ferry_bytes bytes", pool_printf(pool, "%s **ret", c),
                                      "ferry_error *reterr"},
                3, ") {\n");
    put(&emit->source, "    return ferry_value_unpack(&ferry_type_%s, bytes, ret, reterr);\n}\n\n",
        c);
}

static void put_finder(Emit *emit, const Container *c) {
    Pool *pool = &emit->program->pool;
    const Type *key = c->type->key;
    bool by_value = is_scalar(key) || is_string(key) || kind_of(key) == TYPE_BINARY;
    const char *table = c_table(emit, c->type);
    const char *cast = c_pointer(emit, c->type->item, "");

    put_wrapped(&emit->source, pool_printf(pool, "%s%s_find(", cast, c->c),
                (const char *const[]){pool_printf(pool, "const %s *map", c->c),
                                      c_parameter(emit, key, false, "key")},
                2, ") {\n");
    put(&emit->source, "    return (%s)ferry_map_find(%s, map, %skey);\n}\n\n", cast, table,
        by_value ? "&" : "");
}

/* ---- methods ---- */

static bool behind_pointer(const Field *field) {
    return !field->optional && !is_scalar(field->type) && !is_string(field->type) &&
           kind_of(field->type) != TYPE_BINARY;
}

/* The struct of arguments, its fields and its table. */
static void put_args(Emit *emit, const Method *m) {
    Program *program = emit->program;
    const char *args = args_name(emit, m);
    CLEANUP(buffer_deinit) Buffer rows = {0};

    if (!emit->tables)
        put_args_struct(emit, &emit->source, m);
    for (const Field *f = m->function->args; f; f = f->next)
        if (f != m->in)
            put_row(emit, &rows, m->local, args, argument_name(emit, f),
                    behind_pointer(f)                  ? "FERRY_POINTER"
                    : f->presence == PRESENCE_REQUIRED ? "FERRY_REQUIRED"
                                                       : flags_of(NULL, f),
                    f);
    if (m->n_args > 0)
        put(&emit->source, "static const ferry_field %s_args_fields[] = {\n%s};\n", m->local,
            text_of(&rows));
    put(&emit->source,
        "static const ferry_type %s_args_type = {\n"
        "    FERRY_KIND_ARGS, %s, NULL, %zu, 0, 0, 0,\n    %s, NULL, NULL, NULL, NULL,\n};\n",
        m->local, m->n_args > 0 ? pool_printf(&program->pool, "sizeof(%s)", args) : "0", m->n_args,
        m->n_args > 0 ? pool_printf(&program->pool, "%s_args_fields", m->local) : "NULL");
}

static void put_dispatch(Emit *emit, const Service *s, const Method *m) {
    Pool *pool = &emit->program->pool;
    const char *member = c_word(emit->program, m->function->name.text);
    const char **items = pool_alloc(pool, (m->n_args + 2) * sizeof(*items));
    size_t n = 0;

    put_wrapped(&emit->source, pool_printf(pool, "static int %s_dispatch(", m->local),
                (const char *const[]){"ferry_request *request", "const void *p",
                                      "const void *handlers", "void *ctx"},
                4, ") {\n");
    put(&emit->source, "    const %s_handlers *h = (const %s_handlers *)handlers;\n", s->c, s->c);
    if (m->n_args > 0)
        put(&emit->source, "    const %s_args *args = (const %s_args *)p;\n\n", m->local, m->local);
    else
        put(&emit->source, "\n    (void)p;\n");
    put(&emit->source, "    if (!h->%s)\n        return -ENOSYS;\n", member);
    items[n++] = "request";
    for (const Field *f = m->function->args; f; f = f->next)
        if (f != m->in)
            items[n++] = pool_printf(pool, "args->%s", argument_name(emit, f));
    items[n++] = "ctx";
    put_wrapped(&emit->source, pool_printf(pool, "    return h->%s(", member), items, n,
                ");\n}\n\n");
}

/* Calls back with the method's own type of result. */
static void put_answer(Emit *emit, const Method *m) {
    Pool *pool = &emit->program->pool;
    const char *result = NULL;

    if (m->in || m->out || m->function->oneway)
        return;
    if (m->result && kind_of(m->result) == TYPE_UUID) {
        put(&emit->source, "static const ferry_uuid %s_nothing = {{0}};\n\n", m->local);
        result = pool_printf(pool, "result ? *(const ferry_uuid *)result : %s_nothing", m->local);
    } else if (m->result && is_scalar(m->result)) {
        result = pool_printf(pool, "result ? *(%s)result : %s", c_pointer(emit, m->result, ""),
                             c_zero(emit, m->result));
    } else if (m->result) {
        result = is_string(m->result)
                     ? "(const char *)result"
                     : pool_printf(pool, "(%s)result", c_pointer(emit, m->result, ""));
    }
    put_wrapped(&emit->source, pool_printf(pool, "static void %s_answer(", m->local),
                (const char *const[]){"ferry_any_fn fn", "const void *result",
                                      "const ferry_error *error", "void *ctx"},
                4, ") {\n");
    if (!result)
        put(&emit->source, "    (void)result;\n");
    put_wrapped(&emit->source, pool_printf(pool, "    ((%s_fn)fn)(", m->c),
                result ? (const char *const[]){result, "error", "ctx"}
                       : (const char *const[]){"error", "ctx"},
                result ? 3 : 2, ");\n}\n\n");
}

static const char *put_throws(Emit *emit, const Method *m) {
    Pool *pool = &emit->program->pool;
    CLEANUP(buffer_deinit) Buffer rows = {0};

    for (const Field *f = m->function->throws; f; f = f->next) {
        const char *name = pool_printf(pool, "%s_throws_%s", m->local, f->name.text);
        const char *notes = put_notes(emit, name, f->doc, f->annotations);

        put(&rows, "    {\"%s\", %zu, 0, %lld, 0, 0, 0, %s, NULL, %s},\n", f->name.text,
            strlen(f->name.text), (long long)f->id, c_table(emit, f->type), notes);
    }
    if (!m->function->throws)
        return "NULL";
    put(&emit->source, "static const ferry_field %s_throws[] = {\n%s};\n", m->local,
        text_of(&rows));
    return pool_printf(pool, "%s_throws", m->local);
}

static uint64_t duration(const Annotation *annotations, const char *name) {
    const Annotation *annotation = annotation_find(annotations, name);
    uint64_t ms = 0;

    if (annotation)
        text_parse_ms(annotation->value, &ms);
    return ms;
}

static const char *method_flags(Emit *emit, const Method *m) {
    const Annotation *idempotent = annotation_find(m->function->annotations, "idempotent");
    const char *flags = "";
    const struct {
        bool set;
        const char *name;
    } all[] = {
        {m->function->oneway, "FERRY_ONEWAY"},
        {idempotent && (idempotent->value[0] == 't' || idempotent->value[0] == '1'),
         "FERRY_IDEMPOTENT"},
        {m->in != NULL, "FERRY_STREAM_IN"},
        {m->out != NULL, "FERRY_STREAM_OUT"},
        {m->inherited, "FERRY_INHERITED"},
    };

    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
        if (all[i].set)
            flags = pool_printf(&emit->program->pool, "%s%s%s", flags, *flags ? " | " : "",
                                all[i].name);
    return *flags ? flags : "0";
}

static const char *method_row(Emit *emit, const Method *m) {
    Pool *pool = &emit->program->pool;
    const char *throws = put_throws(emit, m);
    const char *notes = put_notes(emit, m->local, m->function->doc, m->function->annotations);
    bool answers = !emit->tables && !m->in && !m->out && !m->function->oneway;

    return pool_printf(pool,
                       "    {\"%s\", %s, %llu, %llu,\n"
                       "     &%s_args_type, %s, %s, %s,\n"
                       "     %zu, 0, %s, %s, %s, %s},\n",
                       m->function->name.text, method_flags(emit, m),
                       (unsigned long long)duration(m->function->annotations, "timeout"),
                       (unsigned long long)duration(m->function->annotations, "cache.ttl"),
                       m->local, m->result ? c_table(emit, m->result) : "NULL",
                       m->in ? c_table(emit, m->in->type->item) : "NULL",
                       m->out ? c_table(emit, m->out) : "NULL", count_fields(m->function->throws),
                       throws, emit->tables ? "NULL" : pool_printf(pool, "%s_dispatch", m->local),
                       answers ? pool_printf(pool, "%s_answer", m->local) : "NULL", notes);
}

/* ---- functions of methods ---- */

/* "&methods[div_method]" */
static const char *method_ref(Emit *emit, const Service *s, const Method *m) {
    return pool_printf(&emit->program->pool, "&%s[%s_method]", s->table, m->local);
}

/* The struct of arguments, filled in. Returns what to pass. */
static const char *fill_args(Emit *emit, const Method *m) {
    Pool *pool = &emit->program->pool;
    const char **items = pool_alloc(pool, (m->n_args + 1) * sizeof(*items));
    size_t n = 0;

    if (m->n_args == 0)
        return "NULL";
    for (const Field *f = m->function->args; f; f = f->next)
        if (f != m->in)
            items[n++] = argument_name(emit, f);
    put_wrapped(&emit->source, pool_printf(pool, "    %s_args args = {", m->local), items, n,
                "};\n\n");
    return "&args";
}

static void put_body(Emit *emit, const char *call, const char *const *items, size_t n) {
    put_wrapped(&emit->source, pool_printf(&emit->program->pool, "    return %s(", call), items, n,
                ");\n}\n\n");
}

/* What points to the C value of a parameter. */
static const char *address(Emit *emit, const Type *type, const char *name) {
    bool by_value = is_scalar(type) || is_string(type) || kind_of(type) == TYPE_BINARY;

    return pool_printf(&emit->program->pool, "%s%s", by_value ? "&" : "", name);
}

static void put_calls(Emit *emit, const Service *s, const Method *m) {
    Pool *pool = &emit->program->pool;
    const char *service = pool_printf(pool, "ferry_service_%s.name", s->c);
    const char *ref = method_ref(emit, s, m), *args;
    bool streams = m->in || m->out;

    put_prototype(emit, &emit->source, m, PROTOTYPE_CALL, " {\n");
    args = fill_args(emit, m);
    put_body(emit, streams ? "ferry_method_open" : "ferry_method_call",
             (const char *const[]){"client", service, ref, args,
                                   streams || m->result ? "ret" : "NULL", "reterr"},
             6);
    if (streams || m->function->oneway)
        return;
    put_prototype(emit, &emit->source, m, PROTOTYPE_ASYNC, " {\n");
    args = fill_args(emit, m);
    put_body(emit, "ferry_method_call_async",
             (const char *const[]){"client", service, ref, args, "(ferry_any_fn)fn", "ctx"}, 6);
}

static void put_streams(Emit *emit, const Service *s, const Method *m) {
    const char *ref = method_ref(emit, s, m);

    if (m->out) {
        put_prototype(emit, &emit->source, m, PROTOTYPE_NEXT, " {\n");
        put_body(emit, "ferry_stream_next_typed",
                 (const char *const[]){"stream", ref, "ret", "reterr"}, 4);
        put_prototype(emit, &emit->source, m, PROTOTYPE_YIELD, " {\n");
        put_body(emit, "ferry_method_yield",
                 (const char *const[]){"request", ref, address(emit, m->out, "item")}, 3);
    }
    if (m->in) {
        put_prototype(emit, &emit->source, m, PROTOTYPE_SEND, " {\n");
        put_body(emit, "ferry_stream_send_typed",
                 (const char *const[]){"stream", ref, address(emit, m->in->type->item, "item"),
                                       "reterr"},
                 4);
        put_prototype(emit, &emit->source, m, PROTOTYPE_END, " {\n");
        put_body(emit, "ferry_stream_end_typed",
                 (const char *const[]){"stream", ref, m->result ? "ret" : "NULL", "reterr"}, 4);
        put_prototype(emit, &emit->source, m, PROTOTYPE_RECEIVE, " {\n");
        put_body(emit, "ferry_method_receive", (const char *const[]){"request", ref, "ret"}, 3);
    }
}

static void put_method_functions(Emit *emit, const Service *s, const Method *m) {
    put_calls(emit, s, m);
    put_streams(emit, s, m);
    if (m->function->oneway)
        return;
    put_prototype(emit, &emit->source, m, PROTOTYPE_RETURN, " {\n");
    put_body(emit, "ferry_method_return",
             (const char *const[]){"request", method_ref(emit, s, m),
                                   m->result ? address(emit, m->result, "result") : "NULL"},
             3);
}

/* ---- services ---- */

static void put_method_tables(Emit *emit, const Service *s) {
    CLEANUP(buffer_deinit) Buffer rows = {0};

    for (const Method *m = s->methods; m; m = m->next) {
        put_args(emit, m);
        put(&emit->source, "\n");
        if (emit->tables)
            continue;
        put_dispatch(emit, s, m);
        put_answer(emit, m);
    }
    for (const Method *m = s->methods; m; m = m->next)
        put(&rows, "%s", method_row(emit, m));
    if (!s->methods)
        return;
    if (!emit->tables) {
        put(&emit->source, "enum {\n");
        for (const Method *m = s->methods; m; m = m->next)
            put(&emit->source, "    %s_method%s\n", m->local, m->next ? "," : "");
        put(&emit->source, "};\n\n");
    }
    put(&emit->source, "static const ferry_method %s[] = {\n%s};\n", s->table, text_of(&rows));
}

static void put_service(Emit *emit, const Service *s) {
    Program *program = emit->program;
    const char *name = wire_name(program, s->definition), *notes;
    const char *local = pool_printf(&program->pool, "%sservice", s->local);

    put(&emit->source, "/* ---- %s ---- */\n\n", name);
    put_method_tables(emit, s);
    notes = put_notes(emit, local, s->definition->doc, s->definition->annotations);
    put(&emit->source,
        "const ferry_service ferry_service_%s = {\n"
        "    FERRY_SCHEMA_VERSION, %zu, \"%s\", %s, %s, %s,\n};\n\n",
        s->c, s->n_methods, name,
        s->definition->base
            ? pool_printf(&program->pool, "\"%s\"", wire_name(program, s->definition->base))
            : "NULL",
        s->methods ? s->table : "NULL", notes);
    if (emit->tables)
        return;
    for (const Method *m = s->methods; m; m = m->next)
        put_method_functions(emit, s, m);
    put_wrapped(&emit->source, pool_printf(&program->pool, "int %s_serve(", s->c),
                (const char *const[]){
                    "ferry_client *client",
                    pool_printf(&program->pool, "const %s_handlers *handlers", s->c),
                    "const ferry_serve_options *options", "void *ctx", "ferry_error *reterr"},
                5, ") {\n");
    put_body(emit, "ferry_service_serve",
             (const char *const[]){"client", pool_printf(&program->pool, "&ferry_service_%s", s->c),
                                   "handlers", "options", "ctx", "reterr"},
             6);
}

/* ---- the whole ---- */

static void put_objects(Emit *emit) {
    for (const Definition *d = emit->file->definitions; d; d = d->next) {
        const char *c = upper_case(emit->program, c_name(emit->program, d));
        Hoist hoist = {.arrays = &emit->source};
        const char *value;

        if (d->kind != DEFINITION_CONST || is_string(d->type) ||
            (is_scalar(d->type) && kind_of(d->type) != TYPE_UUID))
            continue;
        hoist.name = own_name(emit, snake_case(emit->program, d->name.text), "_items");
        value = c_value(emit, d->type, d->value, &hoist);
        put(&emit->source, "const %s %s = %s;\n\n", c_type(emit, d->type), c, value);
    }
}

void emit_source(Emit *emit) {
    Buffer *to = &emit->source;
    /* The header had some arrays written here already. */
    CLEANUP(buffer_deinit) Buffer arrays = emit->source;
    const char *file = strrchr(emit->file->source.path, '/');

    *to = (Buffer){0};
    put_objects(emit);
    for (const Container *c = emit->containers; c; c = c->next)
        if (c->used)
            put_container_table(emit, c);
    if (to->len > 0)
        put(to, "\n");
    for (const Definition *d = emit->file->definitions; d; d = d->next) {
        if (d->kind == DEFINITION_ENUM)
            put_enum_table(emit, d);
        if (definition_has_fields(d)) {
            put_struct_table(emit, d);
            if (!emit->tables)
                put_type_functions(emit, d);
        }
    }
    for (const Container *c = emit->containers; c && !emit->tables; c = c->next)
        if (c->ours && c->type->kind == TYPE_MAP)
            put_finder(emit, c);
    for (const Service *s = emit->services; s; s = s->next)
        put_service(emit, s);

    /* What stands in front is known only now. */
    Buffer body = *to;

    *to = (Buffer){0};
    put(to, "/* Made by ferry-idl %s from %s. Do not edit. */\n#include \"%s.h\"\n\n",
        emit->version, file ? file + 1 : emit->file->source.path, emit->base);
    if (emit->designates)
        put(to, "#if defined(__cplusplus) && defined(__GNUC__)\n"
                "#pragma GCC diagnostic push\n"
                "#pragma GCC diagnostic ignored \"-Wpedantic\" /* designated initialisers */\n"
                "#if defined(__clang__) || __GNUC__ >= 12\n"
                "#pragma GCC diagnostic ignored \"-Wc++20-extensions\"\n"
                "#endif\n"
                "#endif\n\n");
    put(to, "%s%s%s", text_of(&arrays), arrays.len > 0 ? "\n" : "", text_of(&body));
    while (to->len > 2 && to->data[to->len - 1] == '\n' && to->data[to->len - 2] == '\n')
        to->len--;
    if (emit->designates)
        put(to, "\n#if defined(__cplusplus) && defined(__GNUC__)\n#pragma GCC diagnostic "
                "pop\n#endif\n");
    buffer_deinit(&body);
}
