/* SPDX-License-Identifier: Apache-2.0 */
/* One end of a stream. See flow.h. */

#include "clients/c/core/flow.h"

#include <errno.h>
#include <stdlib.h>

struct FlowItem {
    FlowItem *next;
    const void *block; /* owned; NULL: the bytes follow the struct */
    Span body;
    size_t cap;
    uint8_t bytes[];
};

enum { SMALL = 256, SPARE_ITEMS_MAX = 1024 };

void flow_init(Flow *flow) {
    *flow = (Flow){
        .credit = WIRE_STREAM_CREDIT, .owed = WIRE_STREAM_CREDIT, .window = WIRE_STREAM_CREDIT};
}

/* Small items are reused, so that a running stream of them allocates nothing. */
static FlowItem *item_new(Flow *flow, size_t len) {
    FlowItem *item = flow->spare;
    size_t cap = len > SMALL ? len : SMALL;

    if (len > SMALL || !item) {
        item = malloc(sizeof(*item) + cap);
        if (item)
            item->cap = cap;
        return item;
    }
    flow->spare = item->next;
    flow->n_spare--;
    return item;
}

static void item_free(Flow *flow, FlowItem *item) {
    if (!item)
        return;
    ferry_free(item->block);
    if (item->cap > SMALL || flow->n_spare == SPARE_ITEMS_MAX) {
        free(item);
        return;
    }
    item->next = flow->spare;
    flow->spare = item;
    flow->n_spare++;
}

void flow_wait_for_room(Flow *flow, Flow **full) {
    if (flow->in_full)
        return;
    flow->next_full = *full;
    if (flow->next_full)
        flow->next_full->in_full = &flow->next_full;
    flow->in_full = full;
    *full = flow;
}

static void leave_full(Flow *flow) {
    if (!flow->in_full)
        return;
    *flow->in_full = flow->next_full;
    if (flow->next_full)
        flow->next_full->in_full = flow->in_full;
    flow->in_full = NULL;
}

void flows_wake_full(Flow **full) {
    while (*full) {
        Flow *flow = *full;

        leave_full(flow);
        flow->wake = true;
        if (flow->note)
            flow->note(flow->owner);
    }
}

void flow_deinit(Flow *flow) {
    leave_full(flow);
    item_free(flow, flow->lent);
    while (flow->first) {
        FlowItem *next = flow->first->next;

        item_free(flow, flow->first);
        flow->first = next;
    }
    while (flow->spare) {
        FlowItem *next = flow->spare->next;

        free(flow->spare);
        flow->spare = next;
    }
    *flow = (Flow){0};
}

int flow_item(Flow *flow, Span body, const void *block) {
    const void *kept;
    FlowItem *item;

    if (flow->owed <= 0)
        return -EPROTO;
    kept = block ? ferry_keep(block) : NULL;
    item = block && !kept ? NULL : item_new(flow, block ? 0 : body.len);
    if (!item) {
        ferry_free(kept);
        return -ENOMEM;
    }
    item->next = NULL;
    item->block = kept;
    item->body = body;
    if (!block) {
        if (body.len > 0)
            memcpy(item->bytes, body.data, body.len);
        item->body.data = item->bytes;
    }
    if (flow->last)
        flow->last->next = item;
    else
        flow->first = item;
    flow->last = item;
    flow->owed -= (int64_t)(body.len + WIRE_ITEM_COST);
    flow->wake = true;
    return 0;
}

void flow_more(Flow *flow, uint64_t bytes) {
    /* Ignore credit that could overflow. */
    if (bytes < INT64_MAX / 2 && flow->credit < INT64_MAX / 2)
        flow->credit += (int64_t)bytes;
    flow->wake = true;
}

int flow_take(Flow *flow, ferry_bytes *ret) {
    FlowItem *item = flow->first;

    item_free(flow, flow->lent);
    flow->lent = NULL;
    if (!item)
        return 0;
    flow->first = item->next;
    if (!flow->first)
        flow->last = NULL;
    flow->lent = item;
    flow->consumed += item->body.len + WIRE_ITEM_COST;
    *ret = (ferry_bytes){item->body.data, item->body.len, item->block};
    return 1;
}

uint64_t flow_grant(Flow *flow) {
    uint64_t bytes = flow->consumed;

    if (bytes < flow->window / 4)
        return 0;
    flow->consumed = 0;
    if (!flow->first && flow->window < FLOW_WINDOW_MAX) {
        bytes += flow->window;
        flow->window *= 2;
    }
    flow->owed += (int64_t)bytes;
    return bytes;
}

void flow_not_granted(Flow *flow, uint64_t bytes) {
    flow->owed -= (int64_t)bytes;
    flow->consumed += bytes;
}
