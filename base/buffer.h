/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A growing byte buffer. After a failed allocation it ignores all appends, so check `failed` once
 * at the end. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/cleanup.h"

typedef struct Buffer {
    uint8_t *data;
    size_t len;
    size_t cap;
    bool failed; /* out of memory; appends are ignored */
} Buffer;

/* Reserves size more bytes and returns a pointer to them, or NULL. The caller adds to len the bytes
 * that it wrote. */
uint8_t *buffer_reserve(Buffer *buffer, size_t size);

void buffer_deinit(Buffer *buffer);

static inline void buffer_append(Buffer *buffer, const void *data, size_t size) {
    uint8_t *to = size > 0 ? buffer_reserve(buffer, size) : NULL;

    if (to) {
        memcpy(to, data, size);
        buffer->len += size;
    }
}

static inline void buffer_reset(Buffer *buffer) {
    buffer->len = 0;
    buffer->failed = false;
}

static inline void buffer_deinitp(Buffer *buffer) {
    buffer_deinit(buffer);
}
