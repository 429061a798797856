/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Direct calls, without the broker between caller and server. A caller learns from the broker where
 * servers listen and holds a connection to them (routes.c). A server takes these connections
 * (endpoint.c), knows each caller by a ticket that the broker gave to both, and handles its calls
 * like calls that come through the broker.
 *
 * The records and functions that these files share. A file calls only files above it in this list:
 *
 *   waiting.c        the descriptors of all these connections
 *   caller-errors.c  errors that callers get
 *   tally.c          counts of direct calls, for the broker
 *   inbound.c        calls of direct callers, from their arrival to the answer
 *   callers.c        the connections of callers, their tickets and their messages
 *   endpoint.c       the endpoint of a server: listening, reading, the turns of calls that wait
 *   routes.c         a caller's connections to servers
 *   direct.c         the part of the library
 */

#include "base/hash.h"
#include "clients/c/core/flow.h"
#include "clients/c/core/loop.h"
#include "clients/c/core/route.h"
#include "clients/c/core/session.h"
#include "clients/c/direct/direct.h"
#include "rpc/link/hub/hub.h"

typedef struct Endpoint Endpoint;
typedef struct Caller Caller;
typedef struct Inbound Inbound;
typedef struct Tally Tally;
typedef struct Ticket Ticket;
typedef struct WatchedService WatchedService;
typedef struct ServerRoute ServerRoute;

enum {
    DIRECT_CALLS_MAX = 65536,             /* unanswered calls of one caller */
    DIRECT_CONNECTIONS_MAX = 8192,        /* connections of an endpoint */
    DIRECT_UNPROVEN_MAX = 256,            /* connections whose ticket is not known yet */
    DIRECT_TICKETS_MAX = 65536,           /* tickets that an endpoint knows */
    DIRECT_MEMORY = 512 * 1024 * 1024,    /* bytes that callers can make an endpoint hold */
    DIRECT_TRANSFERS = 256 * 1024 * 1024, /* bytes of large bodies that are arriving */
    /* Bytes that wait for one caller before it is cut as slow. */
    DIRECT_OUTPUT_MAX = 160 * 1024 * 1024,
    DIRECT_ROOM = 4 * 1024 * 1024, /* bytes that wait for one caller before items get -EAGAIN */
    DIRECT_WATCHES_MAX = 1000,     /* services whose servers a caller knows */
    DIRECT_ROUTES_MAX = 256,       /* connections of a caller */
};

/* ---- waiting.c ---- */

/* The client's waits end when this descriptor of a connection is readable. ptr: the ServerRoute;
 * NULL: the endpoint. */
int direct_watch_fd(Direct *direct, int fd, void *ptr);
/* If there is a single route and no endpoint, waits poll its descriptor instead of the set. */
void direct_set_hot(Direct *direct);
/* The program waits in a loop of its own from now on. If this fails, input is read in the next
 * turn, whatever starts it. */
void direct_watch_loop(Direct *direct);

/* ---- caller-errors.c ---- */

void caller_error(Caller *caller, uint64_t id, const char *type, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* FAULT, and the end of the connection. */
void caller_fault(Peer *peer, const char *type, const char *problem);
/* BYE, and the end of the connection; the text is the reason. */
void caller_end(Caller *caller, const char *text);

/* ---- tally.c ---- */

/* Counts a call of this method. NULL: the method is not counted. */
Tally *tally_begun(Endpoint *endpoint, const Ticket *ticket, Span method);
/* The call has been answered. error: the type of its error; data NULL: success. */
void tally_ended(Endpoint *endpoint, Tally *tally, uint64_t started_us, Span error);
/* Sends all counts whose brokers can be reached. */
void tallies_send(Endpoint *endpoint);
/* The counts for this broker are dropped from now on. */
void tallies_forget(Endpoint *endpoint, const Direct *from);
void tallies_free(Endpoint *endpoint);

/* ---- inbound.c ---- */

/* A call of a direct caller. */
struct Inbound {
    uint64_t id;        /* of the request; it has DIRECT_ID */
    uint64_t caller_id; /* the caller's own */
    Caller *caller;
    Inbound *prev, *next; /* of caller->waiting */
    Timer deadline;
    Record *record;        /* the CALL, until the handler begins */
    RecordList items;      /* ITEMs and END that came before that */
    size_t charge;         /* bytes of these records that are charged to the caller's connection */
    int64_t credit;        /* bytes of items that the caller may send */
    int64_t output_credit; /* bytes of items that the server may send */
    Tally *tally;          /* of its method; NULL: the method is not counted */
    uint64_t started_us;
    uint32_t timeout_ms;
    bool takes_items, sends_items;
    bool has_ended;   /* the caller has sent END */
    bool is_answered; /* the caller has its error; the handler may not know yet */
    bool is_begun;
};

/* A CALL has arrived. */
void inbound_call(Caller *caller, const Message *message, const void *block);
/* ITEM, END, MORE or CANCEL for a call with this id. */
void inbound_message(Caller *caller, const Message *message, const void *block);
/* Begins the first waiting call of the caller. */
void inbound_begin(Caller *caller);
/* Its caller is gone: cancels the request. */
void inbound_abandon(Inbound *inbound);
/* See DirectOps.send. */
int inbound_send(Core *core, Lane lane, const Message *message, const void *block);

/* ---- callers.c ---- */

/* A caller's right to connect, from the broker. */
struct Ticket {
    UT_hash_handle hh;
    uint8_t token[WIRE_TOKEN];
    Caller *caller; /* NULL: it has not come */
    Direct *from;   /* the member whose broker sent it; NULL: this member has closed */
    bool is_withdrawn;
    char text[64], user[64];
    size_t service_len;
    char service[];
};

/* The connection of a direct caller, from its HELLO on. */
struct Caller {
    Endpoint *endpoint;
    Peer *peer;
    Ticket *ticket; /* NULL: the broker has not sent it yet */
    uint8_t token[WIRE_TOKEN];
    Timer proof;
    Caller *prev, *next;             /* of endpoint->callers */
    Caller *crowd_prev, *crowd_next; /* of endpoint->crowd */
    IdMap calls;                     /* by the caller's id */
    Inbound *waiting;                /* utlist: calls whose handlers have not begun, oldest first */
    unsigned n_requests_when_full;   /* the number of deferred requests when its service had no free
                                        slot; 0: it has a free slot */
    Flow *full_flows;
    uint64_t drain_id; /* of an UNSERVE that it has not confirmed; 0 */
};

/* A batch has come from a peer. Returns the number of its messages. */
int callers_batch(Endpoint *endpoint, Peer *peer, const uint8_t *data, size_t len);
/* TICKET from the broker. */
void callers_ticket(Core *core, const Message *message, const void *block, bool later);
/* The session with the broker has ended: its tickets are not renewed. */
void callers_forget_tickets(Endpoint *endpoint, const Direct *from);
/* This member of the client is closing. */
void callers_forget_member(Endpoint *endpoint, const Direct *from);
bool callers_gone(Peer *peer, void *ctx);
void callers_free(Endpoint *endpoint);

/* ---- endpoint.c ---- */

typedef struct BoundUrl BoundUrl;
struct BoundUrl {
    BoundUrl *next;
    char bound[256]; /* as callers reach it */
    char asked[];    /* as the program wrote it */
};

/* The members of a client of several brokers share the endpoint of the first one: each of them
 * announces it at its broker. */
struct Endpoint {
    Core *core;      /* of the member that runs it */
    Direct *sharers; /* utlist: the other members */
    Hub *hub;
    Budget budget;
    CurveKeys keys;
    KeyPair *pair;
    BoundUrl *listeners; /* utlist */
    uint8_t id[WIRE_TOKEN];
    IdMap calls; /* Inbound by its own id */
    uint64_t last_id;
    uint64_t last_drain_id, drain_ends_ms; /* see endpoint_withdraw() */
    Caller *callers;                       /* utlist: all callers, from HELLO on */
    Caller *crowd;   /* utlist: callers with waiting calls; the caller that has the next turn stands
                        first */
    Ticket *tickets; /* uthash by token */
    Tally *tallies, *last_tally; /* tallies: uthash by key */
    Timer tally_timer;
    unsigned n_unproven;
    uint64_t now_us;   /* when input was read last */
    uint64_t returned; /* the id of the call that its service had no slot for */
    unsigned busy;     /* the hub is at work: it must not be flushed */
    bool is_dirty;     /* it has to be flushed */
};

int endpoint_listen(Core *core, const char *endpoint, const char **ret, ferry_error *reterr);
Endpoint *endpoint_free(Endpoint *endpoint);
/* A member stops to share it. */
void endpoint_leave(Direct *sharer);
int endpoint_process(Endpoint *endpoint, uint64_t now_ms);
void endpoint_flush(Endpoint *endpoint, uint64_t now_ms);
bool endpoint_is_due(const Endpoint *endpoint);
bool endpoint_run(Endpoint *endpoint);
void endpoint_withdraw(Endpoint *endpoint, Span service);
bool endpoint_is_withdrawn(const Endpoint *endpoint);
uint64_t endpoint_next_ms(const Endpoint *endpoint);

/* ---- routes.c ---- */

/* A connection to one server of one service. */
struct ServerRoute {
    Route route;
    WatchedService *watch;
    ServerRoute *prev, *next; /* of watch->routes */
    uint64_t server;          /* the broker's number */
    bool is_up;
    bool is_leaving; /* gets no new calls, and is freed after its last answer */
    bool is_old;     /* of an earlier session, and not named in this one yet */
    bool is_closed;  /* the server refuses this client */
    char *instance, *endpoint;
};

/* A service whose servers this client wants to know. */
struct WatchedService {
    Await await;
    UT_hash_handle hh;
    Direct *direct;
    Timer returning; /* for servers that the broker does not know yet */
    ServerRoute *routes;
    ServerRoute **up; /* routes that take calls: n_up of them */
    unsigned n_up, n_routes, up_cap;
    size_t name_len;
    char name[];
};

struct Direct {
    Core *core;
    Endpoint *endpoint; /* NULL: no service of this client listens */
    Direct *next_sharer;
    int epoll_fd; /* of the descriptors of routes and endpoint; -1: not made yet */
    WatchedService *watches, *last;
    unsigned n_watches, n_routes;
    ServerRoute *only; /* the route, if there is exactly one; else NULL */
    unsigned busy;     /* routes are being read: none may be freed */
    bool has_leavers;
    uint64_t processed_ms; /* when input was read last */
};

/* The endpoint that this core runs; NULL: it has no endpoint, or shares the endpoint of another
 * member. */
static inline Endpoint *endpoint_of(const Core *core) {
    Endpoint *endpoint = core->direct->endpoint;

    return endpoint && endpoint->core == core ? endpoint : NULL;
}

Route *routes_choose(Core *core, Span service, Span instance);
void routes_server(Core *core, const Message *message, const void *block, bool later);
void routes_up(Direct *direct);
int routes_process(Direct *direct, uint64_t now_ms);
void routes_flush(Direct *direct);
uint64_t routes_next_ms(const Direct *direct);
bool routes_have_input(const Direct *direct);
void routes_free(Direct *direct);
