/* SPDX-License-Identifier: Apache-2.0 */
/* Allocations that fail when a test wants them to. See oom.h. */

#include "support/oom.h"

#include <stddef.h>
#include <string.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *memory, size_t size);
char *__wrap_strdup(const char *text);

/* One plan per thread: allocations of ZeroMQ's own threads do not count. */
static _Thread_local unsigned left;
static _Thread_local bool happened;

void oom_plan(unsigned n) {
    left = n;
    happened = false;
}

void oom_stop(void) {
    left = 0;
}

bool oom_happened(void) {
    return happened;
}

static bool fails(void) {
    if (left == 0 || --left > 0)
        return false;
    happened = true;
    return true;
}

void *__wrap_malloc(size_t size) {
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size) {
    return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *memory, size_t size) {
    return fails() ? NULL : __real_realloc(memory, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size) {
    return fails() ? NULL : __real_aligned_alloc(alignment, size);
}

char *__wrap_strdup(const char *text) {
    size_t size = strlen(text) + 1;
    char *copy = __wrap_malloc(size);

    return copy ? memcpy(copy, text, size) : NULL;
}
