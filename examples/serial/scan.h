/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Finds the ends of MessagePack objects in octets that come in pieces; without a network. */

#include "packed-head.h"
#include "serial.h"

typedef struct Scan {
    uint64_t objects, offset;     /* complete ones; where the next one begins */
    uint64_t left[SERIAL_LEVELS]; /* values that are missing at each level */
    unsigned depth;
    uint64_t skip;       /* octets of a string that have not come yet */
    unsigned char *data; /* the object so far, and what came behind it */
    size_t len, size;
    size_t at;           /* how far it was looked through */
    uint64_t bad_offset; /* after an error: where */
    int bad_octet;
} Scan;

enum { SCAN_MORE, SCAN_OBJECT, SCAN_GARBAGE, SCAN_TOO_DEEP, SCAN_TOO_LARGE };

void scan_deinit(Scan *scan); /* one of zeros is a new one */

int scan_add(Scan *scan, ferry_bytes octets); /* -ENOMEM */

/* SCAN_OBJECT: the first scan->at octets of scan->data are one; scan_drop() before the next.
 * SCAN_MORE: octets are missing. Or an error, which stays. */
int scan_next(Scan *scan);

/* Forgets the object that was found. */
void scan_drop(Scan *scan);
