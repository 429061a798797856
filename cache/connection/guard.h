#pragma once

/*
 * Reads ahead of hiredis: a reply's lengths, counts and nesting are checked before its parser hears
 * of them, because it reserves memory for whatever a length says. A cursor, fed piece by piece;
 * allocates nothing.
 */

#include <stddef.h>
#include <stdint.h>

enum {
    GUARD_DEPTH = 6,              /* hiredis 0.14 ends at 7; CLUSTER SLOTS needs 4 */
    GUARD_LINE = 8 * 1024,        /* bytes of a status or an error */
    GUARD_NUMBER = 24,            /* bytes of a length or a number */
    GUARD_ELEMENTS = 1024 * 1024, /* values in one reply, at all depths */
    GUARD_BULK =
        64 * 1024 * 1024 + 4096,     /* bytes of one string: the largest value and its header */
    GUARD_REPLY = 128 * 1024 * 1024, /* bytes of one whole reply */
};

typedef struct Guard {
    uint32_t depth;
    uint32_t left[GUARD_DEPTH]; /* elements to come, at each depth */
    uint64_t bulk_left;         /* bytes of a string to come, its line end included */
    uint64_t elements;          /* so far in this reply */
    uint64_t bytes;             /* likewise */
    const char *problem;        /* static text; NULL: none so far */
} Guard;

/* How many of these bytes may be passed on. The rest begins a line that is not complete: offer it
 * again with what follows. When there is a problem the connection must go. */
size_t guard_check(Guard *guard, const uint8_t *data, size_t len);
