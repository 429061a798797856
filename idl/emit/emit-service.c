/* SPDX-License-Identifier: Apache-2.0 */
/* A service in the source: tables and short functions. See emit-source.h. */

#include <string.h>

#include "base/text.h"
#include "idl/emit/emit-source.h"

/* ---- methods ---- */

static bool behind_pointer(const Field *field) {
    return !field->optional && !is_scalar(field->type) && !is_string(field->type) &&
           kind_of(field->type) != TYPE_BINARY;
}

/* Writes the struct of arguments, its fields and its table. */
static void put_args(Emit *emit, const EmitMethod *m) {
    Program *program = emit->program;
    const char *args = args_name(emit, m);
    CLEANUP(buffer_deinit) Buffer rows = {0};
    const char *codec;

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
    codec = m->in ? "NULL, NULL" : put_codec(emit, m->local, args, NULL, m->function->args);
    put(&emit->source,
        "static const ferry_type %s_args_type = {\n"
        "    FERRY_KIND_ARGS, %s, NULL, %zu, 0, 0, 0,\n    %s, NULL, NULL, NULL, NULL,\n    "
        "%s,\n};\n",
        m->local, m->n_args > 0 ? region_printf(&program->region, "sizeof(%s)", args) : "0",
        m->n_args,
        m->n_args > 0 ? region_printf(&program->region, "%s_args_fields", m->local) : "NULL",
        codec);
}

static void put_dispatch(Emit *emit, const EmitService *s, const EmitMethod *m) {
    Region *region = &emit->program->region;
    const char *member = c_word(emit->program, m->word);
    const char **items = region_alloc(region, (m->n_args + 2) * sizeof(*items));
    size_t n = 0;

    put_wrapped(&emit->source, region_printf(region, "static int %s_dispatch(", m->local),
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
            items[n++] = region_printf(region, "args->%s", argument_name(emit, f));
    items[n++] = "ctx";
    put_wrapped(&emit->source, region_printf(region, "    return h->%s(", member), items, n,
                ");\n}\n\n");
}

/* Writes the function that calls the callback with the method's result type. */
static void put_answer(Emit *emit, const EmitMethod *m) {
    Region *region = &emit->program->region;
    const char *result = NULL;

    if (m->in || m->out || m->function->oneway)
        return;
    if (m->result && kind_of(m->result) == TYPE_UUID) {
        put(&emit->source, "static const ferry_uuid %s_nothing = {{0}};\n\n", m->local);
        result =
            region_printf(region, "result ? *(const ferry_uuid *)result : %s_nothing", m->local);
    } else if (m->result && is_scalar(m->result)) {
        result = region_printf(region, "result ? *(%s)result : %s", c_pointer(emit, m->result, ""),
                               c_zero(emit, m->result));
    } else if (m->result) {
        result = is_string(m->result)
                     ? "(const char *)result"
                     : region_printf(region, "(%s)result", c_pointer(emit, m->result, ""));
    }
    put_wrapped(&emit->source, region_printf(region, "static void %s_answer(", m->local),
                (const char *const[]){"ferry_any_fn fn", "const void *result",
                                      "const ferry_error *error", "void *ctx"},
                4, ") {\n");
    if (!result)
        put(&emit->source, "    (void)result;\n");
    put_wrapped(&emit->source, region_printf(region, "    ((%s_fn)fn)(", m->c),
                result ? (const char *const[]){result, "error", "ctx"}
                       : (const char *const[]){"error", "ctx"},
                result ? 3 : 2, ");\n}\n\n");
}

static const char *put_throws(Emit *emit, const EmitMethod *m) {
    Region *region = &emit->program->region;
    CLEANUP(buffer_deinit) Buffer rows = {0};

    for (const Field *f = m->function->throws; f; f = f->next) {
        const char *name = region_printf(region, "%s_throws_%s", m->local, f->name.text);
        const char *notes = put_notes(emit, name, f->doc, f->annotations);

        put(&rows, "    {\"%s\", %zu, 0, %lld, 0, 0, 0, %s, NULL, %s},\n", f->name.text,
            strlen(f->name.text), (long long)f->id, c_table(emit, f->type), notes);
    }
    if (!m->function->throws)
        return "NULL";
    put(&emit->source, "static const ferry_field %s_throws[] = {\n%s};\n", m->local,
        text_of(&rows));
    return region_printf(region, "%s_throws", m->local);
}

static uint64_t duration(const Annotation *annotations, const char *name) {
    const Annotation *annotation = annotation_find(annotations, name);
    uint64_t ms = 0;

    if (annotation)
        text_parse_ms(annotation->value, &ms);
    return ms;
}

static const char *method_flags(Emit *emit, const EmitMethod *m) {
    const Annotation *idempotent = annotation_find(m->function->annotations, "idempotent");
    const Annotation *direct = annotation_find(m->service->annotations, "direct");
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
        {direct && (direct->value[0] == 't' || direct->value[0] == '1'), "FERRY_DIRECT"},
    };

    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
        if (all[i].set)
            flags = region_printf(&emit->program->region, "%s%s%s", flags, *flags ? " | " : "",
                                  all[i].name);
    return *flags ? flags : "0";
}

/* A stream is not an argument in messages, so its name has no row in the table. The name becomes an
 * annotation, for `ferry describe`. */
static const Annotation *method_annotations(Emit *emit, const EmitMethod *m) {
    Annotation *stream;

    if (!m->in)
        return m->function->annotations;
    stream = region_new(&emit->program->region, Annotation);
    stream->next = m->function->annotations;
    stream->name.text = "stream.in";
    stream->value = m->in->name.text;
    stream->has_value = true;
    return stream;
}

static const char *method_row(Emit *emit, const EmitMethod *m) {
    Region *region = &emit->program->region;
    const char *throws = put_throws(emit, m);
    const char *notes = put_notes(emit, m->local, m->function->doc, method_annotations(emit, m));
    bool answers = !emit->tables && !m->in && !m->out && !m->function->oneway;

    return region_printf(region,
                         "    {\"%s\", %s, %llu, %llu,\n"
                         "     &%s_args_type, %s, %s, %s,\n"
                         "     %zu, 0, %s, %s, %s, %s},\n",
                         m->function->name.text, method_flags(emit, m),
                         (unsigned long long)duration(m->function->annotations, "timeout"),
                         (unsigned long long)duration(m->function->annotations, "cache.ttl"),
                         m->local, m->result ? c_table(emit, m->result) : "NULL",
                         m->in ? c_table(emit, m->in->type->item) : "NULL",
                         m->out ? c_table(emit, m->out) : "NULL", count_fields(m->function->throws),
                         throws,
                         emit->tables ? "NULL" : region_printf(region, "%s_dispatch", m->local),
                         answers ? region_printf(region, "%s_answer", m->local) : "NULL", notes);
}

/* ---- functions of methods ---- */

/* "&methods[div_method]" */
static const char *method_ref(Emit *emit, const EmitService *s, const EmitMethod *m) {
    return region_printf(&emit->program->region, "&%s[%s_method]", s->table, m->local);
}

/* Writes a filled struct of arguments. Returns the argument that refers to it. */
static const char *fill_args(Emit *emit, const EmitMethod *m) {
    Region *region = &emit->program->region;
    const char **items = region_alloc(region, (m->n_args + 1) * sizeof(*items));
    size_t n = 0;

    if (m->n_args == 0)
        return "NULL";
    for (const Field *f = m->function->args; f; f = f->next)
        if (f != m->in)
            items[n++] = argument_name(emit, f);
    put_wrapped(&emit->source, region_printf(region, "    %s_args args = {", m->local), items, n,
                "};\n\n");
    return "&args";
}

static void put_body(Emit *emit, const char *call, const char *const *items, size_t n) {
    put_wrapped(&emit->source, region_printf(&emit->program->region, "    return %s(", call), items,
                n, ");\n}\n\n");
}

/* An expression that points to the value of a parameter. */
static const char *address(Emit *emit, const Type *type, const char *name) {
    bool by_value = is_scalar(type) || is_string(type) || kind_of(type) == TYPE_BINARY;

    return region_printf(&emit->program->region, "%s%s", by_value ? "&" : "", name);
}

static void put_calls(Emit *emit, const EmitService *s, const EmitMethod *m) {
    Region *region = &emit->program->region;
    const char *service = region_printf(region, "ferry_service_%s.name", s->c);
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
    put_body(
        emit, "ferry_method_call_async",
        (const char *const[]){"client", service, ref, args, "(ferry_any_fn)fn", "ctx", "reterr"},
        7);
}

static void put_streams(Emit *emit, const EmitService *s, const EmitMethod *m) {
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

static void put_method_functions(Emit *emit, const EmitService *s, const EmitMethod *m) {
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

static void put_method_tables(Emit *emit, const EmitService *s) {
    CLEANUP(buffer_deinit) Buffer rows = {0};

    for (const EmitMethod *m = s->methods; m; m = m->next) {
        put_args(emit, m);
        put(&emit->source, "\n");
        if (emit->tables)
            continue;
        put_dispatch(emit, s, m);
        put_answer(emit, m);
    }
    for (const EmitMethod *m = s->methods; m; m = m->next)
        put(&rows, "%s", method_row(emit, m));
    if (!s->methods)
        return;
    if (!emit->tables) {
        put(&emit->source, "enum {\n");
        for (const EmitMethod *m = s->methods; m; m = m->next)
            put(&emit->source, "    %s_method%s\n", m->local, m->next ? "," : "");
        put(&emit->source, "};\n\n");
    }
    put(&emit->source, "static const ferry_method %s[] = {\n%s};\n", s->table, text_of(&rows));
}

void put_service_source(Emit *emit, const EmitService *s) {
    Program *program = emit->program;
    const char *name = wire_name(program, s->definition), *notes;
    const char *local = region_printf(&program->region, "%sservice", s->local);

    put(&emit->source, "/* ---- %s ---- */\n\n", name);
    put_method_tables(emit, s);
    notes = put_notes(emit, local, s->definition->doc, s->definition->annotations);
    put(&emit->source,
        "const ferry_service ferry_service_%s = {\n"
        "    FERRY_SCHEMA_VERSION, %zu, \"%s\", %s, %s, %s,\n};\n\n",
        s->c, s->n_methods, name,
        s->definition->base
            ? region_printf(&program->region, "\"%s\"", wire_name(program, s->definition->base))
            : "NULL",
        s->methods ? s->table : "NULL", notes);
    if (emit->tables)
        return;
    for (const EmitMethod *m = s->methods; m; m = m->next)
        put_method_functions(emit, s, m);
    put_wrapped(
        &emit->source, region_printf(&program->region, "int %s_serve(", s->c),
        (const char *const[]){"ferry_client *client",
                              region_printf(&program->region, "const %s_handlers *handlers", s->c),
                              "const ferry_serve_options *options", "void *ctx",
                              "ferry_registration **ret", "ferry_error *reterr"},
        6, ") {\n");
    put_body(emit, "ferry_serve",
             (const char *const[]){"client",
                                   region_printf(&program->region, "&ferry_service_%s", s->c),
                                   "handlers", "options", "ctx", "ret", "reterr"},
             7);
}
