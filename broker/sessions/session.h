/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Connected clients. A session begins with HELLO (hello.h), gets messages, and ends. */

#include "broker/core/broker.h"
#include "broker/rights/decisions.h"

typedef struct DeferredBatch DeferredBatch;

/* If more clients are lost, the broker forgets the clients that were lost first. */
enum { CLIENTS_LOST_MAX = 65536 };

/* A program that uses the broker, known by the random id in its HELLO. The broker remembers it for
 * client_memory_ms after its last session. */
struct Client {
    uint8_t id[WIRE_TOKEN];
    Session *session;                   /* NULL: the connection is lost */
    User *user;                         /* a reference; NULL: the broker had no users when the
                                         * client began */
    struct Subscription *subscriptions; /* topics/: utlist, detached subscriptions first */
    struct InFlight *in_flight;         /* queues/: its jobs in flight */
    struct DedupWindow *dedup_window;   /* queues/: the ids of its stored pushes */
    uint64_t push_last;                 /* the highest id of its pushes that are stored or being
                                         * stored */
    uint64_t push_floor;                /* pushes with lower ids are answered, and their ids are
                                         * forgotten */
    uint32_t n_subscriptions;
    uint32_t n_starry;             /* number of subscriptions to patterns with many stars: see
                                    * topics/subscribe.c */
    Timer forget;                  /* client_memory_ms after its session was lost */
    Client *lost_prev, *lost_next; /* in broker->clients.lost; NULL: it has a session */
    UT_hash_handle hh;
};

/* One connection, from HELLO on. */
struct Session {
    Broker *broker;
    Client *client;
    Peer *peer;
    User *user;           /* a reference; NULL: the broker has no users */
    Decisions *decisions; /* the decisions about the rights of the user so far */
    struct Quota *quota;  /* the user's quota; NULL: the broker has no users */
    Session *quota_prev, *quota_next;
    Session *prev, *next; /* in broker->sessions.first */
    Session *next_ending; /* in broker->sessions.ending; later in services->ends */
    bool ending;          /* the session ends with this turn: it gets and sends no more messages */
    bool said_bye;        /* the client leaves in order */
    const char *end_reason; /* for the event of its end; a static text */
    bool has_calls;         /* the session has ended and still has calls: see services/services.c */
    uint32_t number;        /* for people; a number is never used again */
    char name[64];          /* for people; escaped */
    bool is_to_leave;       /* it was sent LEAVE and has not answered it */
    bool has_group;
    uint8_t group[WIRE_TOKEN]; /* the same in all sessions of one client */
    uint64_t since_ms;
    uint32_t memory;                         /* bytes of this struct and of `decisions` that are
                                              * charged to the budget */
    DeferredBatch *deferred, *last_deferred; /* loop/: batches that wait for a later turn, see
                                              * loop/deferred.h */
    Session *deferred_prev, *deferred_next;

    /* services/ */
    struct Call *paid_calls; /* utlist: calls whose memory it pays for */
    IdMap calls;             /* unanswered calls made by this session: the caller's id -> Call */
    IdMap requests;          /* calls that this session works on: the broker's id -> Call */
    struct Server *servers;  /* utlist: its servers, one for each service that it serves */
    /* Services whose servers the session wants to know: utlist. */
    struct Watcher *watchers;
    uint32_t n_watchers;
    /* queues/ */
    IdMap pulls; /* the worker's id -> Pull */
    /* The answers ferry.Moved to its pushes; NULL: there was no such answer. */
    struct MovedPushes *moved;
    /* topics/ */
    IdMap gathers;       /* open questions of this session: the id of PUBLISH -> Gather */
    uint64_t walked_us;  /* its walks through all topics are paid for until this time */
    struct Asked *asked; /* utlist: questions that it may answer */
    uint32_t n_asked;
    struct Subscription *slow;      /* utlist: subscriptions with waiting or dropped messages */
    uint32_t n_waiting;             /* waiting messages of all its subscriptions */
    Session *slow_prev, *slow_next; /* in topics->slow */

    /* admin/: the report of its first cache; NULL: it has no cache. */
    struct CacheReport *cache_reports;

    uint32_t n_held; /* admin/: its SUBSCRIBEs that wait for retained values */

    uint64_t n_in, n_out; /* messages from it and to it, for `ferry sessions` */
    uint64_t n_dropped;   /* late answers, and messages that a full backlog dropped */
};

/* Ends the session with this turn. text: the reason that BYE gives to the peer, a static text;
 * NULL: no BYE is sent. */
void session_end(Session *session, const char *text);

/* Memory for a message to the session is missing: writes a line to the log, and ends the session.
 */
void session_out_of_memory(Session *session);

/* Appends a message to the session's outbox, which is sent at the end of this turn. Never waits.
 * message->passed may be set (see message.h); block is the block around message->body, or NULL. If
 * the session is over max_session_bytes, it is cut. If it is ending, the message is dropped. */
void session_send(Session *session, Lane lane, const Message *message, const void *block);

/* The peer grants credit to the broker: see credit_add(). */
void session_credit(Session *session, uint64_t bytes);

/* Answers the message with this id; does nothing when id is 0. seq is OK's third field. */
void session_ok(Session *session, Lane lane, uint64_t id, uint64_t seq);
void session_error(Session *session, uint64_t id, const char *type, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* The error has n further pairs, which are MessagePack. */
void session_error_with(Session *session, uint64_t id, const char *type, uint32_t n, Span pairs,
                        const char *format, ...) __attribute__((format(printf, 6, 7)));

/* The peer broke the protocol: sends FAULT, writes a line to the log, and cuts the connection. */
void session_fault(Session *session, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Bytes that wait to be sent to the session. */
static inline size_t session_waiting(const Session *session) {
    return outbox_bytes(&session->peer->out);
}

/* True: n more bytes may wait to be sent to the session, by max_session_bytes and by its share of
 * max_memory. */
static inline bool session_may_get(const Session *session, size_t n) {
    return session_waiting(session) + n <= session->broker->limits.max_session_bytes &&
           account_allows_output(&session->peer->account, n);
}

/* A name from outside as printable text, for messages and logs. The text is static: the fourth call
 * after it overwrites it. */
const char *shown(Span name);

/* Sends FAULT to a connection and cuts it. */
void peer_fault(Broker *broker, Peer *peer, const char *type, const char *text);
/* Publishes the event that a connection was refused before it was a session. */
void peer_tell_refused(Broker *broker, const char *address, const char *problem);
/* The connection did not begin with a client's HELLO: FAULT, a log line and the event. */
void peer_refuse(Broker *broker, Peer *peer, const char *type, const char *problem);
