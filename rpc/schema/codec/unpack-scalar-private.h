/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Unpacks numbers, texts and bytes. The functions are inline, because most values of a body are of
 * these types. */

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "rpc/schema/codec/text-copy-private.h"
#include "rpc/schema/codec/unpack-private.h"

static const uint8_t *out_of_range(Unpacker *u, const ferry_type *type, bool negative,
                                   uint64_t value) {
    if (negative)
        value_error_set(&u->error, NULL, "expected %s, got %" PRId64, value_error_type_name(type),
                        (int64_t)value);
    else
        value_error_set(&u->error, NULL, "expected %s, got %" PRIu64, value_error_type_name(type),
                        value);
    return NULL;
}

/* Reads an integer of any form into *value, sign-extended. NULL if there is no integer. */
static const uint8_t *read_int(const Unpacker *u, const uint8_t *at, bool *negative,
                               uint64_t *value) {
    size_t left = (size_t)(u->end - at);
    unsigned bytes;
    uint64_t raw;
    uint8_t byte;

    *negative = false;
    if (left == 0)
        return NULL;
    byte = *at;
    if (byte < 0x80) {
        *value = byte;
        return at + 1;
    }
    if (byte >= 0xE0) {
        *negative = true;
        *value = (uint64_t)(int64_t)(int8_t)byte;
        return at + 1;
    }
    if (byte < 0xCC || byte > 0xD3)
        return NULL;
    bytes = 1u << (byte & 3);
    assert(bytes > 0);
    if (left < 1 + (size_t)bytes)
        return NULL;
    if (left >= 9) {
        memcpy(&raw, at + 1, 8);
        raw = __builtin_bswap64(raw) >> (64 - 8 * bytes);
    } else {
        raw = 0;
        for (unsigned i = 0; i < bytes; i++)
            raw = raw << 8 | at[1 + i];
    }
    if (byte >= 0xD0) {
        raw = (uint64_t)((int64_t)(raw << (64 - 8 * bytes)) >> (64 - 8 * bytes));
        *negative = (int64_t)raw < 0;
    }
    *value = raw;
    return at + 1 + bytes;
}

static const uint8_t *read_long_number(Unpacker *u, const uint8_t *at, const ferry_type *type,
                                       int64_t *value) {
    bool negative;
    uint64_t raw;
    const uint8_t *after = read_int(u, at, &negative, &raw);

    if (!after)
        return unpacker_expected(u, at, type);
    if (!negative && raw > INT64_MAX)
        return out_of_range(u, type, negative, raw);
    *value = (int64_t)raw;
    return after;
}

/* Reads an integer that fits into int64_t. Most integers are below 128 and take one byte. */
static inline const uint8_t *read_number(Unpacker *u, const uint8_t *at, const ferry_type *type,
                                         int64_t *value) {
    if (__builtin_expect(at < u->end && *at < 0x80, 1)) {
        *value = *at;
        return at + 1;
    }
    return read_long_number(u, at, type, value);
}

static inline const uint8_t *unpack_bool(Unpacker *u, const uint8_t *at, const ferry_type *type,
                                         bool *to) {
    if (at == u->end || (*at != 0xC2 && *at != 0xC3))
        return unpacker_expected(u, at, type);
    *to = *at == 0xC3;
    return at + 1;
}

/* Accepts integers too, because other languages write 3.0 as 3. */
static inline const uint8_t *unpack_double(Unpacker *u, const uint8_t *at, const ferry_type *type,
                                           double *to) {
    Reader reader = reader_of(at, (size_t)(u->end - at));
    uint64_t bits;

    if (reader_left(&reader) >= 9 && *at == 0xCB) {
        memcpy(&bits, at + 1, 8);
        bits = __builtin_bswap64(bits);
        memcpy(to, &bits, 8);
        return at + 9;
    }
    *to = reader_double(&reader);
    return reader.problem ? unpacker_expected(u, at, type) : reader.at;
}

static inline const uint8_t *unpack_uuid(Unpacker *u, const uint8_t *at, const ferry_type *type,
                                         ferry_uuid *to) {
    Reader reader = reader_of(at, (size_t)(u->end - at));
    Span span = reader_bin(&reader);

    if (reader.problem)
        return unpacker_expected(u, at, type);
    if (span.len != sizeof(to->bytes)) {
        value_error_set(&u->error, NULL, "expected uuid, got %zu bytes instead of 16", span.len);
        return NULL;
    }
    memcpy(to->bytes, span.data, sizeof(to->bytes));
    return reader.at;
}

/* ---- text and bytes ---- */

static const uint8_t *unpack_long_string(Unpacker *u, const uint8_t *at, const ferry_type *type,
                                         const char **to);

/* A text of len bytes. */
static inline const uint8_t *unpack_chars(Unpacker *u, const uint8_t *at, size_t len,
                                          const char **to) {
    char *text = take(u, len + 1);

    if (!text)
        return NULL;
    if (__builtin_expect(!copy_plain_text((uint8_t *)text, at, len), 0)) {
        if (memchr(at, 0, len))
            return refuse(u, "the string contains a NUL (use binary for bytes with NULs)");
        if (!text_is_utf8(at, len))
            return refuse(u, "the string is not UTF-8");
    }
    text[len] = '\0';
    *to = text;
    return at + len;
}

static inline const uint8_t *unpack_string(Unpacker *u, const uint8_t *at, const ferry_type *type,
                                           const char **to) {
    size_t left = (size_t)(u->end - at), len = left > 0 ? *at ^ 0xA0u : 0xFF;

    return __builtin_expect(len < 32 && len < left, 1) ? unpack_chars(u, at + 1, len, to)
                                                       : unpack_long_string(u, at, type, to);
}

static const uint8_t *unpack_long_string(Unpacker *u, const uint8_t *at, const ferry_type *type,
                                         const char **to) {
    Reader reader = reader_of(at, (size_t)(u->end - at));
    Span span = reader_str(&reader);

    return reader.problem ? unpacker_expected(u, at, type)
                          : unpack_chars(u, span.data, span.len, to);
}

/* Accepts a str too, because old MessagePack libraries have no bin. */
static inline const uint8_t *unpack_binary(Unpacker *u, const uint8_t *at, const ferry_type *type,
                                           ferry_bytes *to) {
    Reader reader = reader_of(at, (size_t)(u->end - at));
    Span span = at < u->end && *at == 0xC4         ? reader_bin(&reader)
                : reader_peek(&reader) == WIRE_STR ? reader_str(&reader)
                                                   : reader_bin(&reader);
    void *data;

    if (reader.problem)
        return unpacker_expected(u, at, type);
    data = take(u, span.len);
    if (!data)
        return NULL;
    copy_bytes(data, span.data, span.len);
    *to = ferry_bytes_of(data, span.len);
    return reader.at;
}
