/* SPDX-License-Identifier: Apache-2.0 */
/* The server's end of a stream: items to and from a request. */

#include "clients/c/core/loop.h"
#include "clients/c/core/route.h"
#include "clients/c/core/session.h"
#include "clients/c/serving/request.h"

/* ---- watching ---- */

void request_note_due(Request *request) {
    if (!request->fn || request->due || request->answered)
        return;
    request->due = true;
    request->core->serving->n_due++;
    core_raise(request->core);
}

int ferry_request_watch(ferry_request *request, void (*fn)(ferry_request *request, void *ctx),
                        void *ctx) {
    Request *mine = request ? request_of(request) : NULL;

    if (!mine || !fn || mine->answered)
        return -EINVAL;
    mine->fn = fn;
    mine->ctx = ctx;
    /* Items that arrived before fn was set are reported, too. */
    if (mine->cancelled || mine->flow)
        request_note_due(mine);
    return 0;
}

static Request *next_due(const Core *core) {
    for (Request *request = core->serving->deferred; request; request = request->next)
        if (request->due)
            return request;
    return NULL;
}

bool requests_due(const Core *core) {
    return core->serving->n_due > 0 && next_due(core);
}

bool requests_run(Core *core) {
    Request *request;
    bool busy = false;

    while (core->serving->n_due > 0 && !core->closed && (request = next_due(core))) {
        request->due = false;
        core->serving->n_due--;
        request->fn(&request->request, request->ctx);
        busy = true;
    }
    return busy;
}

/* ---- items ---- */

static int check(const Request *request) {
    if (request->answered || !request->flow)
        return -EINVAL;
    if (request->cancelled || request->core->closed)
        return -ECANCELED;
    if (request->id & DIRECT_ID)
        return 0;
    return request_is_live(request) && request->core->is_up ? 0 : -ECONNRESET;
}

static int put_item(Request *request, ferry_bytes item) {
    Core *core = request->core;
    Message message = {.op = OP_ITEM, .id = request->id, .body = span_bytes(item)};

    return request->id & DIRECT_ID ? core->direct_ops->send(core, LANE_BULK, &message, item.block)
                                   : link_put(core->link, LANE_BULK, &message, item.block);
}

static Flow **full_flows(Request *request) {
    Core *core = request->core;

    return request->id & DIRECT_ID ? core->direct_ops->full_flows(core, request->id)
                                   : &core->full_flows;
}

/* Waits for items or credit. -EAGAIN: the request is watched, so it must not block. */
static int wait_for_change(Request *request, uint64_t until_ms) {
    if (request->fn)
        return -EAGAIN;
    request->flow->wake = false;
    return core_wait(request->core, &request->flow->wake, until_ms);
}

int ferry_request_yield(ferry_request *request, ferry_bytes item) {
    Request *mine = request ? request_of(request) : NULL;
    uint64_t until_ms = 0;
    int r;

    if (!mine || !mine->core || (!item.data && item.len > 0))
        return -EINVAL;
    for (;;) {
        r = check(mine);
        if (r < 0)
            return r;
        if (item.len > link_max_body(mine->core->link))
            return -EMSGSIZE;
        r = -EAGAIN;
        if (flow_may_send(mine->flow))
            r = put_item(mine, item);
        if (r == 0) {
            flow_sent(mine->flow, item.len);
            core_sent(mine->core);
            return 0;
        }
        if (r != -EAGAIN)
            return r;
        if (flow_may_send(mine->flow))
            flow_wait_for_room(mine->flow, full_flows(mine));
        if (until_ms == 0)
            until_ms = clock_ms() + mine->timeout_ms;
        r = wait_for_change(mine, until_ms);
        if (r < 0)
            return r;
    }
}

int ferry_request_receive(ferry_request *request, ferry_bytes *ret) {
    Request *mine = request ? request_of(request) : NULL;
    uint64_t until_ms = 0, bytes;
    int r;

    if (!mine || !mine->core || !ret)
        return -EINVAL;
    for (;;) {
        r = check(mine);
        if (r < 0)
            return r;
        if (flow_take(mine->flow, ret) > 0) {
            bytes = flow_grant(mine->flow);
            if (bytes > 0 &&
                core_send(mine->core, LANE_CALLS,
                          &(Message){.op = OP_MORE, .id = mine->id, .more.bytes = bytes}, NULL) < 0)
                flow_not_granted(mine->flow, bytes);
            return 1;
        }
        if (mine->flow->in_ended)
            return 0;
        if (until_ms == 0)
            until_ms = clock_ms() + mine->timeout_ms;
        r = wait_for_change(mine, until_ms);
        if (r < 0)
            return r;
    }
}
