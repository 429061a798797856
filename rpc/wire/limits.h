/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The limits of the wire. docs/PROTOCOL.md describes the effect of each limit. */

enum {
    WIRE_MAGIC = 0xF7,
    WIRE_PROTOCOL = 1,
    WIRE_HEAD = 2, /* bytes in front of each batch: magic, protocol */

    WIRE_BATCH_MAX = 640 * 1024,      /* one ZeroMQ message */
    WIRE_BATCH_SOFT = 64 * 1024,      /* where a sender ends a batch of small records */
    WIRE_BATCH_RECORDS = 1024,        /* likewise */
    WIRE_RECORD_LARGE = 1024,         /* records from here on may fill a batch to its maximum */
    WIRE_INLINE_MAX = 128 * 1024,     /* a larger body travels in PARTs */
    WIRE_PART = 64 * 1024,            /* bytes in one PART */
    WIRE_BODY_MAX = 64 * 1024 * 1024, /* the default; a broker may set less */

    WIRE_HEADERS_MAX = 64, /* pairs */
    WIRE_HEADERS_BYTES = 16 * 1024,
    WIRE_OPTIONS_BYTES = 4 * 1024,
    WIRE_ERROR_BYTES = 64 * 1024,
    WIRE_TEXT_MAX = 1024,            /* reasons */
    WIRE_CREDIT = 2 * 1024 * 1024,   /* bytes granted to begin with */
    WIRE_STREAM_CREDIT = 256 * 1024, /* bytes of ITEMs granted to begin with, each way */
    WIRE_ITEM_COST = 64, /* credit that an item, a message of a topic, or a job costs besides its
                          * body */
    WIRE_CONSUMER_CREDIT =
        1024 * 1024,       /* bytes that libferry grants to each subscription and pull */
    WIRE_TOKEN = 16,       /* bytes of the ids of clients and brokers */
    WIRE_HELD_MAX = 32768, /* jobs that HELLO lists as held */
    WIRE_CREDIT_MAX = 64 * 1024 * 1024, /* of more credit than this, a broker uses only this */
};
