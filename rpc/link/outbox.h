/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The messages that wait to be sent on one connection, collected into batches. Uses no socket and
 * no clock.
 *
 * It has three lanes: session control goes first and costs no credit; calls and answers go before
 * bulk (topics, jobs, stream items). Each lane keeps its order. Large bodies on the calls lane are
 * an exception: small calls overtake them, and they share the remaining credit with the bulk lane.
 * Messages that the peer's credit does not cover wait here, up to a limit.
 */

#include <ferry/base.h>

#include "base/cleanup.h"
#include "rpc/wire/message.h"
#include "rpc/zmtp/zmtp.h"

typedef enum Lane { LANE_CONTROL, LANE_CALLS, LANE_BULK, N_LANES } Lane;

/* One batch: it becomes one ZMTP frame. */
typedef struct Chunk {
    struct Chunk *prev, *next;
    uint32_t len, cap, records;
    bool large; /* of the bulk lane: contains only records of at least WIRE_RECORD_LARGE bytes, and
                   accepts more of them */
    struct Transfer *transfer; /* a placeholder for a large body in its lane; NULL: a batch */
    uint8_t *frame;            /* set while sending: the batch as a ZMTP frame, in room and data */
    size_t frame_len;          /* length of the frame including the body */
    /* Bytes of the batch that are not copied into the chunk: their place is between data[body_at -
     * 1] and data[body_at]. Owned. Empty unless the outbox lends bodies. */
    ferry_bytes body;
    uint32_t body_at;
    uint8_t room[ZMTP_ROOM];
    uint8_t data[];
} Chunk;

typedef struct Transfer Transfer;

/* Most large bodies of the calls lane that are in transfer at once; further bodies wait. The bulk
 * lane has one more transfer, because it keeps the order of its messages, including large
 * bodies. */
enum { OUTBOX_TRANSFERS_MAX = 3 };

typedef struct Outbox {
    struct {
        Chunk *first; /* utlist */
        size_t bytes;
    } lanes[N_LANES];
    Transfer *transfers; /* utlist: large bodies of the calls lane */
    uint64_t last_transfer_id;
    size_t transfer_bytes; /* unsent bytes of large bodies */
    size_t held;           /* memory of all waiting messages */
    int64_t credit;        /* bytes that the peer accepts; one batch may take it below zero */
    bool part_turn; /* true: the large bodies of calls have the turn; they alternate with the bulk
                       lane */
    bool lends_bodies; /* PARTs may refer to their bodies instead of copying them */
} Outbox;

/* Appends a message. A body of more than WIRE_INLINE_MAX bytes is sent in PARTs before the message.
 * The body is copied, or held if `block` (may be NULL) is the block that contains it. The caller
 * limits the total: see outbox_bytes(). -ENOMEM: nothing was appended. */
int outbox_put(Outbox *outbox, Lane lane, const Message *message, const void *block);

/* Bytes that wait on the calls and bulk lanes and in transfers, for the caller's limit. */
static inline size_t outbox_bytes(const Outbox *outbox) {
    return outbox->lanes[LANE_CALLS].bytes + outbox->lanes[LANE_BULK].bytes +
           outbox->transfer_bytes;
}

/* Adds credit that a peer grants, up to WIRE_CREDIT_MAX. More credit is ignored. */
static inline int64_t credit_add(int64_t credit, uint64_t bytes) {
    credit += (int64_t)(bytes > WIRE_CREDIT_MAX ? WIRE_CREDIT_MAX : bytes);
    return credit > WIRE_CREDIT_MAX ? WIRE_CREDIT_MAX : credit;
}

/* Removes the next batch that may be sent, and charges the credit; NULL: no batch may be sent. */
Chunk *outbox_take(Outbox *outbox);

/* Moves the answers that credit allows in front of session control that is put next, because that
 * may be the last message. */
void outbox_hurry(Outbox *outbox);

/* Drops all waiting messages. */
void outbox_clear(Outbox *outbox);

Chunk *chunk_new(size_t cap);

static inline size_t chunk_memory(const Chunk *chunk) {
    return sizeof(*chunk) + chunk->cap + chunk->body.len;
}

/* Bytes of the batch. */
static inline size_t chunk_size(const Chunk *chunk) {
    return chunk->len + chunk->body.len;
}

/* A chunk with these bytes, which are a complete frame. NULL: out of memory. */
Chunk *chunk_of_frame(const uint8_t *frame, size_t len);

void chunk_free(Chunk *chunk);

/* Frees the memory of the pools that chunk_new() takes from. Any thread may call it. */
void chunks_trim(void);

DEFINE_CLEANUP(Chunk *, chunk_free);
