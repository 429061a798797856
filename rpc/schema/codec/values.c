/* SPDX-License-Identifier: Apache-2.0 */
/* Compares, hashes and looks up values in C; the tables of base types. See values.h. */

#include "rpc/schema/codec/values.h"

#include <stdlib.h>

#include "base/hash.h"

#define SCALAR(name, KIND, c_type)                                                                 \
    const ferry_type ferry_type_##name = {.kind = FERRY_KIND_##KIND, .size = sizeof(c_type)}

SCALAR(bool, BOOL, bool);
SCALAR(i8, I8, int8_t);
SCALAR(i16, I16, int16_t);
SCALAR(i32, I32, int32_t);
SCALAR(i64, I64, int64_t);
SCALAR(double, DOUBLE, double);
SCALAR(string, STRING, const char *);
SCALAR(binary, BINARY, ferry_bytes);
SCALAR(uuid, UUID, ferry_uuid);

static bool value_equal(const ferry_type *type, const void *a, const void *b);
static uint64_t value_hash(const ferry_type *type, const void *value);

static bool lists_equal(const ferry_type *type, const ValueList *a, const ValueList *b) {
    size_t size = type->item->size;

    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++)
        if (!value_equal(type->item, (const char *)a->v + i * size, (const char *)b->v + i * size))
            return false;
    return true;
}

/* Comparing each pair of elements would be too slow for large sets, so hashes are compared first.
 * The seed of the hash is random, so a peer cannot choose colliding elements. */
static bool same_hash(const ferry_type *type, const void *a, const void *b) {
    return value_hash(type, a) == value_hash(type, b);
}

enum { COMPARED_MAX = 16 };

/* The order of sets and maps does not matter. */
static bool sets_equal(const ferry_type *type, const ValueList *a, const ValueList *b) {
    size_t size = type->item->size;

    if (a->n != b->n)
        return false;
    if (a->n > COMPARED_MAX)
        return same_hash(type, a, b);
    for (size_t i = 0; i < a->n; i++) {
        size_t k = 0;

        while (k < b->n && !value_equal(type->item, (const char *)a->v + i * size,
                                        (const char *)b->v + k * size))
            k++;
        if (k == b->n)
            return false;
    }
    return true;
}

static bool maps_equal(const ferry_type *type, const ValueList *a, const ValueList *b) {
    if (a->n != b->n)
        return false;
    if (a->n > COMPARED_MAX)
        return same_hash(type, a, b);
    for (size_t i = 0; i < a->n; i++) {
        const char *entry = (const char *)a->v + i * type->entry_size;
        const void *there = ferry_map_find(type, b, entry);

        if (!there || !value_equal(type->item, entry + type->value_offset, there))
            return false;
    }
    return true;
}

static bool fields_equal(const ferry_type *type, const void *a, const void *b) {
    for (uint32_t i = 0; i < type->n; i++) {
        const void *in_a = field_value(&type->fields[i], a);
        const void *in_b = field_value(&type->fields[i], b);

        if (!in_a != !in_b || (in_a && !value_equal(type->fields[i].type, in_a, in_b)))
            return false;
    }
    return true;
}

static const ferry_field *union_field(const ferry_type *type, const void *value) {
    int32_t which = *(const int32_t *)value;

    return which > 0 && (uint32_t)which <= type->n ? &type->fields[which - 1] : NULL;
}

static bool unions_equal(const ferry_type *type, const void *a, const void *b) {
    const ferry_field *field = union_field(type, a);
    const void *in_a, *in_b;

    if (field != union_field(type, b))
        return false;
    if (!field)
        return true;
    in_a = field_value(field, a);
    in_b = field_value(field, b);
    return in_a && in_b ? value_equal(field->type, in_a, in_b) : in_a == in_b;
}

static bool value_equal(const ferry_type *type, const void *a, const void *b) {
    const ferry_bytes *bytes_a = a, *bytes_b = b;

    switch (type->kind) {
    case FERRY_KIND_STRING:
        return strcmp(*(const char *const *)a, *(const char *const *)b) == 0;
    case FERRY_KIND_BINARY:
        return bytes_a->len == bytes_b->len &&
               (bytes_a->len == 0 || memcmp(bytes_a->data, bytes_b->data, bytes_a->len) == 0);
    case FERRY_KIND_LIST:
        return lists_equal(type, a, b);
    case FERRY_KIND_SET:
        return sets_equal(type, a, b);
    case FERRY_KIND_MAP:
        return maps_equal(type, a, b);
    case FERRY_KIND_STRUCT:
    case FERRY_KIND_EXCEPTION:
    case FERRY_KIND_ARGS:
        return fields_equal(type, a, b);
    case FERRY_KIND_UNION:
        return unions_equal(type, a, b);
    case FERRY_KIND_DOUBLE:
        return *(const double *)a == *(const double *)b || memcmp(a, b, sizeof(double)) == 0;
    default:
        return memcmp(a, b, type->size) == 0;
    }
}

static uint64_t mix(uint64_t a, uint64_t b) {
    uint64_t both[2] = {a, b};

    return hash_bytes(both, sizeof(both));
}

static uint64_t items_hash(const ferry_type *type, const ValueList *list) {
    uint64_t hash = list->n;

    for (size_t i = 0; i < list->n; i++) {
        const char *entry;
        uint64_t item;

        if (type->kind == FERRY_KIND_MAP) {
            entry = (const char *)list->v + i * type->entry_size;
            item = mix(value_hash(type->key, entry),
                       value_hash(type->item, entry + type->value_offset));
        } else {
            item = value_hash(type->item, (const char *)list->v + i * type->item->size);
        }
        /* A sum does not depend on the order. */
        hash = type->kind == FERRY_KIND_LIST ? mix(hash, item) : hash + item;
    }
    return hash;
}

static uint64_t fields_hash(const ferry_type *type, const void *value) {
    uint64_t hash = 0;

    for (uint32_t i = 0; i < type->n; i++) {
        const void *inside = field_value(&type->fields[i], value);

        if (inside)
            hash = mix(hash + i, value_hash(type->fields[i].type, inside));
    }
    return hash;
}

static uint64_t value_hash(const ferry_type *type, const void *value) {
    const ferry_bytes *bytes = value;
    const ferry_field *field;
    double number;

    switch (type->kind) {
    case FERRY_KIND_STRING:
        return hash_bytes(*(const char *const *)value, strlen(*(const char *const *)value));
    case FERRY_KIND_BINARY:
        return hash_bytes(bytes->data, bytes->len);
    case FERRY_KIND_LIST:
    case FERRY_KIND_SET:
    case FERRY_KIND_MAP:
        return items_hash(type, value);
    case FERRY_KIND_STRUCT:
    case FERRY_KIND_EXCEPTION:
    case FERRY_KIND_ARGS:
        return fields_hash(type, value);
    case FERRY_KIND_UNION:
        field = union_field(type, value);
        return field && field_value(field, value)
                   ? value_hash(field->type, field_value(field, value))
                   : 0;
    case FERRY_KIND_DOUBLE:
        number = *(const double *)value == 0 ? 0 : *(const double *)value; /* -0 equals 0 */
        return hash_bytes(&number, sizeof(number));
    default:
        return hash_bytes(value, type->size);
    }
}

enum { NO_DUPLICATE = -1, NO_MEMORY = -2 };

static ptrdiff_t duplicate_of_few(const ferry_type *type, const char *v, size_t n, size_t stride) {
    for (size_t i = 1; i < n; i++)
        for (size_t k = 0; k < i; k++)
            if (value_equal(type, v + i * stride, v + k * stride))
                return (ptrdiff_t)i;
    return NO_DUPLICATE;
}

typedef struct Slot {
    uint64_t hash;
    size_t index; /* index + 1; 0: empty */
} Slot;

/* The index of an element that equals an earlier one, or one of the codes above. */
static ptrdiff_t duplicate_of(const ferry_type *type, const void *v, size_t n, size_t stride) {
    const char *items = v;
    size_t cap = 64;
    ptrdiff_t found = NO_DUPLICATE;
    Slot *slots;

    if (n <= COMPARED_MAX)
        return duplicate_of_few(type, items, n, stride);
    while (cap < 2 * n)
        cap *= 2;
    slots = calloc(cap, sizeof(*slots));
    if (!slots)
        return NO_MEMORY;
    for (size_t i = 0; i < n && found == NO_DUPLICATE; i++) {
        uint64_t hash = value_hash(type, items + i * stride);
        size_t at = hash & (cap - 1);

        while (slots[at].index > 0) {
            if (slots[at].hash == hash &&
                value_equal(type, items + i * stride, items + (slots[at].index - 1) * stride)) {
                found = (ptrdiff_t)i;
                break;
            }
            at = (at + 1) & (cap - 1);
        }
        slots[at] = (Slot){hash, i + 1};
    }
    free(slots);
    return found;
}

bool values_are_unique(const ferry_type *type, const ValueList *list, size_t stride,
                       const char *what, ValueError *error) {
    ptrdiff_t i = duplicate_of(type, list->v, list->n, stride);

    if (i == NO_DUPLICATE)
        return true;
    if (i == NO_MEMORY) {
        value_error_set(error, "ferry.OutOfMemory", "out of memory");
    } else {
        value_error_set(error, NULL, "%s occurs twice", what);
        value_error_in_item(error, (size_t)i);
    }
    return false;
}

const char *ferry_enum_name(const ferry_type *type, int32_t value) {
    for (uint32_t i = 0; i < type->n; i++)
        if (type->values[i].value == value)
            return type->values[i].name;
    return NULL;
}

const void *ferry_map_find(const ferry_type *type, const void *map, const void *key) {
    const ValueList *list = map;

    for (size_t i = 0; i < list->n; i++) {
        const char *entry = (const char *)list->v + i * type->entry_size;

        if (value_equal(type->key, entry, key))
            return entry + type->value_offset;
    }
    return NULL;
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

int ferry_uuid_parse(const char *text, ferry_uuid *ret) {
    bool braces = *text == '{';
    ferry_uuid uuid;

    text += braces;
    for (size_t i = 0; i < sizeof(uuid.bytes); i++) {
        int high, low;

        if ((i == 4 || i == 6 || i == 8 || i == 10) && *text++ != '-')
            return -EINVAL;
        high = hex_digit(text[0]);
        low = high < 0 ? -1 : hex_digit(text[1]);
        if (low < 0)
            return -EINVAL;
        uuid.bytes[i] = (uint8_t)(high << 4 | low);
        text += 2;
    }
    if (braces && *text++ != '}')
        return -EINVAL;
    if (*text)
        return -EINVAL;
    *ret = uuid;
    return 0;
}

const char *ferry_uuid_format(const ferry_uuid *uuid, char to[37]) {
    char *at = to;

    for (size_t i = 0; i < sizeof(uuid->bytes); i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *at++ = '-';
        *at++ = "0123456789abcdef"[uuid->bytes[i] >> 4];
        *at++ = "0123456789abcdef"[uuid->bytes[i] & 15];
    }
    *at = '\0';
    return to;
}
