/* SPDX-License-Identifier: Apache-2.0 */
/* Unpacks MessagePack to values in C. See codec.h. */

#include "rpc/schema/codec/unpack-private.h"
#include "rpc/schema/codec/unpack-scalar-private.h"
#include "rpc/schema/codec/values.h"
#include "rpc/wire/writer.h"

static const char *type_at(const Unpacker *u, const uint8_t *at) {
    Reader reader = reader_of(at, (size_t)(u->end - at));

    if (at < u->end && *at == 0xC1)
        return "the byte 0xc1";
    return wire_type_name(reader_peek(&reader));
}

/* Reports a type mismatch, or a value that is cut off. */
const uint8_t *unpacker_expected(Unpacker *u, const uint8_t *at, const ferry_type *type) {
    Reader reader = reader_of(at, (size_t)(u->end - at));

    reader_value(&reader);
    if (reader.problem && at < u->end && *at != 0xC1)
        return refuse(u, reader.problem);
    value_error_set(&u->error, NULL, "expected %s, got %s", value_error_type_name(type),
                    type_at(u, at));
    return NULL;
}

void *unpacker_no_piece(Unpacker *u, size_t size) {
    if (size <= u->arena.max - u->arena.total)
        value_error_set(&u->error, "ferry.OutOfMemory", "out of memory");
    else
        value_error_set(&u->error, "ferry.TooBig",
                        "the value takes far more memory than its bytes");
    return NULL;
}

static bool descend(Unpacker *u) {
    if (u->depth < WIRE_DEPTH_MAX) {
        u->depth++;
        return true;
    }
    refuse(u, "nested deeper than 32 levels");
    return false;
}

static const uint8_t *unpack_container(Unpacker *u, const uint8_t *at, const ferry_type *type,
                                       void *to);

/* Inline in the loops over values, because most values are numbers and texts. */
static inline __attribute__((always_inline)) const uint8_t *unpack_inside(Unpacker *u,
                                                                          const uint8_t *at,
                                                                          const ferry_type *type,
                                                                          void *to) {
    int64_t number = 0;
    bool fits;

    switch (type->kind) {
    case FERRY_KIND_STRING:
        return unpack_string(u, at, type, to);
    case FERRY_KIND_BINARY:
        return unpack_binary(u, at, type, to);
    case FERRY_KIND_BOOL:
        return unpack_bool(u, at, type, to);
    case FERRY_KIND_DOUBLE:
        return unpack_double(u, at, type, to);
    case FERRY_KIND_UUID:
        return unpack_uuid(u, at, type, to);
    case FERRY_KIND_I8:
        at = read_number(u, at, type, &number);
        fits = number == (*(int8_t *)to = (int8_t)number);
        break;
    case FERRY_KIND_I16:
        at = read_number(u, at, type, &number);
        fits = number == (*(int16_t *)to = (int16_t)number);
        break;
    case FERRY_KIND_I32:
    case FERRY_KIND_ENUM:
        at = read_number(u, at, type, &number);
        fits = number == (*(int32_t *)to = (int32_t)number);
        break;
    case FERRY_KIND_I64:
        at = read_number(u, at, type, &number);
        *(int64_t *)to = number;
        return at;
    default:
        return unpack_container(u, at, type, to);
    }
    return !at || __builtin_expect(fits, 1) ? at
                                            : out_of_range(u, type, number < 0, (uint64_t)number);
}

/* ---- containers ---- */

/* Memory for n items. NULL without memory, or if n is 0. */
static char *take_items(Unpacker *u, size_t n, size_t size) {
    if (n > 0 && size > SIZE_MAX / 2 / n) {
        value_error_set(&u->error, "ferry.TooBig",
                        "the value takes far more memory than its bytes");
        return NULL;
    }
    return n > 0 ? take(u, n * size) : NULL;
}

static const uint8_t *unpack_list(Unpacker *u, const uint8_t *at, const ferry_type *type,
                                  ValueList *to) {
    Reader reader = reader_of(at, (size_t)(u->end - at));
    size_t n = reader_array(&reader), size = type->item->size;
    char *items;

    if (reader.problem)
        return unpacker_expected(u, at, type);
    if (!descend(u))
        return NULL;
    at = reader.at;
    items = take_items(u, n, size);
    if (!items && n > 0)
        return NULL;
    *to = (ValueList){n, items};
    for (size_t i = 0; i < n; i++, items += size) {
        at = unpack_inside(u, at, type->item, items);
        if (__builtin_expect(!at, 0)) {
            value_error_in_item(&u->error, i);
            return NULL;
        }
    }
    u->depth--;
    if (type->kind == FERRY_KIND_SET &&
        !values_are_unique(type->item, to, size, "the element", &u->error))
        return NULL;
    return at;
}

static const uint8_t *unpack_map(Unpacker *u, const uint8_t *at, const ferry_type *type,
                                 ValueList *to) {
    Reader reader = reader_of(at, (size_t)(u->end - at));
    size_t n = reader_map(&reader);
    char *entry;

    if (reader.problem)
        return unpacker_expected(u, at, type);
    if (!descend(u))
        return NULL;
    at = reader.at;
    entry = take_items(u, n, type->entry_size);
    if (!entry && n > 0)
        return NULL;
    *to = (ValueList){n, entry};
    for (size_t i = 0; i < n; i++, entry += type->entry_size) {
        at = unpack_value(u, at, type->key, entry);
        if (!at)
            value_error_in_key(&u->error);
        else
            at = unpack_value(u, at, type->item, entry + type->value_offset);
        if (!at) {
            value_error_in_item(&u->error, i);
            return NULL;
        }
    }
    u->depth--;
    return values_are_unique(type->key, to, type->entry_size, "the key", &u->error) ? at : NULL;
}

/* ---- structs ---- */

/* Unpacks into the field's place in the C struct at base. */
static inline __attribute__((always_inline)) const uint8_t *unpack_field(Unpacker *u,
                                                                         const uint8_t *at,
                                                                         const ferry_field *field,
                                                                         char *base) {
    void *to = base + field->offset;

    if (field_is_pointer(field)) {
        void *value = take(u, field->type->size);

        *(void **)to = value;
        to = value;
    }
    at = to ? unpack_inside(u, at, field->type, to) : NULL;
    if (__builtin_expect(!at, 0))
        value_error_in_field(&u->error, field->name);
    return at;
}

/* Sets a field that is missing to its default, or to absent. */
static bool fill_in(Unpacker *u, const ferry_field *field, char *base) {
    void *to = base + field->offset;

    if (field->flags & FERRY_OPTIONAL) {
        /* A string's default is a pointer to its pointer. */
        if (field->type->kind == FERRY_KIND_STRING)
            *(const char **)to = field->value ? *(const char *const *)field->value : NULL;
        else
            *(const void **)to = field->value;
        return true;
    }
    if (field->value && !(field->flags & FERRY_REQUIRED)) {
        if (field_is_pointer(field))
            *(const void **)to = field->value;
        else
            memcpy(to, field->value, field->type->size);
        return true;
    }
    refuse(u, "it is missing");
    value_error_in_field(&u->error, field->name);
    return false;
}

/* The index of a field, or SIZE_MAX. Senders write fields in the order of the table, so the search
 * starts behind the last field. */
static inline size_t find_field(const ferry_type *type, size_t next, Span key) {
    size_t n = type->n;

    for (size_t tries = 0; tries < n; tries++, next++) {
        const ferry_field *field;

        if (next >= n)
            next = 0;
        field = &type->fields[next];
        if (field->name_len == key.len && bytes_equal(field->name, key.data, key.len))
            return next;
    }
    return SIZE_MAX;
}

/* True: the key at this place is the name of the field. This is so if the sender writes fields in
 * the order of the table. */
static inline bool is_next_key(const Unpacker *u, const uint8_t *at, const ferry_field *field) {
    size_t len = field->name_len;

    return len < 32 && (size_t)(u->end - at) > len && *at == (0xA0 | len) &&
           bytes_equal(at + 1, field->name, len);
}

static bool is_absent(const Unpacker *u, const uint8_t *at, const ferry_field *field) {
    return at < u->end && *at == 0xC0 && (field->flags & FERRY_OPTIONAL);
}

static const uint8_t *skip(Unpacker *u, const uint8_t *at) {
    Reader reader = reader_of(at, (size_t)(u->end - at));

    reader_value(&reader);
    return reader.problem ? refuse(u, reader.problem) : reader.at;
}

/* The head of a map that is a struct, a union or an exception. */
static const uint8_t *open_fields(Unpacker *u, const uint8_t *at, const ferry_type *type,
                                  size_t *n) {
    Reader reader = reader_of(at, (size_t)(u->end - at));

    *n = reader_map(&reader);
    if (reader.problem)
        return unpacker_expected(u, at, type);
    return descend(u) ? reader.at : NULL;
}

static const uint8_t *read_key(Unpacker *u, const uint8_t *at, Span *key) {
    Reader reader = reader_of(at, (size_t)(u->end - at));

    *key = reader_str(&reader);
    if (reader.problem) {
        value_error_set(&u->error, NULL, "expected the name of a field, got %s", type_at(u, at));
        return NULL;
    }
    return reader.at;
}

static const uint8_t *twice(Unpacker *u, const ferry_field *field) {
    refuse(u, "it occurs twice");
    value_error_in_field(&u->error, field->name);
    return NULL;
}

static inline __attribute__((always_inline)) const uint8_t *unpack_present(Unpacker *u,
                                                                           const uint8_t *at,
                                                                           const ferry_field *field,
                                                                           void *to) {
    if (field->flags & FERRY_OPTIONAL && at < u->end && *at == 0xC0)
        return fill_in(u, field, to) ? at + 1 : NULL;
    return unpack_field(u, at, field, to);
}

/* The other keys, n of them, after the first `next` fields of the table. */
static const uint8_t *unpack_others(Unpacker *u, const uint8_t *at, const ferry_type *type,
                                    void *to, size_t next, size_t n) {
    uint64_t seen[VALUE_FIELDS_MAX / 64];
    Span key;

    if (type->n > VALUE_FIELDS_MAX)
        return refuse(u, "the table has too many fields");
    for (size_t i = 0; i * 64 < type->n; i++)
        seen[i] = next >= 64 * (i + 1) ? UINT64_MAX
                  : next > 64 * i      ? (UINT64_C(1) << next % 64) - 1
                                       : 0;
    while (n-- > 0) {
        const ferry_field *field;
        size_t i;

        at = read_key(u, at, &key);
        if (!at)
            return NULL;
        i = find_field(type, next, key);
        if (i == SIZE_MAX) {
            at = skip(u, at);
        } else {
            field = &type->fields[i];
            if (seen[i / 64] & UINT64_C(1) << i % 64)
                return twice(u, field);
            seen[i / 64] |= UINT64_C(1) << i % 64;
            next = i + 1;
            at = unpack_present(u, at, field, to);
        }
        if (!at)
            return NULL;
    }
    for (size_t i = 0; i < type->n; i++)
        if (!(seen[i / 64] & UINT64_C(1) << i % 64) && !fill_in(u, &type->fields[i], to))
            return NULL;
    return at;
}

static const uint8_t *unpack_struct(Unpacker *u, const uint8_t *at, const ferry_type *type,
                                    void *to) {
    const ferry_field *field = type->fields, *end = field + type->n;
    size_t n;

    at = open_fields(u, at, type, &n);
    if (!at)
        return NULL;
    /* Looking up an unknown key takes time in proportion to the fields. */
    if (n > 4 * (size_t)type->n + 64)
        return refuse(u, "there are far more keys than fields");
    for (; n > 0 && field < end && is_next_key(u, at, field); field++, n--) {
        at = unpack_present(u, at + 1 + field->name_len, field, to);
        if (__builtin_expect(!at, 0))
            return NULL;
    }
    if (__builtin_expect(n > 0 || field < end, 0))
        at = unpack_others(u, at, type, to, (size_t)(field - type->fields), n);
    u->depth--;
    return at;
}

/* An older caller sends fewer arguments: the missing ones get their defaults. A newer caller sends
 * more arguments: the extra ones are skipped. */
static const uint8_t *unpack_args(Unpacker *u, const uint8_t *at, const ferry_type *type,
                                  void *to) {
    Reader reader = reader_of(at, (size_t)(u->end - at));
    uint32_t n = reader_array(&reader);

    if (reader.problem)
        return unpacker_expected(u, at, type);
    if (!descend(u))
        return NULL;
    at = reader.at;
    for (uint32_t i = 0; i < type->n; i++) {
        const ferry_field *field = &type->fields[i];

        if (i < n && !is_absent(u, at, field)) {
            at = unpack_field(u, at, field, to);
            if (!at)
                return NULL;
            continue;
        }
        at += i < n;
        if (!fill_in(u, field, to))
            return NULL;
    }
    for (uint32_t i = type->n; i < n && at; i++)
        at = skip(u, at);
    u->depth--;
    return at;
}

static const uint8_t *unpack_union(Unpacker *u, const uint8_t *at, const ferry_type *type,
                                   void *to) {
    size_t n, i;
    Span key;

    memset(to, 0, type->size);
    at = open_fields(u, at, type, &n);
    if (!at)
        return NULL;
    if (n != 1) {
        value_error_set(&u->error, NULL, "expected %s with one key, got %zu keys",
                        value_error_type_name(type), n);
        return NULL;
    }
    at = read_key(u, at, &key);
    if (!at)
        return NULL;
    i = find_field(type, 0, key);
    if (i == SIZE_MAX) {
        at = skip(u, at);
    } else {
        *(int32_t *)to = (int32_t)i + 1;
        at = unpack_field(u, at, &type->fields[i], to);
    }
    u->depth--;
    return at;
}

static const uint8_t *unpack_container(Unpacker *u, const uint8_t *at, const ferry_type *type,
                                       void *to) {
    switch (type->kind) {
    case FERRY_KIND_LIST:
    case FERRY_KIND_SET:
        return unpack_list(u, at, type, to);
    case FERRY_KIND_MAP:
        return unpack_map(u, at, type, to);
    case FERRY_KIND_STRUCT:
    case FERRY_KIND_EXCEPTION:
        return unpack_struct(u, at, type, to);
    case FERRY_KIND_UNION:
        return unpack_union(u, at, type, to);
    case FERRY_KIND_ARGS:
        return unpack_args(u, at, type, to);
    default:
        return refuse(u, "the table has a type that this library does not know");
    }
}

const uint8_t *unpack_value(Unpacker *u, const uint8_t *at, const ferry_type *type, void *to) {
    return unpack_inside(u, at, type, to);
}
