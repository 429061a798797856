#pragma once

/*
 * One end of a stream: credit for what we send, items that have come, credit to give back as they
 * are taken. Pure: no socket.
 */

#include <ferry/ferry.h>

#include "rpc/wire/message.h"

typedef struct FlowItem FlowItem;

typedef struct Flow {
    int64_t credit; /* bytes of items that may be sent; one may go below zero */
    FlowItem *first, *last;
    FlowItem *lent;    /* taken last: lent until the next is taken */
    uint64_t consumed; /* bytes to be given back by MORE */
    bool in_ended;     /* no more items will come */
    bool wake;         /* something has changed since it was last looked at */
} Flow;

enum { FLOW_ITEM_COST = 64, FLOW_GRANT = 64 * 1024 };

void flow_init(Flow *flow);
void flow_deinit(Flow *flow);

static inline bool flow_may_send(const Flow *flow) {
    return flow->credit > 0;
}

static inline void flow_sent(Flow *flow, size_t len) {
    flow->credit -= (int64_t)(len + FLOW_ITEM_COST);
}

/* An item or credit has come. -ENOMEM. */
int flow_item(Flow *flow, Span body, const void *block);
void flow_more(Flow *flow, uint64_t bytes);

/* 1: *ret is the next item, lent until the next call. 0: none is here now. */
int flow_take(Flow *flow, ferry_bytes *ret);

/* How many bytes to grant by MORE now; 0: not yet. */
uint64_t flow_grant(Flow *flow);
