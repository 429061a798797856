/* SPDX-License-Identifier: Apache-2.0 */
/* Unpacks bodies into blocks. See codec.h. */

#include <ferry/codec.h>

#include "base/block.h"
#include "base/error.h"
#include "rpc/schema/codec/unpack-private.h"
#include "rpc/schema/codec/values.h"

/*
 * The memory limit of a body. In a list of empty maps each struct takes one byte, but may take
 * hundreds of bytes in C.
 */
enum { MEMORY_MIN = 1024 * 1024, MEMORY_PER_BYTE = 64 };

enum { SPARE_MAX = 64 * 1024 };

static void start(Unpacker *u, Span bytes, size_t size, void **spare) {
    size_t more = bytes.len < 4096 ? bytes.len : 4096;
    size_t max =
        size + MEMORY_MIN +
        (bytes.len < SIZE_MAX / MEMORY_PER_BYTE / 2 ? bytes.len * MEMORY_PER_BYTE : SIZE_MAX / 2);

    u->end = bytes.len > 0 ? bytes.data + bytes.len : bytes.data;
    u->depth = 0;
    if (*spare)
        arena_init_with(&u->arena, max, *spare);
    else
        arena_init(&u->arena, max);
    /* A text needs about as many bytes as in the body. Small integers and alignment need more. */
    u->arena.first = size + bytes.len + more + 32;
    *spare = NULL;
    value_error_init(&u->error);
}

void schema_spare(void **spare, const void *block) {
    if (block && !*spare)
        *spare = arena_recycle(block, SPARE_MAX);
    else
        ferry_free(block);
}

static int finish(Unpacker *u, const uint8_t *at, const char *root, ferry_error *reterr) {
    if (at && at != u->end)
        value_error_set(&u->error, NULL, "there are bytes after the value");
    if (!u->error.type)
        return 0;
    ferry_free(u->arena.block);
    return value_error_report(&u->error, root, reterr);
}

/* Unpacks a usual value with the generated function, into memory that the arena already has. NULL:
 * use the table; the pieces are free again. */
static const uint8_t *unpack_usual(Unpacker *u, const ferry_type *type, Span bytes, void *to) {
    ferry_source source = {u->end, u->arena.at, u->arena.end};
    const uint8_t *at = type->get ? type->get(&source, bytes.data, to) : NULL;

    if (at != u->end)
        return NULL;
    u->arena.at = source.memory;
    return at;
}

static const uint8_t *unpack_into(Unpacker *u, const ferry_type *type, Span bytes, void *to) {
    const uint8_t *at = unpack_usual(u, type, bytes, to);

    return at ? at : unpack_value(u, bytes.data, type, to);
}

int schema_unpack_block_in(void **spare, const ferry_type *type, Span bytes, const char *root,
                           void **ret, ferry_error *reterr) {
    const uint8_t *at = NULL;
    Unpacker u;
    void *value;
    int r;

    start(&u, bytes, type->size, spare);
    value = take(&u, type->size > 0 ? type->size : 1);
    if (value)
        at = unpack_into(&u, type, bytes, value);
    r = finish(&u, at, root, reterr);
    if (r == 0)
        *ret = value;
    return r;
}

int schema_unpack_block(const ferry_type *type, Span bytes, const char *root, void **ret,
                        ferry_error *reterr) {
    return schema_unpack_block_in(&(void *){NULL}, type, bytes, root, ret, reterr);
}

int schema_unpack_into(Arena *arena, const ferry_type *type, Span bytes, const char *root,
                       void **ret, ferry_error *reterr) {
    const uint8_t *at = NULL;
    Unpacker u;
    void *value;

    start(&u, bytes, type->size, &(void *){NULL});
    u.arena = *arena;
    value = take(&u, type->size > 0 ? type->size : 1);
    if (value)
        at = unpack_into(&u, type, bytes, value);
    *arena = u.arena;
    if (at && at != u.end)
        value_error_set(&u.error, NULL, "there are bytes after the value");
    if (u.error.type)
        return value_error_report(&u.error, root, reterr);
    *ret = value;
    return 0;
}

static int unpack_text(void **spare, const ferry_type *type, Span bytes, const char *root,
                       char **ret, ferry_error *reterr) {
    const char *text = NULL;
    Unpacker u;
    int r;

    start(&u, bytes, 1, spare);
    r = finish(&u, unpack_value(&u, bytes.data, type, &text), root, reterr);
    if (r == 0)
        *ret = (char *)(uintptr_t)text;
    return r;
}

static int unpack_scalar(const ferry_type *type, Span bytes, const char *root, void *ret,
                         ferry_error *reterr) {
    int64_t largest[2]; /* room for a uuid, aligned for all scalars */
    Unpacker u;
    int r;

    start(&u, bytes, 0, &(void *){NULL});
    r = finish(&u, unpack_value(&u, bytes.data, type, largest), root, reterr);
    if (r == 0)
        memcpy(ret, largest, type->size);
    return r;
}

int schema_unpack_in(void **spare, const ferry_type *type, Span bytes, const char *root, void *ret,
                     ferry_error *reterr) {
    void *block;
    int r;

    if (type_is_scalar(type))
        return unpack_scalar(type, bytes, root, ret, reterr);
    if (type->kind == FERRY_KIND_STRING)
        return unpack_text(spare, type, bytes, root, ret, reterr);
    r = schema_unpack_block_in(spare, type, bytes, root, &block, reterr);
    if (r != 0)
        return r;
    /* A block that contains only bytes can be forwarded without a copy. */
    if (type->kind == FERRY_KIND_BINARY)
        ((ferry_bytes *)block)->block = block;
    *(void **)ret = block;
    return 0;
}

int schema_unpack(const ferry_type *type, Span bytes, const char *root, void *ret,
                  ferry_error *reterr) {
    return schema_unpack_in(&(void *){NULL}, type, bytes, root, ret, reterr);
}

int ferry_value_pack(const ferry_type *type, const void *value, ferry_bytes *ret,
                     ferry_error *reterr) {
    CLEANUP(buffer_deinit) Buffer bytes = {0};
    int r;

    *ret = (ferry_bytes){NULL, 0, NULL};
    if (!buffer_reserve(&bytes, sizeof(BlockHeader)))
        return error_set_code(reterr, -ENOMEM, NULL);
    bytes.len = sizeof(BlockHeader);
    r = schema_pack(type, value, type->name ? type->name : "value", &bytes, reterr);
    if (r == 0)
        *ret = block_of_buffer(&bytes);
    return r;
}

int ferry_value_unpack(const ferry_type *type, ferry_bytes bytes, void *ret, ferry_error *reterr) {
    if (!type_is_scalar(type))
        *(void **)ret = NULL;
    return schema_unpack(type, (Span){(const uint8_t *)bytes.data, bytes.len},
                         type->name ? type->name : "value", ret, reterr);
}
