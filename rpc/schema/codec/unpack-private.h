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
    int depth;
    ValueError error;
} Unpacker;

/* Unpacks a value of any type into the C value at `to`. */
const uint8_t *unpack_value(Unpacker *u, const uint8_t *at, const ferry_type *type, void *to);

/* Reports that the arena has no piece of this size. Returns NULL. */
void *unpacker_no_piece(Unpacker *u, size_t size);

/* Reports that the value has another type. Returns NULL. */
const uint8_t *unpacker_expected(Unpacker *u, const uint8_t *at, const ferry_type *type);

static inline const uint8_t *refuse(Unpacker *u, const char *text) {
    value_error_set(&u->error, NULL, "%s", text);
    return NULL;
}

static inline void *take(Unpacker *u, size_t size) {
    void *piece = arena_take(&u->arena, size);

    return __builtin_expect(piece != NULL, 1) ? piece : unpacker_no_piece(u, size);
}
