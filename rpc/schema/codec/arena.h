/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One block that takes pieces until it is freed whole: what an unpacked value lives in. */

#include <stddef.h>
#include <stdint.h>

typedef struct Arena {
    void *block; /* the first piece is its beginning; NULL: nothing taken yet */
    uint8_t *at, *end;
    size_t total, max; /* bytes: taken from the system, and no more than this */
} Arena;

/* No memory is taken before the first piece; the first chunk is of size first at least. */
void arena_init(Arena *arena, size_t max);

/* The same with a first chunk that is there already: what arena_recycle() returned. */
void arena_init_with(Arena *arena, size_t max, void *block);

/* The largest chunk of an arena's block, for another arena; the others are freed. NULL, and all are
 * given up: somebody else keeps the block, or the chunk is larger than max. */
void *arena_recycle(const void *block, size_t max);

void *arena_grow(Arena *arena, size_t size, size_t first);

/* A piece at a multiple of 8. NULL: out of memory, or over max. */
static inline void *arena_take(Arena *arena, size_t size) {
    size_t whole = (size + 7) & ~(size_t)7;

    if (__builtin_expect(whole <= (size_t)(arena->end - arena->at) && whole >= size, 1)) {
        void *piece = arena->at;

        arena->at += whole;
        return piece;
    }
    return arena_grow(arena, size, 0);
}
