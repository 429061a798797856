/* SPDX-License-Identifier: Apache-2.0 */
/* Messages in: session control, and messages for the layer above. See core.h. */

#include <limits.h>
#include <stdlib.h>

#include "rpc/link/client/core.h"

enum {
    HOLD_MIN = 4096, /* smallest body that is held instead of copied */
    HOLD_SHARE = 4,  /* a held body keeps at most this many times its own size */
};

static void welcome(Link *link, const Message *message) {
    uint32_t left;
    Reader limits = pairs_of(message->welcome.limits, &left);
    Span key;

    if (link->state == LINK_UP || message->welcome.token.len != WIRE_TOKEN) {
        link_lost(link, "ferry.Protocol", "%s sent a WELCOME that was not due", link->url);
        return;
    }
    while (pairs_next(&limits, &left, &key)) {
        if (span_is(key, "max_body"))
            link->max_body = reader_uint(&limits);
        else
            reader_value(&limits);
    }
    /* Bodies to this client have the same limit as bodies from it. */
    link->in.max_body = link->max_body;
    memcpy(link->token, message->welcome.token.data, WIRE_TOKEN);
    link->has_token = true;
    link->out.credit =
        (int64_t)(message->welcome.bytes > INT64_MAX / 2 ? INT64_MAX / 2 : message->welcome.bytes);
    link->state = LINK_UP;
    link->backoff_ms = 0;
    ferry_error_clear(&link->problem);
    link->handlers.on_up((message->welcome.flags & WELCOME_RESUMED) != 0, link->handlers.ctx);
}

static void faulted(Link *link, const Message *message) {
    uint32_t left;
    Reader pairs = pairs_of(message->fault.map, &left);
    Span key, text = span_text("it did not say why"), type = {NULL, 0};

    while (pairs_next(&pairs, &left, &key)) {
        Span value = reader_value(&pairs);
        Reader inside = reader_of(value.data, value.len);

        if (span_is(key, "message"))
            text = reader_str(&inside);
        else if (span_is(key, "type"))
            type = reader_str(&inside);
    }
    /* Another attempt would end the same way, unless the cause was the state of the broker. */
    if (!span_is(type, "ferry.Draining") && !span_is(type, "ferry.OutOfMemory"))
        link->state = LINK_CLOSED;
    link_lost(link, link->state == LINK_CLOSED ? "ferry.Protocol" : "ferry.NotConnected",
              "the broker at %s refused to go on: %.*s", link->url, (int)text.len,
              (const char *)text.data);
}

/* Handles session control and parts of bodies; true: the message is for the layer above. */
static bool handle_own(Link *link, Message *message) {
    switch (message->op) {
    case OP_WELCOME:
        welcome(link, message);
        return false;
    case OP_PING:
        outbox_put(&link->out, LANE_CONTROL, &(Message){.op = OP_PONG, .id = message->id}, NULL);
        return false;
    case OP_CREDIT:
        if (message->credit.bytes < INT64_MAX / 2 && link->out.credit < INT64_MAX / 2)
            link->out.credit += (int64_t)message->credit.bytes;
        return false;
    case OP_PART:
        inbox_part(&link->in, message);
        return false;
    case OP_BYE:
        link_lost(link, "ferry.ConnectionLost", "the broker at %s ended the session: %.*s",
                  link->url, (int)message->bye.text.len, (const char *)message->bye.text.data);
        return false;
    case OP_FAULT:
        faulted(link, message);
        return false;
    default:
        return link->state == LINK_UP;
    }
}

/* Passes on the remaining messages of a batch, at most max; returns their number. */
static int go_on(Link *link, Reading *reading, int max) {
    Message message;
    int n = 0, r;

    while (n < max && (r = message_read(&reading->reader, &message)) != 0) {
        const void *block = NULL;

        if (r < 0) {
            link_lost(link, "ferry.Protocol", "%s sent what is no message: %s", link->url,
                      reading->reader.problem);
            return n;
        }
        if (handle_own(link, &message)) {
            /* If its body was refused, the message goes on without one: the layer above answers it
             * as it answers any other malformed message. */
            if (message.body_transfer && inbox_body(&link->in, &message, &block) < 0)
                message.body = (Span){NULL, 0};
            link->batch = reading->batch;
            link->handlers.on_message(&message, block, link->handlers.ctx);
            ferry_free(block);
            n++;
        }
        if (link->session != reading->session)
            return n;
    }
    return n;
}

/* Returns the number of messages passed on. */
static int handle_batch(Link *link, zmq_msg_t *frame) {
    Reading reading = {.outer = link->reading,
                       .batch = ++link->n_batches,
                       .session = link->session,
                       .frame = frame,
                       .bytes = span_of(zmq_msg_data(frame), zmq_msg_size(frame))};
    int n;

    if (batch_open(&reading.reader, reading.bytes.data, reading.bytes.len) < 0) {
        link_lost(link, "ferry.Protocol", "%s: %s", link->url, reading.reader.problem);
        return 0;
    }
    link->reading = &reading;
    n = go_on(link, &reading, INT_MAX);
    link->reading = reading.outer;
    ferry_free(reading.held);
    return n;
}

/* The free_fn of a block. */
static void close_frame(void *ctx) {
    zmq_msg_close(ctx);
    free(ctx);
}

/* Moves a frame into a block. Its bytes do not move: the frame is larger than the part that libzmq
 * stores in the zmq_msg_t itself. NULL: out of memory; the frame is unchanged. */
static void *hold_frame(zmq_msg_t *frame) {
    zmq_msg_t *moved = malloc(sizeof(*moved));
    ferry_bytes bytes;

    if (!moved)
        return NULL;
    zmq_msg_init(moved);
    if (ferry_wrap(NULL, 0, close_frame, moved, &bytes) < 0) {
        free(moved);
        return NULL;
    }
    zmq_msg_move(moved, frame);
    return (void *)(uintptr_t)bytes.block;
}

const void *link_hold_body(Link *link, Span body) {
    Reading *reading = link->reading;

    if (!reading || body.len < HOLD_MIN || body.len < reading->bytes.len / HOLD_SHARE ||
        body.data < reading->bytes.data || body.data >= reading->bytes.data + reading->bytes.len)
        return NULL;
    if (!reading->held)
        reading->held = hold_frame(reading->frame);
    return ferry_keep(reading->held);
}

static bool is_control(const uint8_t *data, size_t len) {
    /* The op of the first message follows its array head. */
    return len > WIRE_HEAD + 1u && data[WIRE_HEAD + 1] < OP_OK && data[WIRE_HEAD + 1] != OP_PART;
}

int link_receive(Link *link, int max_messages) {
    int n = 0;

    /* Inside a handler, the rest of the handler's batch goes first. */
    if (link->reading && link->reading->session == link->session)
        n = go_on(link, link->reading, max_messages);
    while (n < max_messages && link->socket) {
        uint64_t session = link->session, grant;
        zmq_msg_t frame;
        size_t len;
        bool more, control;

        zmq_msg_init(&frame);
        if (zmq_msg_recv(&frame, link->socket, ZMQ_DONTWAIT) < 0) {
            zmq_msg_close(&frame);
            break;
        }
        more = zmq_msg_more(&frame) != 0;
        len = zmq_msg_size(&frame);
        control = is_control(zmq_msg_data(&frame), len);
        if (more)
            link_lost(link, "ferry.Protocol", "%s sent more than one frame", link->url);
        else
            n += handle_batch(link, &frame);
        zmq_msg_close(&frame);
        if (link->session != session || control)
            continue;
        link->in.granted -= (int64_t)len;
        link->in.charged += len;
        grant = link->hold_credit ? 0 : inbox_handled(&link->in);
        if (grant > 0)
            outbox_put(&link->out, LANE_CONTROL, &(Message){.op = OP_CREDIT, .credit.bytes = grant},
                       NULL);
    }
    return n;
}
