/* SPDX-License-Identifier: Apache-2.0 */
/* Appends formatted text to a buffer. See put.h. */

#include "idl/source/put.h"

#include <stdarg.h>
#include <stdio.h>

void put(Buffer *to, const char *format, ...) {
    va_list args, again;
    uint8_t *at;
    int len;

    va_start(args, format);
    va_copy(again, args);
    len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    at = buffer_reserve(to, (size_t)len + 1);
    if (at) {
        vsnprintf((char *)at, (size_t)len + 1, format, again);
        to->len += (size_t)len;
    }
    va_end(again);
}

void put_buffer(Buffer *to, const Buffer *from) {
    buffer_append(to, from->data, from->len);
    to->failed |= from->failed;
}
