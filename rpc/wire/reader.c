/* SPDX-License-Identifier: Apache-2.0 */
/* The MessagePack cursor. See reader.h; the format: https://github.com/msgpack/msgpack, spec.md. */

#include "rpc/wire/reader.h"

#include <assert.h>

void reader_fail(Reader *reader, const char *problem) {
    if (!reader->problem)
        reader->problem = problem;
    reader->at = reader->end;
}

/* The type that each first byte announces. */
static WireType type_of(uint8_t byte) {
    static const uint8_t from_c0[32] = {
        WIRE_NIL, WIRE_BAD, WIRE_BOOL,  WIRE_BOOL,  WIRE_BIN,   WIRE_BIN,   WIRE_BIN, WIRE_EXT,
        WIRE_EXT, WIRE_EXT, WIRE_FLOAT, WIRE_FLOAT, WIRE_INT,   WIRE_INT,   WIRE_INT, WIRE_INT,
        WIRE_INT, WIRE_INT, WIRE_INT,   WIRE_INT,   WIRE_EXT,   WIRE_EXT,   WIRE_EXT, WIRE_EXT,
        WIRE_EXT, WIRE_STR, WIRE_STR,   WIRE_STR,   WIRE_ARRAY, WIRE_ARRAY, WIRE_MAP, WIRE_MAP,
    };

    if (byte < 0x80 || byte >= 0xE0)
        return WIRE_INT;
    if (byte >= 0xC0)
        return (WireType)from_c0[byte - 0xC0];
    return byte < 0x90 ? WIRE_MAP : byte < 0xA0 ? WIRE_ARRAY : WIRE_STR;
}

WireType reader_peek(const Reader *reader) {
    return reader->at < reader->end ? type_of(*reader->at) : WIRE_BAD;
}

const char *wire_type_name(WireType type) {
    static const char *const names[] = {"nil", "bool", "int", "double", "str",
                                        "bin", "list", "map", "ext",    "nothing"};

    return names[type];
}

static uint64_t big_endian(const uint8_t *p, size_t n) {
    uint64_t value = 0;

    for (size_t i = 0; i < n; i++)
        value = value << 8 | p[i];
    return value;
}

/* The n bytes after the first one, as a number. */
static uint64_t operand(Reader *reader, size_t n) {
    uint64_t value;

    if (reader_left(reader) < n + 1) {
        reader_fail(reader, "the message is cut short");
        return 0;
    }
    value = big_endian(reader->at + 1, n);
    reader->at += n + 1;
    return value;
}

/* A signed or unsigned integer. If *negative is set, the result is to be read as int64_t. */
static uint64_t integer(Reader *reader, bool *negative) {
    uint64_t value;
    uint8_t byte;

    *negative = false;
    if (reader_peek(reader) != WIRE_INT) {
        reader_fail(reader,
                    reader->at < reader->end ? "expected an integer" : "the message is cut short");
        return 0;
    }
    byte = *reader->at;
    if (byte < 0x80) {
        reader->at++;
        return byte;
    }
    if (byte >= 0xE0) {
        reader->at++;
        *negative = true;
        return (uint64_t)(int64_t)(int8_t)byte;
    }
    if (byte <= 0xCF)
        return operand(reader, (size_t)1 << (byte - 0xCC));

    size_t n = (size_t)1 << (byte - 0xD0);

    assert(n > 0);
    value = operand(reader, n);
    if (value >> (8 * n - 1)) {
        *negative = true;
        if (n < 8)
            value |= UINT64_MAX << (8 * n);
    }
    return value;
}

uint64_t reader_uint_slow(Reader *reader) {
    bool negative;
    uint64_t value = integer(reader, &negative);

    if (negative) {
        reader_fail(reader, "expected an integer of zero or more");
        return 0;
    }
    return value;
}

int64_t reader_int(Reader *reader) {
    bool negative;
    uint64_t value = integer(reader, &negative);

    if (!negative && value > INT64_MAX) {
        reader_fail(reader, "the integer is too large");
        return 0;
    }
    return (int64_t)value;
}

double reader_double(Reader *reader) {
    uint8_t byte = reader->at < reader->end ? *reader->at : 0xC1;

    if (byte == 0xCA) {
        uint32_t bits = (uint32_t)operand(reader, 4);
        float value;

        memcpy(&value, &bits, sizeof(value));
        return (double)value;
    }
    if (byte == 0xCB) {
        uint64_t bits = operand(reader, 8);
        double value;

        memcpy(&value, &bits, sizeof(value));
        return value;
    }
    if (type_of(byte) == WIRE_INT) {
        bool negative;
        uint64_t value = integer(reader, &negative);

        return negative ? (double)(int64_t)value : (double)value;
    }
    reader_fail(reader, "expected a number");
    return 0;
}

bool reader_bool(Reader *reader) {
    if (reader->at < reader->end && (*reader->at == 0xC2 || *reader->at == 0xC3))
        return *reader->at++ == 0xC3;
    reader_fail(reader, "expected a bool");
    return false;
}

/* The next len bytes; len comes from a header that was just read. */
static Span bytes(Reader *reader, uint64_t len) {
    Span span = {reader->at, (size_t)len};

    if (len > reader_left(reader)) {
        reader_fail(reader, "a length is larger than the remaining bytes");
        return (Span){NULL, 0};
    }
    if (reader->problem)
        return (Span){NULL, 0};
    reader->at += len;
    return span;
}

Span reader_str_slow(Reader *reader) {
    uint8_t byte = reader->at < reader->end ? *reader->at : 0xC1;

    if ((byte & 0xE0) == 0xA0) {
        reader->at++;
        return bytes(reader, byte & 0x1F);
    }
    if (byte >= 0xD9 && byte <= 0xDB)
        return bytes(reader, operand(reader, (size_t)1 << (byte - 0xD9)));
    reader_fail(reader, "expected a string");
    return (Span){NULL, 0};
}

Span reader_bin_slow(Reader *reader) {
    uint8_t byte = reader->at < reader->end ? *reader->at : 0xC1;

    if (byte >= 0xC4 && byte <= 0xC6)
        return bytes(reader, operand(reader, (size_t)1 << (byte - 0xC4)));
    reader_fail(reader, "expected bytes");
    return (Span){NULL, 0};
}

Span reader_ext(Reader *reader, int8_t *type) {
    uint8_t byte = reader->at < reader->end ? *reader->at : 0xC1;
    uint64_t len;

    *type = 0;
    if (byte >= 0xD4 && byte <= 0xD8) {
        len = UINT64_C(1) << (byte - 0xD4);
        reader->at++;
    } else if (byte >= 0xC7 && byte <= 0xC9) {
        len = operand(reader, (size_t)1 << (byte - 0xC7));
    } else {
        reader_fail(reader, "expected an extension value");
        return (Span){NULL, 0};
    }
    if (reader_left(reader) < 1) {
        reader_fail(reader, "the message is cut short");
        return (Span){NULL, 0};
    }
    *type = (int8_t)*reader->at++;
    return bytes(reader, len);
}

/* Each element takes at least one byte: refuse a larger count. */
static uint32_t count(Reader *reader, uint64_t n, size_t bytes_each) {
    if (n > reader_left(reader) / bytes_each) {
        reader_fail(reader, "a count is larger than the remaining bytes");
        return 0;
    }
    return (uint32_t)n;
}

uint32_t reader_array(Reader *reader) {
    uint8_t byte = reader->at < reader->end ? *reader->at : 0xC1;

    if ((byte & 0xF0) == 0x90) {
        reader->at++;
        return count(reader, byte & 0x0F, 1);
    }
    if (byte == 0xDC || byte == 0xDD)
        return count(reader, operand(reader, byte == 0xDC ? 2 : 4), 1);
    reader_fail(reader, "expected a list");
    return 0;
}

uint32_t reader_map(Reader *reader) {
    uint8_t byte = reader->at < reader->end ? *reader->at : 0xC1;

    if ((byte & 0xF0) == 0x80) {
        reader->at++;
        return count(reader, byte & 0x0F, 2);
    }
    if (byte == 0xDE || byte == 0xDF)
        return count(reader, operand(reader, byte == 0xDE ? 2 : 4), 2);
    reader_fail(reader, "expected a map");
    return 0;
}

Span reader_value(Reader *reader) {
    const uint8_t *start = reader->at;
    uint64_t left[WIRE_DEPTH_MAX + 1]; /* number of remaining values on each level */
    int depth = 0;
    int8_t type;
    bool negative;

    left[0] = 1;
    for (;;) {
        uint64_t inside = 0;
        bool is_container = false;

        switch (reader_peek(reader)) {
        case WIRE_NIL:
        case WIRE_BOOL:
            reader->at++;
            break;
        case WIRE_INT:
            integer(reader, &negative);
            break;
        case WIRE_FLOAT:
            operand(reader, *reader->at == 0xCA ? 4 : 8);
            break;
        case WIRE_STR:
            reader_str_slow(reader);
            break;
        case WIRE_BIN:
            reader_bin_slow(reader);
            break;
        case WIRE_EXT:
            reader_ext(reader, &type);
            break;
        case WIRE_ARRAY:
            inside = reader_array(reader);
            is_container = true;
            break;
        case WIRE_MAP:
            inside = (uint64_t)reader_map(reader) * 2;
            is_container = true;
            break;
        case WIRE_BAD:
            reader_fail(reader, reader->at < reader->end ? "the byte 0xc1 is not MessagePack"
                                                         : "the message is cut short");
            break;
        }
        if (reader->problem)
            return (Span){NULL, 0};
        left[depth]--;
        if (is_container && depth == WIRE_DEPTH_MAX) {
            reader_fail(reader, "nested deeper than 32 levels");
            return (Span){NULL, 0};
        }
        if (inside > 0)
            left[++depth] = inside;
        while (left[depth] == 0) {
            if (depth == 0)
                return (Span){start, (size_t)(reader->at - start)};
            depth--;
        }
    }
}

const char *wire_check(const void *data, size_t len) {
    Reader reader = reader_of(data, len);

    reader_value(&reader);
    if (!reader.problem && reader.at != reader.end)
        return "there are bytes after the value";
    return reader.problem;
}
