/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* An allocator for objects of one size, without malloc() for each. Its memory follows the highest
 * number of objects in use at once and is freed with the slab. */

#include <stddef.h>

#include "base/cleanup.h"

typedef struct Slab Slab;

Slab *slab_new(size_t object_size);
void *slab_take(Slab *slab); /* NULL: out of memory. The object is not zeroed */
void slab_give(Slab *slab, void *object);
Slab *slab_free(Slab *slab);

DEFINE_CLEANUP(Slab *, slab_free);
