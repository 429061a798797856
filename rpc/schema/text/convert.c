/* SPDX-License-Identifier: Apache-2.0 */
/* Converts values that people write to MessagePack values of a type. See text.h. */

#include <errno.h>
#include <stdlib.h>

#include "base/text.h"
#include "rpc/schema/codec/codec.h"
#include "rpc/schema/codec/value-error.h"
#include "rpc/schema/codec/values.h"
#include "rpc/schema/text/text.h"
#include "rpc/wire/writer.h"

typedef struct Converter {
    Buffer *to;
    ValueError error;
    int depth;
} Converter;

static bool convert(Converter *c, const ferry_type *type, Reader *in);

static bool refuse(Converter *c, const char *text) {
    value_error_set(&c->error, NULL, "%s", text);
    return false;
}

static bool broken(Converter *c, const Reader *in) {
    return in->problem && !refuse(c, in->problem);
}

/* A copy with a NUL at the end. NULL if the text has a NUL inside or memory ran out. */
static char *text_at(Converter *c, Span span) {
    char *text = NULL;

    if (memchr(span.data, 0, span.len)) {
        refuse(c, "the text contains a NUL");
        return NULL;
    }
    text = malloc(span.len + 1);
    if (!text) {
        value_error_set(&c->error, "ferry.OutOfMemory", "out of memory");
        return NULL;
    }
    memcpy(text, span.data, span.len);
    text[span.len] = '\0';
    return text;
}

/* ---- scalars from text ---- */

static bool not_one(Converter *c, const ferry_type *type, const char *text) {
    char shown[TEXT_ESCAPED_MAX];

    value_error_set(&c->error, NULL, "expected %s, got \"%s\"", value_error_type_name(type),
                    text_escape(shown, text, strnlen(text, 40)));
    return false;
}

/* Reports the names of an enum: "expected DOWN or UP", if they fit. */
static bool none_of_them(Converter *c, const ferry_type *type, const char *text) {
    char shown[TEXT_ESCAPED_MAX], names[100];
    size_t len = 0;

    for (uint32_t i = 0; i < type->n && len < sizeof(names); i++)
        len += (size_t)snprintf(names + len, sizeof(names) - len, "%s%s",
                                i == 0             ? ""
                                : i + 1 == type->n ? " or "
                                                   : ", ",
                                type->values[i].name);
    if (type->n == 0 || len >= sizeof(names))
        return not_one(c, type, text);
    value_error_set(&c->error, NULL, "expected %s, got \"%s\"", names,
                    text_escape(shown, text, strnlen(text, 40)));
    return false;
}

static bool enum_by_name(Converter *c, const ferry_type *type, const char *text) {
    const char *dot = strrchr(text, '.'), *name = dot ? dot + 1 : text, *nearest;
    const char **names;

    for (uint32_t i = 0; i < type->n; i++)
        if (strcmp(type->values[i].name, name) == 0) {
            write_int(c->to, type->values[i].value);
            return true;
        }
    names = malloc((type->n + 1) * sizeof(*names));
    for (uint32_t i = 0; names && i < type->n; i++)
        names[i] = type->values[i].name;
    nearest = names ? text_nearest(name, names, type->n) : NULL;
    if (nearest)
        value_error_set(&c->error, NULL, "%s has no '%.60s': did you mean '%s'?", type->name, name,
                        nearest);
    else
        none_of_them(c, type, text);
    free(names);
    return false;
}

static bool integer_of_text(Converter *c, const ferry_type *type, const char *text) {
    char *end;
    long long number;

    errno = 0;
    number = strtoll(text, &end, 0);
    if (end == text || *end || errno)
        return type->kind == FERRY_KIND_ENUM ? enum_by_name(c, type, text) : not_one(c, type, text);
    write_int(c->to, number);
    return true;
}

static bool scalar_of_text(Converter *c, const ferry_type *type, const char *text) {
    ferry_uuid uuid;
    double number;
    char *end;

    switch (type->kind) {
    case FERRY_KIND_BOOL:
        if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
            return not_one(c, type, text);
        write_bool(c->to, text[0] == 't');
        return true;
    case FERRY_KIND_DOUBLE:
        number = strtod(text, &end);
        if (end == text || *end)
            return not_one(c, type, text);
        write_double(c->to, number);
        return true;
    case FERRY_KIND_UUID:
        if (ferry_uuid_parse(text, &uuid) < 0)
            return not_one(c, type, text);
        write_bin(c->to, uuid.bytes, sizeof(uuid.bytes));
        return true;
    default:
        return integer_of_text(c, type, text);
    }
}

static bool convert_text(Converter *c, const ferry_type *type, Reader *in) {
    Span span = reader_str(in);
    bool good;
    char *text;

    if (broken(c, in))
        return false;
    if (type->kind == FERRY_KIND_BINARY) {
        write_bin(c->to, span.data, span.len);
        return true;
    }
    text = text_at(c, span);
    good = text && scalar_of_text(c, type, text);
    free(text);
    return good;
}

/* ---- containers ---- */

static bool convert_list(Converter *c, const ferry_type *type, Reader *in) {
    uint32_t n = reader_array(in);

    if (broken(c, in))
        return false;
    write_array(c->to, n);
    for (uint32_t i = 0; i < n; i++)
        if (!convert(c, type->item, in)) {
            value_error_in_item(&c->error, i);
            return false;
        }
    return true;
}

static bool convert_pair(Converter *c, const ferry_type *type, Reader *in) {
    if (!convert(c, type->key, in)) {
        value_error_in_key(&c->error);
        return false;
    }
    return convert(c, type->item, in);
}

static bool convert_map(Converter *c, const ferry_type *type, Reader *in) {
    bool pairs = reader_peek(in) == WIRE_ARRAY;
    uint32_t n = pairs ? reader_array(in) : reader_map(in);

    if (broken(c, in))
        return false;
    write_map(c->to, n);
    for (uint32_t i = 0; i < n; i++) {
        if (pairs && reader_array(in) != 2)
            refuse(c, "expected [key, value]");
        if (broken(c, in) || c->error.type || !convert_pair(c, type, in)) {
            value_error_in_item(&c->error, i);
            return false;
        }
    }
    return true;
}

/* ---- structs and arguments ---- */

static const ferry_field *find_field(const ferry_type *type, Span name) {
    for (uint32_t i = 0; i < type->n; i++)
        if (span_is(name, type->fields[i].name))
            return &type->fields[i];
    return NULL;
}

static bool unknown_field(Converter *c, const ferry_type *type, Span name) {
    char shown[TEXT_ESCAPED_MAX], word[64];
    const char **names = malloc((type->n + 1) * sizeof(*names)), *nearest;
    size_t len = name.len < sizeof(word) - 1 ? name.len : sizeof(word) - 1;

    memcpy(word, name.data, len);
    word[len] = '\0';
    for (uint32_t i = 0; names && i < type->n; i++)
        names[i] = type->fields[i].name;
    nearest = names ? text_nearest(word, names, type->n) : NULL;
    value_error_set(&c->error, NULL, "there is no '%s'%s%s%s", text_escape(shown, word, len),
                    nearest ? ": did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "");
    free(names);
    return false;
}

static bool convert_field(Converter *c, const ferry_field *field, Reader *in) {
    bool good;

    if ((field->flags & FERRY_OPTIONAL) && reader_peek(in) == WIRE_NIL) {
        reader_nil(in);
        write_nil(c->to);
        return true;
    }
    good = convert(c, field->type, in);
    if (!good)
        value_error_in_field(&c->error, field->name);
    return good;
}

static bool convert_struct(Converter *c, const ferry_type *type, Reader *in) {
    uint32_t n = reader_map(in);

    if (broken(c, in))
        return false;
    write_map(c->to, n);
    while (n-- > 0) {
        Span name = reader_str(in);
        const ferry_field *field;

        if (broken(c, in))
            return false;
        field = find_field(type, name);
        if (!field)
            return unknown_field(c, type, name);
        write_str(c->to, name.data, name.len);
        if (!convert_field(c, field, in))
            return false;
    }
    return true;
}

static bool convert_args_in_order(Converter *c, const ferry_type *type, Reader *in) {
    uint32_t n = reader_array(in);

    if (broken(c, in))
        return false;
    if (n > type->n) {
        value_error_set(&c->error, NULL, "expected %u arguments, got %u", type->n, n);
        return false;
    }
    write_array(c->to, n);
    for (uint32_t i = 0; i < n; i++)
        if (!convert_field(c, &type->fields[i], in))
            return false;
    return true;
}

/* The value of a field in a map of arguments. Empty if the field is missing, or appears twice,
 * which is an error. */
static Span value_of(Converter *c, Reader map, uint32_t n, const ferry_field *field) {
    Span found = {NULL, 0};

    while (n-- > 0) {
        Span key = reader_str(&map), value = reader_value(&map);

        if (!span_is(key, field->name))
            continue;
        if (found.data) {
            refuse(c, "it occurs twice");
            value_error_in_field(&c->error, field->name);
            return (Span){NULL, 0};
        }
        found = value;
    }
    return found;
}

/* Writes the default of an argument that later arguments follow: a message cannot leave it out. */
static bool write_missing(Converter *c, const ferry_field *field) {
    ferry_error error = FERRY_ERROR_INIT;

    if (field->flags & FERRY_OPTIONAL) {
        write_nil(c->to);
        return true;
    }
    if (!field->value || (field->flags & FERRY_REQUIRED)) {
        refuse(c, "it is missing");
        value_error_in_field(&c->error, field->name);
        return false;
    }
    if (schema_pack(field->type, field->value, field->name, c->to, &error) < 0)
        refuse(c, error.message);
    ferry_error_clear(&error);
    return !c->error.type;
}

static bool names_are_known(Converter *c, const ferry_type *type, Reader map, uint32_t n) {
    while (n-- > 0) {
        Span name = reader_str(&map);

        reader_value(&map);
        if (broken(c, &map))
            return false;
        if (!find_field(type, name))
            return unknown_field(c, type, name);
    }
    return true;
}

static bool convert_args_by_name(Converter *c, const ferry_type *type, Reader *in) {
    uint32_t n = reader_map(in);

    if (broken(c, in) || !names_are_known(c, type, *in, n))
        return false;
    write_array(c->to, type->n);
    for (uint32_t i = 0; i < type->n; i++) {
        const ferry_field *field = &type->fields[i];
        Span value = value_of(c, *in, n, field);
        Reader inside = reader_of(value.data, value.len);

        if (c->error.type ||
            (value.data ? !convert_field(c, field, &inside) : !write_missing(c, field)))
            return false;
    }
    while (n-- > 0) {
        reader_str(in);
        reader_value(in);
    }
    return true;
}

/* ---- by type ---- */

static bool copy(Converter *c, Reader *in) {
    Span value = reader_value(in);

    if (broken(c, in))
        return false;
    write_raw(c->to, value);
    return true;
}

static bool convert_inside(Converter *c, const ferry_type *type, Reader *in) {
    WireType there = reader_peek(in);

    switch (type->kind) {
    case FERRY_KIND_STRING:
        return copy(c, in);
    case FERRY_KIND_LIST:
    case FERRY_KIND_SET:
        return there == WIRE_ARRAY ? convert_list(c, type, in) : copy(c, in);
    case FERRY_KIND_MAP:
        return there == WIRE_MAP || there == WIRE_ARRAY ? convert_map(c, type, in) : copy(c, in);
    case FERRY_KIND_STRUCT:
    case FERRY_KIND_EXCEPTION:
    case FERRY_KIND_UNION:
        return there == WIRE_MAP ? convert_struct(c, type, in) : copy(c, in);
    case FERRY_KIND_ARGS:
        return there == WIRE_MAP     ? convert_args_by_name(c, type, in)
               : there == WIRE_ARRAY ? convert_args_in_order(c, type, in)
                                     : copy(c, in);
    default:
        return there == WIRE_STR ? convert_text(c, type, in) : copy(c, in);
    }
}

static bool convert(Converter *c, const ferry_type *type, Reader *in) {
    bool good;

    if (c->depth == WIRE_DEPTH_MAX)
        return refuse(c, "nested deeper than 32 levels");
    c->depth++;
    good = convert_inside(c, type, in);
    c->depth--;
    return good;
}

/* Unpacks the value, so that the codec refuses it here instead of at the receiver. */
static int check(const ferry_type *type, Span bytes, const char *root, ferry_error *reterr) {
    void *value;
    int r = schema_unpack_block(type, bytes, root, &value, reterr);

    if (r == 0)
        ferry_free(value);
    return r;
}

int schema_convert(const ferry_type *type, Span loose, const char *root, Buffer *to,
                   ferry_error *reterr) {
    Converter c = {.to = to};
    Reader in = reader_of(loose.data, loose.len);
    size_t start = to->len;
    int r = 0;

    value_error_init(&c.error);
    if (convert(&c, type, &in) && in.at != in.end)
        refuse(&c, "there are bytes after the value");
    if (!c.error.type && to->failed)
        value_error_set(&c.error, "ferry.OutOfMemory", "out of memory");
    if (c.error.type)
        r = value_error_report(&c.error, root, reterr);
    else
        r = check(type, (Span){to->data + start, to->len - start}, root, reterr);
    if (r < 0)
        to->len = start;
    return r;
}
