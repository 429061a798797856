/* SPDX-License-Identifier: Apache-2.0 */
/* Types in the header, each after the types that it needs. See emit.h. */

#include <string.h>

#include "idl/emit/emit.h"

enum { TYPE_NEW, TYPE_STARTED, TYPE_WRITTEN }; /* Definition.state, while types are written */

static void put_enum(Emit *emit, const Definition *d) {
    const char *c = c_name(emit->program, d);

    put(&emit->header, "\n");
    put_comment(&emit->header, "", d->doc);
    put(&emit->header, "typedef int32_t %s;\n", c);
    if (d->values)
        put(&emit->header, "enum {\n");
    for (const EnumValue *v = d->values; v; v = v->next) {
        put_comment(&emit->header, "    ", v->doc);
        put(&emit->header, "    %s = %s%s\n",
            c_constant(emit->program, d, v->annotations, v->name.text),
            v->number == INT32_MIN
                ? "INT32_MIN"
                : region_printf(&emit->program->region, "%lld", (long long)v->number),
            v->next ? "," : "");
    }
    if (d->values)
        put(&emit->header, "};\n");
    put(&emit->header, "const char *%s_name(%s value); /* NULL: unknown */\n", c, c);
}

static void put_type(Emit *emit, Definition *d);

static bool is_ours(const Emit *emit, const Definition *d) {
    return d->file == emit->file;
}

/* Declares the name of a type before a pointer to it. */
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

/* Defines a type before a value of it. */
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

/* Another file with this prefix can declare the same container, and a program can include both
 * headers. The types of its elements are complete, because they are in other headers. */
static void put_shared(Emit *emit, Container *container) {
    const char *guard = region_printf(&emit->program->region, "%s_DEFINED",
                                      upper_case(emit->program, container->c));
    const Type *type = container->type;

    if (type->key)
        need_type(emit, type->key);
    need_type(emit, type->item);
    put(&emit->header, "\n#ifndef %s\n#define %s\n", guard, guard);
    if (type->kind == TYPE_MAP)
        put(&emit->header,
            "typedef struct %s_entry {\n    %s;\n    %s;\n} %s_entry;\n\ntypedef struct %s {\n"
            "    size_t n;\n    const %s_entry *v;\n} %s;\n",
            container->c, c_declare(emit, type->key, "key"), c_declare(emit, type->item, "value"),
            container->c, container->c, container->c, container->c);
    else
        put(&emit->header, "typedef struct %s {\n    size_t n;\n    %s;\n} %s;\n", container->c,
            c_pointer(emit, type->item, "v"), container->c);
    put(&emit->header, "#endif\n");
    container->has_entry = true;
}

static void need_container(Emit *emit, const Type *type) {
    Container *container = container_of(emit, type);
    const char *c = container->c;

    if (!container->ours || container->declared)
        return;
    container->declared = true;
    if (container->shared) {
        put_shared(emit, container);
        return;
    }
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

    if (type->kind == TYPE_NAMED && is_ours(emit, type->target)) {
        put_type(emit, type->target);
        /* The typedef alone would leave its struct incomplete. */
        if (type->target->kind == DEFINITION_TYPEDEF)
            need_type(emit, type->target->type);
    } else if (is->kind >= TYPE_LIST && is->kind <= TYPE_MAP)
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

/* Writes a field. Short documentation and "optional" become a comment at the end of the line. */
static void put_field(Emit *emit, const Definition *owner, const Field *field, const char *indent) {
    Region *region = &emit->program->region;
    const char *name = member_name(emit, owner, field), *note = "", *line;
    bool behind = field->optional || field->pointer;

    line = is_string(field->type) || !behind ? c_declare(emit, field->type, name)
                                             : c_pointer(emit, field->type, name);
    if (field->optional)
        note = field->value ? "optional: received as its default when absent"
                            : "optional: NULL when absent";
    if (field->doc && !strchr(field->doc, '\n'))
        note = region_printf(region, "%s%s%s", field->doc, *note ? " " : "",
                             *note ? region_printf(region, "(%s)", note) : "");
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
    put(&emit->header, "    int32_t which; /* %s_...; 0: an unknown member */\n", upper);
    put(&emit->header, "    union {\n");
    for (const Field *f = d->fields; f; f = f->next)
        put_field(emit, d, f, "        ");
    if (!d->fields)
        put(&emit->header, "        char nothing; /* C has no empty unions */\n");
    put(&emit->header, "    };\n");
}

static void put_which(Emit *emit, const Definition *d) {
    int which = 1;

    if (!d->fields)
        return;
    put(&emit->header, "enum {\n");
    for (const Field *f = d->fields; f; f = f->next)
        put(&emit->header, "    %s = %d%s\n",
            c_constant(emit->program, d, f->annotations, f->name.text), which++,
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

void emit_types(Emit *emit) {
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
