/* SPDX-License-Identifier: Apache-2.0 */
/* The store in memory: it keeps nothing, since the router has all jobs in memory. */

#include "broker/stores/store.h"

static const StoreOps ops = {.durability = "memory", .confirms = DURABILITY_MEMORY};

Store store_memory = {.ops = &ops};
