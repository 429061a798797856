/* SPDX-License-Identifier: Apache-2.0 */
/* The store that keeps nothing beyond the process: the records in memory are all there is. */

#include "broker/stores/store.h"

static const StoreOps ops = {.durability = "memory"};

Store store_memory = {.ops = &ops};
