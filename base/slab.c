/* SPDX-License-Identifier: Apache-2.0 */
/* Slabs: pages that are divided into pieces of equal size. See slab.h. */

#include "base/slab.h"

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
#define EACH_BY_MALLOC 0 /* 1: a sanitizer checks each piece */
#endif

/* The head of a slab. A slab is aligned to its size, so the address of a piece leads to its
 * slab. */
struct SlabPage {
    SlabPage *next, **link; /* neighbours in `partial`; if link is NULL, the slab is full */
    void *free;             /* list of freed pieces */
    uint32_t fresh;         /* offset of the first piece that was never allocated */
    uint32_t used;
    uint32_t piece;
};

enum { HEAD = 64, STEP_SMALL = 32, SMALL_MAX = 1024, STEP_LARGE = 256 };

static_assert(sizeof(SlabPage) <= HEAD, "pieces begin after the head");

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

void slabs_init(Slabs *slabs, uint64_t *bytes) {
    *slabs = (Slabs){.bytes = bytes};
}

static inline void list_in(Slabs *slabs, SlabPage *slab, unsigned class) {
    slab->next = slabs->partial[class];
    slab->link = &slabs->partial[class];
    if (slab->next)
        slab->next->link = &slab->next;
    slabs->partial[class] = slab;
}

static inline void list_out(SlabPage *slab) {
    *slab->link = slab->next;
    if (slab->next)
        slab->next->link = slab->link;
    slab->link = NULL;
}

static void slab_free(Slabs *slabs, SlabPage *slab) {
    if (slab->link)
        list_out(slab);
    *slabs->bytes -= SLAB_BYTES;
    free(slab);
}

void slabs_deinit(Slabs *slabs) {
    for (unsigned class = 0; class < SLAB_CLASSES; class ++)
        while (slabs->partial[class]) {
            assert(slabs->partial[class]->used == 0);
            slab_free(slabs, slabs->partial[class]);
        }
}

static SlabPage *slab_new(Slabs *slabs, unsigned class) {
    SlabPage *slab = aligned_alloc(SLAB_BYTES, SLAB_BYTES);

    if (!slab)
        return NULL;
    *slab = (SlabPage){.fresh = HEAD, .piece = piece_of(class)};
    list_in(slabs, slab, class);
    *slabs->bytes += SLAB_BYTES;
    return slab;
}

void *slabs_alloc(Slabs *slabs, size_t size) {
    unsigned class;
    SlabPage *slab;
    void *piece;

    if (EACH_BY_MALLOC || size > SLAB_PIECE_MAX) {
        piece = malloc(size);
        if (piece)
            *slabs->bytes += size;
        return piece;
    }
    class = class_of(size);
    slab = slabs->partial[class];
    if (!slab && !(slab = slab_new(slabs, class)))
        return NULL;
    slab->used++;
    piece = slab->free;
    if (piece) {
        slab->free = *(void **)piece;
    } else {
        piece = (uint8_t *)slab + slab->fresh;
        slab->fresh += slab->piece;
    }
    if (!slab->free && slab->fresh + slab->piece > SLAB_BYTES)
        list_out(slab);
    return piece;
}

void slabs_free(Slabs *slabs, void *piece, size_t size) {
    unsigned class;
    SlabPage *slab;

    if (!piece)
        return;
    if (EACH_BY_MALLOC || size > SLAB_PIECE_MAX) {
        *slabs->bytes -= size;
        free(piece);
        return;
    }
    class = class_of(size);
    slab = (SlabPage *)((uintptr_t)piece & ~(uintptr_t)(SLAB_BYTES - 1));
    assert(slab->piece == piece_of(class) && slab->used > 0);
    *(void **)piece = slab->free;
    slab->free = piece;
    if (!slab->link)
        list_in(slabs, slab, class);
    /* One empty slab of each class stays. Otherwise a queue that is filled and emptied job by job
     * would allocate and free a slab each time. */
    if (--slab->used == 0 && (slab->next || slab->link != &slabs->partial[class]))
        slab_free(slabs, slab);
}
