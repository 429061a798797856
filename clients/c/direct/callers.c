/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The connections of direct callers: HELLO with a ticket, credit, and messages. These bytes come
 * from strangers: the limits and the consequences are the broker's (docs/PROTOCOL.md). See
 * direct-private.h.
 */

#include <inttypes.h>
#include <stdlib.h>
#include <utlist.h>

#include "base/container.h"
#include "clients/c/direct/direct-private.h"

enum {
    PROOF_MS = 2000,       /* the broker sends a ticket to both ends at once: longest wait for it */
    PONGS_MAX = 16 * 1024, /* bytes of PONGs that a peer leaves unread */
};

/* ---- tickets ---- */

static Ticket *ticket_find(const Endpoint *endpoint, const uint8_t *token) {
    Ticket *ticket;

    HASH_FIND(hh, endpoint->tickets, token, WIRE_TOKEN, ticket);
    return ticket;
}

static void ticket_free(Endpoint *endpoint, Ticket *ticket) {
    HASH_DEL(endpoint->tickets, ticket);
    free(ticket);
}

static void copy_text(char to[64], Span text) {
    size_t len = text.len < 63 ? text.len : 63;

    if (len > 0)
        memcpy(to, text.data, len);
    to[len] = '\0';
}

static Ticket *ticket_new(Endpoint *endpoint, Direct *from, const Message *message) {
    Ticket *ticket;

    if (HASH_COUNT(endpoint->tickets) >= DIRECT_TICKETS_MAX)
        return NULL;
    ticket = calloc(1, sizeof(*ticket) + message->name.len + 1);
    if (!ticket)
        return NULL;
    memcpy(ticket->token, message->ticket.ticket.data, WIRE_TOKEN);
    copy_text(ticket->text, message->ticket.text);
    copy_text(ticket->user, message->ticket.user);
    ticket->from = from;
    ticket->service_len = message->name.len;
    memcpy(ticket->service, message->name.data, message->name.len);
    HASH_ADD(hh, endpoint->tickets, token, WIRE_TOKEN, ticket);
    if (!hash_added(ticket)) {
        free(ticket);
        return NULL;
    }
    return ticket;
}

static void ticket_withdraw(Endpoint *endpoint, Ticket *ticket, bool is_cut) {
    ticket->is_withdrawn = true;
    if (!ticket->caller)
        ticket_free(endpoint, ticket);
    else if (is_cut)
        caller_end(ticket->caller, "rights");
}

void callers_forget_tickets(Endpoint *endpoint, const Direct *from) {
    Ticket *ticket, *next;

    HASH_ITER(hh, endpoint->tickets, ticket, next) {
        if (ticket->from == from)
            ticket_withdraw(endpoint, ticket, false);
    }
}

void callers_forget_member(Endpoint *endpoint, const Direct *from) {
    callers_forget_tickets(endpoint, from);
    for (Ticket *ticket = endpoint->tickets; ticket; ticket = ticket->hh.next)
        if (ticket->from == from)
            ticket->from = NULL;
}

/* ---- HELLO ---- */

static void welcome(Caller *caller, Ticket *ticket) {
    CLEANUP(buffer_deinit) Buffer limits = {0};
    Core *core = caller->endpoint->core;
    Message message = {.op = OP_WELCOME,
                       .welcome.version = WIRE_PROTOCOL,
                       .welcome.broker = span_of(caller->endpoint->id, WIRE_TOKEN),
                       .welcome.bytes = WIRE_CREDIT};

    /* The caller came back before its old connection was seen to be lost. */
    if (ticket->caller) {
        ticket->caller->ticket = NULL;
        caller_end(ticket->caller, "replaced");
    }
    ticket->caller = caller;
    caller->ticket = ticket;
    timer_disarm(&core->timers, &caller->proof);
    write_map(&limits, 1);
    write_pair(&limits, "max_body", WIRE_BODY_MAX);
    message.welcome.limits = span_of(limits.data, limits.failed ? 0 : limits.len);
    peer_put(caller->peer, LANE_CONTROL, &message, NULL);
    caller->endpoint->is_dirty = true;
}

static void on_no_proof(Timer *timer, void *ctx) {
    Caller *caller = container_of(timer, Caller, proof);

    (void)ctx;
    caller->endpoint->n_unproven--;
    caller_fault(caller->peer, "ferry.PermissionDenied", "the ticket is not known here");
    caller->endpoint->is_dirty = true;
}

static void hello(Endpoint *endpoint, Peer *peer, const Message *message) {
    Core *core = endpoint->core;
    Ticket *ticket;
    Caller *caller;

    if (message->hello.version_min > WIRE_PROTOCOL || message->hello.version_max < WIRE_PROTOCOL) {
        caller_fault(peer, "ferry.Unsupported", "this server speaks only version 1");
        return;
    }
    if (message->hello.client.len != WIRE_TOKEN) {
        caller_fault(peer, "ferry.Protocol", "HELLO: client must have 16 bytes");
        return;
    }
    ticket = ticket_find(endpoint, message->hello.client.data);
    if (!ticket && endpoint->n_unproven >= DIRECT_UNPROVEN_MAX) {
        caller_fault(peer, "ferry.Full", "too many connections wait for their tickets");
        return;
    }
    caller = calloc(1, sizeof(*caller));
    if (!caller) {
        caller_fault(peer, "ferry.OutOfMemory", "out of memory");
        return;
    }
    caller->endpoint = endpoint;
    caller->peer = peer;
    memcpy(caller->token, message->hello.client.data, WIRE_TOKEN);
    peer->session = caller;
    peer->out.credit = credit_add(0, message->hello.bytes);
    DL_APPEND(endpoint->callers, caller);
    if (ticket) {
        welcome(caller, ticket);
        return;
    }
    endpoint->n_unproven++;
    timer_arm(&core->timers, &caller->proof, clock_ms() + PROOF_MS, on_no_proof);
}

static void take_ticket(Endpoint *endpoint, Direct *from, const Message *message) {
    Ticket *ticket = ticket_find(endpoint, message->ticket.ticket.data);
    Caller *caller;

    if (message->ticket.flags & (TICKET_UNUSED | TICKET_CUT)) {
        if (ticket)
            ticket_withdraw(endpoint, ticket, message->ticket.flags & TICKET_CUT);
        return;
    }
    if (ticket || !(ticket = ticket_new(endpoint, from, message)))
        return;
    DL_FOREACH(endpoint->callers, caller) {
        if (!caller->ticket && memcmp(caller->token, ticket->token, WIRE_TOKEN) == 0 &&
            timer_armed(&caller->proof)) {
            endpoint->n_unproven--;
            welcome(caller, ticket);
            return;
        }
    }
}

void callers_ticket(Core *core, const Message *message, const void *block, bool later) {
    Endpoint *endpoint = core->direct->endpoint;

    (void)block;
    (void)later;
    if (!endpoint || message->ticket.ticket.len != WIRE_TOKEN)
        return;
    take_ticket(endpoint, core->direct, message);
    /* Another member of the client runs the endpoint: it needs a turn to send. */
    if (endpoint->is_dirty && endpoint->core != core)
        core_sent(endpoint->core);
}

/* ---- the end ---- */

static void caller_free(Caller *caller) {
    Endpoint *endpoint = caller->endpoint;
    Ticket *ticket = caller->ticket;
    Inbound *inbound;
    size_t pos = 0;

    while (caller->calls.n > 0 && (pos = 0, inbound = id_map_next(&caller->calls, &pos)))
        inbound_abandon(inbound);
    id_map_deinit(&caller->calls);
    flows_wake_full(&caller->full_flows);
    if (timer_armed(&caller->proof))
        endpoint->n_unproven--;
    timer_disarm(&endpoint->core->timers, &caller->proof);
    if (ticket) {
        ticket->caller = NULL;
        if (ticket->is_withdrawn)
            ticket_free(endpoint, ticket);
    }
    DL_DELETE(endpoint->callers, caller);
    caller->peer->session = NULL;
    free(caller);
}

bool callers_gone(Peer *peer, void *ctx) {
    (void)ctx;
    if (peer->session)
        caller_free(peer->session);
    return true;
}

void callers_free(Endpoint *endpoint) {
    Ticket *ticket, *next;

    while (endpoint->callers)
        caller_free(endpoint->callers);
    HASH_ITER(hh, endpoint->tickets, ticket, next) {
        ticket_free(endpoint, ticket);
    }
}

/* ---- messages ---- */

static void control(Caller *caller, const Message *message) {
    Peer *peer = caller->peer;

    switch (message->op) {
    case OP_PING:
        if (peer->out.lanes[LANE_CONTROL].bytes <= PONGS_MAX)
            peer_put(peer, LANE_CONTROL, &(Message){.op = OP_PONG, .id = message->id}, NULL);
        break;
    case OP_PONG:
        break;
    case OP_CREDIT:
        peer->out.credit = credit_add(peer->out.credit, message->credit.bytes);
        peer_touch(peer);
        break;
    case OP_BYE:
        peer_close(peer);
        break;
    default:
        caller_fault(peer, "ferry.Protocol", "a message that a caller does not send");
    }
}

static void request(Caller *caller, const Message *message, const void *block) {
    switch (message->op) {
    case OP_CALL:
        inbound_call(caller, message, block);
        break;
    case OP_ITEM:
    case OP_END:
    case OP_MORE:
    case OP_CANCEL:
        inbound_message(caller, message, block);
        break;
    case OP_OK:
        if (message->id == caller->drain_id)
            caller->drain_id = 0;
        break;
    case OP_ERROR:
        break;
    default:
        caller_fault(caller->peer, "ferry.Protocol", "a message that a caller does not send");
    }
}

/* A message whose body came in PARTs. */
static void request_large(Caller *caller, Message *message) {
    const void *block = NULL;
    int r = inbox_body(&caller->peer->in, message, &block);

    if (r == 0)
        request(caller, message, block);
    else if (message->op == OP_ITEM)
        inbound_message(caller, &(Message){.op = OP_CANCEL, .id = message->id}, NULL);
    else
        caller_error(caller, message->id,
                     r == -ENOENT    ? "ferry.InvalidArgument"
                     : r == -ENOBUFS ? "ferry.Full"
                     : r == -ENOMEM  ? "ferry.OutOfMemory"
                                     : "ferry.TooBig",
                     "the server cannot take the body");
    ferry_free(block);
}

static void refused(Caller *caller, Message *message) {
    const char *problem = message->refused.problem;
    const void *block = NULL;

    inbox_body(&caller->peer->in, message, &block);
    ferry_free(block);
    if (message->op == OP_CALL)
        caller_error(caller, message->id, "ferry.InvalidArgument", "%s: %s", op_name(message->op),
                     problem);
    else
        inbound_message(caller, &(Message){.op = OP_CANCEL, .id = message->id}, NULL);
}

static int messages(Caller *caller, Reader *reader, size_t len) {
    bool of_control = batch_is_control(*reader);
    Peer *peer = caller->peer;
    Message message;
    int r, n = 0;

    if (!of_control && inbox_charge(&peer->in, len) < 0) {
        caller_fault(peer, "ferry.Protocol", "a batch was sent without credit");
        return 0;
    }
    while (!peer->closing && !peer->gone && (r = message_read(reader, &message)) != 0) {
        n++;
        if (r < 0)
            caller_fault(peer, "ferry.Protocol", reader->problem);
        else if (of_control != op_is_control(message.op))
            caller_fault(peer, "ferry.Protocol", "session control in one batch with others");
        else if (!of_control && !caller->ticket)
            caller_fault(peer, "ferry.NoSession", "a message came before WELCOME");
        else if (r == MESSAGE_REFUSED)
            refused(caller, &message);
        else if (of_control)
            control(caller, &message);
        else if (message.op == OP_PART && inbox_part(&peer->in, &message) == -EPROTO)
            caller_fault(peer, "ferry.Protocol", "PART: too many transfers at once");
        else if (message.op != OP_PART && message.body_transfer)
            request_large(caller, &message);
        else if (message.op != OP_PART)
            request(caller, &message, NULL);
    }
    return n;
}

int callers_batch(Endpoint *endpoint, Peer *peer, const uint8_t *data, size_t len) {
    Message message;
    Reader reader;
    int r;

    if (batch_open(&reader, data, len) < 0) {
        caller_fault(peer, "ferry.Protocol", reader.problem);
        return 0;
    }
    if (peer->session)
        return messages(peer->session, &reader, len);
    r = message_read(&reader, &message);
    if (r <= 0)
        caller_fault(peer, "ferry.Protocol", reader.problem ? reader.problem : "an empty batch");
    else if (r == MESSAGE_REFUSED || message.op != OP_HELLO)
        caller_fault(peer, "ferry.NoSession", "HELLO must come first");
    else if (reader.at != reader.end)
        caller_fault(peer, "ferry.Protocol", "HELLO must be alone in its batch");
    else
        hello(endpoint, peer, &message);
    return 1;
}
