/* SPDX-License-Identifier: Apache-2.0 */
/* Formats MessagePack values for people, and makes examples. See text.h. */

#include <inttypes.h>

#include "base/error.h"
#include "base/text.h"
#include "rpc/schema/codec/codec.h"
#include "rpc/schema/codec/values.h"
#include "rpc/schema/text/text.h"
#include "rpc/wire/writer.h"

/* ---- values in C, which the codec has checked ---- */

static void format_value(const ferry_type *type, const void *value, Buffer *to);

static int64_t integer(const ferry_type *type, const void *value) {
    switch (type->kind) {
    case FERRY_KIND_I8:
        return *(const int8_t *)value;
    case FERRY_KIND_I16:
        return *(const int16_t *)value;
    case FERRY_KIND_I64:
        return *(const int64_t *)value;
    default:
        return *(const int32_t *)value;
    }
}

/* Keys become text, because JSON requires it. */
static void format_key(const ferry_type *type, const void *value, Buffer *to) {
    char text[32];

    switch (type->kind) {
    case FERRY_KIND_BOOL:
        write_text(to, *(const bool *)value ? "true" : "false");
        break;
    case FERRY_KIND_ENUM:
        if (ferry_enum_name(type, *(const int32_t *)value)) {
            format_value(type, value, to);
            break;
        }
        /* fall through */
    case FERRY_KIND_I8:
    case FERRY_KIND_I16:
    case FERRY_KIND_I32:
    case FERRY_KIND_I64:
        snprintf(text, sizeof(text), "%" PRId64, integer(type, value));
        write_text(to, text);
        break;
    default:
        format_value(type, value, to);
        break;
    }
}

static void format_map(const ferry_type *type, const ValueList *map, Buffer *to) {
    const char *entry = map->v;

    write_map(to, (uint32_t)map->n);
    for (size_t i = 0; i < map->n; i++, entry += type->entry_size) {
        format_key(type->key, entry, to);
        format_value(type->item, entry + type->value_offset, to);
    }
}

static void format_list(const ferry_type *type, const ValueList *list, Buffer *to) {
    const char *item = list->v;

    write_array(to, (uint32_t)list->n);
    for (size_t i = 0; i < list->n; i++, item += type->item->size)
        format_value(type->item, item, to);
}

static void format_fields(const ferry_type *type, const void *value, Buffer *to) {
    uint32_t n = 0;

    for (uint32_t i = 0; i < type->n; i++)
        n += field_value(&type->fields[i], value) != NULL;
    write_map(to, n);
    for (uint32_t i = 0; i < type->n; i++) {
        const void *inside = field_value(&type->fields[i], value);

        if (!inside)
            continue;
        write_text(to, type->fields[i].name);
        format_value(type->fields[i].type, inside, to);
    }
}

static void format_union(const ferry_type *type, const void *value, Buffer *to) {
    int32_t which = *(const int32_t *)value;

    if (which <= 0 || (uint32_t)which > type->n) {
        write_nil(to); /* a member that the interface does not have */
        return;
    }
    write_map(to, 1);
    write_text(to, type->fields[which - 1].name);
    format_value(type->fields[which - 1].type, field_value(&type->fields[which - 1], value), to);
}

static void format_value(const ferry_type *type, const void *value, Buffer *to) {
    const ferry_bytes *bytes = value;
    const char *name;
    char text[37];

    switch (type->kind) {
    case FERRY_KIND_BOOL:
        write_bool(to, *(const bool *)value);
        break;
    case FERRY_KIND_DOUBLE:
        write_double(to, *(const double *)value);
        break;
    case FERRY_KIND_UUID:
        write_text(to, ferry_uuid_format(value, text));
        break;
    case FERRY_KIND_ENUM:
        name = ferry_enum_name(type, *(const int32_t *)value);
        if (name)
            write_text(to, name);
        else
            write_int(to, *(const int32_t *)value);
        break;
    case FERRY_KIND_STRING:
        write_text(to, *(const char *const *)value);
        break;
    case FERRY_KIND_BINARY:
        if (text_is_utf8(bytes->data, bytes->len))
            write_str(to, bytes->data, bytes->len);
        else
            write_bin(to, bytes->data, bytes->len);
        break;
    case FERRY_KIND_LIST:
    case FERRY_KIND_SET:
        format_list(type, value, to);
        break;
    case FERRY_KIND_MAP:
        format_map(type, value, to);
        break;
    case FERRY_KIND_UNION:
        format_union(type, value, to);
        break;
    case FERRY_KIND_STRUCT:
    case FERRY_KIND_EXCEPTION:
    case FERRY_KIND_ARGS:
        format_fields(type, value, to);
        break;
    default:
        write_int(to, integer(type, value));
        break;
    }
}

int schema_format(const ferry_type *type, Span strict, const char *root, Buffer *to,
                  ferry_error *reterr) {
    void *value;
    int r = schema_unpack_block(type, strict, root, &value, reterr);

    if (r < 0)
        return r;
    format_value(type, value, to);
    ferry_free(value);
    return to->failed ? error_set_code(reterr, -ENOMEM, NULL) : 0;
}

/* ---- examples ---- */

enum { EXAMPLE_DEPTH = 8, EXAMPLE_BYTES = 64 * 1024 };

static void example(const ferry_type *type, Buffer *to, int depth);

static void example_field(const ferry_field *field, Buffer *to, int depth) {
    if (field->value)
        format_value(field->type, field->value, to);
    else
        example(field->type, to, depth);
}

static void example_fields(const ferry_type *type, Buffer *to, int depth) {
    uint32_t n = type->kind == FERRY_KIND_UNION && type->n > 1 ? 1 : type->n;

    write_map(to, n);
    for (uint32_t i = 0; i < n; i++) {
        write_text(to, type->fields[i].name);
        example_field(&type->fields[i], to, depth);
    }
}

/* Recursive types and long examples are cut off with null. */
static void example(const ferry_type *type, Buffer *to, int depth) {
    if (depth == EXAMPLE_DEPTH || to->len > EXAMPLE_BYTES) {
        write_nil(to);
        return;
    }
    switch (type->kind) {
    case FERRY_KIND_BOOL:
        write_bool(to, false);
        break;
    case FERRY_KIND_DOUBLE:
        write_double(to, 0.5);
        break;
    case FERRY_KIND_UUID:
        write_text(to, "00000000-0000-0000-0000-000000000000");
        break;
    case FERRY_KIND_ENUM:
        if (type->n > 0)
            write_text(to, type->values[0].name);
        else
            write_int(to, 0);
        break;
    case FERRY_KIND_STRING:
    case FERRY_KIND_BINARY:
        write_text(to, "");
        break;
    case FERRY_KIND_LIST:
    case FERRY_KIND_SET:
        write_array(to, 1);
        example(type->item, to, depth + 1);
        break;
    case FERRY_KIND_MAP:
        write_map(to, 1);
        if (type->key->kind == FERRY_KIND_ENUM || type->key->kind == FERRY_KIND_UUID)
            example(type->key, to, depth + 1);
        else
            write_text(to, type->key->kind == FERRY_KIND_STRING ? "key" : "0");
        example(type->item, to, depth + 1);
        break;
    case FERRY_KIND_STRUCT:
    case FERRY_KIND_UNION:
    case FERRY_KIND_EXCEPTION:
    case FERRY_KIND_ARGS:
        example_fields(type, to, depth + 1);
        break;
    default:
        write_int(to, 0);
        break;
    }
}

int schema_example(const ferry_type *type, Buffer *to) {
    example(type, to, 0);
    return to->failed ? -ENOMEM : 0;
}
