/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Finds the ends of MessagePack values in a stream of bytes without lengths. Each byte is read
 * once, in whichever pieces the stream arrives, and no memory is allocated.
 */

#include <stddef.h>
#include <stdint.h>

#include "rpc/wire/reader.h"

/* A scanner of zeros is at the beginning of a value. */
typedef struct RpcScanner {
    uint64_t left[WIRE_DEPTH_MAX]; /* values that are missing, at each depth */
    unsigned depth;                /* containers that are open */
    uint64_t skip;                 /* bytes of a text, binary or number that are missing */
    uint8_t head[5];               /* of a value whose head is cut */
    unsigned n_head;
} RpcScanner;

typedef enum ScanOutcome {
    SCAN_MORE, /* all bytes are used, and the value is not complete */
    SCAN_VALUE,
    SCAN_BAD, /* the byte 0xc1, or nested more than WIRE_DEPTH_MAX deep */
} ScanOutcome;

/* *ret_used: the bytes that belong to the value; after SCAN_VALUE the scanner is at the beginning
 * of the next one. */
ScanOutcome scanner_feed(RpcScanner *scanner, const uint8_t *data, size_t len, size_t *ret_used);
