/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Fast copies and comparisons of short texts: most are too short for a call of memcpy(). */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint8_t *copy_bytes(uint8_t *to, const void *from, size_t len) {
    const uint8_t *p = from;
    uint64_t a, b;
    uint32_t c, d;

    if (len >= 8 && len <= 16) {
        memcpy(&a, p, 8);
        memcpy(&b, p + len - 8, 8);
        memcpy(to, &a, 8);
        memcpy(to + len - 8, &b, 8);
    } else if (len >= 4 && len < 8) {
        memcpy(&c, p, 4);
        memcpy(&d, p + len - 4, 4);
        memcpy(to, &c, 4);
        memcpy(to + len - 4, &d, 4);
    } else if (len < 4) {
        for (size_t i = 0; i < len; i++)
            to[i] = p[i];
    } else {
        memcpy(to, p, len);
    }
    return to + len;
}

static inline bool bytes_equal(const void *a, const void *b, size_t len) {
    const uint8_t *p = a, *q = b;
    uint64_t p1, p2, q1, q2;
    uint32_t s1, s2, t1, t2;

    if (len >= 8 && len <= 16) {
        memcpy(&p1, p, 8);
        memcpy(&p2, p + len - 8, 8);
        memcpy(&q1, q, 8);
        memcpy(&q2, q + len - 8, 8);
        return ((p1 ^ q1) | (p2 ^ q2)) == 0;
    }
    if (len >= 4 && len < 8) {
        memcpy(&s1, p, 4);
        memcpy(&s2, p + len - 4, 4);
        memcpy(&t1, q, 4);
        memcpy(&t2, q + len - 4, 4);
        return ((s1 ^ t1) | (s2 ^ t2)) == 0;
    }
    if (len < 4) {
        for (size_t i = 0; i < len; i++)
            if (p[i] != q[i])
                return false;
        return true;
    }
    return memcmp(p, q, len) == 0;
}

/* Copies a text. True: it is ASCII without a NUL. Other texts need the full check. */
static inline bool copy_plain_text(uint8_t *to, const uint8_t *p, size_t len) {
    const uint64_t high = UINT64_C(0x8080808080808080), ones = UINT64_C(0x0101010101010101);
    uint64_t word, bad = 0;
    size_t i = 0;

    if (len < 8) {
        for (; i < len; i++) {
            to[i] = p[i];
            bad |= p[i] | (p[i] - (uint64_t)1);
        }
        return (bad & 0x80) == 0;
    }
    for (; i + 8 < len; i += 8) {
        memcpy(&word, p + i, 8);
        memcpy(to + i, &word, 8);
        /* The subtraction sets the high bit of a zero byte. */
        bad |= word | (word - ones);
    }
    memcpy(&word, p + len - 8, 8);
    memcpy(to + len - 8, &word, 8);
    bad |= word | (word - ones);
    return (bad & high) == 0;
}
