/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The structs of the push log, shared by push-log.c, which stores pushes, and push.c, which sends
 * them. */

#include "clients/c/queues/push-log.h"

enum { PUSH_INLINE = 192 };

struct Push {
    Await await;
    Push *prev, *next; /* of the log or, if its callback is due, of log->ended */
    ferry_done_fn fn;
    void *ctx;
    ferry_pushed *pushed; /* the program's; NULL: not wanted */
    Outcome *result;      /* the outcome of a blocking push */
    ferry_error *error;   /* of an ended push; NULL: confirmed */
    Record *record;       /* NULL: the message is stored in this struct */
    uint32_t size;        /* its share of log->bytes */
    uint16_t len;
    uint64_t session; /* the last session in which it was sent; 0: none */
    bool was_sent;    /* sent at least once, in any session */
    uint8_t bytes[PUSH_INLINE];
};

struct PushLog {
    Push *first;  /* the oldest */
    Push *unsent; /* the first push that was not sent in this session; NULL: all were sent */
    size_t n, bytes;
    Push *ended;       /* removed from the log; their callbacks are due */
    uint64_t flush_id; /* ferry_flush() waits for all ids up to this one; 0: no flush */
    bool confirmed;
    Slabs *slabs; /* of the core */
};

/* Reads the stored message. Returns the block around its body, or NULL. */
const void *push_read(const Push *push, Message *message);
