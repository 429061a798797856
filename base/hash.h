/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * uthash with ferry's settings. The hash is XXH3 with a random seed for each process, because peers
 * choose the names that become keys. A failed allocation is reported instead of ending the process.
 *
 *     HASH_ADD_KEYPTR(hh, table, key, len, item);
 *     if (!hash_added(item)) …            out of memory: the item is not in the table
 */

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <stdint.h>

#include "base/random.h"

static inline uint64_t hash_bytes(const void *key, size_t len) {
    return XXH3_64bits_withSeed(key, len, hash_seed());
}

#define HASH_FUNCTION(key, len, value) (value) = (unsigned)hash_bytes((key), (len))
#define HASH_NONFATAL_OOM              1
#define uthash_nonfatal_oom(item)      ((item)->hh.tbl = NULL)
#include <uthash.h>

#define hash_added(item) ((item)->hh.tbl != NULL)
