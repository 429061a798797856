/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One end of a stream: the credit for sending items, the queue of received items, and the credit
 * that is returned when the program takes received items. Pure: no socket.
 */

#include <ferry/base.h>

#include "rpc/wire/message.h"

typedef struct FlowItem FlowItem;
typedef struct Flow Flow;

struct Flow {
    int64_t credit; /* bytes of items that may be sent; the last item may take it below zero */
    int64_t owed;   /* bytes of items that the other end may send, in the same way */
    FlowItem *first, *last;
    FlowItem *lent;  /* the item taken last: borrowed until the next is taken */
    FlowItem *spare; /* items for reuse */
    unsigned n_spare;
    uint64_t consumed;          /* taken bytes, to be granted again by MORE */
    uint64_t window;            /* bytes of items that may be in flight to us */
    bool in_ended;              /* no more items will come */
    bool wake;                  /* set on each change; the waiting function clears it */
    Flow *next_full, **in_full; /* the list of flows that wait for room; NULL: not in the list */
    void (*note)(void *owner);  /* called when there is room again; NULL: wake is set only */
    void *owner;
};

enum { FLOW_WINDOW_MAX = 1024 * 1024 };

void flow_init(Flow *flow);
void flow_deinit(Flow *flow);

static inline bool flow_may_send(const Flow *flow) {
    return flow->credit > 0;
}

static inline void flow_sent(Flow *flow, size_t len) {
    flow->credit -= (int64_t)(len + WIRE_ITEM_COST);
}

/* flow_wait_for_room() adds a flow to the list of flows that wait for room in the outbox;
 * flows_wake_full() wakes all flows in the list. */
void flow_wait_for_room(Flow *flow, Flow **full);
void flows_wake_full(Flow **full);

/* An item, or credit, has arrived. flow_item(): 0; -ENOMEM; -EPROTO: the other end had no credit
 * for the item. */
int flow_item(Flow *flow, Span body, const void *block);
void flow_more(Flow *flow, uint64_t bytes);

/* 1: *ret is the next item, borrowed until the next call. 0: no item has arrived. */
int flow_take(Flow *flow, ferry_bytes *ret);

/* Returns the number of bytes to grant with MORE now; 0: not yet. If the program takes items faster
 * than they arrive, the window grows. The memory use does not grow, because the queue of such a
 * reader is empty. */
uint64_t flow_grant(Flow *flow);
/* The MORE with these bytes could not be sent: they are granted later. */
void flow_not_granted(Flow *flow, uint64_t bytes);
