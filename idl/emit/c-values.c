/* SPDX-License-Identifier: Apache-2.0 */
/* Constants and defaults as C initialisers. See emit.h. */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <ferry/schema.h>

#include "idl/emit/emit.h"

/* A text that is too long for a literal becomes an array. */
static const char *long_text(Emit *emit, const char *text, size_t len, Hoist *hoist) {
    Region *region = &emit->program->region;
    const char *name =
        hoist->n++ ? region_printf(region, "%s_%d", hoist->name, hoist->n) : hoist->name;

    if (hoist->declarations)
        put(hoist->declarations, "extern const char %s[%zu];\n", name, len + 1);
    put(hoist->arrays, "%sconst char %s[%zu] = ", hoist->declarations ? "" : "static ", name,
        len + 1);
    put_characters(hoist->arrays, text, len);
    put(hoist->arrays, ";\n");
    return name;
}

static const char *text(Emit *emit, const Value *value, Hoist *hoist) {
    return value->len > C_STRING_MAX ? long_text(emit, value->text, value->len, hoist)
                                     : c_string(emit->program, value->text, value->len);
}

bool is_macro(const Definition *constant) {
    if (is_string(constant->type))
        return value_true(constant->value)->len <= C_STRING_MAX;
    return is_scalar(constant->type) && kind_of(constant->type) != TYPE_UUID;
}

static const char *integer(Emit *emit, TypeKind kind, int64_t number) {
    Region *region = &emit->program->region;

    if (kind == TYPE_BOOL)
        return number ? "true" : "false";
    if (kind != TYPE_I64)
        return number == INT32_MIN ? "INT32_MIN" : region_printf(region, "%" PRId64, number);
    if (number == INT64_MIN)
        return "INT64_MIN";
    if (number < 0)
        return region_printf(region, "-INT64_C(%" PRId64 ")", -number);
    return region_printf(region, "INT64_C(%" PRId64 ")", number);
}

static const char *real(Emit *emit, const Value *value) {
    double number = value->kind == VALUE_DOUBLE ? value->real : (double)value_number(value);
    char shortest[64];

    snprintf(shortest, sizeof(shortest), "%.17g", number);
    /* Find the shortest text that is read as the same number. */
    for (int digits = 1; digits < 17; digits++) {
        char shorter[64];

        snprintf(shorter, sizeof(shorter), "%.*g", digits, number);
        if (strtod(shorter, NULL) == number) {
            strcpy(shortest, shorter);
            break;
        }
    }
    return region_printf(&emit->program->region, "%s%s", shortest,
                         strpbrk(shortest, ".en") ? "" : ".0");
}

static const char *uuid(Emit *emit, const Value *value) {
    ferry_uuid parsed = {{0}};
    char bytes[16 * 6 + 8], *to = bytes;

    ferry_uuid_parse(value->text, &parsed);
    for (size_t i = 0; i < sizeof(parsed.bytes); i++)
        to += sprintf(to, "%s0x%02x", i ? ", " : "", parsed.bytes[i]);
    return region_printf(&emit->program->region, "{{%s}}", bytes);
}

static const char *enum_value(Emit *emit, const Value *value) {
    Program *program = emit->program;

    if (value->kind != VALUE_NAME)
        return integer(emit, TYPE_I32, value->number);
    return c_constant(program, value->enum_value->owner, value->enum_value->annotations,
                      value->enum_value->name.text);
}

/* Writes elements or entries to an array. Returns "{3, calc_ids}". */
static const char *container(Emit *emit, const Type *type, const Value *value, Hoist *hoist) {
    const Container *of = container_of(emit, type);
    Region *region = &emit->program->region;
    CLEANUP(buffer_deinit) Buffer items = {0};
    const char *name, *element;

    if (value->n == 0)
        return "{0, NULL}";
    for (const Pair *pair = value->items; pair; pair = pair->next) {
        put(&items, "    ");
        if (type->kind == TYPE_MAP)
            put(&items, "{%s, %s},\n", c_value(emit, type->key, pair->key, hoist),
                c_value(emit, type->item, pair->value, hoist));
        else
            put(&items, "%s,\n", c_value(emit, type->item, pair->value, hoist));
    }
    name = hoist->n++ ? region_printf(region, "%s_%d", hoist->name, hoist->n) : hoist->name;
    element =
        type->kind == TYPE_MAP
            ? region_printf(region, "const %s_entry %s[%zu]", of->c, name, value->n)
        : is_string(type->item)
            ? region_printf(region, "const char *const %s[%zu]", name, value->n)
            : region_printf(region, "const %s %s[%zu]", c_type(emit, type->item), name, value->n);
    if (hoist->declarations)
        put(hoist->declarations, "extern %s;\n", element);
    put(hoist->arrays, "%s%s = {\n", hoist->declarations ? "" : "static ", element);
    put_buffer(hoist->arrays, &items);
    put(hoist->arrays, "};\n");
    return region_printf(region, "{%zu, %s}", value->n, name);
}

static const Value *member(const Definition *owner, const Value *value, const Field *field) {
    for (const Pair *pair = value->items; pair; pair = pair->next)
        if (pair_field(owner, pair) == field)
            return pair->value;
    return NULL;
}

/* A value behind a pointer needs an object: an array with one element. */
static const char *pointed_to(Emit *emit, const Type *type, const Value *value, Hoist *hoist) {
    Region *region = &emit->program->region;
    const char *inside = c_value(emit, type, value, hoist);
    const char *name =
        hoist->n++ ? region_printf(region, "%s_%d", hoist->name, hoist->n) : hoist->name;
    const char *object = region_printf(region, "const %s %s[1]", c_type(emit, type), name);

    if (hoist->declarations)
        put(hoist->declarations, "extern %s;\n", object);
    put(hoist->arrays, "%s%s = {%s};\n", hoist->declarations ? "" : "static ", object, inside);
    return name;
}

static const char *member_value(Emit *emit, const Field *field, const Value *value, Hoist *hoist) {
    if (!value)
        return c_initial(emit, field, hoist);
    if ((field->optional || field->pointer) && !is_string(field->type))
        return pointed_to(emit, field->type, value, hoist);
    return c_value(emit, field->type, value, hoist);
}

static const char *structure(Emit *emit, const Definition *owner, const Value *value,
                             Hoist *hoist) {
    Region *region = &emit->program->region;
    const char *text = "";

    for (const Field *field = owner->fields; field; field = field->next)
        text = region_printf(region, "%s%s%s", text, *text ? ", " : "",
                             member_value(emit, field, member(owner, value, field), hoist));
    return region_printf(region, "{%s}", owner->fields ? text : "0");
}

/* C++17 cannot initialise a later member of a union. In the source, compilers accept it as an
 * extension (see emit_source()); in the header, C++ copies an object of the source. */
static const char *later_member(Emit *emit, const Definition *owner, const char *text,
                                Hoist *hoist) {
    Program *program = emit->program;
    const char *name, *macro;

    emit->designates = true;
    if (!hoist->declarations)
        return text;
    name =
        hoist->n++ ? region_printf(&program->region, "%s_%d", hoist->name, hoist->n) : hoist->name;
    macro = upper_case(program, name);
    put(hoist->declarations,
        "extern const %s %s;\n#ifdef __cplusplus\n#define %s %s\n#else\n#define %s %s\n#endif\n",
        c_name(program, owner), name, macro, name, macro, text);
    put(hoist->arrays, "const %s %s = %s;\n", c_name(program, owner), name, text);
    return macro;
}

static const char *holding(Emit *emit, const Definition *owner, const Field *field,
                           const Value *value, Hoist *hoist) {
    Region *region = &emit->program->region;
    const char *inside = member_value(emit, field, value, hoist);
    int which = 1;

    if (field == owner->fields)
        return region_printf(region, "{1, {%s}}", inside);
    for (const Field *f = owner->fields; f != field; f = f->next)
        which++;
    return later_member(
        emit, owner,
        region_printf(region, "{%d, {.%s = %s}}", which, member_name(emit, owner, field), inside),
        hoist);
}

const char *c_member(Emit *emit, const Definition *owner, const Field *field, Hoist *hoist) {
    return holding(emit, owner, field, field->value, hoist);
}

static const char *one_of(Emit *emit, const Definition *owner, const Value *value, Hoist *hoist) {
    for (const Field *field = owner->fields; field; field = field->next) {
        const Value *set = member(owner, value, field);

        if (set)
            return holding(emit, owner, field, set, hoist);
    }
    return "{0}";
}

const char *c_value(Emit *emit, const Type *type, const Value *value, Hoist *hoist) {
    const Type *is = type_true(type);
    const Value *set = value_true(value);

    /* If constants use constants, each line can double the number of values. */
    if (++emit->n_values >= PROGRAM_VALUES_MAX) {
        if (emit->n_values == PROGRAM_VALUES_MAX)
            report_error(&emit->program->reports, value->place, NULL,
                         "constants and defaults have more than %d values", PROGRAM_VALUES_MAX);
        return "0";
    }
    switch (is->kind) {
    case TYPE_DOUBLE:
        return real(emit, set);
    case TYPE_STRING:
        return text(emit, set, hoist);
    case TYPE_BINARY:
        return region_printf(&emit->program->region, "{%s, %zu, NULL}", text(emit, set, hoist),
                             set->len);
    case TYPE_UUID:
        return uuid(emit, set);
    case TYPE_LIST:
    case TYPE_SET:
    case TYPE_MAP:
        return container(emit, is, set, hoist);
    case TYPE_NAMED:
        if (is->target->kind == DEFINITION_ENUM)
            return enum_value(emit, set);
        if (is->target->kind == DEFINITION_UNION)
            return one_of(emit, is->target, set, hoist);
        return structure(emit, is->target, set, hoist);
    default:
        return integer(emit, is->kind, value_number(set));
    }
}

const char *c_zero(Emit *emit, const Type *type) {
    const Type *is = type_true(type);

    switch (is->kind) {
    case TYPE_BOOL:
        return "false";
    case TYPE_DOUBLE:
        return "0.0";
    case TYPE_STRING:
        return "\"\"";
    case TYPE_BINARY:
        return "{NULL, 0, NULL}";
    case TYPE_UUID:
        return "{{0}}";
    case TYPE_LIST:
    case TYPE_SET:
    case TYPE_MAP:
        return "{0, NULL}";
    case TYPE_NAMED:
        if (is->target->kind != DEFINITION_ENUM)
            return region_printf(&emit->program->region, "%s_INIT",
                                 upper_case(emit->program, c_name(emit->program, is->target)));
        return "0";
    default:
        return "0";
    }
}

const char *c_initial(Emit *emit, const Field *field, Hoist *hoist) {
    if (field->optional || field->pointer)
        return "NULL";
    return field->value ? c_value(emit, field->type, field->value, hoist)
                        : c_zero(emit, field->type);
}
