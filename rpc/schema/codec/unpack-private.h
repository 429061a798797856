/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Functions that the unpacker's files share. A reading function returns the position behind its
 * value, or NULL after it has set the error. */

#include "rpc/schema/codec/arena.h"
#include "rpc/schema/codec/codec.h"
#include "rpc/schema/codec/value-error.h"

typedef struct Unpacker {
    const uint8_t *end;
    Arena arena;
    size_t first; /* size of the arena's first chunk */
    int depth;
    ValueError error;
} Unpacker;

/* Unpacks any value into the C value at to. */
const uint8_t *unpack_value(Unpacker *u, const uint8_t *at, const ferry_type *type, void *to);

/* Reports that the value has another type. Returns NULL. */
const uint8_t *unpacker_expected(Unpacker *u, const uint8_t *at, const ferry_type *type);

static inline const uint8_t *refuse(Unpacker *u, const char *text) {
    value_error_set(&u->error, NULL, "%s", text);
    return NULL;
}

static inline void *take(Unpacker *u, size_t size) {
    void *piece = __builtin_expect(u->arena.block != NULL, 1)
                      ? arena_take(&u->arena, size)
                      : arena_grow(&u->arena, size, u->first);

    if (!piece && size <= u->arena.max - u->arena.total)
        value_error_set(&u->error, "ferry.OutOfMemory", "out of memory");
    else if (!piece)
        value_error_set(&u->error, "ferry.TooBig",
                        "the value takes far more memory than its bytes");
    return piece;
}
