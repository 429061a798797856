/* SPDX-License-Identifier: Apache-2.0 */
/* Large pieces of memory between two uses. See block-pool.h. */

#include "base/block-pool.h"

#include <pthread.h>
#include <stdlib.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(at, size)   ((void)(at), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(at, size) ((void)(at), (void)(size))
#endif

enum { PIECES_MAX = BLOCK_POOL_BYTES_MAX / BLOCK_POOL_SIZE_MIN };

typedef struct PooledPiece {
    void *memory;
    size_t size;
} PooledPiece;

static struct BlockPool {
    pthread_mutex_t lock;
    PooledPiece pieces[PIECES_MAX]; /* the last one was freed last */
    size_t n, bytes;
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* False: the size is not pooled, another thread is using the pool, or a thread of the parent
 * process was using it when this process was forked. */
static bool enter(size_t size) {
    return size >= BLOCK_POOL_SIZE_MIN && size <= BLOCK_POOL_SIZE_MAX &&
           pthread_mutex_trylock(&pool.lock) == 0;
}

static PooledPiece remove_at(size_t i) {
    PooledPiece piece = pool.pieces[i];

    pool.bytes -= piece.size;
    pool.n--;
    for (; i < pool.n; i++)
        pool.pieces[i] = pool.pieces[i + 1];
    ASAN_UNPOISON_MEMORY_REGION(piece.memory, piece.size);
    return piece;
}

static bool fits(const PooledPiece *piece, size_t size) {
    return piece->size >= size && piece->size - size <= size / BLOCK_POOL_SPARE_SHARE;
}

void *block_pool_take(size_t size, size_t *ret_size) {
    PooledPiece found = {NULL, 0};

    if (!enter(size))
        return NULL;
    /* Begin with the piece that was freed last: it is most likely in the processor's cache. */
    for (size_t i = pool.n; i > 0 && !found.memory; i--)
        if (fits(&pool.pieces[i - 1], size))
            found = remove_at(i - 1);
    pthread_mutex_unlock(&pool.lock);
    if (found.memory)
        *ret_size = found.size;
    return found.memory;
}

bool block_pool_put(void *piece, size_t size) {
    if (!enter(size))
        return false;
    /* Pieces of sizes that are no longer in use make room for this one. */
    while (pool.bytes + size > BLOCK_POOL_BYTES_MAX)
        free(remove_at(0).memory);
    pool.pieces[pool.n++] = (PooledPiece){piece, size};
    pool.bytes += size;
    ASAN_POISON_MEMORY_REGION(piece, size);
    pthread_mutex_unlock(&pool.lock);
    return true;
}

void block_pool_trim(void) {
    if (!enter(BLOCK_POOL_SIZE_MIN))
        return;
    while (pool.n > 0)
        free(remove_at(0).memory);
    pthread_mutex_unlock(&pool.lock);
}
