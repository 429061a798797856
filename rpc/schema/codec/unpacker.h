#pragma once

/* What the files of the unpacker share. A function that reads returns where it stopped, or NULL
 * after it has set the trouble. */

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

/* Any value, to where a C value of its type begins. */
const uint8_t *unpack_value(Unpacker *u, const uint8_t *at, const ferry_type *type, void *to);

/* Nothing of this type is here. Returns NULL. */
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
