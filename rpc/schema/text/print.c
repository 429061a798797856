/* SPDX-License-Identifier: Apache-2.0 */
/* Prints values in C as JSON for logs. See ferry_value_print(). */

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "base/block.h"
#include "base/text.h"
#include "rpc/schema/codec/values.h"
#include "rpc/wire/reader.h"

typedef struct JsonPrinter {
    Buffer *to;
    int depth;
    bool too_deep;
} JsonPrinter;

static void print_value(JsonPrinter *p, const ferry_type *type, const void *value);

static void put(JsonPrinter *p, const char *text) {
    buffer_append(p->to, text, strlen(text));
}

/* ---- texts ---- */

/* Reads the UTF-8 character at p into *ret. Returns its number of bytes; 0: the byte is not
 * UTF-8. */
static size_t read_char(const uint8_t *p, size_t left, uint32_t *ret) {
    size_t len = *p < 0x80 ? 1 : *p < 0xE0 ? 2 : *p < 0xF0 ? 3 : 4;

    if (len > left || !text_is_utf8(p, len))
        return 0;
    *ret = len == 1 ? *p : *p & (0x7Fu >> len);
    for (size_t i = 1; i < len; i++)
        *ret = *ret << 6 | (p[i] & 0x3F);
    return len;
}

/* Control characters, and marks that change the direction or the lines of a log. */
static bool needs_escape(uint32_t c) {
    return c < 0x20 || (c >= 0x7F && c < 0xA0) || c == 0x061C || c == 0x200E || c == 0x200F ||
           (c >= 0x2028 && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069);
}

static void put_char(JsonPrinter *p, const uint8_t *at, size_t len, uint32_t c) {
    char escaped[16];

    if (c == '"' || c == '\\')
        put(p, c == '"' ? "\\\"" : "\\\\");
    else if (c == '\n' || c == '\t')
        put(p, c == '\n' ? "\\n" : "\\t");
    else if (needs_escape(c)) {
        snprintf(escaped, sizeof(escaped), "\\u%04" PRIx32, c);
        put(p, escaped);
    } else {
        buffer_append(p->to, at, len);
    }
}

/* A byte that is not UTF-8 becomes the character with the number of the byte. */
static void print_text(JsonPrinter *p, const void *data, size_t len) {
    const uint8_t *at = data, *end = len > 0 ? at + len : at;

    put(p, "\"");
    while (at < end) {
        uint32_t c = 0;
        size_t n = read_char(at, (size_t)(end - at), &c);
        char escaped[16];

        if (n == 0) {
            snprintf(escaped, sizeof(escaped), "\\u%04x", *at);
            put(p, escaped);
        } else {
            put_char(p, at, n, c);
        }
        at += n > 0 ? n : 1;
    }
    put(p, "\"");
}

/* ---- scalars ---- */

static void print_integer(JsonPrinter *p, const ferry_type *type, const void *value) {
    int64_t number = type->kind == FERRY_KIND_I8    ? *(const int8_t *)value
                     : type->kind == FERRY_KIND_I16 ? *(const int16_t *)value
                     : type->kind == FERRY_KIND_I64 ? *(const int64_t *)value
                                                    : *(const int32_t *)value;
    char text[24];

    snprintf(text, sizeof(text), "%" PRId64, number);
    put(p, text);
}

/* JSON has no numbers for nan and inf. */
static void print_double(JsonPrinter *p, double number) {
    char text[32];

    if (!isfinite(number)) {
        put(p, isnan(number) ? "\"nan\"" : number > 0 ? "\"inf\"" : "\"-inf\"");
        return;
    }
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, number);
        if (strtod(text, NULL) == number)
            break;
    }
    put(p, text);
}

static void print_scalar(JsonPrinter *p, const ferry_type *type, const void *value) {
    char text[37];

    switch (type->kind) {
    case FERRY_KIND_BOOL:
        put(p, *(const bool *)value ? "true" : "false");
        break;
    case FERRY_KIND_DOUBLE:
        print_double(p, *(const double *)value);
        break;
    case FERRY_KIND_UUID:
        ferry_uuid_format(value, text);
        print_text(p, text, strlen(text));
        break;
    default:
        print_integer(p, type, value);
        break;
    }
}

static void print_enum(JsonPrinter *p, const ferry_type *type, const void *value) {
    const char *name = ferry_enum_name(type, *(const int32_t *)value);

    if (name)
        print_text(p, name, strlen(name));
    else
        print_integer(p, type, value);
}

/* ---- containers and structs ---- */

static void print_list(JsonPrinter *p, const ferry_type *type, const ValueList *list) {
    const char *item = list->v;

    put(p, "[");
    for (size_t i = 0; i < list->n; i++, item += type->item->size) {
        put(p, i > 0 ? ", " : "");
        print_value(p, type->item, item);
    }
    put(p, "]");
}

/* Keys of a JSON object are texts, so numbers get quotes. */
static void print_key(JsonPrinter *p, const ferry_type *type, const void *key) {
    bool quoted = type->kind == FERRY_KIND_STRING || type->kind == FERRY_KIND_BINARY ||
                  type->kind == FERRY_KIND_UUID ||
                  (type->kind == FERRY_KIND_DOUBLE && !isfinite(*(const double *)key)) ||
                  (type->kind == FERRY_KIND_ENUM && ferry_enum_name(type, *(const int32_t *)key));

    put(p, quoted ? "" : "\"");
    print_value(p, type, key);
    put(p, quoted ? "" : "\"");
}

/* A map whose keys are containers or structs becomes a list of pairs. */
static void print_map(JsonPrinter *p, const ferry_type *type, const ValueList *map) {
    bool object = type->key->kind <= FERRY_KIND_BINARY;
    const char *entry = map->v;

    put(p, object ? "{" : "[");
    for (size_t i = 0; i < map->n; i++, entry += type->entry_size) {
        put(p, i > 0 ? ", " : "");
        if (object) {
            print_key(p, type->key, entry);
            put(p, ": ");
        } else {
            put(p, "[");
            print_value(p, type->key, entry);
            put(p, ", ");
        }
        print_value(p, type->item, entry + type->value_offset);
        put(p, object ? "" : "]");
    }
    put(p, object ? "}" : "]");
}

static void print_field(JsonPrinter *p, const ferry_field *field, const void *value) {
    print_text(p, field->name, field->name_len);
    put(p, ": ");
    print_value(p, field->type, value);
}

static void print_fields(JsonPrinter *p, const ferry_type *type, const void *value) {
    bool first = true;

    put(p, "{");
    for (uint32_t i = 0; i < type->n; i++) {
        const void *inside = field_value(&type->fields[i], value);

        if (!inside)
            continue;
        put(p, first ? "" : ", ");
        first = false;
        print_field(p, &type->fields[i], inside);
    }
    put(p, "}");
}

static void print_union(JsonPrinter *p, const ferry_type *type, const void *value) {
    int32_t which = *(const int32_t *)value;
    const ferry_field *field =
        which > 0 && (uint32_t)which <= type->n ? &type->fields[which - 1] : NULL;
    const void *inside = field ? field_value(field, value) : NULL;

    if (!inside) {
        put(p, "null");
        return;
    }
    put(p, "{");
    print_field(p, field, inside);
    put(p, "}");
}

static void print_inside(JsonPrinter *p, const ferry_type *type, const void *value) {
    switch (type->kind) {
    case FERRY_KIND_LIST:
    case FERRY_KIND_SET:
        print_list(p, type, value);
        break;
    case FERRY_KIND_MAP:
        print_map(p, type, value);
        break;
    case FERRY_KIND_UNION:
        print_union(p, type, value);
        break;
    default:
        print_fields(p, type, value);
        break;
    }
}

static void print_value(JsonPrinter *p, const ferry_type *type, const void *value) {
    const ferry_bytes *bytes = value;
    const char *text;

    if (type->kind == FERRY_KIND_ENUM) {
        print_enum(p, type, value);
    } else if (type_is_scalar(type)) {
        print_scalar(p, type, value);
    } else if (type->kind == FERRY_KIND_STRING) {
        text = *(const char *const *)value;
        if (text)
            print_text(p, text, strlen(text));
        else
            put(p, "null");
    } else if (type->kind == FERRY_KIND_BINARY) {
        print_text(p, bytes->data, bytes->data ? bytes->len : 0);
    } else if (p->depth == WIRE_DEPTH_MAX) {
        p->too_deep = true; /* this also ends a tree with a cycle */
    } else {
        p->depth++;
        print_inside(p, type, value);
        p->depth--;
    }
}

int ferry_value_print(const ferry_type *type, const void *value, char **ret) {
    CLEANUP(buffer_deinit) Buffer text = {0};
    JsonPrinter p = {.to = &text};

    *ret = NULL;
    if (!buffer_reserve(&text, sizeof(BlockHeader)))
        return -ENOMEM;
    text.len = sizeof(BlockHeader);
    print_value(&p, type, value);
    buffer_append(&text, "", 1);
    if (p.too_deep)
        return -EINVAL;
    if (text.failed)
        return -ENOMEM;
    *ret = (char *)(uintptr_t)block_of_buffer(&text).data;
    return 0;
}
