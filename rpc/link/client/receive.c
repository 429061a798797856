/* SPDX-License-Identifier: Apache-2.0 */
/* Handles received messages: session control, and messages for the layer above. See
 * link-private.h. */

#include <limits.h>
#include <stdlib.h>

#include "base/clock.h"
#include "rpc/link/client/link-private.h"

enum {
    HOLD_MIN = 4096,       /* smallest body that is held instead of copied */
    HOLD_SHARE = 4,        /* a held body keeps at most this many times its own size */
    PONGS_MAX = 16 * 1024, /* bytes of PONGs that the other end leaves unread */
};

static void welcome(Link *link, const Message *message) {
    uint32_t left;
    Reader limits = pairs_of(message->welcome.limits, &left);
    Span key, cluster = {NULL, 0};
    uint64_t max_body = link->in.max_body;
    const char *problem = NULL;

    if (link->state == LINK_UP || !link->hello_sent || message->welcome.broker.len != WIRE_TOKEN) {
        link_end(link, RETRY, "ferry.Protocol", "%s sent a WELCOME without a HELLO before it",
                 link->url);
        return;
    }
    if (message->welcome.version != WIRE_PROTOCOL) {
        link_end(link, GIVE_UP, "ferry.Protocol",
                 "the broker at %s chose version %llu of the protocol: this library speaks only "
                 "version %d",
                 link->url, (unsigned long long)message->welcome.version, WIRE_PROTOCOL);
        return;
    }
    while (pairs_next(&limits, &left, &key)) {
        if (span_is(key, "max_body"))
            max_body = reader_uint(&limits);
        else if (span_is(key, "cluster"))
            cluster = reader_str(&limits);
        else
            reader_value(&limits);
    }
    if (link->handlers.on_welcome)
        problem = link->handlers.on_welcome(message, cluster, link->handlers.ctx);
    if (problem) {
        link_end(link, GIVE_UP, "ferry.Misuse", "cannot use the broker at %s: %s", link->url,
                 problem);
        return;
    }
    /* The limit of bodies is the same in both directions. */
    if (link->body_limit > 0 && max_body > link->body_limit)
        max_body = link->body_limit;
    link->in.max_body = (size_t)max_body;
    link->out.credit = credit_add(0, message->welcome.bytes);
    link->state = LINK_UP;
    link->up_ms = clock_ms();
    link->refused = 0;
    ferry_error_clear(&link->problem);
    link->handlers.on_up(message, link->handlers.ctx);
}

static void faulted(Link *link, const Message *message) {
    uint32_t left;
    Reader pairs = pairs_of(message->fault.map, &left);
    Span key, text = span_text("no reason given"), type = {NULL, 0};
    bool passes;

    while (pairs_next(&pairs, &left, &key)) {
        Span value = reader_value(&pairs);
        Reader inside = reader_of(value.data, value.len);

        if (span_is(key, "message"))
            text = reader_str(&inside);
        else if (span_is(key, "type"))
            type = reader_str(&inside);
    }
    /* Another attempt can succeed only if the cause was a passing state of the broker. */
    passes = span_is(type, "ferry.Draining") || span_is(type, "ferry.OutOfMemory") ||
             span_is(type, "ferry.Full");
    link_end(link, passes ? RETRY : GIVE_UP,
             passes                                    ? "ferry.NotConnected"
             : span_is(type, "ferry.PermissionDenied") ? "ferry.PermissionDenied"
                                                       : "ferry.Protocol",
             "the broker at %s ended the session with an error: %.*s", link->url, (int)text.len,
             (const char *)text.data);
}

static void said_goodbye(Link *link, Span reason) {
    /* Otherwise two programs with the same token would replace each other without end. */
    if (span_is(reason, "replaced"))
        link_end(link, GIVE_UP, "ferry.ConnectionLost",
                 "the broker at %s ended the session: another program connected as the same "
                 "client (BYE 'replaced')",
                 link->url);
    else
        link_end(link, RETRY, "ferry.ConnectionLost", "the broker at %s ended the session: %.*s",
                 link->url, (int)reason.len, (const char *)reason.data);
}

/* The broker drains. A link with another broker to go to answers when it goes. */
static void asked_to_leave(Link *link) {
    link->leaves = link->brokers->n > 1 && link->state == LINK_UP && link->handlers.on_leave;
    if (!link->leaves)
        outbox_put(&link->out, LANE_BULK, &(Message){.op = OP_LEAVE}, NULL);
}

/* Handles session control and parts of bodies; true: the message is for the layer above. */
static bool handle_own(Link *link, Message *message) {
    switch (message->op) {
    case OP_WELCOME:
        welcome(link, message);
        return false;
    case OP_PING:
        if (link->out.lanes[LANE_CONTROL].bytes <= PONGS_MAX)
            outbox_put(&link->out, LANE_CONTROL, &(Message){.op = OP_PONG, .id = message->id},
                       NULL);
        return false;
    case OP_CREDIT:
        link->out.credit = credit_add(link->out.credit, message->credit.bytes);
        return false;
    case OP_PART:
        if (inbox_part(&link->in, message) == -EPROTO)
            link_end(link, RETRY, "ferry.Protocol",
                     "%s sent parts of more large bodies than the protocol allows at once",
                     link->url);
        return false;
    case OP_BYE:
        said_goodbye(link, message->bye.text);
        return false;
    case OP_FAULT:
        faulted(link, message);
        return false;
    case OP_LEAVE:
        asked_to_leave(link);
        return false;
    default:
        return link->state == LINK_UP;
    }
}

/* Handles a message with a wrong field or a refused body. If it answers a call, the call fails with
 * this error. If it is a request, the caller gets the error as the answer. After any other message
 * the session ends, because otherwise the loss of the message would go unnoticed. */
static void refuse(Link *link, const Message *message, const char *type, const char *problem) {
    CLEANUP(buffer_deinit) Buffer map = {0};
    char text[160];
    Message error = {.op = OP_ERROR, .id = message->id};

    snprintf(text, sizeof(text), "the broker's %s cannot be used: %s", op_name(message->op),
             problem);
    write_map(&map, 2);
    write_text(&map, "type");
    write_text(&map, type);
    write_text(&map, "message");
    write_text(&map, text);
    error.error.map = span_of(map.data, map.len);
    if (map.failed || (message->op != OP_OK && message->op != OP_ERROR && message->op != OP_CALL))
        link_end(link, RETRY, type, "%s: %s", link->url, text);
    else if (message->op == OP_CALL)
        link_put(link, LANE_CALLS, &error, NULL);
    else
        link->handlers.on_message(&error, NULL, link->handlers.ctx);
}

static void refuse_body(Link *link, const Message *message, int why) {
    bool too_big = why == -EMSGSIZE || why == -ENOBUFS;

    refuse(link, message,
           too_big          ? "ferry.TooBig"
           : why == -ENOMEM ? "ferry.OutOfMemory"
                            : "ferry.Protocol",
           too_big          ? "its body is larger than max_body"
           : why == -ENOMEM ? "out of memory for its body"
                            : "the PARTs of its body did not arrive before it");
}

/* Passes on the remaining messages of a batch, at most max; returns their number. */
static int go_on(Link *link, Reading *reading, int max) {
    Message message;
    int n = 0, r;

    while (n < max && (r = message_read(&reading->reader, &message)) != 0) {
        const void *block = NULL;
        int r_body;

        if (r < 0) {
            link_end(link, RETRY, "ferry.Protocol", "the broker at %s sent a malformed message: %s",
                     link->url, reading->reader.problem);
            return n;
        }
        if (r == MESSAGE_REFUSED || handle_own(link, &message)) {
            const char *problem = r == MESSAGE_REFUSED ? message.refused.problem : NULL;

            r_body = message.body_transfer ? inbox_body(&link->in, &message, &block) : 0;
            link->batch = reading->number;
            link->received_ms = reading->batch.received_ms;
            if (problem)
                refuse(link, &message, "ferry.Protocol", problem);
            else if (r_body < 0)
                refuse_body(link, &message, r_body);
            else
                link->handlers.on_message(&message, block, link->handlers.ctx);
            ferry_free(block);
            n++;
        }
        if (link->session != reading->session)
            return n;
    }
    return n;
}

/* The batch has been handled: grants its credit again. */
static void settle(Link *link, size_t len) {
    uint64_t grant;

    inbox_charge(&link->in, len);
    grant = inbox_handled(&link->in);
    if (grant > 0)
        outbox_put(&link->out, LANE_CONTROL, &(Message){.op = OP_CREDIT, .credit.bytes = grant},
                   NULL);
}

/* Returns the number of messages passed on. */
static int handle_batch(Link *link, Reading *reading) {
    Span bytes = reading->batch.bytes;
    bool costs_credit;
    int n;

    reading->outer = link->reading;
    reading->number = ++link->n_batches;
    reading->session = link->session;
    if (batch_open(&reading->reader, bytes.data, bytes.len) < 0) {
        link_end(link, RETRY, "ferry.Protocol", "%s: %s", link->url, reading->reader.problem);
        return 0;
    }
    costs_credit = !batch_is_control(reading->reader);
    link->reading = reading;
    n = go_on(link, reading, INT_MAX);
    link->reading = reading->outer;
    if (costs_credit && link->session == reading->session)
        settle(link, bytes.len);
    return n;
}

static const void *hold_body(const Link *link, Span body) {
    Reading *reading = link->reading;
    Span bytes = reading ? reading->batch.bytes : (Span){NULL, 0};

    if (body.len < HOLD_MIN || body.len < bytes.len / HOLD_SHARE || body.data < bytes.data ||
        body.data >= bytes.data + bytes.len)
        return NULL;
    return ferry_keep(reading->batch.block);
}

const void *link_hold_body(Link *link, Span body) {
    const void *block = hold_body(link, body);

    return block || !link->leaving ? block : hold_body(link->leaving, body);
}

static void ended(Link *link, int r) {
    const char *problem = link->transport->problem;

    if (link->state == LINK_UP)
        link_end(link, RETRY, r == -EPROTO ? "ferry.Protocol" : "ferry.ConnectionLost",
                 "the connection to %s was lost%s%s", link->url, problem ? ": " : "",
                 problem ? problem : "");
    else if (r == -EPROTO)
        link_end(link, RETRY, "ferry.NotConnected", "%s does not answer like a ferry broker%s%s",
                 link->url, problem ? ": " : "", problem ? problem : "");
    else if (r == -EACCES) /* the keys do not match, so another attempt would fail too */
        link_end(link, GIVE_UP, "ferry.PermissionDenied", "cannot use the broker at %s: %s",
                 link->url, problem);
    else if (r == -ENODATA || r == -ECONNRESET || r == -EPIPE)
        link_end(link, RETRY, "ferry.NotConnected", "the connection to %s was lost%s", link->url,
                 link->own_key ? " in the handshake: it refuses connections from here for now, or "
                                 "its key is not the server key that was given"
                               : "");
    else
        link_cannot_connect(link, r);
}

int link_receive(Link *link, int max_messages, uint64_t now_ms) {
    int n = 0, n_batches = 0;

    /* If a handler called this function, the rest of the handler's batch goes first. */
    if (link->reading && link->reading->session == link->session)
        n = go_on(link, link->reading, max_messages);
    while (n < max_messages && n_batches++ < max_messages && link->transport) {
        Reading reading;
        int r = link->kind->receive(link->transport, &reading.batch, now_ms);

        if (r < 0)
            ended(link, r);
        if (r <= 0)
            break;
        n += handle_batch(link, &reading);
        ferry_free(reading.batch.block);
    }
    return n;
}
