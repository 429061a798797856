/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The store that keeps queues in a folder on disk. docs/durability.md says what it promises;
 * journal.h says how it writes.
 */

#include "broker/stores/store.h"

/* A store for this folder, which open() opens. The path is copied. NULL: out of memory. */
Store *store_disk_new(const char *path);
/* After close(). Returns NULL. */
Store *store_disk_free(Store *store);
