/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A cursor over MessagePack bytes from outside. It checks every length against the remaining bytes
 * before using it, and never allocates or recurses. It keeps the first error: read all values, then
 * check once.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { WIRE_DEPTH_MAX = 32 };

/* Bytes inside the buffer of a reader. */
typedef struct Span {
    const uint8_t *data;
    size_t len;
} Span;

typedef struct Reader {
    const uint8_t *at, *end;
    const char *problem; /* NULL: no error so far. A static text: "expected a string" */
} Reader;

typedef enum WireType {
    WIRE_NIL,
    WIRE_BOOL,
    WIRE_INT,
    WIRE_FLOAT,
    WIRE_STR,
    WIRE_BIN,
    WIRE_ARRAY,
    WIRE_MAP,
    WIRE_EXT,
    WIRE_BAD, /* the end, or the byte 0xc1 */
} WireType;

static inline Reader reader_of(const void *data, size_t len) {
    return (Reader){data, len > 0 ? (const uint8_t *)data + len : data, NULL};
}

static inline size_t reader_left(const Reader *reader) {
    return (size_t)(reader->end - reader->at);
}

/* Sets the problem, unless one is set already, and moves to the end. */
void reader_fail(Reader *reader, const char *problem);

/* The type of the next value. */
WireType reader_peek(const Reader *reader);
const char *wire_type_name(WireType type); /* "string", for messages */

/* Each function reads one value and returns it; after an error it returns zero, false or empty. */
uint64_t reader_uint_slow(Reader *reader);
int64_t reader_int(Reader *reader);
double reader_double(Reader *reader); /* integers too */
bool reader_bool(Reader *reader);
Span reader_str_slow(Reader *reader);
Span reader_bin_slow(Reader *reader);
Span reader_ext(Reader *reader, int8_t *type);

/* The number of elements, or of pairs. A number that is larger than the remaining bytes is an
 * error. */
uint32_t reader_array(Reader *reader);
uint32_t reader_map(Reader *reader);

/* Reads one whole value of any type, and checks its depth, its lengths, and that it has no byte
 * 0xc1. */
Span reader_value(Reader *reader);

/* Checks that data is exactly one well-formed value. Returns NULL, or the problem. */
const char *wire_check(const void *data, size_t len);

/* ---- the short forms, which nearly all fields have ---- */

static inline uint64_t reader_uint(Reader *reader) {
    const uint8_t *at = reader->at;

    if (at < reader->end && *at < 0x80) {
        reader->at++;
        return *at;
    }
    /* Fast path for ids and times, which take two or four bytes. */
    if (reader_left(reader) >= 5 && *at == 0xCE) {
        uint32_t value;

        memcpy(&value, at + 1, sizeof(value));
        reader->at += 5;
        return __builtin_bswap32(value);
    }
    if (reader_left(reader) >= 3 && *at == 0xCD) {
        reader->at += 3;
        return (uint64_t)at[1] << 8 | at[2];
    }
    return reader_uint_slow(reader);
}

/* True: the value was nil, and has been read. False: nothing was read. */
static inline bool reader_nil(Reader *reader) {
    if (reader->at < reader->end && *reader->at == 0xC0) {
        reader->at++;
        return true;
    }
    return false;
}

static inline Span reader_str(Reader *reader) {
    if (reader->at < reader->end && (*reader->at & 0xE0) == 0xA0) {
        size_t len = *reader->at & 0x1F;

        if (len < reader_left(reader)) {
            Span span = {reader->at + 1, len};

            reader->at += 1 + len;
            return span;
        }
    }
    return reader_str_slow(reader);
}

static inline Span reader_bin(Reader *reader) {
    if (reader_left(reader) >= 2 && *reader->at == 0xC4) {
        size_t len = reader->at[1];

        if (len + 2 <= reader_left(reader)) {
            Span span = {reader->at + 2, len};

            reader->at += 2 + len;
            return span;
        }
    }
    return reader_bin_slow(reader);
}

static inline bool span_is(Span span, const char *text) {
    return strlen(text) == span.len && (span.len == 0 || memcmp(span.data, text, span.len) == 0);
}
