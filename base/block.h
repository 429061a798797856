/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Blocks: all memory that ferry returns to programs is of this kind. A header in front of the
 * pointer counts the owners, so ferry_keep() and ferry_free() work on every block, from any thread.
 */

#include <ferry/base.h>

#include "base/buffer.h"

/* Makes an owned block from an object that is lent to a callback. NULL: out of memory. */
typedef const void *(*BlockKeepFn)(const void *lent);

typedef struct BlockHeader {
    uint32_t magic;
    uint32_t owners; /* atomic; not used for a lent block, which `keep` copies */
    size_t size;
    /* The header has 32 bytes, even if a pointer has 4, so that the memory after it is aligned to
     * 16 bytes. */
    _Alignas(8) union {
        BlockKeepFn keep;            /* a lent block */
        void (*free_ctx)(void *ctx); /* a wrapped block */
        const void *inner;           /* an inner block to release with this one */
    } u;
    _Alignas(8) void *ctx;
} BlockHeader;

#define BLOCK_LENT UINT32_MAX

/* Sets up an object that is lent to a callback: `struct { BlockHeader block; ferry_message message;
 * } lent;`. The object must follow the header immediately. */
void block_init_lent(BlockHeader *header, BlockKeepFn keep);

/* Makes a block that owns inner: it releases inner when its own last owner is gone. */
void *block_new_around(size_t size, const void *inner);

/* Replaces the inner block of block_new_around(). Returns the old inner block, which the caller
 * then owns, for example to pass it to the new inner block. */
const void *block_swap_inner(void *block, const void *inner);

/* Turns the memory of a buffer into a block, without a copy. The header takes the first
 * sizeof(BlockHeader) bytes, which the caller has left free. The buffer is empty afterwards. */
ferry_bytes block_of_buffer(Buffer *buffer);

/* The size of a block of block_new_around() with a single owner; 0: the block has several
 * owners. */
size_t block_sole_size(const void *block);

/* Changes the size of a plain block with a single owner. The block may move. If block is NULL,
 * makes a new block. NULL: out of memory; the block is unchanged. */
void *block_resize(void *block, size_t size);

/* True: the block has a single owner, so no other code reads its bytes. */
bool block_is_sole(const void *block);

/* Copies bytes, or shares their block. The result is owned: ferry_free(ret->block). */
int block_hold(ferry_bytes bytes, ferry_bytes *ret);
