/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What is to be sent on one connection, as batches in the making. Pure: no socket, no clock.
 *
 * Three lanes: session control goes first and costs no credit; calls and answers go ahead of bulk
 * (topics, jobs, stream items). Each lane keeps its order, but for large bodies on the calls lane:
 * small calls pass them, and they share what is left with the bulk lane. What the peer's credit
 * does not cover waits here, within a bound.
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
    bool large; /* holds records of WIRE_RECORD_LARGE bytes and more alone: may fill up */
    struct Transfer *transfer; /* not a batch: the place of a large body among those of its lane */
    uint8_t *frame; /* once it is on its way: the batch as a ZMTP frame, in room and data */
    size_t frame_len;
    uint8_t room[ZMTP_ROOM];
    uint8_t data[];
} Chunk;

typedef struct Transfer Transfer;

/* Large bodies of the calls lane that are on their way at once; others wait for one of them to end.
 * The bulk lane has one more: its order holds for large bodies too. */
enum { OUTBOX_TRANSFERS_MAX = 3 };

typedef struct Outbox {
    struct {
        Chunk *first, *last;
        size_t bytes;
    } lanes[N_LANES];
    Transfer *transfers, *last_transfer; /* large bodies of the calls lane */
    Chunk *returned;                     /* what outbox_untake() was given, oldest first */
    uint64_t last_transfer_id;
    size_t transfer_bytes; /* still to be sent of large bodies */
    int64_t credit;        /* bytes the peer will take; may go below zero by one batch */
    bool part_turn;        /* bulk and the large bodies of calls take turns */
} Outbox;

/* Appends a message. A body of more than WIRE_INLINE_MAX bytes goes ahead in PARTs: copied, or held
 * when `block` (may be NULL) is the block around it. The bound is the caller's: see
 * outbox_bytes(). -ENOMEM: nothing was appended. */
int outbox_put(Outbox *outbox, Lane lane, const Message *message, const void *block);

/* Bytes that wait on the calls and bulk lanes and in transfers: against the caller's limit. */
static inline size_t outbox_bytes(const Outbox *outbox) {
    return outbox->lanes[LANE_CALLS].bytes + outbox->lanes[LANE_BULK].bytes +
           outbox->transfer_bytes;
}

static inline bool outbox_is_empty(const Outbox *outbox) {
    return !outbox->lanes[LANE_CONTROL].first && !outbox->lanes[LANE_CALLS].first &&
           !outbox->lanes[LANE_BULK].first && !outbox->transfers && !outbox->returned;
}

/* The next batch that may be sent now, taken out and charged, or NULL. */
Chunk *outbox_take(Outbox *outbox);

/* Puts back what could not be sent, to the front, and undoes the charge. Batches that were taken
 * one after another go back in reverse. */
void outbox_untake(Outbox *outbox, Chunk *chunk);

/* Forgets all that waits. */
void outbox_clear(Outbox *outbox);

Chunk *chunk_new(size_t cap);
/* A chunk of exactly these bytes, which are a frame already. NULL: out of memory. */
Chunk *chunk_of_frame(const uint8_t *frame, size_t len);

/* For the client, which sends by libzmq: a chunk with few bytes is better copied than lent to
 * libzmq, which may keep it for long. */
static inline bool chunk_is_sparse(const Chunk *chunk) {
    return chunk->len <= 16 * 1024 || chunk->len < chunk->cap / 8;
}

void chunk_free(Chunk *chunk);
/* As zmq_free_fn: hint is the chunk. Any thread. */
void chunk_free_data(void *data, void *hint);

DEFINE_CLEANUP(Chunk *, chunk_free);
