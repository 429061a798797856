/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Finds the ends of MessagePack objects in octets that arrive in pieces. Pure: no network. */

#include "packed-head.h"
#include "serial.h"

typedef struct Scan {
    uint64_t objects, offset;     /* complete objects; where the next one begins */
    uint64_t left[SERIAL_LEVELS]; /* values that are missing at each level */
    unsigned depth;
    uint64_t skip;       /* octets of a string that have not come yet */
    unsigned char *data; /* the object so far, and the octets behind it */
    size_t len, size;
    size_t at;           /* the number of scanned octets */
    uint64_t bad_offset; /* after an error: where */
    int bad_octet;
} Scan;

enum { SCAN_MORE, SCAN_OBJECT, SCAN_GARBAGE, SCAN_TOO_DEEP, SCAN_TOO_LARGE };

void scan_deinit(Scan *scan); /* a new Scan is all zeros */

int scan_add(Scan *scan, ferry_bytes octets); /* -ENOMEM */

/* SCAN_OBJECT: the first scan->at octets of scan->data are one object; call scan_drop() before the
 * next call. SCAN_MORE: octets are missing. Otherwise an error, which is permanent. */
int scan_next(Scan *scan);

/* Forgets the object that was found. */
void scan_drop(Scan *scan);
