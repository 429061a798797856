/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Calls of direct callers: the caller's id is replaced by one of our own, the call waits for its
 * turn, and its deadline and the credit of its items are checked, as a broker does it. See
 * direct-private.h.
 */

#include <stdlib.h>
#include <utlist.h>

#include "base/container.h"
#include "clients/c/direct/direct-private.h"

enum { STREAM_CREDIT_MAX = 64 << 20 };

static Slabs *slabs_of(Caller *caller) {
    return &caller->endpoint->core->slabs;
}

/* ---- the end of a call ---- */

static void drop_records(Inbound *inbound) {
    inbound->record = record_free(inbound->record);
    records_clear(&inbound->items);
    account_refund(&inbound->caller->peer->account, BUDGET_CALLS, inbound->charge);
    inbound->charge = 0;
}

static void leave_waiting(Inbound *inbound) {
    Caller *caller = inbound->caller;

    if (inbound->is_begun)
        return;
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): links that utlist set */
    DL_DELETE(caller->waiting, inbound);
    if (!caller->waiting)
        /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): links that utlist set */
        DL_DELETE2(caller->endpoint->crowd, caller, crowd_prev, crowd_next);
}

static void inbound_free(Inbound *inbound) {
    Caller *caller = inbound->caller;

    leave_waiting(inbound);
    drop_records(inbound);
    timer_disarm(&caller->endpoint->core->timers, &inbound->deadline);
    id_map_take(&caller->calls, inbound->caller_id);
    id_map_take(&caller->endpoint->calls, inbound->id);
    slabs_free(slabs_of(caller), inbound, sizeof(*inbound));
}

static void cancel_request(const Inbound *inbound) {
    Core *core = inbound->caller->endpoint->core;

    if (inbound->is_begun)
        core->receivers[OP_CANCEL]->fn(core, &(Message){.op = OP_CANCEL, .id = inbound->id}, NULL,
                                       false);
}

void inbound_abandon(Inbound *inbound) {
    uint64_t id = inbound->id;
    Endpoint *endpoint = inbound->caller->endpoint;

    cancel_request(inbound);
    /* The cancellation may have answered the call. */
    inbound = id_map_get(&endpoint->calls, id);
    if (inbound)
        inbound_free(inbound);
}

/* The caller gets this error now. A later answer of the handler is dropped. */
static void end_with(Inbound *inbound, const char *type, const char *text) {
    tally_ended(inbound->caller->endpoint, inbound->tally, inbound->started_us, span_text(type));
    inbound->is_answered = true;
    caller_error(inbound->caller, inbound->caller_id, type, "%s", text);
    inbound_abandon(inbound);
}

static void on_deadline(Timer *timer, void *ctx) {
    Inbound *inbound = container_of(timer, Inbound, deadline);
    char text[80];

    (void)ctx;
    snprintf(text, sizeof(text),
             !inbound->is_begun        ? "the server was busy for %u ms"
             : inbound->id & STREAM_ID ? "no item came on the stream for %u ms"
                                       : "no answer within %u ms",
             inbound->timeout_ms);
    end_with(inbound, "ferry.DeadlineExceeded", text);
}

static void arm(Inbound *inbound) {
    timer_arm(&inbound->caller->endpoint->core->timers, &inbound->deadline,
              clock_about_ms() + inbound->timeout_ms, on_deadline);
}

/* ---- the beginning ---- */

static bool is_refused(Caller *caller, const Message *message) {
    const Ticket *ticket = caller->ticket;
    const char *service = ticket->service;

    if (message->name.len != ticket->service_len ||
        memcmp(message->name.data, service, message->name.len) != 0)
        caller_error(caller, message->id, "ferry.PermissionDenied",
                     "the ticket of this connection is for '%s'", service);
    else if (message->call.timeout_ms > TIMEOUT_MAX_MS)
        caller_error(caller, message->id, "ferry.InvalidArgument", "timeout_ms is over %d",
                     TIMEOUT_MAX_MS);
    else if (message->id == 0 || message->call.flags & CALL_ONEWAY)
        caller_error(caller, message->id, "ferry.InvalidArgument",
                     "calls without an answer go through the broker");
    else if (caller->calls.n >= DIRECT_CALLS_MAX)
        caller_error(caller, message->id, "ferry.Overloaded", "%d calls have no answer yet",
                     DIRECT_CALLS_MAX);
    else
        return false;
    return true;
}

static bool take_record(Inbound *inbound, const Message *message, const void *block) {
    Account *account = &inbound->caller->peer->account;
    Record *record = record_new(message, block);
    size_t size;

    if (!record)
        return false;
    size = record_size(record);
    if (!account_allows(account, size)) {
        record_free(record);
        return false;
    }
    record->received_ms = clock_about_ms();
    account_charge(account, BUDGET_CALLS, size);
    inbound->charge += size;
    if (message->op == OP_CALL)
        inbound->record = record;
    else
        records_put(&inbound->items, record);
    return true;
}

static void wait_for_turn(Inbound *inbound) {
    Caller *caller = inbound->caller;

    if (!caller->waiting)
        DL_APPEND2(caller->endpoint->crowd, caller, crowd_prev, crowd_next);
    DL_APPEND(caller->waiting, inbound);
}

void inbound_call(Caller *caller, const Message *message, const void *block) {
    Endpoint *endpoint = caller->endpoint;
    Inbound *inbound;
    int r;

    if (is_refused(caller, message))
        return;
    inbound = slabs_alloc(slabs_of(caller), sizeof(*inbound));
    if (!inbound) {
        caller_error(caller, message->id, "ferry.OutOfMemory", "the server is out of memory");
        return;
    }
    *inbound = (Inbound){.caller = caller,
                         .caller_id = message->id,
                         .id = ++endpoint->last_id | DIRECT_ID,
                         .credit = WIRE_STREAM_CREDIT,
                         .output_credit = WIRE_STREAM_CREDIT,
                         .takes_items = message->call.flags & CALL_STREAM_IN,
                         .sends_items = message->call.flags & CALL_STREAM_OUT,
                         .timeout_ms = message->call.timeout_ms ? (uint32_t)message->call.timeout_ms
                                                                : TIMEOUT_MS};
    if (message->call.flags & (CALL_STREAM_IN | CALL_STREAM_OUT))
        inbound->id |= STREAM_ID;
    inbound->tally = tally_begun(endpoint, caller->ticket, message->call.method);
    inbound->started_us = endpoint->now_us;
    r = id_map_put(&caller->calls, message->id, inbound);
    if (r == -EEXIST) {
        slabs_free(slabs_of(caller), inbound, sizeof(*inbound));
        caller_fault(caller->peer, "ferry.Protocol", "CALL: the id is in use");
        return;
    }
    wait_for_turn(inbound);
    if (r < 0 || id_map_put(&endpoint->calls, inbound->id, inbound) < 0 ||
        !take_record(inbound, message, block)) {
        caller_error(caller, message->id, "ferry.Overloaded",
                     "the server has no memory for more calls of this caller");
        inbound_free(inbound);
        return;
    }
    arm(inbound);
}

/* ---- the handler ---- */

/* Items that arrived before the handler stand before items that arrive while it runs. */
static void defer_items(Core *core, Inbound *inbound) {
    for (const Record *record = inbound->items.first; record; record = record->next) {
        const void *block;
        Message message;

        block = record_read(record, &message);
        message.id = inbound->id;
        deferred_put(core, &message, block);
    }
}

/* The service has no free slot: the call keeps its place. */
static void put_back(Inbound *inbound, Record *record) {
    Caller *caller = inbound->caller;
    Core *core = caller->endpoint->core;

    inbound->record = record;
    inbound->is_begun = false;
    if (!caller->waiting)
        DL_APPEND2(caller->endpoint->crowd, caller, crowd_prev, crowd_next);
    DL_PREPEND(caller->waiting, inbound);
    caller->n_requests_when_full = core->n_requests;
}

void inbound_begin(Caller *caller) {
    Endpoint *endpoint = caller->endpoint;
    Inbound *inbound = caller->waiting;
    Core *core = endpoint->core;
    Record *record = inbound->record;
    uint64_t id = inbound->id;
    const void *block;
    Message message;

    leave_waiting(inbound);
    inbound->is_begun = true;
    inbound->record = NULL;
    caller->n_requests_when_full = 0;
    if (inbound->items.first)
        defer_items(core, inbound);
    drop_records(inbound);
    block = record_read(record, &message);
    message.id = id;
    message.call.parent = 0;
    message.call.text = span_text(caller->ticket->text);
    message.call.user = span_text(caller->ticket->user);
    core->received_ms = record->received_ms;
    endpoint->returned = 0;
    core->receivers[OP_CALL]->fn(core, &message, block, false);
    core->received_ms = 0;
    /* The handler may have ended the call, its caller or this client. */
    inbound = endpoint->returned == id ? id_map_get(&endpoint->calls, id) : NULL;
    if (inbound)
        put_back(inbound, record);
    else
        record_free(record);
}

/* ---- messages of calls ---- */

static void on_item(Inbound *inbound, const Message *message, const void *block) {
    Caller *caller = inbound->caller;
    Core *core = caller->endpoint->core;
    Message item = *message;

    if (!inbound->takes_items) {
        end_with(inbound, "ferry.Protocol", "the call has no stream in this direction");
        return;
    }
    /* Only the first END counts: otherwise a caller could send any number of them, since END needs
     * no credit. */
    if (inbound->has_ended && message->op == OP_END)
        return;
    if (inbound->has_ended) {
        end_with(inbound, "ferry.Protocol", "an item came after END");
        return;
    }
    if (message->op == OP_ITEM && inbound->credit <= 0) {
        caller_fault(caller->peer, "ferry.Protocol", "an item came without credit");
        return;
    }
    if (message->op == OP_ITEM)
        inbound->credit -= (int64_t)(message->body.len + WIRE_ITEM_COST);
    inbound->has_ended = message->op == OP_END;
    arm(inbound);
    item.id = inbound->id;
    if (inbound->is_begun)
        core->receivers[message->op]->fn(core, &item, block, false);
    else if (!take_record(inbound, message, block))
        end_with(inbound, "ferry.Overloaded", "the server has no memory for items of this caller");
}

static void on_more(Inbound *inbound, const Message *message) {
    Core *core = inbound->caller->endpoint->core;

    if (!inbound->sends_items) {
        end_with(inbound, "ferry.Protocol", "MORE: the call has no stream in this direction");
        return;
    }
    if (message->more.bytes > STREAM_CREDIT_MAX || inbound->output_credit > STREAM_CREDIT_MAX) {
        end_with(inbound, "ferry.Protocol", "MORE: over 64 MiB of credit for one stream");
        return;
    }
    inbound->output_credit += (int64_t)message->more.bytes;
    arm(inbound);
    if (inbound->is_begun)
        core->receivers[OP_MORE]->fn(
            core, &(Message){.op = OP_MORE, .id = inbound->id, .more.bytes = message->more.bytes},
            NULL, false);
}

void inbound_message(Caller *caller, const Message *message, const void *block) {
    Inbound *inbound = id_map_get(&caller->calls, message->id);

    if (!inbound)
        return; /* it has ended */
    if (message->op == OP_CANCEL)
        end_with(inbound, "ferry.Cancelled", "the caller cancelled the call");
    else if (message->op == OP_MORE)
        on_more(inbound, message);
    else
        on_item(inbound, message, block);
}

/* ---- answers ---- */

int inbound_send(Core *core, Lane lane, const Message *message, const void *block) {
    Endpoint *endpoint = core->direct->endpoint;
    Inbound *inbound = endpoint ? id_map_get(&endpoint->calls, message->id) : NULL;
    Message out = *message;
    Caller *caller;
    int r;

    if (!inbound || inbound->is_answered)
        return 0; /* the caller is gone, or its call has ended */
    if (message->op == OP_RETURN) {
        endpoint->returned = inbound->id;
        return 0;
    }
    caller = inbound->caller;
    if (message->op == OP_ITEM && outbox_bytes(&caller->peer->out) > DIRECT_ROOM)
        return -EAGAIN;
    out.id = inbound->caller_id;
    r = peer_put(caller->peer, lane, &out, block);
    if (r < 0)
        return r;
    endpoint->is_dirty = true;
    if (message->op == OP_MORE)
        inbound->credit += (int64_t)message->more.bytes;
    else if (message->op == OP_ITEM)
        inbound->output_credit -= (int64_t)(message->body.len + WIRE_ITEM_COST);
    if (message->op == OP_OK || message->op == OP_ERROR) {
        tally_ended(endpoint, inbound->tally, inbound->started_us,
                    message->op == OP_OK ? (Span){NULL, 0} : error_type(message->error.map));
        inbound_free(inbound);
    } else
        arm(inbound);
    if (outbox_bytes(&caller->peer->out) > DIRECT_OUTPUT_MAX ||
        (outbox_bytes(&caller->peer->out) > DIRECT_ROOM &&
         !account_allows_output(&caller->peer->account, 0)))
        caller_end(caller, "slow");
    core_sent(core);
    return 0;
}
