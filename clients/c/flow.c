/* One end of a stream. See flow.h. */

#include "clients/c/flow.h"

#include <stdlib.h>

struct FlowItem {
    FlowItem *next;
    const void *block; /* owned; NULL: the bytes follow */
    Span body;
    uint8_t bytes[];
};

void flow_init(Flow *flow) {
    *flow = (Flow){.credit = WIRE_STREAM_CREDIT};
}

static void item_free(FlowItem *item) {
    if (item) {
        ferry_free(item->block);
        free(item);
    }
}

void flow_deinit(Flow *flow) {
    item_free(flow->lent);
    while (flow->first) {
        FlowItem *next = flow->first->next;

        item_free(flow->first);
        flow->first = next;
    }
    *flow = (Flow){0};
}

int flow_item(Flow *flow, Span body, const void *block) {
    FlowItem *item = malloc(sizeof(*item) + (block ? 0 : body.len));

    if (!item)
        return -ENOMEM;
    item->next = NULL;
    item->block = block ? ferry_keep(block) : NULL;
    if (block && !item->block) {
        free(item);
        return -ENOMEM;
    }
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
    flow->wake = true;
    return 0;
}

void flow_more(Flow *flow, uint64_t bytes) {
    /* A peer that grants without end is taken at half its word. */
    if (bytes < INT64_MAX / 2 && flow->credit < INT64_MAX / 2)
        flow->credit += (int64_t)bytes;
    flow->wake = true;
}

int flow_take(Flow *flow, ferry_bytes *ret) {
    FlowItem *item = flow->first;

    item_free(flow->lent);
    flow->lent = NULL;
    if (!item)
        return 0;
    flow->first = item->next;
    if (!flow->first)
        flow->last = NULL;
    flow->lent = item;
    flow->consumed += item->body.len + FLOW_ITEM_COST;
    *ret = (ferry_bytes){item->body.data, item->body.len, item->block};
    return 1;
}

uint64_t flow_grant(Flow *flow) {
    uint64_t bytes = flow->consumed;

    if (bytes < FLOW_GRANT)
        return 0;
    flow->consumed = 0;
    return bytes;
}
