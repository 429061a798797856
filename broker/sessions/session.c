/* SPDX-License-Identifier: Apache-2.0 */

/* Sends messages, errors and faults to a session, and ends it. See session.h. */

#include <stdarg.h>

#include "base/text.h"
#include "broker/core/peer-log.h"
#include "broker/events/events.h"
#include "broker/sessions/quota.h"
#include "broker/sessions/session.h"

/* If little memory is free, this many bytes may still wait for each session. */
enum { SHARE_LEAST = 256 * 1024 };

const char *shown(Span name) {
    static char texts[4][TEXT_ESCAPED_MAX];
    static unsigned turn;

    return text_escape(texts[turn++ % 4], name.data, name.len);
}

void session_out_of_memory(Session *session) {
    if (session->ending)
        return;
    log_error("out of memory, cutting a session: session=%u", session->number);
    session->end_reason = "memory";
    session_end(session, NULL);
}

void session_send(Session *session, Lane lane, const Message *message, const void *block) {
    Broker *broker = session->broker;
    char address[CONNECTION_ADDRESS_MAX];

    if (session->ending)
        return;
    if (peer_put(session->peer, lane, message, block) < 0) {
        session_out_of_memory(session);
        return;
    }
    session->n_out++;
    if (session_waiting(session) > broker->limits.max_session_bytes ||
        (session_waiting(session) > SHARE_LEAST && !session_may_get(session, 0))) {
        peer_log(broker, LOG_LEVEL_WARNING,
                 "a peer is too slow, cutting it: session=%u name='%s' peer=%s waiting=%zu "
                 "max=%llu free_memory=%llu",
                 session->number, session->name, peer_address(session->peer, address),
                 session_waiting(session), (unsigned long long)broker->limits.max_session_bytes,
                 (unsigned long long)budget_free(&broker->budget));
        session_end(session, "slow");
    }
}

void session_credit(Session *session, uint64_t bytes) {
    session->peer->out.credit = credit_add(session->peer->out.credit, bytes);
    peer_touch(session->peer);
}

void session_ok(Session *session, Lane lane, uint64_t id, uint64_t seq) {
    if (id != 0)
        session_send(session, lane, &(Message){.op = OP_OK, .id = id, .ok.seq = seq}, NULL);
}

static void write_error(Buffer *to, const char *type, const char *text, uint32_t n, Span pairs) {
    write_map(to, 2 + n);
    write_text(to, "type");
    write_text(to, type);
    write_text(to, "message");
    write_text(to, text);
    write_raw(to, pairs);
}

/* A limit was reached, if the type of the error says so. */
static void tell_limit(Session *session, const char *type, const char *text) {
    if (strcmp(type, "ferry.Full") != 0 && strcmp(type, "ferry.Overloaded") != 0)
        return;
    if (session->quota)
        session->quota->counts.refused++;
    if (event_is_watched(session->broker, EVENT_LIMIT_REACHED))
        event_raise(session->broker, EVENT_LIMIT_REACHED,
                    &(broker_events_limit_reached){.session = session->number,
                                                   .name = session->name,
                                                   .user = session->user ? session->user->name : "",
                                                   .type = type,
                                                   .problem = text});
}

static void refuse(Session *session, uint64_t id, const char *type, const char *text, uint32_t n,
                   Span pairs) {
    CLEANUP(buffer_deinit) Buffer error = {0};

    session->broker->stats.errors++;
    tell_limit(session, type, text);
    if (id == 0) {
        session->n_dropped++;
        peer_log(session->broker, LOG_LEVEL_WARNING,
                 "a message that asks for no answer was refused, dropping it: session=%u name='%s' "
                 "type=%s problem='%s'",
                 session->number, session->name, type, text);
        return;
    }
    write_error(&error, type, text, n, pairs);
    if (!error.failed)
        session_send(
            session, LANE_CALLS,
            &(Message){.op = OP_ERROR, .id = id, .error.map = span_of(error.data, error.len)},
            NULL);
    else
        session_out_of_memory(session); /* without an answer the peer would wait for ever */
}

void session_error(Session *session, uint64_t id, const char *type, const char *format, ...) {
    char text[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    refuse(session, id, type, text, 0, (Span){NULL, 0});
}

void session_error_with(Session *session, uint64_t id, const char *type, uint32_t n, Span pairs,
                        const char *format, ...) {
    char text[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    refuse(session, id, type, text, n, pairs);
}

void peer_fault(Broker *broker, Peer *peer, const char *type, const char *text) {
    CLEANUP(buffer_deinit) Buffer error = {0};

    broker->stats.faults++;
    write_error(&error, type, text, 0, (Span){NULL, 0});
    /* Earlier messages of the batch took effect: send their answers before the connection ends. */
    outbox_hurry(&peer->out);
    if (!error.failed)
        peer_put(peer, LANE_CONTROL,
                 &(Message){.op = OP_FAULT, .fault.map = span_of(error.data, error.len)}, NULL);
    peer_close(peer);
}

void peer_tell_refused(Broker *broker, const char *address, const char *problem) {
    if (event_is_watched(broker, EVENT_CONNECTION_REFUSED))
        event_raise(broker, EVENT_CONNECTION_REFUSED,
                    &(broker_events_connection_refused){.address = address, .problem = problem});
}

void peer_refuse(Broker *broker, Peer *peer, const char *type, const char *problem) {
    char address[CONNECTION_ADDRESS_MAX];

    peer_log(broker, LOG_LEVEL_WARNING,
             "a connection did not begin with a valid HELLO, cutting it: peer=%s problem='%s'",
             peer_address(peer, address), problem);
    peer_tell_refused(broker, address, problem);
    peer_fault(broker, peer, type, problem);
}

void session_fault(Session *session, const char *format, ...) {
    char text[512], address[CONNECTION_ADDRESS_MAX];
    va_list args;

    if (session->ending)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    peer_log(session->broker, LOG_LEVEL_WARNING,
             "a peer broke the protocol, cutting it: session=%u name='%s' peer=%s problem='%s'",
             session->number, session->name, peer_address(session->peer, address), text);
    session->end_reason = "protocol";
    peer_fault(session->broker, session->peer, "ferry.Protocol", text);
    session_end(session, NULL);
}

void session_end(Session *session, const char *text) {
    if (session->ending)
        return;
    if (text)
        peer_put(session->peer, LANE_CONTROL, &(Message){.op = OP_BYE, .bye.text = span_text(text)},
                 NULL);
    peer_close(session->peer);
    session->ending = true;
    if (text)
        session->end_reason = text;
    else if (!session->end_reason)
        session->end_reason = session->said_bye ? "bye" : "lost";
    session->next_ending = session->broker->sessions.ending;
    session->broker->sessions.ending = session;
}
