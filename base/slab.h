/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Memory for small records that are made and freed by the million, for example jobs. Pieces of one
 * size class share slabs. Empty slabs return to the system, so the memory of a burst is freed.
 */

#include <stddef.h>
#include <stdint.h>

typedef struct SlabPage SlabPage;

enum {
    SLAB_BYTES = 64 * 1024,
    SLAB_PIECE_MAX = 4096,  /* larger pieces come from malloc() */
    SLAB_CLASSES = 32 + 12, /* sizes in steps of 32 bytes up to 1024, then of 256 bytes */
};

typedef struct Slabs {
    /* Counts the bytes that are taken from the system. It counts whole slabs, because a slab with
     * one piece takes as much memory as a full slab. */
    uint64_t *bytes;
    SlabPage *partial[SLAB_CLASSES]; /* slabs with free pieces */
} Slabs;

void slabs_init(Slabs *slabs, uint64_t *bytes);
/* All pieces must have been freed. */
void slabs_deinit(Slabs *slabs);

/* Allocates memory that is not zeroed and aligned to 16 bytes. NULL: out of memory. To free it,
 * pass the same size. */
void *slabs_alloc(Slabs *slabs, size_t size);
void slabs_free(Slabs *slabs, void *piece, size_t size);
