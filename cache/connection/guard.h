/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Checks the lengths, counts and nesting of a reply before hiredis' parser sees them, because that
 * parser reserves memory for any declared length. The guard is a cursor, fed piece by piece; it
 * allocates nothing.
 */

#include <stddef.h>
#include <stdint.h>

enum {
    GUARD_DEPTH = 6,              /* hiredis 0.14 accepts 7; CLUSTER SLOTS needs 4 */
    GUARD_LINE = 8 * 1024,        /* bytes of a status or an error */
    GUARD_NUMBER = 24,            /* bytes of a length or a number */
    GUARD_ELEMENTS = 1024 * 1024, /* values in one reply, over all depths */
    GUARD_BULK =
        64 * 1024 * 1024 + 4096,     /* bytes of one string: the largest value and its header */
    GUARD_REPLY = 128 * 1024 * 1024, /* bytes of one whole reply */
};

typedef struct Guard {
    uint32_t depth;
    uint32_t left[GUARD_DEPTH]; /* missing elements at each depth */
    uint64_t bulk_left;         /* missing bytes of a string, its line end included */
    uint64_t elements;          /* elements of this reply so far */
    uint64_t bytes;             /* bytes of this reply so far */
    const char *problem;        /* static text; NULL: no problem so far */
} Guard;

/* Returns how many of these bytes may be passed to the parser. The rest is an incomplete line:
 * offer it again with the bytes that follow. If problem is set, the connection must be closed. */
size_t guard_feed(Guard *guard, const uint8_t *data, size_t len);
