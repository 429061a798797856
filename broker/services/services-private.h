/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The records and functions that the files of the service router share. A file calls only files
 * above it in this list:
 *
 *   method-stats.c  how often the methods of a service are called, how long they take
 *   guards.c        methods that only some users may call
 *   table.c         the table of services, and their servers
 *   wait-queue.c    calls that wait for a server
 *   call.c          a call, from its beginning to its end
 *   health.c        servers that fail while others do not
 *   direct-endpoint.c  endpoints that servers announce for direct calls
 *   direct.c        callers that are told of these endpoints
 *   tally.c         counts of direct calls, from their servers
 *   stream.c        the items of a call, both ways, and the credit for them
 *   routing.c       which server gets which call, and when
 *   serve.c         SERVE and UNSERVE
 *   messages.c      CALL, OK, ERROR, CANCEL
 *   services.c      new and free, the end of a turn, lost sessions
 */

#include "base/slab.h"
#include "broker/services/services.h"
#include "broker/taps/tap.h"
#include "rpc/wire/stored-message.h"

typedef struct Call Call;
typedef struct MethodGuard MethodGuard;
typedef struct Server Server;
typedef struct Service Service;
typedef struct Watched Watched;
typedef struct Offer Offer;
typedef struct Watcher Watcher;

/* Identifies the calls of one caller that wait for one service. */
typedef struct WaitKey {
    uint64_t service; /* the address of the service as a uint64_t, so that the key has no padding
                       * bytes */
    uint64_t caller;  /* the number of the caller's session, which may end before its calls without
                       * an id */
} WaitKey;

typedef struct WaitQueue {
    UT_hash_handle hh;
    WaitKey key;
    struct WaitQueue *prev, *next; /* in the list of the service */
    Call *calls;                   /* utlist, oldest first */
    Call *returned;                /* the call that joined in front last; NULL: it does not wait any
                                    * more */
    unsigned n;
} WaitQueue;

struct Service {
    Services *services;
    Server *servers; /* utlist by prev, next; the next candidate stands first */
    unsigned n_servers;
    uint64_t free_slots;    /* sum over all servers */
    WaitQueue *wait_queues; /* utlist of callers with waiting calls; the next to be served stands
                             * first */
    unsigned n_wait_queues, n_waiting;
    uint64_t calls, errors;
    Methods methods;
    MethodGuard *guards; /* utlist: methods that only some users may call, see guards.h */
    unsigned n_guards;
    TapMark tap;
    bool differs;    /* its servers have different descriptions */
    bool in_crowded; /* the service is in services->crowded */
    bool in_failing; /* the service is in services->failing */
    Service *next_crowded, *next_failing;
    UT_hash_handle hh;
    size_t name_len;
    char name[];
};

/* Successes and failures of a server, compared with the other servers of its service: see
 * health.c. */
typedef struct ServerHealth {
    uint64_t ejected_until_ms; /* until then it gets no calls */
    uint32_t n_failures;       /* failures since its last success */
    uint8_t n_ejections;       /* number of ejections; each doubles the time of the next ejection */
    bool on_trial;             /* its ejection is over: one call at a time until a success */
} ServerHealth;

struct Server {
    Service *service;
    Session *session;
    Server *prev, *next; /* in service->servers */
    Server *session_prev, *session_next;
    unsigned slots, busy;
    bool leaving;      /* after UNSERVE: gets no new calls, and is freed when its last call ends */
    bool not_ready;    /* set by its SERVE: it gets no new calls until its next SERVE */
    uint64_t number;   /* the broker makes the name of an instance without a name from it */
    void *description; /* description_len bytes, in a block */
    size_t description_len;
    size_t description_memory; /* bytes of `description` and `tables` */
    uint64_t description_hash;
    bool described;        /* the description can be read */
    ferry_service *tables; /* the decoded description; NULL: there is no description, and the server
                            * may have any method */
    ServerHealth health;
    uint64_t progress_us; /* when it answered last, or got a call while it had no other */
    unsigned ahead;       /* number of calls beyond its slots that it may have */
    bool returns;         /* it has returned a call: from now on it gets no calls beyond its
                           * slots */
    MethodGuard **guards; /* guards from its description: elements of service->guards */
    uint32_t n_guards;
    char *endpoint;         /* endpoint for direct calls, owned; NULL: it takes no direct calls */
    Span endpoint_key;      /* the public key of the endpoint, in the same memory; may be empty */
    uint64_t direct_number; /* of this endpoint, for callers */
    Offer *offers;          /* utlist: see direct.c */
    unsigned n_offers;
    char instance[];
};

/* True: the server takes new calls. */
static inline bool server_is_open(const Server *server) {
    return !server->leaving && !server->not_ready;
}

/* The server's part of service->free_slots. */
static inline unsigned server_free_slots(const Server *server) {
    return server_is_open(server) && server->slots > server->busy ? server->slots - server->busy
                                                                  : 0;
}

typedef struct UnsentItem {
    struct UnsentItem *next;
    ferry_bytes body; /* owned */
} UnsentItem;

struct Call {
    Session *caller; /* NULL: no caller waits for the answer */
    User *user;      /* a reference; NULL: the broker had no users when the call was made */
    uint64_t caller_id;
    uint32_t caller_number; /* the number of the caller's session, which may have ended */
    Service *service;
    Server *server;      /* NULL: the call waits, or is over */
    uint64_t request_id; /* the id of the request at the server */
    Method *method;
    WaitQueue *wait_queue; /* NULL: the call does not wait */
    Call *prev, *next;     /* in the list of the wait queue */
    Call *parent;          /* the call on whose behalf this one is made, or NULL */
    Call *children, *child_prev, *child_next;
    Timer deadline;
    uint64_t started_us;
    uint32_t timeout_ms, flags;
    uint8_t moves;                   /* number of times that it moved to another server */
    uint8_t depth;                   /* number of ancestors */
    bool ended;                      /* the caller has sent END */
    bool instance_lost;              /* the call waits for an instance that has gone: it fails */
    UnsentItem *unsent, *unsent_end; /* items of a stream whose call waits for a server */
    int64_t credit_up, credit_down;  /* for the two directions of a stream */

    StoredMessage *request; /* the request, while it may have to be sent or sent again;
                             * else NULL */
    Span instance;          /* of the stored request */
    size_t request_charge, unsent_charge; /* bytes of `request` and `unsent` that are charged to the
                                           * budget */
    Session *payer;              /* the session whose account pays for them; NULL: it has ended */
    Call *paid_prev, *paid_next; /* in payer->paid_calls */
    Span method_name;            /* of the stored request */
    uint64_t ends_ms;            /* the deadline; its timer may be set to an earlier time, see
                                  * services_call() */
};

/* A service whose last server has gone a short time ago: calls may wait until it is back. */
typedef struct SeenService {
    uint64_t hash;
    uint64_t until_ms;
} SeenService;

enum { SERVICES_SEEN = 1024, SERVICE_SEEN_MS = 60000, SERVICE_HOLD_MS = 5000 };

/* Calls of ended sessions that one turn ends, and calls that it fails because their servers have
 * gone: about half a millisecond each. */
enum { ENDS_PER_TURN = 1024 };

struct Services {
    Room room;
    Broker *broker;
    Service *table, *last;  /* last: the service that was found last, or NULL */
    Service *crowded;       /* services with waiting calls whose servers may have room */
    Service *failing;       /* services with waiting calls that fail in the next turns */
    unsigned fails_left;    /* number of waiting calls that may fail in this turn */
    WaitQueue *wait_queues; /* uthash by key */
    Slabs slabs;            /* memory of calls */
    uint64_t slab_bytes;
    Session *ends; /* utlist by next_ending: sessions that have ended and still have calls */
    size_t n_calls;
    uint64_t last_instance, last_request, last_direct;
    Watched *watched; /* uthash by name: services whose servers callers want to know */
    Watched *reviews; /* utlist: services whose watchers must be reviewed, see direct.c */
    SeenService seen[SERVICES_SEEN];     /* by the hash of the name; see services_saw() */
    Methods own;                         /* methods of ferry.Broker */
    uint64_t latencies[LATENCY_BUCKETS]; /* latencies of all calls except those of ferry.Broker */
};

/* ---- table.c ---- */

/* The service of this name, or NULL. */
Service *service_find(Services *services, Span name);
Service *service_new(Services *services, Span name); /* NULL: out of memory. */
/* Frees the service if it has no servers and no calls. */
void service_release(Service *service);

/* Adds the session as a server of this service, without slots yet. If instance is empty, the broker
 * makes a name. NULL: out of memory. */
Server *server_new(Session *session, Service *service, Span instance);
Server *server_find(Session *session, const Service *service);
Server *server_of_instance(const Service *service, Span instance);
bool server_is(const Server *server, Span instance);
bool server_has_method(const Server *server, Span method);
/* Sets service->differs, after its servers have changed. */
void service_compare(Service *service);
/* Notes that the last server of the service has gone. services_have_seen() tells whether the
 * service had one a short time ago. */
void services_saw(Services *services, Span name);
bool services_have_seen(const Services *services, Span name);
/* From now on the server gets no new calls. */
void server_leave(Server *server);
void server_free(Server *server);

/* ---- call.c ---- */

#define STREAM_ID (UINT64_C(1) << 63) /* set in the ids of streams at their servers */

static inline bool call_is_stream(const Call *call) {
    return (call->flags & (CALL_STREAM_IN | CALL_STREAM_OUT)) != 0;
}

/* True: the broker has confirmed the call, and no caller waits for its answer. The call outlives
 * its caller. */
static inline bool call_is_oneway(const Call *call) {
    return (call->flags & CALL_ONEWAY) != 0;
}
void call_detach(Call *call);

/* Reports a message of this call to the taps that watch its service. */
void call_tap(const Call *call, bool sent, Op op, const Session *session, uint64_t id, Span body);

/* NULL: out of memory, or the caller has used up its share of max_memory. */
Call *call_new(Services *services, Session *caller);
/* Removes the call from its caller, its server, its wait queue and all lists, and frees it. */
void call_free(Call *call);
/* Charges memory of the call (BUDGET_CALLS or BUDGET_STREAMS) to the caller. False: the caller has
 * used up its share of max_memory. */
bool call_charge(Call *call, BudgetKind kind, size_t bytes);
void call_refund_items(Call *call, size_t bytes);
/* Ends the charge of the call, because the account of its payer ends. The call continues without
 * it. */
void call_lose_payer(Call *call);
/* Frees the call's slot at its server. */
void call_leave_server(Call *call);
/* The caller no longer waits for the answer. A server that works on the call gets CANCEL, and
 * its slot stays taken until it answers; a call without a server is freed. */
void call_abandon(Call *call);
/* Abandons the call, and answers its caller with this error. */
void call_fail(Call *call, const char *type, const char *text);
/* Starts the deadline of the call. Each item of a stream starts it again. */
void call_arm_deadline(Call *call);
/* Ends the call, or its wait, at this time. */
void call_arm_timer(Call *call, uint64_t at_ms);
/* True: no server has begun the call, so it may wait until a server offers the service again. */
static inline bool call_may_wait(const Call *call) {
    return (call->flags & (CALL_WAIT | CALL_IDEMPOTENT)) != 0;
}

/* ---- wait-queue.c ---- */

/* in_front: the call has been at a server. It goes in front of the calls that have not, in the
 * order in which servers got them, and its caller is served next. -ENOMEM. */
int call_join_wait_queue(Call *call, bool in_front);
void call_leave_wait_queue(Call *call); /* When the last call leaves, the wait queue is freed. */
/* Moves the caller to the end: the other callers of the service are served first. */
void wait_queue_served(WaitQueue *wait_queue, Service *service);
/* The wait queue is full: returns the call that has to fail so that the new call may wait, because
 * its caller has more than a fair share of the waiting calls; or NULL. */
Call *call_to_give_way(const Call *call);

/* ---- health.c ---- */

/* Call it when the server has answered. error: the type of its error; data NULL: success. */
void server_answered(Server *server, Span error);
/* True: the server has failed while others succeeded, and gets no calls for some time. */
bool server_is_ejected(const Server *server);
/* False: the server is on trial after an ejection, and has its one call. */
static inline bool server_may_take_more(const Server *server) {
    return !server->health.on_trial || server->busy == 0;
}

/* ---- stream.c ---- */

/* The call has a server now: sends it the items that the caller has sent before. */
void call_send_unsent(Call *call);

/* ---- routing.c ---- */

/* Sends the call to a server of its service, or queues it. */
void call_dispatch(Call *call, const Message *message, const void *block);
/* The server has answered a call: if it was quick, it may get calls ahead. */
void server_progress(Server *server);
/* The server has returned the call. True: the call waits for another server, or for a free slot. */
bool call_return(Call *call);
/* The call has lost its server. True: the call waits for another server; false: it may not move. */
bool call_move(Call *call);
/* A server is new, or has room again: gives it waiting calls. */
void calls_serve_waiting(Service *service);

/* An instance of the service has gone (its name; empty: that is known already). Fails the calls
 * that wait for this instance, and if the service has no server left, all waiting calls that may
 * not wait for another one: ENDS_PER_TURN of them in this turn, the others in the next turns. */
void calls_fail_waiting(Service *service, Span instance);
/* Fails as many of these calls as this turn may, and puts the service into services->failing if
 * there are more. */
void calls_fail_some(Service *service);
