/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One end of a stream: credit for what we send, items that have come, credit to give back as they
 * are taken. Pure: no socket.
 */

#include <ferry/base.h>

#include "rpc/wire/message.h"

typedef struct FlowItem FlowItem;
typedef struct Flow Flow;

struct Flow {
    int64_t credit; /* bytes of items that may be sent; one may go below zero */
    FlowItem *first, *last;
    FlowItem *lent;  /* taken last: lent until the next is taken */
    FlowItem *spare; /* to be used again */
    unsigned n_spare;
    uint64_t consumed;          /* bytes to be given back by MORE */
    uint64_t window;            /* bytes of items that may be under way to us */
    bool in_ended;              /* no more items will come */
    bool wake;                  /* something has changed since it was last looked at */
    Flow *next_full, **in_full; /* an item found the outbox full; NULL: none did */
    void (*note)(void *owner);  /* called when there is room again; NULL: wake says it */
    void *owner;
};

enum { FLOW_ITEM_COST = 64, FLOW_WINDOW_MAX = 1024 * 1024 };

void flow_init(Flow *flow);
void flow_deinit(Flow *flow);

static inline bool flow_may_send(const Flow *flow) {
    return flow->credit > 0;
}

static inline void flow_sent(Flow *flow, size_t len) {
    flow->credit -= (int64_t)(len + FLOW_ITEM_COST);
}

/* An item found the outbox full: the flow is in the list of those until there is room again, which
 * wakes all of them. */
void flow_wait_for_room(Flow *flow, Flow **full);
void flows_wake_full(Flow **full);

/* An item or credit has come. -ENOMEM. */
int flow_item(Flow *flow, Span body, const void *block);
void flow_more(Flow *flow, uint64_t bytes);

/* 1: *ret is the next item, lent until the next call. 0: none is here now. */
int flow_take(Flow *flow, ferry_bytes *ret);

/* How many bytes to grant by MORE now; 0: not yet. A reader that finds nothing more to take is
 * faster than what comes: it gets a larger window, and holds no more memory by it. */
uint64_t flow_grant(Flow *flow);
