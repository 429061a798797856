/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The limits of the wire. docs/PROTOCOL.md describes the effect of each limit. */

enum {
    WIRE_MAGIC = 0xF7,
    WIRE_PROTOCOL = 1,
    WIRE_HEAD = 2, /* bytes in front of each batch: magic, protocol */

    WIRE_BATCH_MAX = 640 * 1024,      /* bytes of one ZeroMQ message */
    WIRE_BATCH_SOFT = 64 * 1024,      /* a sender ends a batch of small records at this size */
    WIRE_BATCH_RECORDS = 1024,        /* a sender ends a batch at this number of records */
    WIRE_RECORD_LARGE = 1024,         /* larger records may fill a batch up to its maximum */
    WIRE_INLINE_MAX = 128 * 1024,     /* a larger body is sent in PARTs */
    WIRE_PART = 64 * 1024,            /* bytes in one PART */
    WIRE_BODY_MAX = 64 * 1024 * 1024, /* the default; a broker may set a lower limit */

    WIRE_HEADERS_MAX = 64, /* pairs */
    WIRE_HEADERS_BYTES = 16 * 1024,
    WIRE_OPTIONS_BYTES = 4 * 1024,
    WIRE_ERROR_BYTES = 64 * 1024,
    WIRE_TEXT_MAX = 1024, /* bytes of a reason */
    /* Bytes that each end of a session grants at first. */
    WIRE_CREDIT = 2 * 1024 * 1024,
    /* Bytes of ITEMs that each end of a stream grants at first. */
    WIRE_STREAM_CREDIT = 256 * 1024,
    /* Bytes that libferry grants to each subscription and pull. */
    WIRE_CONSUMER_CREDIT = 1024 * 1024,
    /* Credit that an item, a message of a topic, or a job costs in addition to its body. */
    WIRE_ITEM_COST = 64,
    WIRE_TOKEN = 16,       /* bytes of the ids of clients and brokers */
    WIRE_HELD_MAX = 32768, /* jobs that HELLO lists as held */
    /* If a peer grants more credit, the broker uses only this much. */
    WIRE_CREDIT_MAX = 64 * 1024 * 1024,
};
