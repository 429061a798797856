/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Objects of one size, taken and given back without malloc. Memory follows the highest number that
 * were out at once, and goes with the slab. */

#include <stddef.h>

#include "base/cleanup.h"

typedef struct Slab Slab;

Slab *slab_new(size_t object_size);
void *slab_take(Slab *slab); /* NULL: out of memory. Not zeroed */
void slab_give(Slab *slab, void *object);
Slab *slab_free(Slab *slab);

DEFINE_CLEANUP(Slab *, slab_free);
