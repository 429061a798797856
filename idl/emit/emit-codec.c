/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the functions that pack and unpack the usual values of a struct, with <ferry/codec.h>. */

#include <string.h>

#include "idl/emit/emit-source.h"

enum {
    DEPTH_MAX = 8,   /* levels of structs in structs; a struct that contains itself is deeper */
    FIELDS_MAX = 64, /* larger structs would need too much code */
    SCALAR_MAX = 9,  /* bytes of the longest number, like FERRY_PUT_MAX */
    UUID_MAX = 18,
};

/* ---- which types ---- */

static bool is_usual(const Type *type, int depth);

/* Unions, sets and maps need checks that the table already has. Optional fields would have to be
 * counted first. */
static bool are_usual(const Field *fields, int depth) {
    size_t n = 0;

    for (const Field *f = fields; f; f = f->next, n++)
        if (f->optional || f->pointer || !is_usual(f->type, depth))
            return false;
    return n > 0 && n <= FIELDS_MAX;
}

static bool is_usual(const Type *type, int depth) {
    const Type *is = type_true(type);

    if (is->kind == TYPE_LIST)
        return kind_of(is->item) != TYPE_LIST && kind_of(is->item) != TYPE_BINARY &&
               kind_of(is->item) != TYPE_UUID && is_usual(is->item, depth);
    if (is->kind != TYPE_NAMED)
        return is->kind <= TYPE_UUID;
    if (is->target->kind == DEFINITION_ENUM)
        return true;
    return is->target->kind != DEFINITION_UNION && depth < DEPTH_MAX &&
           are_usual(is->target->fields, depth + 1);
}

/* "i32": the part of the function names for a type. NULL: a struct or a list. */
static const char *name_of(const Type *type) {
    static const char *const names[] = {"bool",   "i8",     "i16",    "i32", "i64",
                                        "double", "string", "binary", "uuid"};
    const Type *is = type_true(type);

    if (is->kind == TYPE_NAMED)
        return is->target->kind == DEFINITION_ENUM ? "i32" : NULL;
    return is->kind <= TYPE_UUID ? names[is->kind] : NULL;
}

static bool is_struct(const Type *type) {
    return kind_of(type) == TYPE_NAMED && !is_scalar(type);
}

static bool needs_check(const Type *type) {
    return !is_scalar(type);
}

/* ---- writing ---- */

/* The expression that writes a value. end is the end of its room. */
static const char *put_call(Emit *emit, const Type *type, const char *value, const char *end) {
    Region *region = &emit->program->region;
    const char *name = name_of(type);

    if (!name)
        return region_printf(region, "ferry_put_struct(%s, at, %s, &%s)", c_table(emit, type), end,
                             value);
    if (is_string(type))
        return region_printf(region, "ferry_put_string(at, %s, %s)", end, value);
    if (kind_of(type) == TYPE_BINARY)
        return region_printf(region, "ferry_put_binary(at, %s, &%s)", end, value);
    if (kind_of(type) == TYPE_UUID)
        return region_printf(region, "ferry_put_uuid(at, &%s)", value);
    return region_printf(region, "ferry_put_%s(at, %s)", *name == 'i' ? "int" : name, value);
}

/* Each text of a list leaves room for the heads of the following texts. */
static void put_list_writer(Emit *emit, const Type *list, const char *value) {
    Region *region = &emit->program->region;
    const Type *item = type_true(list)->item;
    const char *each = is_scalar(item) ? "FERRY_PUT_MAX" : is_string(item) ? "3" : "1";
    const char *end =
        is_string(item) ? region_printf(region, "end - 3 * (%s.n - i)", value) : "end";

    put(&emit->source,
        "    at = ferry_put_list(at, end, %s.n, %s.v, %s);\n"
        "    for (size_t i = 0; at && i < %s.n; i++)\n"
        "        at = %s;\n",
        value, value, each, value,
        put_call(emit, item, region_printf(region, "%s.v[i]", value), end));
}

static size_t most_bytes(const Field *fields) {
    size_t n = 3;

    for (const Field *f = fields; f; f = f->next)
        n += strlen(f->name.text) + 3 + (kind_of(f->type) == TYPE_UUID ? UUID_MAX : SCALAR_MAX);
    return n;
}

/* ---- reading ---- */

static const char *get_call(Emit *emit, const Type *type, const char *to) {
    Region *region = &emit->program->region;
    const char *name = name_of(type);

    if (!name)
        return region_printf(region, "ferry_get_struct(%s, source, at, %s)", c_table(emit, type),
                             to);
    return region_printf(region, "ferry_get_%s(source, at, %s)", name, to);
}

static void put_list_reader(Emit *emit, const Type *list, const char *value) {
    Region *region = &emit->program->region;
    const Type *item = type_true(list)->item;
    const char *items = c_declare(emit, item, "*");

    put(&emit->source,
        "    at = ferry_get_list(source, at, sizeof(*%s.v), &%s.n, &items);\n"
        "    %s.v = (%s)items;\n"
        "    for (size_t i = 0; at && i < %s.n; i++)\n"
        "        at = %s;\n",
        value, value, value, items, value,
        get_call(emit, item, region_printf(region, "(%s)items + i", items)));
}

/* ---- both ---- */

/* The head of the struct or of the arguments, before the first field, and the field's name. */
static const char *key_of(Emit *emit, const Field *field, size_t n_fields, bool is_first,
                          bool are_args, size_t *ret_len) {
    Region *region = &emit->program->region;
    const char *head = "", *name = "";
    size_t len = strlen(field->name.text);

    *ret_len = 0;
    if (is_first && n_fields < 16) {
        head = region_printf(region, "\\x%02zx", (are_args ? 0x90 : 0x80) | n_fields);
        *ret_len += 1;
    } else if (is_first) {
        head = region_printf(region, "\\x%s\\x00\\x%02zx", are_args ? "dc" : "de", n_fields);
        *ret_len += 3;
    }
    if (!are_args) {
        head = len < 32 ? region_printf(region, "%s\\x%02zx", head, 0xa0 | len)
                        : region_printf(region, "%s\\xd9\\x%02zx", head, len);
        name = region_printf(region, "\" \"%s", field->name.text);
        *ret_len += (len < 32 ? 1 : 2) + len;
    }
    return region_printf(region, "\"%s%s\"", head, name);
}

static const char *member_of(Emit *emit, const Definition *owner, const Field *field) {
    return owner ? member_name(emit, owner, field) : argument_name(emit, field);
}

static void put_writer(Emit *emit, const char *name, const char *c, const Definition *owner,
                       const Field *fields) {
    Region *region = &emit->program->region;
    size_t n = count_fields(fields), len;

    put_wrapped(
        &emit->source, region_printf(region, "static unsigned char *%s(", name),
        (const char *const[]){"unsigned char *at", "unsigned char *end", "const void *value"}, 3,
        ") {\n");
    put(&emit->source,
        "    const %s *v = (const %s *)value;\n\n"
        "    if (at > end || (size_t)(end - at) < %zu)\n"
        "        return NULL;\n"
        "    end -= %zu;\n",
        c, c, most_bytes(fields), most_bytes(fields));
    for (const Field *f = fields; f; f = f->next) {
        const char *member = member_of(emit, owner, f);
        const char *key = key_of(emit, f, n, f == fields, !owner, &len);
        const char *value = region_printf(region, "v->%s", member);
        bool is_pointer = !owner && is_struct(f->type);

        if (len > 0)
            put(&emit->source, "    at = ferry_put_raw(at, %s, %zu);\n", key, len);
        if (is_pointer) {
            put(&emit->source, "    if (!%s)\n        return NULL;\n", value);
            value = region_printf(region, "(*%s)", value);
        }
        if (kind_of(f->type) == TYPE_LIST)
            put_list_writer(emit, f->type, value);
        else
            put(&emit->source, "    at = %s;\n", put_call(emit, f->type, value, "end"));
        if (f->next && needs_check(f->type))
            put(&emit->source, "    if (!at)\n        return NULL;\n");
    }
    put(&emit->source, "    return at;\n}\n\n");
}

static void put_reader(Emit *emit, const char *name, const char *c, const Definition *owner,
                       const Field *fields) {
    Region *region = &emit->program->region;
    size_t n = count_fields(fields), len;
    bool has_list = false;

    for (const Field *f = fields; f; f = f->next)
        has_list |= kind_of(f->type) == TYPE_LIST;
    put_wrapped(
        &emit->source, region_printf(region, "static const unsigned char *%s(", name),
        (const char *const[]){"ferry_source *source", "const unsigned char *at", "void *to"}, 3,
        ") {\n");
    put(&emit->source, "    %s *v = (%s *)to;\n%s\n", c, c,
        has_list ? "    void *items = NULL;\n" : "");
    for (const Field *f = fields; f; f = f->next) {
        const char *member = member_of(emit, owner, f);
        const char *key = key_of(emit, f, n, f == fields, !owner, &len);
        const char *value = region_printf(region, "v->%s", member);

        if (len > 0)
            put(&emit->source,
                "    at = ferry_get_raw(source, at, %s, %zu);\n"
                "    if (!at)\n        return NULL;\n",
                key, len);
        if (!owner && is_struct(f->type)) {
            const char *inner = c_declare(emit, f->type, "*");

            put(&emit->source,
                "    %s = (%s)ferry_take(source, sizeof(*%s));\n"
                "    at = %s;\n",
                value, inner, value,
                get_call(emit, f->type, region_printf(region, "(%s)(uintptr_t)%s", inner, value)));
        } else if (kind_of(f->type) == TYPE_LIST) {
            put_list_reader(emit, f->type, value);
        } else {
            put(&emit->source, "    at = %s;\n",
                get_call(emit, f->type, region_printf(region, "&%s", value)));
        }
        if (f->next)
            put(&emit->source, "    if (!at)\n        return NULL;\n");
    }
    put(&emit->source, "    return at;\n}\n\n");
}

const char *put_codec(Emit *emit, const char *stem, const char *c, const Definition *owner,
                      const Field *fields) {
    const char *put_name, *get_name;

    /* Lists as arguments are behind pointers, so they are left to the table. */
    for (const Field *f = fields; !owner && f; f = f->next)
        if (kind_of(f->type) == TYPE_LIST)
            return "NULL, NULL";
    if (emit->tables || !are_usual(fields, 0))
        return "NULL, NULL";
    put_name = own_name(emit, stem, "_put");
    get_name = own_name(emit, stem, "_get");
    emit->has_codec = true;
    put_writer(emit, put_name, c, owner, fields);
    put_reader(emit, get_name, c, owner, fields);
    return region_printf(&emit->program->region, "%s, %s", put_name, get_name);
}
