/* SPDX-License-Identifier: Apache-2.0 */
/* Resolves the names of types. See check-private.h. */

#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "idl/check/check-private.h"

static bool is_type(const Definition *definition) {
    return definition->kind != DEFINITION_CONST && definition->kind != DEFINITION_SERVICE;
}

const Type *type_true(const Type *type) {
    for (int i = 0; type && i < PROGRAM_DEPTH_MAX; i++) {
        if (type->kind != TYPE_NAMED)
            return type;
        if (!type->target)
            return NULL;
        if (type->target->kind != DEFINITION_TYPEDEF)
            return type;
        type = type->target->type;
    }
    return NULL;
}

Definition *type_definition(const Type *type) {
    const Type *is = type_true(type);

    return is && is->kind == TYPE_NAMED ? is->target : NULL;
}

bool types_equal(const Type *a, const Type *b) {
    if (a->kind == TYPE_NAMED && b->kind == TYPE_NAMED && a->target == b->target)
        return a->target != NULL;
    a = type_true(a);
    b = type_true(b);
    if (!a || !b || a->kind != b->kind)
        return false;
    if (a->kind == TYPE_NAMED)
        return a->target == b->target;
    return (!a->key || types_equal(a->key, b->key)) && (!a->item || types_equal(a->item, b->item));
}

/* The ferry names of base types of other languages. */
static const char *usual_name(const char *name) {
    static const char *const names[][2] = {
        {"int", "i32"},        {"integer", "i32"},    {"int8", "i8"},      {"int16", "i16"},
        {"int32", "i32"},      {"int64", "i64"},      {"int8_t", "i8"},    {"int16_t", "i16"},
        {"int32_t", "i32"},    {"int64_t", "i64"},    {"short", "i16"},    {"long", "i64"},
        {"char", "i8"},        {"u8", "i16"},         {"u16", "i32"},      {"u32", "i64"},
        {"u64", "i64"},        {"uint8", "i16"},      {"uint16", "i32"},   {"uint32", "i64"},
        {"uint64", "i64"},     {"size_t", "i64"},     {"unsigned", "i64"}, {"float", "double"},
        {"float32", "double"}, {"float64", "double"}, {"boolean", "bool"}, {"str", "string"},
        {"text", "string"},    {"bytes", "binary"},   {"blob", "binary"},  {"buffer", "binary"},
        {"guid", "uuid"}};

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (strcasecmp(name, names[i][0]) == 0)
            return names[i][1];
    return NULL;
}

static void unknown_type(Program *program, const File *file, const Type *type) {
    static const char *const base[] = {"bool",   "byte",   "i8",     "i16",  "i32", "i64",
                                       "double", "string", "binary", "uuid", "void"};
    const char *hint = program_hint(program, file, type->name, is_type);
    const char *base_name = usual_name(type->name);

    if (!hint && !base_name)
        base_name = text_nearest(type->name, base, sizeof(base) / sizeof(*base));
    if (!hint && base_name)
        hint = region_printf(&program->region, "did you mean '%s'?", base_name);
    if (!hint && strchr(type->name, '.'))
        hint = "include the file that defines it";
    report_error(&program->reports, type->place, hint, "there is no type '%s'", type->name);
}

void resolve_type(Program *program, const File *file, Type *type, bool stream_allowed) {
    if (type->kind == TYPE_STREAM && !stream_allowed)
        report_error(&program->reports, type->place, NULL,
                     "a stream can only be the argument or the result of a method");
    if (type->key)
        resolve_type(program, file, type->key, false);
    if (type->item)
        resolve_type(program, file, type->item, false);
    if (type->kind != TYPE_NAMED)
        return;
    type->target = program_find(file, type->name);
    if (!type->target) {
        unknown_type(program, file, type);
    } else if (!is_type(type->target)) {
        report_error(&program->reports, type->place, NULL, "'%s' is a %s, not a type", type->name,
                     type->target->kind == DEFINITION_SERVICE ? "service" : "constant");
        type->target = NULL;
    }
}

void check_typedef(Program *program, Definition *definition) {
    const Type *type = definition->type;

    for (int i = 0; type->kind == TYPE_NAMED && type->target; i++) {
        if (type->target->kind != DEFINITION_TYPEDEF)
            return;
        if (type->target == definition || i == PROGRAM_DEPTH_MAX) {
            report_error(
                &program->reports, definition->name.place, NULL,
                type->target == definition
                    ? "the typedef '%s' refers to itself"
                    : "the typedef '%s' refers to itself, or to a chain of too many typedefs",
                definition->name.text);
            definition->type->target = NULL;
            return;
        }
        type = type->target->type;
    }
}
