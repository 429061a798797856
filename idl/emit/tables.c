/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of types at run time. See tables.h. */

#include "idl/emit/tables.h"

#include <errno.h>
#include <string.h>

#include "base/buffer.h"
#include "idl/emit/c-names.h"
#include "rpc/schema/description/description.h"

/* The table of a definition, which may contain itself. */
typedef struct Known {
    struct Known *next;
    const Definition *definition;
    ferry_type type;
} Known;

typedef struct Maker {
    Program *program;
    Known *known;
} Maker;

static const struct {
    const char *name;
    TypeKind kind;
    const ferry_type *type;
} bases[] = {
    {"bool", TYPE_BOOL, &ferry_type_bool},       {"i8", TYPE_I8, &ferry_type_i8},
    {"i16", TYPE_I16, &ferry_type_i16},          {"i32", TYPE_I32, &ferry_type_i32},
    {"i64", TYPE_I64, &ferry_type_i64},          {"double", TYPE_DOUBLE, &ferry_type_double},
    {"string", TYPE_STRING, &ferry_type_string}, {"binary", TYPE_BINARY, &ferry_type_binary},
    {"uuid", TYPE_UUID, &ferry_type_uuid},
};

enum { N_BASES = sizeof(bases) / sizeof(*bases) };

static const ferry_type *make_named(Maker *maker, const Definition *definition);

static const ferry_type *make(Maker *maker, const Type *type) {
    const Type *real = type_true(type);
    ferry_type *made;

    if (real->kind == TYPE_NAMED)
        return make_named(maker, real->target);
    for (size_t i = 0; i < N_BASES; i++)
        if (bases[i].kind == real->kind)
            return bases[i].type;
    made = region_new(&maker->program->region, ferry_type);
    made->kind = real->kind == TYPE_MAP   ? FERRY_KIND_MAP
                 : real->kind == TYPE_SET ? FERRY_KIND_SET
                                          : FERRY_KIND_LIST;
    made->key = real->key ? make(maker, real->key) : NULL;
    made->item = make(maker, real->item);
    return made;
}

static void make_values(Maker *maker, ferry_type *type, const Definition *definition) {
    ferry_enum_value *values;

    for (const EnumValue *v = definition->values; v; v = v->next)
        type->n++;
    values = region_alloc(&maker->program->region, (type->n + 1) * sizeof(*values));
    type->values = values;
    for (const EnumValue *v = definition->values; v; v = v->next, values++)
        *values = (ferry_enum_value){.name = v->name.text, .value = (int32_t)v->number};
}

static void make_fields(Maker *maker, ferry_type *type, const Definition *definition) {
    ferry_field *fields;

    for (const Field *f = definition->fields; f; f = f->next)
        type->n++;
    fields = region_alloc(&maker->program->region, (type->n + 1) * sizeof(*fields));
    type->fields = fields;
    for (const Field *f = definition->fields; f; f = f->next, fields++)
        *fields = (ferry_field){
            .name = f->name.text,
            .name_len = (uint16_t)strlen(f->name.text),
            .flags = f->optional || f->value ? FERRY_OPTIONAL : 0,
            .id = (int16_t)f->id,
            .type = make(maker, f->type),
        };
}

static const ferry_type *make_named(Maker *maker, const Definition *definition) {
    static const uint32_t kinds[] = {[DEFINITION_ENUM] = FERRY_KIND_ENUM,
                                     [DEFINITION_STRUCT] = FERRY_KIND_STRUCT,
                                     [DEFINITION_UNION] = FERRY_KIND_UNION,
                                     [DEFINITION_EXCEPTION] = FERRY_KIND_EXCEPTION};
    Known *known;

    for (known = maker->known; known; known = known->next)
        if (known->definition == definition)
            return &known->type;
    known = region_new(&maker->program->region, Known);
    *known = (Known){.next = maker->known, .definition = definition};
    known->type.kind = kinds[definition->kind];
    known->type.name = wire_name(maker->program, definition);
    maker->known = known;
    if (definition->kind == DEFINITION_ENUM)
        make_values(maker, &known->type, definition);
    else
        make_fields(maker, &known->type, definition);
    return &known->type;
}

static const ferry_type *find(Maker *maker, const File *file, const char *name) {
    const Definition *definition = program_find(file, name);

    for (size_t i = 0; i < N_BASES; i++)
        if (strcmp(bases[i].name, name) == 0)
            return bases[i].type;
    if (!definition || definition->kind == DEFINITION_CONST ||
        definition->kind == DEFINITION_SERVICE)
        return NULL;
    return definition->kind == DEFINITION_TYPEDEF ? make(maker, definition->type)
                                                  : make_named(maker, definition);
}

/* Writes the tables as the description of a service with one method. Reading the description lays
 * them out. */
int tables_of_type(Program *program, const File *file, const char *name, ferry_service **ret_owner,
                   const ferry_type **ret, ferry_error *reterr) {
    CLEANUP(buffer_deinit) Buffer bytes = {0};
    Maker maker = {.program = program};
    ferry_method method = {.name = "value", .result = find(&maker, file, name)};
    const ferry_service service = {.schema_version = FERRY_SCHEMA_VERSION,
                                   .n_methods = 1,
                                   .name = "interface.Type",
                                   .methods = &method};
    int r;

    if (!method.result)
        return -ENOENT;
    r = description_write(&service, &bytes);
    if (r == 0)
        r = description_read((Span){bytes.data, bytes.len}, ret_owner, reterr);
    if (r == 0)
        *ret = (*ret_owner)->methods[0].result;
    return r;
}
