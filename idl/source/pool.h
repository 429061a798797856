#pragma once

/*
 * Memory of one run of the compiler: taken piece by piece, given back as a whole. It never fails:
 * out of memory ends the program with a message, since a compiler has nothing better to do.
 */

#include <stddef.h>

typedef struct Pool {
    struct PoolChunk *chunks;
    char *at, *end;
} Pool;

void *pool_alloc(Pool *pool, size_t size); /* zeroed */
char *pool_text(Pool *pool, const char *text, size_t len);
char *pool_printf(Pool *pool, const char *format, ...)
    __attribute__((format(printf, 2, 3), nonnull(2)));
void pool_deinit(Pool *pool);

#define pool_new(pool, type) ((type *)pool_alloc((pool), sizeof(type)))
