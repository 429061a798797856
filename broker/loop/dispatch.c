/* SPDX-License-Identifier: Apache-2.0 */

/* Batches from peers: each message goes to its room. See dispatch.h. */

#include "broker/loop/dispatch.h"

#include "broker/admin/admin.h"
#include "broker/admin/binds.h"
#include "broker/admin/retained.h"
#include "broker/loop/access.h"
#include "broker/loop/deferred.h"
#include "broker/queues/queues.h"
#include "broker/services/services.h"
#include "broker/sessions/hello.h"
#include "broker/sessions/quota.h"
#include "broker/taps/tap.h"
#include "broker/topics/topics.h"
#include "rpc/wire/name.h"

enum { PONGS_MAX = 16 * 1024 }; /* bytes of PONGs that may wait for a peer */

static void control(Session *session, const Message *message) {
    Peer *peer = session->peer;

    switch (message->op) {
    case OP_PING:
        /* PINGs cost their sender no credit: a peer that sends PINGs and reads nothing gets no more
         * PONGs. */
        if (peer->out.lanes[LANE_CONTROL].bytes > PONGS_MAX)
            break;
        peer_put(peer, LANE_CONTROL, &(Message){.op = OP_PONG, .id = message->id}, NULL);
        break;
    case OP_PONG:
        break;
    case OP_CREDIT:
        session_credit(session, message->credit.bytes);
        break;
    case OP_BYE:
        session->said_bye = true;
        /* The session ends after its deferred batches. */
        if (!session->deferred)
            session_end(session, NULL);
        break;
    case OP_HELLO:
        session_fault(session, "HELLO was sent twice: it is only the first message");
        break;
    default:
        session_fault(session, "%s is not a message for the broker", op_name(message->op));
    }
}

/* Credit for a stream, a subscription or a pull. Their ids differ, so only one of them has this
 * id. */
static void more(Session *session, const Message *message) {
    Broker *broker = session->broker;

    if (!topics_more(broker->topics, session, message) &&
        !queues_more(broker->queues, session, message))
        services_more(broker->services, session, message);
}

/* A field of the message is wrong: its sender gets an error. If the message belongs to a call, the
 * call fails at its other end. */
static void refuse(Session *session, const Message *message) {
    const char *problem = message->refused.problem;

    switch (message->op) {
    case OP_OK:
    case OP_ERROR:
    case OP_ITEM:
    case OP_MORE:
        services_refuse(session->broker->services, session, message, problem);
        break;
    case OP_ANSWER:
        session->n_dropped++;
        break;
    default:
        session_error(session, message->id, "ferry.InvalidArgument", "%s: %s", op_name(message->op),
                      problem);
    }
}

/* A message with a wrong field uses up its transfer, like any other message. */
static void refuse_with_body(Session *session, Message *message) {
    const void *block = NULL;

    inbox_body(&session->peer->in, message, &block);
    ferry_free(block);
    refuse(session, message);
}

/* A message about jobs; any other message is for clients. */
static void dispatch_job(Session *session, const Message *message, const void *block) {
    Broker *broker = session->broker;

    switch (message->op) {
    case OP_PUSH:
        quota_count(session, QUOTA_PUSH);
        queues_push(broker->queues, session, message, block);
        break;
    case OP_ACK:
        queues_ack(broker->queues, session, message);
        break;
    case OP_PULL:
        queues_pull(broker->queues, session, message);
        break;
    case OP_UNPULL:
        queues_unpull(broker->queues, session, message);
        break;
    case OP_RETRY:
        queues_retry(broker->queues, session, message);
        break;
    case OP_REJECT:
        queues_reject(broker->queues, session, message);
        break;
    case OP_RELEASE:
        queues_release(broker->queues, session, message);
        break;
    case OP_EXTEND:
        queues_extend(broker->queues, session, message);
        break;
    case OP_FORWARD:
        queues_forward(broker->queues, session, message, block);
        break;
    default:
        session_fault(session, "%s is not a message for the broker", op_name(message->op));
    }
}

/* True: the id is out of range, and the session has got an error. */
static bool refuse_id(Session *session, const Message *message) {
    if (message->id <= (uint64_t)INT64_MAX || !op_asks(message->op))
        return false;
    session_error(session, message->id, "ferry.InvalidArgument",
                  "%s: the id must be from 1 to 2^63-1", op_name(message->op));
    return true;
}

/* Sends the message to its room. False: the message is costly, may wait, and is deferred. */
static bool dispatch(Session *session, const Message *message, const void *block, bool may_wait) {
    Broker *broker = session->broker;

    if (refuse_id(session, message))
        return true;
    /* An OK needs no right: skip the look-up in the table, because half of all messages are OKs. */
    if (session->user && message->op != OP_OK && !access_check(session, message))
        return true;
    may_wait = may_wait && !broker->turn.takes_costly;
    switch (message->op) {
    case OP_CALL:
        if (name_is_reserved(message->name.data, message->name.len)) {
            if (may_wait && admin_is_costly(broker, message))
                return false;
            admin_call(broker, session, message);
        } else
            services_call(broker->services, session, message, block);
        quota_count(session, QUOTA_CALL);
        break;
    case OP_OK:
    case OP_ERROR:
        services_answer(broker->services, session, message, block);
        break;
    case OP_PUBLISH:
        quota_count(session, QUOTA_PUBLISH);
        if (broker->n_binds > 0 || retained_takes(broker->retained, message))
            binds_publish(broker->binds, session, message, block);
        else
            topics_publish(broker->topics, session, message, block);
        break;
    case OP_ITEM:
        services_item(broker->services, session, message, block);
        break;
    case OP_END:
        services_end(broker->services, session, message);
        break;
    case OP_MORE:
        if (!broker->tap_generation ||
            !taps_more(broker->taps, session, message->id, message->more.bytes))
            more(session, message);
        break;
    case OP_CANCEL:
        if (!broker->tap_generation || !taps_cancel(broker->taps, session, message->id))
            services_cancel(broker->services, session, message);
        break;
    case OP_RETURN:
        services_return(broker->services, session, message);
        break;
    case OP_SERVE:
        services_serve(broker->services, session, message);
        break;
    case OP_UNSERVE:
        services_unserve(broker->services, session, message);
        break;
    case OP_LEAVE:
        session_left(session);
        break;
    case OP_WATCH:
        services_watch(broker->services, session, message);
        break;
    case OP_TALLY:
        services_tally(broker->services, session, message);
        break;
    case OP_SUBSCRIBE:
        if (may_wait && topics_is_costly(broker->topics, message->name))
            return false;
        quota_count(session, QUOTA_SUBSCRIBE);
        retained_subscribe(broker->retained, session, message);
        break;
    case OP_UNSUBSCRIBE:
        retained_unsubscribe(broker->retained, session, message);
        break;
    case OP_ANSWER:
        topics_answer(broker->topics, session, message, block);
        break;
    default:
        dispatch_job(session, message, block);
    }
    return true;
}

/* The body was refused on arrival: the peer that waits for an answer gets an error. */
static void refuse_large(Session *session, const Message *message, int why) {
    const char *type = "ferry.TooBig", *text;
    char too_big[80];

    snprintf(too_big, sizeof(too_big), "the body is larger than %u bytes (max_body)",
             session->broker->limits.max_body);
    text = too_big;
    if (why == -ENOBUFS) {
        type = "ferry.Full";
        text = "too many large bodies are arriving: the broker's max_transfer_bytes is reached, or "
               "the session's share of max_memory";
    } else if (why == -ENOMEM) {
        type = "ferry.OutOfMemory";
        text = "the broker is out of memory";
    }
    if (message->op == OP_OK || message->op == OP_ITEM)
        services_refuse_body(session->broker->services, session, message, type, text);
    else
        session_error(session, message->op == OP_ANSWER ? 0 : message->id, type, "%s", text);
}

/* A message whose body came in PARTs, or was refused on arrival. */
static void dispatch_large(Session *session, Message *message) {
    const void *block = NULL;
    int r = inbox_body(&session->peer->in, message, &block);

    if (r == -ENOENT) {
        *message = (Message){.op = message->op,
                             .id = message->op == OP_ANSWER ? message->answer.reply : message->id};
        message->refused.problem = "the body is in a transfer of which no PART came";
        refuse(session, message);
    } else if (r == 0)
        dispatch(session, message, block, false);
    else
        refuse_large(session, message, r);
    ferry_free(block);
}

static void take_part(Session *session, const Message *part) {
    int r = inbox_part(&session->peer->in, part);

    /* If a body is too big or does not fit into memory, the message that names it is refused when
     * it arrives. */
    if (r == -EPROTO)
        session_fault(
            session,
            "PART: its transfer is 0, it has over 64 KiB, or more than %d transfers are open",
            INBOX_TRANSFERS_MAX);
}

/* Handles messages until the batch ends, the session ends, or TURN_WORK units are done. True: the
 * batch is done. */
static bool handle(Session *session, Reader *reader, bool of_control) {
    const uint8_t *start = reader->at;
    Message message;
    int r;

    for (; !session->ending && (r = message_read(reader, &message)) != 0; start = reader->at) {
        if (r < 0) {
            session_fault(session, "%s", reader->problem);
            return true;
        }
        session->n_in++;
        if (of_control != op_is_control(message.op)) {
            session_fault(session, "%s came in one batch with %s", op_name(message.op),
                          of_control ? "session control" : "other messages");
            return true;
        }
        if (r == MESSAGE_REFUSED)
            refuse_with_body(session, &message);
        else if (of_control)
            control(session, &message);
        else if (message.op == OP_PART)
            take_part(session, &message);
        else if (message.body_transfer)
            dispatch_large(session, &message);
        else if (!dispatch(session, &message, NULL, true)) {
            reader->at = start;
            session->n_in--;
            return false;
        }
        if (++session->broker->turn.work >= TURN_WORK && !of_control)
            return reader_left(reader) == 0;
    }
    return true;
}

static void handle_batch(Session *session, Reader *reader, size_t len) {
    bool of_control = batch_is_control(*reader);

    if (!of_control && inbox_charge(&session->peer->in, len) < 0) {
        session_fault(session, "a batch was sent without credit");
        return;
    }
    /* Session control overtakes deferred batches. */
    if ((of_control || !session->deferred) && handle(session, reader, of_control))
        return;
    if (!session->ending && deferred_add(session, reader) < 0)
        session_out_of_memory(session);
}

void dispatch_batch(Broker *broker, Peer *peer, const uint8_t *data, size_t len) {
    Message message;
    Reader reader;
    int r;

    if (batch_open(&reader, data, len) < 0) {
        if (peer->session)
            session_fault(peer->session, "%s", reader.problem);
        else
            peer_refuse(broker, peer, "ferry.Protocol", reader.problem);
        return;
    }
    if (peer->session) {
        if (((Session *)peer->session)->quota)
            ((Session *)peer->session)->quota->counts.bytes += len + peer->in.landed;
        handle_batch(peer->session, &reader, len);
        return;
    }
    r = message_read(&reader, &message);
    if (r <= 0)
        peer_refuse(broker, peer, "ferry.Protocol",
                    reader.problem ? reader.problem : "the batch is empty");
    else if (message.op != OP_HELLO)
        peer_refuse(broker, peer, "ferry.NoSession", "HELLO must come first");
    else if (reader.at != reader.end)
        peer_refuse(broker, peer, "ferry.Protocol", "HELLO must be alone in its batch");
    else
        session_hello(broker, peer, &message);
}

/* ---- deferred batches ---- */

static void handle_deferred(Session *session) {
    while (session->deferred && session->broker->turn.work < TURN_WORK) {
        Reader reader = deferred_reader(session);
        bool done = handle(session, &reader, false);

        if (session->ending)
            return;
        deferred_read_to(session, &reader);
        if (!done)
            return;
        deferred_done(session);
    }
    if (!session->deferred && session->said_bye)
        session_end(session, NULL);
}

void dispatch_deferred(Broker *broker) {
    const Session *last = deferred_last(broker->deferred);
    bool was_last = false;
    Session *session;

    broker->turn.work = 0;
    broker->turn.takes_costly = true;
    while (!was_last && broker->turn.work < TURN_WORK &&
           (session = deferred_turn(broker->deferred))) {
        was_last = session == last;
        handle_deferred(session);
        sessions_turn_end(broker);
    }
    broker->turn.takes_costly = false;
    broker->turn.work = 0;
}
