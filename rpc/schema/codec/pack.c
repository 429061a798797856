/* SPDX-License-Identifier: Apache-2.0 */
/* Packs values in C as MessagePack. See codec.h. */

#include <assert.h>

#include "base/text.h"
#include "rpc/schema/codec/codec.h"
#include "rpc/schema/codec/text-copy-private.h"
#include "rpc/schema/codec/value-error.h"
#include "rpc/schema/codec/values.h"
#include "rpc/wire/writer.h"

typedef struct Packer {
    Buffer *to;
    uint8_t *end; /* end of the reserved room in the buffer */
    int depth;
    ValueError error;
} Packer;

/* Bytes that the longest value of a fixed size needs: a uuid. */
enum { LEAF_ROOM = 2 + sizeof(ferry_uuid) + PUT_HEAD_MAX };

/* Free bytes for a generated function, which cannot enlarge the buffer. */
enum { USUAL_ROOM = 512 };

static uint8_t *pack_container(Packer *packer, uint8_t *at, const ferry_type *type,
                               const void *value);

static uint8_t *grow(Packer *packer, uint8_t *at, size_t need) {
    Buffer *to = packer->to;

    to->len = (size_t)(at - to->data);
    at = buffer_reserve(to, need);
    if (!at) {
        value_error_set(&packer->error, "ferry.OutOfMemory", "out of memory");
        return NULL;
    }
    packer->end = to->data + to->cap;
    return at;
}

/* Room for need bytes; NULL: out of memory. */
static inline uint8_t *room(Packer *packer, uint8_t *at, size_t need) {
    return __builtin_expect((size_t)(packer->end - at) >= need, 1) ? at : grow(packer, at, need);
}

static inline uint8_t *put_int(uint8_t *at, int64_t value) {
    int bytes;

    if (value >= 0)
        return put_uint(at, (uint64_t)value);
    if (value >= -32) {
        *at = (uint8_t)value;
        return at + 1;
    }
    bytes = value >= INT8_MIN ? 1 : value >= INT16_MIN ? 2 : value >= INT32_MIN ? 4 : 8;
    *at = (uint8_t)(0xD0 + __builtin_ctz((unsigned)bytes));
    return put_be(at + 1, (uint64_t)value, bytes);
}

static inline uint8_t *put_count(uint8_t *at, size_t n, uint8_t fix, uint8_t head16) {
    if (n < 16) {
        *at = (uint8_t)(fix | n);
        return at + 1;
    }
    *at = n <= UINT16_MAX ? head16 : (uint8_t)(head16 + 1);
    return put_be(at + 1, n, n <= UINT16_MAX ? 2 : 4);
}

static uint8_t *refuse(Packer *packer, const char *text) {
    value_error_set(&packer->error, NULL, "%s", text);
    return NULL;
}

static uint8_t *too_long(Packer *packer) {
    value_error_set(&packer->error, "ferry.TooBig", "longer than 4 GiB");
    return NULL;
}

static uint8_t *pack_string(Packer *packer, uint8_t *at, const char *text) {
    size_t len;

    if (!text)
        return refuse(packer, "the string is NULL");
    len = strlen(text);
    if (len > UINT32_MAX)
        return too_long(packer);
    at = room(packer, at, len + PUT_HEAD_MAX);
    if (!at)
        return NULL;
    at = put_str_head(at, len);
    if (!copy_plain_text(at, (const uint8_t *)text, len) && !text_is_utf8(text, len))
        return refuse(packer, "the string is not UTF-8");
    return at + len;
}

static uint8_t *pack_binary(Packer *packer, uint8_t *at, const ferry_bytes *bytes) {
    if (bytes->len > UINT32_MAX)
        return too_long(packer);
    if (!bytes->data && bytes->len > 0)
        return refuse(packer, "the bytes are NULL");
    at = room(packer, at, bytes->len + PUT_HEAD_MAX);
    return at ? copy_bytes(put_bin_head(at, bytes->len), bytes->data, bytes->len) : NULL;
}

/* Packs a value into LEAF_ROOM bytes of room; larger values reserve their own room. Inline, because
 * most values of a body are numbers and texts. */
static inline __attribute__((always_inline)) uint8_t *pack_inside(Packer *packer, uint8_t *at,
                                                                  const ferry_type *type,
                                                                  const void *value) {
    int64_t number;
    uint64_t bits;

    switch (type->kind) {
    case FERRY_KIND_STRING:
        return pack_string(packer, at, *(const char *const *)value);
    case FERRY_KIND_BINARY:
        return pack_binary(packer, at, value);
    case FERRY_KIND_BOOL:
        *at = *(const bool *)value ? 0xC3 : 0xC2;
        return at + 1;
    case FERRY_KIND_DOUBLE:
        memcpy(&bits, value, sizeof(bits));
        *at = 0xCB;
        return put_be(at + 1, bits, 8);
    case FERRY_KIND_UUID:
        return put_bytes(put_bin_head(at, sizeof(ferry_uuid)), value, sizeof(ferry_uuid));
    case FERRY_KIND_I8:
        /* NOLINTNEXTLINE(bugprone-signed-char-misuse): a number, not a character */
        number = *(const int8_t *)value;
        break;
    case FERRY_KIND_I16:
        number = *(const int16_t *)value;
        break;
    case FERRY_KIND_I32:
    case FERRY_KIND_ENUM:
        number = *(const int32_t *)value;
        break;
    case FERRY_KIND_I64:
        number = *(const int64_t *)value;
        break;
    default:
        return pack_container(packer, at, type, value);
    }
    return put_int(at, number);
}

static uint8_t *pack_value(Packer *packer, uint8_t *at, const ferry_type *type, const void *value) {
    at = room(packer, at, LEAF_ROOM);
    return at ? pack_inside(packer, at, type, value) : NULL;
}

/* Enters a container. The limit of the depth also ends a tree with a cycle. */
static bool descend(Packer *packer) {
    if (packer->depth < WIRE_DEPTH_MAX) {
        packer->depth++;
        return true;
    }
    refuse(packer, "nested deeper than 32 levels");
    return false;
}

static uint8_t *pack_list(Packer *packer, uint8_t *at, const ferry_type *type,
                          const ValueList *list) {
    const char *item = list->v;

    if (list->n > UINT32_MAX)
        return too_long(packer);
    if (!item && list->n > 0)
        return refuse(packer, "the list is NULL");
    if (!descend(packer))
        return NULL;
    at = put_count(at, list->n, 0x90, 0xDC);
    for (size_t i = 0; i < list->n; i++, item += type->item->size) {
        at = room(packer, at, LEAF_ROOM);
        if (at)
            at = pack_inside(packer, at, type->item, item);
        if (__builtin_expect(!at, 0)) {
            value_error_in_item(&packer->error, i);
            return NULL;
        }
    }
    packer->depth--;
    /* Duplicates are searched last, since comparing needs checked values. */
    if (type->kind == FERRY_KIND_SET &&
        !values_are_unique(type->item, list, type->item->size, "the element", &packer->error))
        return NULL;
    return at;
}

static uint8_t *pack_map(Packer *packer, uint8_t *at, const ferry_type *type,
                         const ValueList *map) {
    const char *entry = map->v;

    if (map->n > UINT32_MAX)
        return too_long(packer);
    if (!entry && map->n > 0)
        return refuse(packer, "the map is NULL");
    if (!descend(packer))
        return NULL;
    at = put_count(at, map->n, 0x80, 0xDE);
    for (size_t i = 0; i < map->n; i++, entry += type->entry_size) {
        at = pack_value(packer, at, type->key, entry);
        if (!at)
            value_error_in_key(&packer->error);
        else
            at = pack_value(packer, at, type->item, entry + type->value_offset);
        if (!at) {
            value_error_in_item(&packer->error, i);
            return NULL;
        }
    }
    packer->depth--;
    return values_are_unique(type->key, map, type->entry_size, "the key", &packer->error) ? at
                                                                                          : NULL;
}

/* The value in a field's slot. NULL: an absent value, or a failure if the field is not optional. */
static inline const void *slot_value(const ferry_field *field, const void *in) {
    const void *slot = (const char *)in + field->offset;

    assert(in);
    if (__builtin_expect(!(field->flags & (FERRY_OPTIONAL | FERRY_POINTER)), 1))
        return slot;
    if (field_is_pointer(field))
        return *(const void *const *)slot;
    return (field->flags & FERRY_OPTIONAL) && !*(const char *const *)slot ? NULL : slot;
}

static uint8_t *pack_field(Packer *packer, uint8_t *at, const ferry_field *field,
                           const void *value) {
    at = value ? pack_value(packer, at, field->type, value) : refuse(packer, "it is NULL");
    if (!at)
        value_error_in_field(&packer->error, field->name);
    return at;
}

static size_t count_present(const ferry_type *type, const void *value) {
    size_t n = 0;

    for (uint32_t i = 0; i < type->n; i++)
        n += !(type->fields[i].flags & FERRY_OPTIONAL) || slot_value(&type->fields[i], value);
    return n;
}

static uint8_t *pack_struct(Packer *packer, uint8_t *at, const ferry_type *type,
                            const void *value) {
    size_t head = (size_t)(at - packer->to->data); /* position of the count; the buffer may move */
    size_t absent = 0;

    if (!descend(packer))
        return NULL;
    at = put_count(at, type->n < 16 ? 0 : count_present(type, value), 0x80, 0xDE);
    for (const ferry_field *field = type->fields, *end = field + type->n; field < end; field++) {
        const void *inside = slot_value(field, value);

        if (__builtin_expect(!inside && (field->flags & FERRY_OPTIONAL), 0)) {
            absent++;
            continue;
        }
        at = room(packer, at, field->name_len + (size_t)PUT_HEAD_MAX + LEAF_ROOM);
        if (!at)
            return NULL;
        at = copy_bytes(put_str_head(at, field->name_len), field->name, field->name_len);
        at = inside ? pack_inside(packer, at, field->type, inside) : refuse(packer, "it is NULL");
        if (__builtin_expect(!at, 0)) {
            value_error_in_field(&packer->error, field->name);
            return NULL;
        }
    }
    if (type->n < 16)
        packer->to->data[head] = (uint8_t)(0x80 | (type->n - absent));
    packer->depth--;
    return at;
}

static uint8_t *pack_args(Packer *packer, uint8_t *at, const ferry_type *type, const void *value) {
    if (!descend(packer))
        return NULL;
    at = put_count(at, type->n, 0x90, 0xDC);
    for (uint32_t i = 0; i < type->n; i++) {
        const ferry_field *field = &type->fields[i];
        const void *inside = slot_value(field, value);

        if (!inside && (field->flags & FERRY_OPTIONAL)) {
            at = room(packer, at, 1);
            if (!at)
                return NULL;
            *at++ = 0xC0;
            continue;
        }
        at = pack_field(packer, at, field, inside);
        if (!at)
            return NULL;
    }
    packer->depth--;
    return at;
}

static uint8_t *pack_union(Packer *packer, uint8_t *at, const ferry_type *type, const void *value) {
    int32_t which = *(const int32_t *)value;
    const ferry_field *field;

    if (which <= 0 || (uint32_t)which > type->n)
        return refuse(packer, "the union has no value: set which");
    if (!descend(packer))
        return NULL;
    field = &type->fields[which - 1];
    at = room(packer, at, field->name_len + 2 * (size_t)PUT_HEAD_MAX);
    if (!at)
        return NULL;
    *at++ = 0x81;
    at = copy_bytes(put_str_head(at, field->name_len), field->name, field->name_len);
    at = pack_field(packer, at, field, slot_value(field, value));
    packer->depth--;
    return at;
}

static uint8_t *pack_container(Packer *packer, uint8_t *at, const ferry_type *type,
                               const void *value) {
    switch (type->kind) {
    case FERRY_KIND_LIST:
    case FERRY_KIND_SET:
        return pack_list(packer, at, type, value);
    case FERRY_KIND_MAP:
        return pack_map(packer, at, type, value);
    case FERRY_KIND_STRUCT:
    case FERRY_KIND_EXCEPTION:
        return pack_struct(packer, at, type, value);
    case FERRY_KIND_UNION:
        return pack_union(packer, at, type, value);
    case FERRY_KIND_ARGS:
        return pack_args(packer, at, type, value);
    default:
        return refuse(packer, "the table has a type that this library does not know");
    }
}

/* Packs a usual value with the generated function. NULL: use the table. */
static uint8_t *pack_usual(const ferry_type *type, const void *value, Buffer *to) {
    uint8_t *at = type->put ? buffer_reserve(to, USUAL_ROOM) : NULL;

    return at ? type->put(at, to->data + to->cap, value) : NULL;
}

int schema_pack(const ferry_type *type, const void *value, const char *root, Buffer *to,
                ferry_error *reterr) {
    size_t start = to->len;
    Packer packer;
    uint8_t *at = pack_usual(type, value, to);

    if (at) {
        to->len = (size_t)(at - to->data);
        return 0;
    }
    packer.to = to;
    packer.depth = 0;
    value_error_init(&packer.error);
    packer.end = to->data ? to->data + to->cap : NULL;
    at = pack_value(&packer, to->data ? to->data + to->len : NULL, type, value);
    if (!at) {
        to->len = start;
        return value_error_report(&packer.error, root, reterr);
    }
    to->len = (size_t)(at - to->data);
    return 0;
}
