/* SPDX-License-Identifier: Apache-2.0 */
/* MessagePack into a Buffer. See writer.h. */

#include "rpc/wire/writer.h"

static void finish(Buffer *to, const uint8_t *end) {
    to->len = (size_t)(end - to->data);
}

void write_uint(Buffer *to, uint64_t value) {
    uint8_t *at = buffer_reserve(to, PUT_HEAD_MAX);

    if (at)
        finish(to, put_uint(at, value));
}

void write_int(Buffer *to, int64_t value) {
    uint8_t *at;

    if (value >= 0) {
        write_uint(to, (uint64_t)value);
        return;
    }
    at = buffer_reserve(to, PUT_HEAD_MAX);
    if (!at)
        return;
    if (value >= -32) {
        *at++ = (uint8_t)value;
    } else {
        int bytes = value >= INT8_MIN ? 1 : value >= INT16_MIN ? 2 : value >= INT32_MIN ? 4 : 8;

        *at = (uint8_t)(0xD0 + __builtin_ctz((unsigned)bytes));
        at = put_be(at + 1, (uint64_t)value, bytes);
    }
    finish(to, at);
}

void write_double(Buffer *to, double value) {
    uint8_t *at = buffer_reserve(to, PUT_HEAD_MAX);
    uint64_t bits;

    if (!at)
        return;
    memcpy(&bits, &value, sizeof(bits));
    *at = 0xCB;
    finish(to, put_be(at + 1, bits, 8));
}

static void write_byte(Buffer *to, uint8_t byte) {
    buffer_append(to, &byte, 1);
}

void write_bool(Buffer *to, bool value) {
    write_byte(to, value ? 0xC3 : 0xC2);
}

void write_nil(Buffer *to) {
    write_byte(to, 0xC0);
}

void write_str(Buffer *to, const void *text, size_t len) {
    uint8_t *at = buffer_reserve(to, len + PUT_HEAD_MAX);

    if (at)
        finish(to, put_bytes(put_str_head(at, len), text, len));
}

void write_text(Buffer *to, const char *text) {
    if (text)
        write_str(to, text, strlen(text));
    else
        write_nil(to);
}

void write_bin(Buffer *to, const void *data, size_t len) {
    uint8_t *at = buffer_reserve(to, len + PUT_HEAD_MAX);

    if (at)
        finish(to, put_bytes(put_bin_head(at, len), data, len));
}

void write_ext(Buffer *to, int8_t type, const void *data, size_t len) {
    uint8_t *at = buffer_reserve(to, len + PUT_HEAD_MAX);

    if (!at)
        return;
    if (len > 0 && len <= 16 && (len & (len - 1)) == 0) {
        *at++ = (uint8_t)(0xD4 + __builtin_ctz((unsigned)len));
    } else {
        int bytes = len <= UINT8_MAX ? 1 : len <= UINT16_MAX ? 2 : 4;

        *at = (uint8_t)(0xC7 + __builtin_ctz((unsigned)bytes));
        at = put_be(at + 1, len, bytes);
    }
    *at++ = (uint8_t)type;
    finish(to, put_bytes(at, data, len));
}

static void write_count(Buffer *to, uint32_t n, uint8_t fix, uint8_t head16) {
    uint8_t *at = buffer_reserve(to, PUT_HEAD_MAX);

    if (!at)
        return;
    if (n < 16) {
        *at++ = (uint8_t)(fix | n);
    } else {
        *at = n <= UINT16_MAX ? head16 : (uint8_t)(head16 + 1);
        at = put_be(at + 1, n, n <= UINT16_MAX ? 2 : 4);
    }
    finish(to, at);
}

void write_array(Buffer *to, uint32_t n) {
    write_count(to, n, 0x90, 0xDC);
}

void write_map(Buffer *to, uint32_t n) {
    write_count(to, n, 0x80, 0xDE);
}

void write_raw(Buffer *to, Span value) {
    buffer_append(to, value.data, value.len);
}
