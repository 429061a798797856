/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Large pieces of memory that were freed, for the next blocks of about their size. malloc() would
 * return them to the system, which then fills the pages of the next large body with zeros. All
 * threads share the pool. A child process may use it, too: no call waits for a lock.
 */

#include <stdbool.h>
#include <stddef.h>

enum {
    BLOCK_POOL_SIZE_MIN = 128 * 1024,       /* smaller pieces are not pooled... */
    BLOCK_POOL_SIZE_MAX = 3 * 1024 * 1024,  /* ...nor are larger ones */
    BLOCK_POOL_BYTES_MAX = 3 * 1024 * 1024, /* of all pieces in the pool */
    BLOCK_POOL_SPARE_SHARE = 8,             /* a piece is at most an eighth larger than wanted */
};

/* A piece of at least `size` bytes of malloc(), and its size; NULL: the pool has no such piece. */
void *block_pool_take(size_t size, size_t *ret_size);

/* Takes over a piece of malloc() with `size` bytes; the pieces that were put first make room for
 * it. False: the pool does not take it, and the caller still owns it. */
bool block_pool_put(void *piece, size_t size);

/* Frees all pieces in the pool. */
void block_pool_trim(void);
