/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The store that keeps queues in a folder on disk. docs/durability.md says what it promises;
 * journal.h says how it writes.
 */

#include "broker/stores/store.h"

/* Makes a store for this folder, which the op open() opens. Copies the path. NULL: out of memory.
 */
Store *store_disk_new(const char *path);
/* Frees the store after its op close(). Returns NULL. */
Store *store_disk_free(Store *store);
