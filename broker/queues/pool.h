/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Memory for what comes and goes by the million: jobs. Pieces of one size class share slabs; a slab
 * that is empty goes back to the system, so a burst does not keep its memory for ever.
 */

#include <stddef.h>
#include <stdint.h>

typedef struct PoolSlab PoolSlab;

enum {
    POOL_SLAB = 64 * 1024,
    POOL_PIECE_MAX = 4096,  /* larger ones come from malloc() */
    POOL_CLASSES = 32 + 12, /* by 32 bytes up to 1024, then by 256 */
};

typedef struct Pool {
    /* What the pool takes from the system is added here, and taken off again: whole slabs, because
     * a slab in which one piece lives costs what a full one does. */
    uint64_t *bytes;
    PoolSlab *partial[POOL_CLASSES]; /* slabs with free pieces */
} Pool;

void pool_init(Pool *pool, uint64_t *bytes);
/* All pieces must have been freed. */
void pool_deinit(Pool *pool);

/* Not zeroed, aligned to 16. NULL: out of memory. size as it was when freeing. */
void *pool_alloc(Pool *pool, size_t size);
void pool_free(Pool *pool, void *piece, size_t size);
