/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A block for an unpacked value: pieces are taken one by one and freed together. */

#include <stddef.h>
#include <stdint.h>

typedef struct Arena {
    void *block; /* begins with the first piece; NULL before that */
    uint8_t *at, *end;
    size_t total, max; /* bytes allocated so far, and their limit */
    size_t first;      /* size of the first chunk, unless its piece needs more */
} Arena;

/* Allocates no memory before the first piece. */
void arena_init(Arena *arena, size_t max);

/* Like arena_init(), but with a first chunk from arena_recycle(). */
void arena_init_with(Arena *arena, size_t max, void *block);

/* Frees a block, except its largest chunk, which it returns for another arena. Returns NULL if the
 * block has another owner or the chunk is larger than max; the block is then released. */
void *arena_recycle(const void *block, size_t max);

/* The memory of all chunks of a block with a single owner. */
size_t arena_memory(const void *block);

void *arena_grow(Arena *arena, size_t size);

/* Takes a piece, aligned to 8 bytes. NULL: out of memory, or max is exceeded. */
static inline void *arena_take(Arena *arena, size_t size) {
    size_t whole = (size + 7) & ~(size_t)7;

    if (__builtin_expect(whole <= (size_t)(arena->end - arena->at) && whole >= size, 1)) {
        void *piece = arena->at;

        arena->at += whole;
        return piece;
    }
    return arena_grow(arena, size);
}
