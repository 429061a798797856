/* Memory of one run. See pool.h. */

#include "idl/source/pool.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 64 * 1024 };

typedef struct PoolChunk {
    struct PoolChunk *next;
    max_align_t memory[];
} PoolChunk;

void *pool_alloc(Pool *pool, size_t size) {
    size_t whole = (size + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
    size_t room = whole > CHUNK ? whole : CHUNK;
    PoolChunk *chunk;
    void *piece;

    if (whole > (size_t)(pool->end - pool->at) || !pool->at) {
        chunk = whole < size || room > SIZE_MAX / 2 ? NULL : calloc(1, sizeof(*chunk) + room);
        if (!chunk) {
            fputs("ferry-idl: out of memory\n", stderr);
            exit(EXIT_FAILURE);
        }
        chunk->next = pool->chunks;
        pool->chunks = chunk;
        pool->at = (char *)chunk->memory;
        pool->end = pool->at + room;
    }
    piece = pool->at;
    pool->at += whole;
    return piece;
}

char *pool_text(Pool *pool, const char *text, size_t len) {
    char *copy = pool_alloc(pool, len + 1);

    if (len > 0)
        memcpy(copy, text, len);
    return copy;
}

char *pool_printf(Pool *pool, const char *format, ...) {
    va_list args, again;
    char *text;
    int len;

    va_start(args, format);
    va_copy(again, args);
    len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    text = pool_alloc(pool, (size_t)len + 1);
    vsnprintf(text, (size_t)len + 1, format, again);
    va_end(again);
    return text;
}

void pool_deinit(Pool *pool) {
    while (pool->chunks) {
        PoolChunk *next = pool->chunks->next;

        free(pool->chunks);
        pool->chunks = next;
    }
    *pool = (Pool){0};
}
