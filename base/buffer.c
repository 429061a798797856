/* SPDX-License-Identifier: Apache-2.0 */
/* A byte buffer that grows. See buffer.h. */

#include "base/buffer.h"

#include <stdlib.h>

uint8_t *buffer_reserve(Buffer *buffer, size_t size) {
    if (buffer->failed)
        return NULL;
    if (size > buffer->cap - buffer->len) {
        size_t cap = buffer->cap ? buffer->cap : 256;
        uint8_t *data;

        while (cap - buffer->len < size && cap <= SIZE_MAX / 2)
            cap *= 2;
        data = cap - buffer->len < size ? NULL : realloc(buffer->data, cap);
        if (!data) {
            buffer->failed = true;
            return NULL;
        }
        buffer->data = data;
        buffer->cap = cap;
    }
    return buffer->data + buffer->len;
}

void buffer_deinit(Buffer *buffer) {
    free(buffer->data);
    *buffer = (Buffer){0};
}
