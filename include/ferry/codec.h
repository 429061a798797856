/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Helpers of generated code: they pack and unpack the usual values of a type. Programs do not call
 * them.
 *
 * ferry-idl writes two functions for each struct that consists of numbers, texts, bytes, lists of
 * these, and structs of the same kind. They contain the fields as code, which takes half of the
 * time of the table of the type. For an unusual value they return NULL: text that is not ASCII, a
 * missing or misplaced field, a wrong type, too little room. The library then starts again with the
 * table, which handles all values and reports every error.
 */
#ifndef FERRY_CODEC_H
#define FERRY_CODEC_H

#include <ferry/schema.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- writing: each function returns the end of what it wrote, or NULL ---- */

/* Most bytes of a number, and of the head of a text, of bytes or of a list. */
#define FERRY_PUT_MAX 9

static inline unsigned char *ferry_put_raw(unsigned char *at, const char *bytes, size_t n) {
    memcpy(at, bytes, n);
    return at + n;
}

/* Writes one byte, then n bytes of a number, the highest first. */
static inline unsigned char *ferry_put_head(unsigned char *at, unsigned head, uint64_t value,
                                            int n) {
    *at++ = (unsigned char)head;
    for (int shift = 8 * (n - 1); shift >= 0; shift -= 8)
        *at++ = (unsigned char)(value >> shift);
    return at;
}

static inline unsigned char *ferry_put_int(unsigned char *at, int64_t value) {
    uint64_t bits = (uint64_t)value;

    if (value >= -32 && value < 128) {
        *at = (unsigned char)bits;
        return at + 1;
    }
    if (value >= 0) {
        if (value <= UINT8_MAX)
            return ferry_put_head(at, 0xcc, bits, 1);
        if (value <= UINT16_MAX)
            return ferry_put_head(at, 0xcd, bits, 2);
        return value <= UINT32_MAX ? ferry_put_head(at, 0xce, bits, 4)
                                   : ferry_put_head(at, 0xcf, bits, 8);
    }
    if (value >= INT8_MIN)
        return ferry_put_head(at, 0xd0, bits, 1);
    if (value >= INT16_MIN)
        return ferry_put_head(at, 0xd1, bits, 2);
    return value >= INT32_MIN ? ferry_put_head(at, 0xd2, bits, 4)
                              : ferry_put_head(at, 0xd3, bits, 8);
}

static inline unsigned char *ferry_put_bool(unsigned char *at, bool value) {
    *at = value ? 0xc3 : 0xc2;
    return at + 1;
}

static inline unsigned char *ferry_put_double(unsigned char *at, double value) {
    uint64_t bits;

    memcpy(&bits, &value, sizeof(bits));
    return ferry_put_head(at, 0xcb, bits, 8);
}

/* Copies a text. True: it is ASCII without a NUL. */
static inline bool ferry_copy_ascii(unsigned char *to, const unsigned char *from, size_t n) {
    const uint64_t high = UINT64_C(0x8080808080808080), ones = UINT64_C(0x0101010101010101);
    uint64_t word, bad = 0;
    size_t i = 0;

    if (n < 8) {
        for (; i < n; i++) {
            to[i] = from[i];
            bad |= from[i] | (from[i] - UINT64_C(1));
        }
        return (bad & 0x80) == 0;
    }
    for (; i + 8 < n; i += 8) {
        memcpy(&word, from + i, 8);
        memcpy(to + i, &word, 8);
        bad |= word | (word - ones); /* the subtraction sets the high bit of a zero byte */
    }
    memcpy(&word, from + n - 8, 8);
    memcpy(to + n - 8, &word, 8);
    bad |= word | (word - ones);
    return (bad & high) == 0;
}

/* Write texts and bytes of less than 64 KiB. The buffer must have room for a head both before and
 * behind end. */
static inline unsigned char *ferry_put_string(unsigned char *at, const unsigned char *end,
                                              const char *text) {
    size_t n = text ? strlen(text) : UINT16_MAX + 1;

    if (n > UINT16_MAX || at > end || n > (size_t)(end - at))
        return NULL;
    at = n < 32           ? ferry_put_head(at, 0xa0 | (unsigned)n, 0, 0)
         : n <= UINT8_MAX ? ferry_put_head(at, 0xd9, n, 1)
                          : ferry_put_head(at, 0xda, n, 2);
    return ferry_copy_ascii(at, (const unsigned char *)text, n) ? at + n : NULL;
}

static inline unsigned char *ferry_put_binary(unsigned char *at, const unsigned char *end,
                                              const ferry_bytes *bytes) {
    if (bytes->len > UINT16_MAX || !bytes->data || at > end || bytes->len > (size_t)(end - at))
        return NULL;
    at = bytes->len <= UINT8_MAX ? ferry_put_head(at, 0xc4, bytes->len, 1)
                                 : ferry_put_head(at, 0xc5, bytes->len, 2);
    memcpy(at, bytes->data, bytes->len);
    return at + bytes->len;
}

/* Writes the head of a list whose n items take at most `each` bytes each. */
static inline unsigned char *ferry_put_list(unsigned char *at, const unsigned char *end, size_t n,
                                            const void *items, size_t each) {
    if (n > UINT16_MAX || (!items && n > 0) || at > end || n * each > (size_t)(end - at))
        return NULL;
    return n < 16 ? ferry_put_head(at, 0x90 | (unsigned)n, 0, 0) : ferry_put_head(at, 0xdc, n, 2);
}

static inline unsigned char *ferry_put_uuid(unsigned char *at, const ferry_uuid *uuid) {
    memcpy(ferry_put_head(at, 0xc4, sizeof(uuid->bytes), 1), uuid->bytes, sizeof(uuid->bytes));
    return at + 2 + sizeof(uuid->bytes);
}

static inline unsigned char *ferry_put_struct(const ferry_type *type, unsigned char *at,
                                              unsigned char *end, const void *value) {
    return value && type->put ? type->put(at, end, value) : NULL;
}

/* ---- reading: each function returns the end of what it read, or NULL ---- */

typedef struct ferry_source {
    const unsigned char *end;
    unsigned char *memory, *memory_end; /* for texts, bytes and lists; at a multiple of 8 */
} ferry_source;

static inline void *ferry_take(ferry_source *source, size_t n) {
    unsigned char *piece = source->memory;
    size_t left = (size_t)(source->memory_end - piece);

    if (n > left || ((n + 7) & ~(size_t)7) > left)
        return NULL;
    source->memory = piece + ((n + 7) & ~(size_t)7);
    return piece;
}

/* n is a constant. If it is 8 to 16, as for most names of fields, the comparison needs no function
 * call. */
static inline bool ferry_is_same(const unsigned char *a, const char *b, size_t n) {
    uint64_t a1, a2, b1, b2;

    if (n < 8 || n > 16)
        return memcmp(a, b, n) == 0;
    memcpy(&a1, a, 8);
    memcpy(&a2, a + n - 8, 8);
    memcpy(&b1, b, 8);
    memcpy(&b2, b + n - 8, 8);
    return ((a1 ^ b1) | (a2 ^ b2)) == 0;
}

/* Reads exactly these n bytes. */
static inline const unsigned char *ferry_get_raw(ferry_source *source, const unsigned char *at,
                                                 const char *bytes, size_t n) {
    return (size_t)(source->end - at) >= n && ferry_is_same(at, bytes, n) ? at + n : NULL;
}

static inline uint64_t ferry_get_be(const unsigned char *at, size_t n) {
    uint64_t value = 0;

    for (size_t i = 0; i < n; i++)
        value = value << 8 | at[i];
    return value;
}

static inline const unsigned char *ferry_get_int(ferry_source *source, const unsigned char *at,
                                                 int64_t low, int64_t high, int64_t *ret) {
    size_t left = (size_t)(source->end - at), n;
    uint64_t bits;
    int64_t value;

    if (left < 1)
        return NULL;
    if (*at < 0x80 || *at >= 0xe0) {
        *ret = (int8_t)*at;
        return at + 1;
    }
    if (*at < 0xcc || *at > 0xd3)
        return NULL;
    n = (size_t)1 << (*at & 3);
    if (left < 9) {
        if (left < 1 + n)
            return NULL;
        bits = ferry_get_be(at + 1, n);
    } else {
        bits = ferry_get_be(at + 1, 8) >> (64 - 8 * n);
    }
    if (*at < 0xd0 && bits > INT64_MAX)
        return NULL;
    value = (int64_t)bits;
    if (*at == 0xd0)
        value = (int8_t)bits;
    else if (*at == 0xd1)
        value = (int16_t)bits;
    else if (*at == 0xd2)
        value = (int32_t)bits;
    *ret = value;
    return value >= low && value <= high ? at + 1 + n : NULL;
}

#define FERRY_GET_INT(name, type, low, high)                                                       \
    static inline const unsigned char *ferry_get_##name(ferry_source *source,                      \
                                                        const unsigned char *at, type *to) {       \
        int64_t value = 0;                                                                         \
                                                                                                   \
        at = ferry_get_int(source, at, low, high, &value);                                         \
        *to = (type)value;                                                                         \
        return at;                                                                                 \
    }
FERRY_GET_INT(i8, int8_t, INT8_MIN, INT8_MAX)
FERRY_GET_INT(i16, int16_t, INT16_MIN, INT16_MAX)
FERRY_GET_INT(i32, int32_t, INT32_MIN, INT32_MAX)
FERRY_GET_INT(i64, int64_t, INT64_MIN, INT64_MAX)
#undef FERRY_GET_INT

static inline const unsigned char *ferry_get_bool(ferry_source *source, const unsigned char *at,
                                                  bool *to) {
    if (at == source->end || (*at | 1) != 0xc3)
        return NULL;
    *to = *at == 0xc3;
    return at + 1;
}

static inline const unsigned char *ferry_get_double(ferry_source *source, const unsigned char *at,
                                                    double *to) {
    uint64_t bits;

    if ((size_t)(source->end - at) < 9 || *at != 0xcb)
        return NULL;
    bits = ferry_get_be(at + 1, 8);
    memcpy(to, &bits, sizeof(*to));
    return at + 9;
}

/* Reads the length of a text (short form 0xa0, long forms from 0xd9) or of bytes (0xc4). */
static inline const unsigned char *ferry_get_length(ferry_source *source, const unsigned char *at,
                                                    unsigned head, size_t *ret) {
    size_t left = (size_t)(source->end - at), n = 1;

    if (left < 3)
        return NULL;
    if (head == 0xd9 && (*at & 0xe0) == 0xa0) {
        *ret = *at & 0x1f;
    } else if (*at == head) {
        *ret = at[1];
        n = 2;
    } else if (*at == head + 1) {
        *ret = (size_t)at[1] << 8 | at[2];
        n = 3;
    } else {
        return NULL;
    }
    return left - n >= *ret ? at + n : NULL;
}

static inline const unsigned char *ferry_get_string(ferry_source *source, const unsigned char *at,
                                                    const char **to) {
    size_t n = 0;
    unsigned char *text;

    at = ferry_get_length(source, at, 0xd9, &n);
    text = at ? (unsigned char *)ferry_take(source, n + 1) : NULL;
    if (!text || !ferry_copy_ascii(text, at, n))
        return NULL;
    text[n] = '\0';
    *to = (const char *)text;
    return at + n;
}

static inline const unsigned char *ferry_get_binary(ferry_source *source, const unsigned char *at,
                                                    ferry_bytes *to) {
    size_t n = 0;
    void *data;

    at = ferry_get_length(source, at, 0xc4, &n);
    data = at ? ferry_take(source, n) : NULL;
    if (!data)
        return NULL;
    memcpy(data, at, n);
    *to = ferry_bytes_of(data, n);
    return at + n;
}

/* Reads the number of a list's items, and takes memory for them. */
static inline const unsigned char *ferry_get_list(ferry_source *source, const unsigned char *at,
                                                  size_t size, size_t *ret_n, void **ret) {
    size_t left = (size_t)(source->end - at), n = 1;

    if (left < 3)
        return NULL;
    if ((*at & 0xf0) == 0x90) {
        *ret_n = *at & 0x0f;
    } else if (*at == 0xdc) {
        *ret_n = (size_t)at[1] << 8 | at[2];
        n = 3;
    } else {
        return NULL;
    }
    if (*ret_n > left - n)
        return NULL;
    *ret = *ret_n > 0 ? ferry_take(source, *ret_n * size) : NULL;
    return *ret || *ret_n == 0 ? at + n : NULL;
}

static inline const unsigned char *ferry_get_uuid(ferry_source *source, const unsigned char *at,
                                                  ferry_uuid *to) {
    if ((size_t)(source->end - at) < 2 + sizeof(to->bytes) || at[0] != 0xc4 ||
        at[1] != sizeof(to->bytes))
        return NULL;
    memcpy(to->bytes, at + 2, sizeof(to->bytes));
    return at + 2 + sizeof(to->bytes);
}

static inline const unsigned char *ferry_get_struct(const ferry_type *type, ferry_source *source,
                                                    const unsigned char *at, void *to) {
    return to && type->get ? type->get(source, at, to) : NULL;
}

#ifdef __cplusplus
}
#endif

#endif
