/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Numbers, texts and bytes: inline, because nearly all of a body is made of them. */

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "rpc/schema/codec/text-copy-private.h"
#include "rpc/schema/codec/unpack-private.h"

static inline const uint8_t *out_of_range(Unpacker *u, const ferry_type *type, bool negative,
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
static inline const uint8_t *read_int(const Unpacker *u, const uint8_t *at, bool *negative,
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

static inline const uint8_t *unpack_int(Unpacker *u, const uint8_t *at, const ferry_type *type,
                                        void *to) {
    bool negative;
    uint64_t raw;
    int64_t value;
    const uint8_t *after = read_int(u, at, &negative, &raw);

    if (!after)
        return unpacker_expected(u, at, type);
    value = (int64_t)raw;
    if (!negative && raw > INT64_MAX)
        return out_of_range(u, type, negative, raw);
    switch (type->kind) {
    case FERRY_KIND_I8:
        *(int8_t *)to = (int8_t)value;
        return value == (int8_t)value ? after : out_of_range(u, type, negative, raw);
    case FERRY_KIND_I16:
        *(int16_t *)to = (int16_t)value;
        return value == (int16_t)value ? after : out_of_range(u, type, negative, raw);
    case FERRY_KIND_I64:
        *(int64_t *)to = value;
        return after;
    default:
        *(int32_t *)to = (int32_t)value;
        return value == (int32_t)value ? after : out_of_range(u, type, negative, raw);
    }
}

static inline const uint8_t *unpack_bool(Unpacker *u, const uint8_t *at, const ferry_type *type,
                                         bool *to) {
    if (at == u->end || (*at != 0xC2 && *at != 0xC3))
        return unpacker_expected(u, at, type);
    *to = *at == 0xC3;
    return at + 1;
}

/* Accepts integers too: other languages write 3.0 as 3. */
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

static inline const uint8_t *unpack_string(Unpacker *u, const uint8_t *at, const ferry_type *type,
                                           const char **to) {
    Reader reader = reader_of(at, (size_t)(u->end - at));
    Span span = reader_str(&reader);
    char *text;

    if (__builtin_expect(reader.problem != NULL, 0))
        return unpacker_expected(u, at, type);
    if (!is_plain_text(span.data, span.len)) {
        if (memchr(span.data, 0, span.len))
            return refuse(u, "the string has a NUL inside: a binary may hold one");
        if (!text_is_utf8(span.data, span.len))
            return refuse(u, "the string is not UTF-8");
    }
    text = take(u, span.len + 1);
    if (!text)
        return NULL;
    copy_bytes((uint8_t *)text, span.data, span.len);
    text[span.len] = '\0';
    *to = text;
    return reader.at;
}

/* Accepts a str too: old MessagePack libraries have no bin. */
static inline const uint8_t *unpack_binary(Unpacker *u, const uint8_t *at, const ferry_type *type,
                                           ferry_bytes *to) {
    Reader reader = reader_of(at, (size_t)(u->end - at));
    WireType there = reader_peek(&reader);
    Span span = {NULL, 0};
    void *data;

    if (there == WIRE_BIN)
        span = reader_bin(&reader);
    else if (there == WIRE_STR)
        span = reader_str(&reader);
    else
        return unpacker_expected(u, at, type);
    if (reader.problem)
        return unpacker_expected(u, at, type);
    data = take(u, span.len);
    if (!data)
        return NULL;
    if (span.len > 0)
        memcpy(data, span.data, span.len);
    *to = ferry_bytes_of(data, span.len);
    return reader.at;
}
