/* A block that takes pieces. See arena.h. */

#include "rpc/schema/arena.h"

#include "base/block.h"

enum { CHUNK_MIN = 128 };

void arena_init(Arena *arena, size_t max) {
    *arena = (Arena){.max = max};
}

/* A further chunk hangs on the first, which is the block that is handed out. Each is as large as
 * all before together, so there are few. */
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

void *arena_grow(Arena *arena, size_t size, size_t first) {
    size_t whole = (size + 7) & ~(size_t)7;
    size_t chunk = whole > arena->total ? whole : arena->total;
    uint8_t *at;

    if (chunk < first)
        chunk = (first + 7) & ~(size_t)7;
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
