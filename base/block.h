/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Blocks: the one kind of memory that ferry hands out. A header in front of the pointer counts its
 * owners, so ferry_keep() and ferry_free() work on everything, from any thread.
 */

#include <ferry/base.h>

#include "base/buffer.h"

/* Makes an owned block from an object that is lent to a callback. NULL: out of memory. */
typedef const void *(*BlockKeepFn)(const void *lent);

typedef struct BlockHeader {
    uint32_t magic;
    uint32_t owners; /* atomic; BLOCK_LENT: not counted, keep_fn copies */
    size_t size;
    /* 32 bytes, also where a pointer has four: what follows the header is aligned to 16 bytes. */
    _Alignas(8) union {
        BlockKeepFn keep;            /* a lent block */
        void (*free_ctx)(void *ctx); /* a wrapped block */
        const void *inner;           /* an inner block to release with this one */
    } u;
    _Alignas(8) void *ctx;
} BlockHeader;

#define BLOCK_LENT UINT32_MAX

/* For an object that is lent: `struct { BlockHeader block; ferry_message message; } lent;`. The
 * object must follow the header immediately. */
void block_init_lent(BlockHeader *header, BlockKeepFn keep);

/* Makes a block that, when its last owner releases it, also releases one ownership of inner. */
void *block_new_around(size_t size, const void *inner);

/* Replaces the inner block given to block_new_around() and returns the old one, which the caller
 * then owns, so that it can go into the new one. */
const void *block_swap_inner(void *block, const void *inner);

/* Turns the content of a buffer into a block, without a copy. Its first sizeof(BlockHeader) bytes
 * are lost: the caller left them free for the header. The buffer is empty afterwards. */
ferry_bytes block_of_buffer(Buffer *buffer);

/* The size of a block of block_new_around() with a single owner; 0: it has several owners. */
size_t block_sole_size(const void *block);

/* Changes the size of a plain block with a single owner, which may move. block NULL: a new block.
 * NULL: out of memory; the block is as before. */
void *block_resize(void *block, size_t size);

/* Has the block a single owner? Then nobody else looks at its bytes. */
bool block_is_sole(const void *block);

/* Copies bytes, or shares their block. The result is owned: ferry_free(ret->block). */
int block_hold(ferry_bytes bytes, ferry_bytes *ret);
