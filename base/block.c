/* SPDX-License-Identifier: Apache-2.0 */

/* Blocks: memory with a header in front that counts owners. See block.h. */

#include "base/block.h"

#include <assert.h>
#include <stdalign.h>
#include <stdlib.h>

enum { MAGIC_PLAIN = 0x46657279, MAGIC_WRAPPED, MAGIC_AROUND, MAGIC_LENT, MAGIC_DEAD };

static_assert(sizeof(BlockHeader) % 16 == 0, "the memory after the header must stay aligned");

static BlockHeader *header_of(const void *block) {
    BlockHeader *header = (BlockHeader *)(uintptr_t)block - 1;

    assert(header->magic >= MAGIC_PLAIN && header->magic <= MAGIC_LENT);
    return header;
}

static void *block_new(uint32_t magic, size_t size) {
    BlockHeader *header;

    if (size > PTRDIFF_MAX - sizeof(*header))
        return NULL;
    header = malloc(sizeof(*header) + size);
    if (!header)
        return NULL;
    *header = (BlockHeader){.magic = magic, .owners = 1, .size = size};
    return header + 1;
}

void *ferry_alloc(size_t size) {
    return block_new(MAGIC_PLAIN, size);
}

void *block_resize(void *block, size_t size) {
    BlockHeader *header;

    if (!block)
        return ferry_alloc(size);
    header = header_of(block);
    assert(header->magic == MAGIC_PLAIN && header->owners == 1);
    if (size > PTRDIFF_MAX - sizeof(*header))
        return NULL;
    header = realloc(header, sizeof(*header) + size);
    if (!header)
        return NULL;
    header->size = size;
    return header + 1;
}

void block_init_lent(BlockHeader *header, BlockKeepFn keep) {
    *header = (BlockHeader){.magic = MAGIC_LENT, .owners = BLOCK_LENT, .u.keep = keep};
}

void *block_new_around(size_t size, const void *inner) {
    void *block = block_new(MAGIC_AROUND, size);

    if (block)
        header_of(block)->u.inner = inner;
    return block;
}

const void *block_swap_inner(void *block, const void *inner) {
    BlockHeader *header = header_of(block);
    const void *old = header->u.inner;

    assert(header->magic == MAGIC_AROUND);
    header->u.inner = inner;
    return old;
}

ferry_bytes block_of_buffer(Buffer *buffer) {
    BlockHeader *header = (BlockHeader *)(void *)buffer->data;
    size_t size = buffer->len - sizeof(*header);

    assert(buffer->len >= sizeof(*header) && !buffer->failed);
    *header = (BlockHeader){.magic = MAGIC_PLAIN, .owners = 1, .size = size};
    *buffer = (Buffer){0};
    return ferry_shared(header + 1, size);
}

size_t block_sole_size(const void *block) {
    const BlockHeader *header = header_of(block);

    assert(header->magic == MAGIC_AROUND);
    return __atomic_load_n(&header->owners, __ATOMIC_ACQUIRE) == 1 ? header->size : 0;
}

bool block_is_sole(const void *block) {
    return __atomic_load_n(&header_of(block)->owners, __ATOMIC_ACQUIRE) == 1;
}

int ferry_wrap(const void *data, size_t len, void (*free_fn)(void *ctx), void *ctx,
               ferry_bytes *ret) {
    void *block;

    if ((!data && len > 0) || !ret)
        return -EINVAL;
    block = block_new(MAGIC_WRAPPED, 0);
    if (!block)
        return -ENOMEM;
    header_of(block)->u.free_ctx = free_fn;
    header_of(block)->ctx = ctx;
    *ret = (ferry_bytes){data, len, block};
    return 0;
}

const void *ferry_keep(const void *block) {
    BlockHeader *header;

    if (!block)
        return NULL;
    header = header_of(block);
    if (header->magic == MAGIC_LENT)
        return header->u.keep(block);
    __atomic_add_fetch(&header->owners, 1, __ATOMIC_RELAXED);
    return block;
}

void *ferry_free(const void *block) {
    BlockHeader *header;

    if (!block)
        return NULL;
    header = header_of(block);
    /* A lent block has no owner to release. */
    if (header->magic == MAGIC_LENT || __atomic_sub_fetch(&header->owners, 1, __ATOMIC_ACQ_REL) > 0)
        return NULL;
    if (header->magic == MAGIC_WRAPPED && header->u.free_ctx)
        header->u.free_ctx(header->ctx);
    if (header->magic == MAGIC_AROUND)
        ferry_free(header->u.inner);
    header->magic = MAGIC_DEAD;
    free(header);
    return NULL;
}

int block_hold(ferry_bytes bytes, ferry_bytes *ret) {
    if (bytes.block) {
        const void *kept = ferry_keep(bytes.block);

        /* ferry_keep() copies a lent block to another address. Then the bytes must be copied
         * instead. */
        if (kept == bytes.block) {
            *ret = bytes;
            return 0;
        }
        ferry_free(kept);
    }

    void *copy = ferry_alloc(bytes.len);

    if (!copy)
        return -ENOMEM;
    if (bytes.len > 0)
        memcpy(copy, bytes.data, bytes.len);
    *ret = ferry_shared(copy, bytes.len);
    return 0;
}
