/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Writes MessagePack into a Buffer, each value in its shortest form. After a failed allocation the
 * buffer ignores further values: write all values, then check buffer->failed once.
 */

#include <stdbool.h>

#include "base/buffer.h"
#include "rpc/wire/reader.h"

void write_uint(Buffer *to, uint64_t value);
void write_int(Buffer *to, int64_t value);
void write_double(Buffer *to, double value);
void write_bool(Buffer *to, bool value);
void write_nil(Buffer *to);
void write_str(Buffer *to, const void *text, size_t len);
void write_text(Buffer *to, const char *text); /* NUL-terminated; NULL: nil */
void write_bin(Buffer *to, const void *data, size_t len);
void write_ext(Buffer *to, int8_t type, const void *data, size_t len);
void write_array(Buffer *to, uint32_t n);
void write_map(Buffer *to, uint32_t n);
void write_raw(Buffer *to, Span value); /* bytes that already are MessagePack */

/* Writes a key of a map, and its value. */
static inline void write_pair(Buffer *to, const char *key, uint64_t value) {
    write_text(to, key);
    write_uint(to, value);
}

static inline void write_nonzero_pair(Buffer *to, const char *key, uint64_t value) {
    if (value != 0)
        write_pair(to, key, value);
}

/* ---- writing into memory that is large enough; each function returns the end ---- */

static inline uint8_t *put_be(uint8_t *to, uint64_t value, int bytes) {
    value = __builtin_bswap64(value << (64 - 8 * bytes));
    memcpy(to, &value, 8);
    return to + bytes;
}

/* The longest head, and the bytes that put_be() may write behind it. */
enum { PUT_HEAD_MAX = 9 + 7 };

static inline uint8_t *put_uint(uint8_t *to, uint64_t value) {
    if (value < 0x80) {
        *to = (uint8_t)value;
        return to + 1;
    }
    if (value <= UINT8_MAX) {
        to[0] = 0xCC;
        to[1] = (uint8_t)value;
        return to + 2;
    }
    if (value <= UINT16_MAX) {
        *to = 0xCD;
        return put_be(to + 1, value, 2);
    }
    if (value <= UINT32_MAX) {
        *to = 0xCE;
        return put_be(to + 1, value, 4);
    }
    *to = 0xCF;
    return put_be(to + 1, value, 8);
}

static inline uint8_t *put_str_head(uint8_t *to, size_t len) {
    if (len < 32) {
        *to = (uint8_t)(0xA0 | len);
        return to + 1;
    }
    if (len <= UINT8_MAX) {
        to[0] = 0xD9;
        to[1] = (uint8_t)len;
        return to + 2;
    }
    if (len <= UINT16_MAX) {
        *to = 0xDA;
        return put_be(to + 1, len, 2);
    }
    *to = 0xDB;
    return put_be(to + 1, len, 4);
}

static inline uint8_t *put_bin_head(uint8_t *to, size_t len) {
    if (len <= UINT8_MAX) {
        to[0] = 0xC4;
        to[1] = (uint8_t)len;
        return to + 2;
    }
    if (len <= UINT16_MAX) {
        *to = 0xC5;
        return put_be(to + 1, len, 2);
    }
    *to = 0xC6;
    return put_be(to + 1, len, 4);
}

static inline uint8_t *put_bytes(uint8_t *to, const void *data, size_t len) {
    if (len > 0)
        memcpy(to, data, len);
    return to + len;
}
