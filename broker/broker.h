#pragma once

/*
 * The broker: one loop, one thread. What each of its rooms needs to know of the others is here;
 * each room's own file says the rest.
 *
 *   sessions/hello.c  who is connected, HELLO to BYE    session.c  what they are told
 *   dispatch.c  what they say, to the three routers   loop/deferred.c   later
 *   service.c   calls: which server gets which call, deadlines, cancels; services/stream.c  streams
 *   topic.c     publish/subscribe     topics/tree.c  patterns
 *   queue.c     jobs                  store.h       where they are kept
 *   admin/admin.c    ferry.Broker, the service that the broker itself offers
 */

#include <ferry/ferry.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/id-map.h"
#include "base/timers.h"
#include "rpc/link/hub/hub.h"
#include "rpc/wire/message.h"

typedef struct Broker Broker;
typedef struct Client Client;
typedef struct Parked Parked;
typedef struct Session Session;

/* Every bound has a name, a default (limits.c), a line in docs/PROTOCOL.md and a test. */
typedef struct Limits {
    uint32_t max_body;             /* bytes of one body */
    uint32_t max_connections;      /* 0: by the descriptor limit */
    uint32_t max_names;            /* services, and again topics retained, and again queues */
    uint32_t max_subscriptions;    /* of one session */
    uint32_t max_serves;           /* services offered by one session */
    uint32_t max_pulls;            /* of one session */
    uint32_t max_calls;            /* unanswered calls of one session */
    uint32_t max_waiting_calls;    /* calls in line for one service */
    uint32_t max_slots;            /* that one SERVE or PULL may ask for */
    uint64_t max_subscriber_bytes; /* backlog of one subscriber before messages are dropped */
    uint64_t max_session_bytes;    /* all that waits for one session before it is cut as slow */
    uint64_t max_total_bytes;      /* in queues, retained values and backlogs together */
    uint64_t max_transfer_bytes; /* of large bodies that are arriving, from all sessions together */
    uint32_t max_replay;         /* messages kept for each topic that is replayed */
    uint32_t max_queue_jobs;     /* the default of a queue */
    uint64_t max_queue_bytes;    /* likewise */
    uint32_t max_attempts;       /* likewise: then the dead-letter queue */
    uint32_t retry_ms;           /* likewise: first back-off, doubled up to retry_max_ms */
    uint32_t retry_max_ms;
    uint32_t dedup_ms;             /* likewise: how long a deduplication key is remembered */
    uint32_t lease_grace_ms;       /* a lost session's leases wait so long for its client */
    uint32_t client_memory_ms;     /* a lost session's counters live so long */
    uint32_t max_unconfirmed;      /* push ids remembered for each client */
    uint32_t max_idempotent_moves; /* of one call, after lost servers: 1 */
} Limits;

extern const Limits limits_default;

/* Less of what takes much, where a process may use so few bytes: libzmq ends the program when there
 * is no memory left, so it must never come to that. */
void limits_fit(Limits *limits, uint64_t memory);

/* A program that uses the broker, known by the random id in its HELLO. It outlives its sessions by
 * client_memory_ms. */
enum {
    CLIENTS_LOST_MAX = 65536
}; /* more are forgotten before client_memory_ms, the oldest first */

struct Client {
    uint8_t id[WIRE_TOKEN];
    uint8_t token[WIRE_TOKEN];          /* of its last session */
    Session *session;                   /* NULL: lost for now */
    struct Subscription *subscriptions; /* topic.c: utlist, in order of subscribing */
    struct Holder *holder;              /* queue.c: the deliveries it holds */
    struct PushLedger *pushes;          /* queue.c: ids of pushes that were stored… */
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
    Parked *parked, *last_parked; /* batches, and the rest of one, that wait: see loop/deferred.h */
    Session *parked_prev, *parked_next; /* of those with such */

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

typedef struct Stats {
    uint64_t calls, answers, errors, late_answers, published, delivered, dropped, pushed, acked,
        redelivered, dead, faults, turns;
} Stats;

/* See peer-log.h. */
typedef struct PeerLog {
    uint64_t paid_ms; /* up to when lines are paid back */
    uint32_t n_owed;
    uint64_t n_left_out;
    Timer tell; /* of those left out */
} PeerLog;

struct Broker {
    Hub *hub;
    Limits limits;
    Timers timers;
    uint64_t now_ms; /* of this turn */
    uint64_t now_us;
    uint8_t id[WIRE_TOKEN];
    uint64_t epoch; /* counts starts: wall clock seconds */
    uint64_t started_ms;
    Session *sessions; /* utlist */
    uint32_t n_sessions, last_session_number;
    Session *ending; /* by next_ending */
    Session *parked; /* by parked_next */
    unsigned work;   /* done in this turn: see loop/deferred.h */
    bool costly_may; /* now is the time for messages that cost much each */
    Client *clients; /* uthash by id */
    Client *lost;    /* utlist: those without a session, the longest lost in front */
    uint32_t n_lost;
    uint64_t stored_bytes; /* against max_total_bytes */
    Stats stats;
    PeerLog peer_log;
    bool draining; /* takes nothing new; ends when nothing is left to do */
    struct Services *services;
    struct Topics *topics;
    struct Queues *queues;
};

/* ---- dispatch.c ---- */

/* A batch has come from a peer. */
void sessions_receive(Broker *broker, Peer *peer, const uint8_t *data, size_t len);

/* ---- sessions/hello.c ---- */

/* The peer is gone. Its session goes with it. */
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
