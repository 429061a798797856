/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Connected clients: how a session begins, what it is sent, how it ends. */

#include "broker/core/broker.h"

typedef struct DeferredBatch DeferredBatch;

enum { CLIENTS_LOST_MAX = 65536 }; /* with more, the longest lost ones are forgotten early */

/* A program that uses the broker, known by the random id in its HELLO. It outlives its sessions by
 * client_memory_ms. */
struct Client {
    uint8_t id[WIRE_TOKEN];
    uint8_t token[WIRE_TOKEN];          /* of its last session */
    Session *session;                   /* NULL: lost for now */
    struct Subscription *subscriptions; /* topic.c: utlist, in order of subscribing */
    struct InFlight *in_flight;         /* queue.c: the deliveries it holds */
    struct DedupWindow *dedup_window;   /* queue.c: ids of pushes that were stored… */
    uint64_t push_floor;                /* …but for those below, which have all been answered */
    uint32_t n_subscriptions;
    uint32_t n_starry;             /* of those, patterns with many stars: see subscribe.c */
    Timer forget;                  /* client_memory_ms after its session was lost */
    Client *lost_prev, *lost_next; /* of broker->lost, while it is */
    UT_hash_handle hh;
};

/* One connection, from HELLO on. */
struct Session {
    Broker *broker;
    Client *client;
    Peer *peer;
    Session *prev, *next; /* of broker->sessions */
    Session *next_ending;
    bool ending;     /* ends with this turn: nothing more is taken from it or sent to it */
    bool said_bye;   /* it leaves in order */
    uint32_t number; /* for people; never reused */
    uint8_t token[WIRE_TOKEN];
    char name[64]; /* for people; escaped */
    uint64_t since_ms;
    DeferredBatch *deferred, *last_deferred; /* see loop/deferred.h */
    Session *deferred_prev, *deferred_next;

    /* service.c */
    IdMap calls;    /* unanswered calls made by this session: its id -> Call */
    IdMap requests; /* calls this session is working on: our id -> Call */
    uint64_t last_request_id;
    struct Server *servers; /* what it serves */
    /* queue.c */
    IdMap pulls; /* its id -> Pull */
    /* topic.c */
    IdMap gathers;       /* questions it asked: its PUBLISH id -> Gather */
    uint64_t walked_us;  /* when its looking through all topics is paid for */
    struct Asked *asked; /* questions it may answer */
    uint32_t n_asked;
    struct Subscription *slow;      /* its subscriptions with messages that wait, or were dropped */
    uint32_t n_waiting;             /* of those messages, all together */
    Session *slow_prev, *slow_next; /* of the sessions with such */

    uint64_t n_in, n_out; /* messages, for `ferry sessions` */
    uint64_t n_dropped;   /* answers nobody waited for, messages a backlog had no room for */
};

/* ---- hello.c ---- */

/* The first message of a connection: makes its session, or cuts the connection. */
void session_hello(Broker *broker, Peer *peer, const Message *message);

/* The connection is gone, and its session ends. */
void sessions_peer_gone(Broker *broker, Peer *peer);

/* At the end of a turn: ends the sessions that are to end. */
void sessions_turn_end(Broker *broker);

/* At the broker's end. */
void sessions_free(Broker *broker);

/* ---- session.c ---- */

/* Ends with this turn; the peer is told why by BYE, or, text NULL, not at all. */
void session_end(Session *session, const char *text);

/* Appends to what the session is sent at the end of this turn. Never waits. message->passed may be
 * set (see message.h); block is the block around message->body, or NULL. A session over
 * max_session_bytes is cut; a lost session swallows it. */
void session_send(Session *session, Lane lane, const Message *message, const void *block);

/* The answer to a message with an id; nothing when id is 0. seq as in OK's third field. */
void session_ok(Session *session, Lane lane, uint64_t id, uint64_t seq);
void session_error(Session *session, uint64_t id, const char *type, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* The peer broke the protocol: FAULT, a line in the log, and the connection is cut. */
void session_fault(Session *session, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Bytes that wait to be sent to it. */
static inline size_t session_waiting(const Session *session) {
    return outbox_bytes(&session->peer->out);
}

/* A name from outside, as text for messages and logs; static, four at a time. */
const char *shown(Span name);

/* FAULT to a connection, which is then cut. */
void peer_fault(Broker *broker, Peer *peer, const char *type, const char *text);
/* The same, with a log line: the connection did not begin with the HELLO of a client. */
void peer_refuse(Broker *broker, Peer *peer, const char *type, const char *problem);
