/* SPDX-License-Identifier: Apache-2.0 */
/* Spells types in C. See emit.h. */

#include <string.h>

#include "idl/emit/emit.h"

TypeKind kind_of(const Type *type) {
    return type_true(type)->kind;
}

bool is_scalar(const Type *type) {
    const Type *is = type_true(type);

    return (is->kind <= TYPE_DOUBLE || is->kind == TYPE_UUID) ||
           (is->kind == TYPE_NAMED && is->target->kind == DEFINITION_ENUM);
}

bool is_string(const Type *type) {
    return kind_of(type) == TYPE_STRING;
}

static const char *const base_names[] = {"bool",   "i8",     "i16",    "i32", "i64",
                                         "double", "string", "binary", "uuid"};
static const char *const base_types[] = {"bool",         "int8_t",      "int16_t",
                                         "int32_t",      "int64_t",     "double",
                                         "const char *", "ferry_bytes", "ferry_uuid"};

/* The name of a type inside a longer name of this file. A typedef of a container keeps its own
 * name, because in C it may be a type of another file. */
static const char *part(Emit *emit, const File *file, const Type *type) {
    const Type *is = type_true(type);
    Region *region = &emit->program->region;

    if (is->kind <= TYPE_UUID)
        return base_names[is->kind];
    if (is->kind == TYPE_NAMED)
        return c_part(emit->program, file, is->target);
    if (type != is)
        return c_part(emit->program, file, type->target);
    if (is->kind == TYPE_MAP)
        return region_printf(region, "map_%s_%s", part(emit, file, is->key),
                             part(emit, file, is->item));
    return region_printf(region, "%s_%s", is->kind == TYPE_SET ? "set" : "list",
                         part(emit, file, is->item));
}

/* Lists and sets of base types are in ferry/schema.h. */
static bool is_common(const Type *type) {
    return type->kind != TYPE_MAP && kind_of(type->item) <= TYPE_UUID;
}

/* True: a name in the type belongs to this file. */
static bool mentions(const Type *type, const File *file) {
    if (!type)
        return false;
    if (type->kind == TYPE_NAMED)
        return type->target->file == file ||
               (type->target->kind == DEFINITION_TYPEDEF && mentions(type->target->type, file));
    return mentions(type->key, file) || mentions(type->item, file);
}

static bool is_container(const Type *type) {
    return kind_of(type) >= TYPE_LIST && kind_of(type) <= TYPE_MAP;
}

static Container *find_container(const Emit *emit, const char *rule, const Type *type) {
    for (Container *container = emit->containers; container; container = container->next)
        if (strcmp(container->rule, rule) == 0 && types_equal(container->type, type))
            return container;
    return NULL;
}

/* The name by the rule, with as many underscores at the end as it needs to be free. */
static const char *free_name(Emit *emit, const File *file, const char *rule, bool map) {
    const char *name = rule;
    bool taken = true;

    while (taken) {
        taken = is_declared(emit, file, name, map);
        for (const Container *c = emit->containers; c && !taken; c = c->next)
            taken = strcmp(c->c, name) == 0;
        if (taken)
            name = region_printf(&emit->program->region, "%s_", name);
    }
    return name;
}

Container *container_of(Emit *emit, const Type *type) {
    const Type *is = type_true(type);
    const File *file = file_of_place(is->place);
    const char *name = part(emit, file, is);
    bool common = is_common(is);
    const char *rule = region_printf(&emit->program->region, "%s_%s",
                                     common ? "ferry" : c_prefix(emit->program, file), name);
    Container *container = find_container(emit, rule, is);

    if (container)
        return container;
    /* Inner containers come first, because tables are written in this order. */
    if (is->key && is_container(is->key))
        container_of(emit, is->key);
    if (is_container(is->item))
        container_of(emit, is->item);
    container = region_new(&emit->program->region, Container);
    *container = (Container){.type = is,
                             .rule = rule,
                             .c = common ? rule : free_name(emit, file, rule, is->kind == TYPE_MAP),
                             .ours = !common && file == emit->file,
                             .shared = !mentions(is, file),
                             .place = is->place};
    container->local = region_printf(&emit->program->region, "%s_type", name);
    *emit->last_container = container;
    emit->last_container = &container->next;
    return container;
}

const char *c_type(Emit *emit, const Type *type) {
    if (type->kind <= TYPE_UUID)
        return base_types[type->kind];
    if (type->kind == TYPE_NAMED)
        return c_name(emit->program, type->target);
    return container_of(emit, type)->c;
}

const char *c_declare(Emit *emit, const Type *type, const char *name) {
    const char *c = c_type(emit, type);

    return region_printf(&emit->program->region, "%s%s%s", c, c[strlen(c) - 1] == '*' ? "" : " ",
                         name);
}

const char *c_pointer(Emit *emit, const Type *type, const char *name) {
    const char *c = c_type(emit, type);

    if (c[strlen(c) - 1] == '*')
        return region_printf(&emit->program->region, "%sconst *%s", c, name);
    return region_printf(&emit->program->region, "const %s *%s", c, name);
}

const char *c_parameter(Emit *emit, const Type *type, bool optional, const char *name) {
    if (is_string(type) || (!optional && (is_scalar(type) || kind_of(type) == TYPE_BINARY)))
        return c_declare(emit, type, name);
    return c_pointer(emit, type, name);
}

const char *c_output(Emit *emit, const Type *type, const char *name) {
    if (is_string(type))
        return region_printf(&emit->program->region, "char **%s", name);
    return region_printf(&emit->program->region, "%s %s%s", c_type(emit, type),
                         is_scalar(type) ? "*" : "**", name);
}

static void use(Emit *emit, const Type *type) {
    const Type *is = type_true(type);
    Container *container;

    if (is->kind < TYPE_LIST || is->kind > TYPE_MAP)
        return;
    container = container_of(emit, is);
    if (container->used)
        return;
    container->used = true;
    if (is->key)
        use(emit, is->key);
    use(emit, is->item);
}

const char *c_table(Emit *emit, const Type *type) {
    const Type *is = type_true(type);

    if (is->kind <= TYPE_UUID)
        return region_printf(&emit->program->region, "&ferry_type_%s", base_names[is->kind]);
    if (is->kind == TYPE_NAMED)
        return region_printf(&emit->program->region, "&ferry_type_%s",
                             c_name(emit->program, is->target));
    use(emit, is);
    return region_printf(&emit->program->region, "&%s", container_of(emit, is)->local);
}
