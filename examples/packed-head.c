/* SPDX-License-Identifier: Apache-2.0 */
/* The head of a MessagePack value. See packed-head.h. */

#include "packed-head.h"

#include <string.h>

/* The number of octets of the number behind the first octet, for 0xc0 to 0xdf. In 0xd4 to 0xd8 it
 * is the type of an extension. */
static const unsigned char widths[32] = {0, 0, 0, 0, 1, 2, 4, 2, 3, 5, 4, 8, 1, 2, 4, 8,
                                         1, 2, 4, 8, 1, 1, 1, 1, 1, 1, 2, 4, 2, 4, 2, 4};
static const HeadKind kinds[32] = {
    HEAD_NIL, HEAD_NIL, HEAD_BOOL, HEAD_BOOL, HEAD_BIN,   HEAD_BIN,   HEAD_BIN,  HEAD_EXT,
    HEAD_EXT, HEAD_EXT, HEAD_REAL, HEAD_REAL, HEAD_UINT,  HEAD_UINT,  HEAD_UINT, HEAD_UINT,
    HEAD_INT, HEAD_INT, HEAD_INT,  HEAD_INT,  HEAD_EXT,   HEAD_EXT,   HEAD_EXT,  HEAD_EXT,
    HEAD_EXT, HEAD_STR, HEAD_STR,  HEAD_STR,  HEAD_ARRAY, HEAD_ARRAY, HEAD_MAP,  HEAD_MAP};

static uint64_t big_endian(const unsigned char *at, size_t n) {
    uint64_t value = 0;

    for (size_t i = 0; i < n; i++)
        value = value << 8 | at[i];
    return value;
}

static void read_number(Head *head, unsigned char first, const unsigned char *at, size_t width) {
    uint64_t value = big_endian(at, width);

    if (head->kind == HEAD_INT) {
        head->sint = (int64_t)(value << (64 - 8 * width)) >> (64 - 8 * width);
        head->uint = (uint64_t)head->sint;
        head->kind = head->sint < 0 ? HEAD_INT : HEAD_UINT;
    } else if (head->kind == HEAD_REAL && width == 4) {
        uint32_t bits = (uint32_t)value;
        float single;

        memcpy(&single, &bits, sizeof(single));
        head->real = (double)single;
    } else if (head->kind == HEAD_REAL) {
        memcpy(&head->real, &value, sizeof(value));
    } else if (first >= 0xd4 && first <= 0xd8) {
        head->n = UINT64_C(1) << (first - 0xd4);
    } else if (head->kind == HEAD_EXT) { /* length, then type */
        head->n = value >> 8;
    } else {
        head->uint = head->n = value;
    }
    if (head->kind == HEAD_UINT)
        head->n = 0;
}

int head_read(Head *head, const void *data, size_t len) {
    const unsigned char *at = data;
    unsigned char first;

    if (len == 0)
        return HEAD_CUT;
    first = at[0];
    *head = (Head){.kind = HEAD_UINT, .len = 1};
    if (first < 0x80) {
        head->uint = first;
    } else if (first >= 0xe0) {
        head->kind = HEAD_INT;
        head->sint = (int8_t)first;
    } else if (first < 0xc0) {
        head->kind = first < 0x90 ? HEAD_MAP : first < 0xa0 ? HEAD_ARRAY : HEAD_STR;
        head->n = first < 0xa0 ? first & 0x0f : first & 0x1f;
    } else if (first == 0xc1) {
        return HEAD_UNKNOWN;
    } else {
        size_t width = widths[first - 0xc0];

        if (len < 1 + width)
            return HEAD_CUT;
        head->kind = kinds[first - 0xc0];
        head->truth = first == 0xc3;
        head->len = 1 + width;
        if (width > 0)
            read_number(head, first, at + 1, width);
    }
    return 0;
}
