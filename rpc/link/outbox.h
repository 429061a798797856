/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The messages that wait to be sent on one connection, collected into batches. Pure: no socket, no
 * clock.
 *
 * Three lanes: session control goes first and costs no credit; calls and answers go before bulk
 * (topics, jobs, stream items). Each lane keeps its order. The exception is large bodies on the
 * calls lane: small calls pass them, and they share the remaining credit with the bulk lane.
 * Messages that the peer's credit does not cover wait here, up to a limit.
 */

#include <ferry/base.h>

#include "base/cleanup.h"
#include "rpc/wire/message.h"
#include "rpc/zmtp/zmtp.h"

typedef enum Lane { LANE_CONTROL, LANE_CALLS, LANE_BULK, N_LANES } Lane;

/* One batch: it becomes one ZMTP frame. */
typedef struct Chunk {
    struct Chunk *next;
    uint32_t len, cap, records;
    uint8_t lane;
    bool large; /* only records of at least WIRE_RECORD_LARGE bytes: more of them may be added */
    struct Transfer *transfer; /* not a batch: a large body's place in its lane */
    uint8_t *frame;   /* once it is being sent: the batch as a ZMTP frame, in room and data */
    size_t frame_len; /* with the body */
    /* Bytes of the batch that are not copied into it: they belong between data[body_at - 1] and
     * data[body_at]. Owned; empty unless the outbox lends bodies. */
    ferry_bytes body;
    uint32_t body_at;
    uint8_t room[ZMTP_ROOM];
    uint8_t data[];
} Chunk;

typedef struct Transfer Transfer;

/* Large bodies of the calls lane in transfer at once; others wait for one of them to end. The bulk
 * lane has one more transfer: its order includes large bodies. */
enum { OUTBOX_TRANSFERS_MAX = 3 };

typedef struct Outbox {
    struct {
        Chunk *first, *last;
        size_t bytes;
    } lanes[N_LANES];
    Transfer *transfers, *last_transfer; /* large bodies of the calls lane */
    uint64_t last_transfer_id;
    size_t transfer_bytes; /* unsent bytes of large bodies */
    size_t held;           /* memory of all that waits */
    int64_t credit;        /* bytes that the peer accepts; one batch may take it below zero */
    bool part_turn;        /* bulk and the large bodies of calls take turns */
    bool lends_bodies;     /* PARTs may refer to their bodies instead of copying them */
} Outbox;

/* Appends a message. A body of more than WIRE_INLINE_MAX bytes goes before it in PARTs: copied, or
 * held if `block` (may be NULL) is the block around it. The caller limits the total: see
 * outbox_bytes(). -ENOMEM: nothing was appended. */
int outbox_put(Outbox *outbox, Lane lane, const Message *message, const void *block);

/* Bytes that wait on the calls and bulk lanes and in transfers: the caller compares them with its
 * limit. */
static inline size_t outbox_bytes(const Outbox *outbox) {
    return outbox->lanes[LANE_CALLS].bytes + outbox->lanes[LANE_BULK].bytes +
           outbox->transfer_bytes;
}

static inline bool outbox_is_empty(const Outbox *outbox) {
    return !outbox->lanes[LANE_CONTROL].first && !outbox->lanes[LANE_CALLS].first &&
           !outbox->lanes[LANE_BULK].first && !outbox->transfers;
}

/* Takes out and charges the next batch that may be sent; NULL: no batch may be sent. */
Chunk *outbox_take(Outbox *outbox);

/* Puts the answers that credit allows in front of the session control that follows: it may be the
 * last message. */
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

/* A chunk of exactly these bytes, which already are a frame. NULL: out of memory. */
Chunk *chunk_of_frame(const uint8_t *frame, size_t len);

void chunk_free(Chunk *chunk);

/* Gives the memory of the pools back that chunk_new() takes from. Any thread may call it. */
void chunks_trim(void);

DEFINE_CLEANUP(Chunk *, chunk_free);
