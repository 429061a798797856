/* SPDX-License-Identifier: Apache-2.0 */
/* An allocator for objects of one size. See slab.h. */

#include "clients/c/core/slab.h"

#include <stdlib.h>

enum { CHUNK_OBJECTS = 64 };

typedef struct Free {
    struct Free *next;
} Free;

typedef struct SlabChunk {
    struct SlabChunk *next;
    max_align_t objects[];
} SlabChunk;

struct Slab {
    Free *free;
    SlabChunk *chunks;
    size_t size;
};

Slab *slab_new(size_t object_size) {
    Slab *slab = calloc(1, sizeof(*slab));

    if (slab)
        slab->size = (object_size + sizeof(max_align_t) - 1) & ~(sizeof(max_align_t) - 1);
    return slab;
}

static int grow(Slab *slab) {
    SlabChunk *chunk = malloc(sizeof(*chunk) + CHUNK_OBJECTS * slab->size);

    if (!chunk)
        return -1;
    chunk->next = slab->chunks;
    slab->chunks = chunk;
    for (size_t i = CHUNK_OBJECTS; i > 0; i--)
        slab_give(slab, (char *)chunk->objects + (i - 1) * slab->size);
    return 0;
}

void *slab_take(Slab *slab) {
    Free *object;

    if (!slab->free && grow(slab) < 0)
        return NULL;
    object = slab->free;
    slab->free = object->next;
    return object;
}

void slab_give(Slab *slab, void *object) {
    Free *freed = object;

    freed->next = slab->free;
    slab->free = freed;
}

Slab *slab_free(Slab *slab) {
    if (!slab)
        return NULL;
    while (slab->chunks) {
        SlabChunk *next = slab->chunks->next;

        free(slab->chunks);
        slab->chunks = next;
    }
    free(slab);
    return NULL;
}
