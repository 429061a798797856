/* SPDX-License-Identifier: Apache-2.0 */
/* Slabs of equal pieces. See pool.h. */

#include "broker/queues/pool.h"

#include <assert.h>
#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__)
#define EACH_BY_MALLOC 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define EACH_BY_MALLOC 1
#endif
#endif
#ifndef EACH_BY_MALLOC
#define EACH_BY_MALLOC 0 /* 1: a sanitizer sees each piece by itself */
#endif

/* In front of each slab, which is aligned to its size: a piece finds its slab by its address. */
struct PoolSlab {
    PoolSlab *next, **link; /* of partial; link NULL: full */
    void *free;             /* pieces that were given back */
    uint32_t fresh;         /* offset of the first piece never given out */
    uint32_t used;
    uint32_t piece;
};

enum { HEAD = 64, STEP_SMALL = 32, SMALL_MAX = 1024, STEP_LARGE = 256 };

static_assert(sizeof(PoolSlab) <= HEAD, "pieces begin after the head");

static inline unsigned class_of(size_t size) {
    if (size <= SMALL_MAX)
        return size == 0 ? 0 : (unsigned)((size - 1) / STEP_SMALL);
    return (unsigned)(SMALL_MAX / STEP_SMALL + (size - SMALL_MAX - 1) / STEP_LARGE);
}

static uint32_t piece_of(unsigned class) {
    if (class < SMALL_MAX / STEP_SMALL)
        return (class + 1) * STEP_SMALL;
    return SMALL_MAX + (class - SMALL_MAX / STEP_SMALL + 1) * STEP_LARGE;
}

void pool_init(Pool *pool, uint64_t *bytes) {
    *pool = (Pool){.bytes = bytes};
}

static inline void list_in(Pool *pool, PoolSlab *slab, unsigned class) {
    slab->next = pool->partial[class];
    slab->link = &pool->partial[class];
    if (slab->next)
        slab->next->link = &slab->next;
    pool->partial[class] = slab;
}

static inline void list_out(PoolSlab *slab) {
    *slab->link = slab->next;
    if (slab->next)
        slab->next->link = slab->link;
    slab->link = NULL;
}

static void slab_free(Pool *pool, PoolSlab *slab) {
    if (slab->link)
        list_out(slab);
    *pool->bytes -= POOL_SLAB;
    free(slab);
}

void pool_deinit(Pool *pool) {
    for (unsigned class = 0; class < POOL_CLASSES; class ++)
        while (pool->partial[class]) {
            assert(pool->partial[class]->used == 0);
            slab_free(pool, pool->partial[class]);
        }
}

static PoolSlab *slab_new(Pool *pool, unsigned class) {
    PoolSlab *slab = aligned_alloc(POOL_SLAB, POOL_SLAB);

    if (!slab)
        return NULL;
    *slab = (PoolSlab){.fresh = HEAD, .piece = piece_of(class)};
    list_in(pool, slab, class);
    *pool->bytes += POOL_SLAB;
    return slab;
}

void *pool_alloc(Pool *pool, size_t size) {
    unsigned class;
    PoolSlab *slab;
    void *piece;

    if (EACH_BY_MALLOC || size > POOL_PIECE_MAX) {
        piece = malloc(size);
        if (piece)
            *pool->bytes += size;
        return piece;
    }
    class = class_of(size);
    slab = pool->partial[class];
    if (!slab && !(slab = slab_new(pool, class)))
        return NULL;
    slab->used++;
    piece = slab->free;
    if (piece) {
        slab->free = *(void **)piece;
    } else {
        piece = (uint8_t *)slab + slab->fresh;
        slab->fresh += slab->piece;
    }
    if (!slab->free && slab->fresh + slab->piece > POOL_SLAB)
        list_out(slab);
    return piece;
}

void pool_free(Pool *pool, void *piece, size_t size) {
    unsigned class;
    PoolSlab *slab;

    if (!piece)
        return;
    if (EACH_BY_MALLOC || size > POOL_PIECE_MAX) {
        *pool->bytes -= size;
        free(piece);
        return;
    }
    class = class_of(size);
    slab = (PoolSlab *)((uintptr_t)piece & ~(uintptr_t)(POOL_SLAB - 1));
    assert(slab->piece == piece_of(class) && slab->used > 0);
    *(void **)piece = slab->free;
    slab->free = piece;
    if (!slab->link)
        list_in(pool, slab, class);
    /* One empty slab of each class stays, or a queue that is filled and emptied job by job would
     * go to the system each time. */
    if (--slab->used == 0 && (slab->next || slab->link != &pool->partial[class]))
        slab_free(pool, slab);
}
