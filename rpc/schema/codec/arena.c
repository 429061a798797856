/* SPDX-License-Identifier: Apache-2.0 */
/* A block that is divided into pieces. See arena.h. */

#include "rpc/schema/codec/arena.h"

#include "base/block.h"

enum { CHUNK_MIN = 128 };

void arena_init(Arena *arena, size_t max) {
    *arena = (Arena){.max = max};
}

void arena_init_with(Arena *arena, size_t max, void *block) {
    size_t size = block_sole_size(block);

    *arena = (Arena){.block = block,
                     .at = block,
                     .end = (uint8_t *)block + size,
                     .total = size,
                     .max = max > size ? max : size};
}

void *arena_recycle(const void *block, size_t max) {
    void *chunk = (void *)(uintptr_t)block, *last;

    if (block_sole_size(chunk) == 0)
        return ferry_free(chunk);
    /* The last chunk is the largest. */
    last = (void *)(uintptr_t)block_swap_inner(chunk, NULL);
    if (last) {
        ferry_free(block_swap_inner(last, NULL));
        ferry_free(chunk);
        chunk = last;
    }
    return block_sole_size(chunk) <= max ? chunk : ferry_free(chunk);
}

size_t arena_memory(const void *block) {
    void *chunk = (void *)(uintptr_t)block;
    size_t total = 0;

    while (chunk) {
        const void *inner = block_swap_inner(chunk, NULL);

        block_swap_inner(chunk, inner);
        total += block_sole_size(chunk);
        chunk = (void *)(uintptr_t)inner;
    }
    return total;
}

/* The caller gets the first chunk; later chunks are linked to it. Each new chunk is larger than all
 * earlier ones together, so there are few, and the last one alone could hold the whole value. */
static uint8_t *chunk_new(Arena *arena, size_t size) {
    const void *before;
    void *chunk;

    if (!arena->block)
        return arena->block = block_new_around(size, NULL);
    before = block_swap_inner(arena->block, NULL);
    chunk = block_new_around(size, before);
    block_swap_inner(arena->block, chunk ? chunk : before);
    return chunk;
}

void *arena_grow(Arena *arena, size_t size) {
    size_t whole = (size + 7) & ~(size_t)7;
    size_t chunk = whole + arena->total;
    uint8_t *at;

    if (!arena->block && chunk < arena->first)
        chunk = (arena->first + 7) & ~(size_t)7;
    if (chunk < CHUNK_MIN)
        chunk = CHUNK_MIN;
    if (chunk > arena->max - arena->total)
        chunk = whole;
    if (whole < size || whole > arena->max - arena->total)
        return NULL;
    at = chunk_new(arena, chunk);
    if (!at)
        return NULL;
    arena->total += chunk;
    arena->at = at + whole;
    arena->end = at + chunk;
    return at;
}
