/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Memory for small records that come and go by the million, like jobs. Pieces of one size class
 * share slabs. An empty slab goes back to the system, so the memory of a burst is not kept for
 * ever.
 */

#include <stddef.h>
#include <stdint.h>

typedef struct SlabPage SlabPage;

enum {
    SLAB_BYTES = 64 * 1024,
    SLAB_PIECE_MAX = 4096,  /* larger ones come from malloc() */
    SLAB_CLASSES = 32 + 12, /* by 32 bytes up to 1024, then by 256 */
};

typedef struct Slabs {
    /* The bytes taken from the system are added here, and subtracted when they go back: whole
     * slabs, because a slab with one piece costs as much as a full one. */
    uint64_t *bytes;
    SlabPage *partial[SLAB_CLASSES]; /* slabs with free pieces */
} Slabs;

void slabs_init(Slabs *slabs, uint64_t *bytes);
/* All pieces must have been freed. */
void slabs_deinit(Slabs *slabs);

/* Not zeroed, aligned to 16. NULL: out of memory. size as it was when freeing. */
void *slabs_alloc(Slabs *slabs, size_t size);
void slabs_free(Slabs *slabs, void *piece, size_t size);
