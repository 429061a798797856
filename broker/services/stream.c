/* SPDX-License-Identifier: Apache-2.0 */

/* Streams: the items of a call, both ways, and the credit for them. See services.h. */

#include <stdlib.h>

#include "base/block.h"
#include "broker/services/services-private.h"

enum { STREAM_CREDIT_MAX = 64 << 20 };

static size_t cost_of(size_t body_len) {
    return sizeof(UnsentItem) + body_len;
}

/* The call waits for a server: its items wait with it, as far as the credit of the stream goes. */
static void wait_with(Call *call, const Message *message, const void *block) {
    UnsentItem *item;
    ferry_bytes body = {message->body.data, message->body.len, block};

    if (!call_charge(call, BUDGET_STREAMS, cost_of(message->body.len))) {
        call_fail(call, "ferry.Overloaded",
                  "the stream's items wait for a server, and the caller has used up "
                  "its share of the broker's max_memory");
        return;
    }
    item = calloc(1, sizeof(*item));
    if (!item || block_hold(body, &item->body) < 0) {
        free(item);
        call_fail(call, "ferry.OutOfMemory", "the broker is out of memory");
        return;
    }
    if (call->unsent)
        call->unsent_end->next = item;
    else
        call->unsent = item;
    call->unsent_end = item;
}

void call_send_unsent(Call *call) {
    Session *to = call->server->session;

    while (call->unsent) {
        UnsentItem *item = call->unsent;

        session_send(to, LANE_BULK,
                     &(Message){.op = OP_ITEM,
                                .id = call->request_id,
                                .body = span_of(item->body.data, item->body.len)},
                     item->body.block);
        call->unsent = item->next;
        call_refund_items(call, cost_of(item->body.len));
        ferry_free(item->body.block);
        free(item);
    }
    if (call->ended)
        session_send(to, LANE_BULK, &(Message){.op = OP_END, .id = call->request_id}, NULL);
}

static void pass_item(Call *call, Session *to, uint64_t id, const Message *message,
                      const void *block, int64_t *credit) {
    Message out;

    if (*credit <= 0) {
        call_fail(call, "ferry.Protocol", "ITEM: it was sent without credit: wait for MORE");
        return;
    }
    *credit -= (int64_t)(message->body.len + WIRE_ITEM_COST);
    call_arm_deadline(call);
    if (!to) {
        wait_with(call, message, block);
        return;
    }
    call_tap(call, true, OP_ITEM, to, id, message->body);
    out = message_forward(OP_ITEM, id, message);
    session_send(to, LANE_BULK, &out, block);
}

void services_item(Services *services, Session *session, const Message *message,
                   const void *block) {
    bool from_server = (message->id & STREAM_ID) != 0;
    Call *call = id_map_get(from_server ? &session->requests : &session->calls, message->id);
    unsigned flag = from_server ? CALL_STREAM_OUT : CALL_STREAM_IN;

    if (!call || !call->caller) {
        session->n_dropped++;
        services->broker->stats.late_answers++;
    } else if (!(call->flags & flag)) {
        call_fail(call, "ferry.Protocol", "ITEM: the call has no stream in this direction");
    } else if (from_server) {
        pass_item(call, call->caller, call->caller_id, message, block, &call->credit_down);
    } else {
        pass_item(call, call->server ? call->server->session : NULL, call->request_id, message,
                  block, &call->credit_up);
    }
}

void services_end(Services *services, Session *session, const Message *message) {
    Call *call = id_map_get(&session->calls, message->id);

    (void)services;
    if (!call)
        return;
    if (!(call->flags & CALL_STREAM_IN)) {
        call_fail(call, "ferry.Protocol", "END: the call has no stream in this direction");
        return;
    }
    /* Only the first END counts; a peer can send any number of them, since END costs no credit. */
    if (call->ended)
        return;
    call->ended = true;
    if (!call->server)
        return;
    call_arm_deadline(call);
    session_send(call->server->session, LANE_BULK, &(Message){.op = OP_END, .id = call->request_id},
                 NULL);
}

void services_more(Services *services, Session *session, const Message *message) {
    bool from_server = (message->id & STREAM_ID) != 0;
    Call *call = id_map_get(from_server ? &session->requests : &session->calls, message->id);
    int64_t *credit;

    (void)services;
    if (!call || !call->caller || !call->server || message->more.bytes == 0)
        return;
    if (!(call->flags & (from_server ? CALL_STREAM_IN : CALL_STREAM_OUT))) {
        call_fail(call, "ferry.Protocol", "MORE: the call has no stream in this direction");
        return;
    }
    /* MORE from the server is credit for the caller's items, and MORE from the caller is credit for
     * the server's items. */
    credit = from_server ? &call->credit_up : &call->credit_down;
    if (message->more.bytes > STREAM_CREDIT_MAX || *credit > STREAM_CREDIT_MAX) {
        call_fail(call, "ferry.Protocol", "MORE: over 64 MiB of credit for one stream");
        return;
    }
    *credit += (int64_t)message->more.bytes;
    call_arm_deadline(call);
    session_send(from_server ? call->caller : call->server->session, LANE_CALLS,
                 &(Message){.op = OP_MORE,
                            .id = from_server ? call->caller_id : call->request_id,
                            .more.bytes = message->more.bytes},
                 NULL);
}
