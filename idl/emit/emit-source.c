/* SPDX-License-Identifier: Apache-2.0 */
/* The source: the tables of types, and their functions. See emit.h. */

#include <string.h>

#include "idl/emit/emit-source.h"

/* Returns the name of the array. */
static const char *put_fields(Emit *emit, const Definition *d) {
    Program *program = emit->program;
    const char *local = c_part(program, d->file, d), *name;
    CLEANUP(buffer_deinit) Buffer rows = {0};

    if (!d->fields)
        return "NULL";
    for (const Field *f = d->fields; f; f = f->next)
        put_row(emit, &rows, local, c_name(program, d), member_name(emit, d, f), flags_of(d, f), f);
    name = own_name(emit, local, "_fields");
    put(&emit->source, "static const ferry_field %s[] = {\n%s};\n\n", name, text_of(&rows));
    return name;
}

/* ---- types ---- */

static void put_enum_table(Emit *emit, const Definition *d) {
    Program *program = emit->program;
    const char *c = c_name(program, d), *local = c_part(program, d->file, d), *notes;
    const char *values = d->values ? own_name(emit, local, "_values") : "NULL";
    CLEANUP(buffer_deinit) Buffer rows = {0};
    size_t n = 0;

    for (const EnumValue *v = d->values; v; v = v->next, n++) {
        const char *name = region_printf(&program->region, "%s_%s", local, v->name.text);

        notes = put_notes(emit, name, v->doc, v->annotations);
        put(&rows, "    {\"%s\", %s, %s},\n", v->name.text,
            v->number == INT32_MIN ? "INT32_MIN"
                                   : region_printf(&program->region, "%lld", (long long)v->number),
            notes);
    }
    if (n > 0)
        put(&emit->source, "static const ferry_enum_value %s[] = {\n%s};\n", values,
            text_of(&rows));
    notes = put_notes(emit, local, d->doc, d->annotations);
    put(&emit->source,
        "const ferry_type ferry_type_%s = {\n"
        "    FERRY_KIND_ENUM, sizeof(%s), \"%s\", %zu, 0, 0, 0,\n"
        "    NULL, %s, NULL, NULL, %s, NULL, NULL,\n};\n\n",
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
    const char *c = c_name(program, d), *local = c_part(program, d->file, d);
    const char *fields = put_fields(emit, d), *notes, *codec;

    codec = d->kind == DEFINITION_UNION ? "NULL, NULL" : put_codec(emit, local, c, d, d->fields);
    notes = put_notes(emit, local, d->doc, d->annotations);
    put(&emit->source,
        "const ferry_type ferry_type_%s = {\n"
        "    FERRY_KIND_%s, sizeof(%s), \"%s\", %zu, 0, 0, 0,\n"
        "    %s, NULL, NULL, NULL, %s,\n    %s,\n};\n\n",
        c, kinds[d->kind], c, wire_name(program, d), count_fields(d->fields), fields, notes, codec);
}

static void put_container_table(Emit *emit, const Container *container) {
    const Type *type = container->type;

    put(&emit->source, "static const ferry_type %s = {\n", container->local);
    if (type->kind == TYPE_MAP)
        put(&emit->source,
            "    FERRY_KIND_MAP, sizeof(%s), NULL, 0,\n"
            "    offsetof(%s_entry, value), sizeof(%s_entry), 0,\n"
            "    NULL, NULL, %s, %s, NULL, NULL, NULL,\n};\n",
            container->c, container->c, container->c, c_table(emit, type->key),
            c_table(emit, type->item));
    else
        put(&emit->source,
            "    FERRY_KIND_%s, sizeof(%s), NULL, 0, 0, 0, 0,\n"
            "    NULL, NULL, NULL, %s, NULL, NULL, NULL,\n};\n",
            type->kind == TYPE_SET ? "SET" : "LIST", container->c, c_table(emit, type->item));
}

static void put_value_function(Emit *emit, const char *c, const char *table, ValueFunction function,
                               bool shared) {
    static const char *const bodies[] = {
        "ferry_value_pack(%s, value, ret, reterr)", "ferry_value_unpack(%s, bytes, ret, reterr)",
        "ferry_value_copy(%s, value, ret, reterr)", "ferry_value_print(%s, value, ret)"};
    const char *table_at = strchr(bodies[function], '%');

    if (shared)
        put(&emit->source, "FERRY_SHARED ");
    put_value_prototype(emit, &emit->source, c, function, " {\n");
    put(&emit->source, "    return %.*s%s%s;\n}\n\n", (int)(table_at - bodies[function]),
        bodies[function], table, table_at + 2);
}

static void put_exception_functions(Emit *emit, const Definition *d) {
    const char *c = c_name(emit->program, d), *part = c_part(emit->program, d->file, d);
    Region *region = &emit->program->region;

    put(&emit->source,
        "const %s *%s_in(const ferry_error *error) {\n"
        "    return (const %s *)ferry_exception_in(error, &ferry_type_%s);\n}\n\n",
        c, c, c, c);
    put_wrapped(&emit->source, region_printf(region, "int %s_throw_%s_at(", emit->prefix, part),
                (const char *const[]){"const char *file", "int line", "const char *func",
                                      "ferry_request *request",
                                      region_printf(region, "const %s *value", c)},
                5, ") {\n");
    put_wrapped(&emit->source, "    return ferry_exception_throw_at(",
                (const char *const[]){"file", "line", "func", "request",
                                      region_printf(region, "&ferry_type_%s", c), "value"},
                6, ");\n}\n\n");
}

static void put_type_functions(Emit *emit, const Definition *d) {
    const char *c = c_name(emit->program, d);

    for (int f = VALUE_PACK; f <= VALUE_PRINT; f++)
        put_value_function(emit, c, region_printf(&emit->program->region, "&ferry_type_%s", c),
                           (ValueFunction)f, false);
    if (d->kind == DEFINITION_EXCEPTION)
        put_exception_functions(emit, d);
}

static void put_container_functions(Emit *emit, const Container *c) {
    for (int f = VALUE_PACK; f <= VALUE_UNPACK; f++)
        put_value_function(emit, c->c, c_table(emit, c->type), (ValueFunction)f, c->shared);
}

static void put_finder(Emit *emit, const Container *c) {
    Region *region = &emit->program->region;
    const Type *key = c->type->key;
    bool by_value = is_scalar(key) || is_string(key) || kind_of(key) == TYPE_BINARY;
    const char *table = c_table(emit, c->type);
    const char *cast = c_pointer(emit, c->type->item, "");

    put_wrapped(&emit->source,
                region_printf(region, "%s%s%s_find(", c->shared ? "FERRY_SHARED " : "", cast, c->c),
                (const char *const[]){region_printf(region, "const %s *map", c->c),
                                      c_parameter(emit, key, false, "key")},
                2, ") {\n");
    put(&emit->source, "    return (%s)ferry_map_find(%s, map, %skey);\n}\n\n", cast, table,
        by_value ? "&" : "");
}

/* ---- the whole source ---- */

static void put_objects(Emit *emit) {
    for (const Definition *d = emit->file->definitions; d; d = d->next) {
        const char *c = upper_case(emit->program, c_name(emit->program, d));
        Hoist hoist = {.arrays = &emit->source};
        const char *value;

        if (d->kind != DEFINITION_CONST || is_macro(d))
            continue;
        if (is_string(d->type)) {
            const Value *text = value_true(d->value);

            put(&emit->source, "const char %s[%zu] = ", c, text->len + 1);
            put_characters(&emit->source, text->text, text->len);
            put(&emit->source, ";\n\n");
            continue;
        }
        hoist.name = own_name(emit, c_part(emit->program, d->file, d), "_items");
        value = c_value(emit, d->type, d->value, &hoist);
        put(&emit->source, "const %s %s = %s;\n\n", c_type(emit, d->type), c, value);
    }
}

void emit_source(Emit *emit) {
    Buffer *to = &emit->source;
    /* Writing the header has already put arrays into the source. */
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
    for (const Container *c = emit->containers; c && !emit->tables; c = c->next) {
        if (c->ours)
            put_container_functions(emit, c);
        if (c->ours && c->type->kind == TYPE_MAP)
            put_finder(emit, c);
    }
    for (const EmitService *s = emit->services; s; s = s->next)
        put_service_source(emit, s);

    /* The beginning of the file depends on the rest. */
    Buffer body = *to;

    *to = (Buffer){0};
    put(to, "/* Made by ferry-idl %s from %s. Do not edit. */\n#include \"%s.h\"\n%s\n",
        emit->version, file ? file + 1 : emit->file->source.path, emit->base,
        emit->has_codec ? "\n#include <ferry/codec.h>\n" : "");
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
