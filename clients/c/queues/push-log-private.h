/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What push-log.c keeps of a push, for push.c, which sends it and hears of its end. */

#include "clients/c/queues/push-log.h"

enum { PUSH_INLINE = 192 };

struct Push {
    Await await;
    Push *next, *previous;
    ferry_done_fn fn;
    void *ctx;
    Outcome *result;    /* of a blocking push */
    ferry_error *error; /* when ended; NULL: confirmed */
    Record *record;     /* NULL: it fits in here */
    uint32_t size;      /* that it counts for */
    uint16_t len;
    bool was_sent; /* in some session */
    uint8_t bytes[PUSH_INLINE];
};

struct PushLog {
    Push *first, *last;
    Push *unsent; /* from here on nothing was sent in this session; NULL: all was */
    size_t n, bytes;
    Push *ended, *last_ended; /* out of the log; their callbacks are due */
    uint64_t flush_id;        /* ferry_flush() waits for all ids up to this; 0: it does not */
    bool confirmed;
    Slab *slab;
};

/* The message again. Returns the block around its body, or NULL. */
const void *push_read(const Push *push, Message *message);
