#pragma once

/*
 * The records and functions that the files of the service router share. A file calls only files
 * above it in this list:
 *
 *   method-stats.c  how often the methods of a service are called, how long they take
 *   table.c         the table of services, and their servers
 *   wait-queue.c    calls that wait for a server
 *   call.c          a call, from its beginning to its end
 *   stream.c        the items of a call, both ways, and the credit for them
 *   routing.c       which server gets which call, and when
 *   serve.c         SERVE and UNSERVE
 *   messages.c      CALL, OK, ERROR, CANCEL
 *   services.c      new and free, the end of a turn, lost sessions
 */

#include "broker/services/services.h"

typedef struct Call Call;
typedef struct Server Server;
typedef struct Service Service;

/* The calls of one caller that wait for one service. */
typedef struct WaitKey {
    uint64_t
        service; /* its address: all bytes of a key count, so there must be none between fields */
    uint64_t caller; /* its session's number: the session may end before its calls without an id */
} WaitKey;

typedef struct WaitQueue {
    UT_hash_handle hh;
    WaitKey key;
    struct WaitQueue *prev, *next; /* of the service */
    Call *calls;                   /* utlist, oldest first */
    unsigned n;
} WaitQueue;

struct Service {
    Services *services;
    Server *servers; /* utlist by prev, next; the next to be looked at is in front */
    unsigned n_servers;
    uint64_t free_slots;    /* of all servers */
    WaitQueue *wait_queues; /* of waiting calls; utlist: whose turn is next is in front */
    unsigned n_wait_queues, n_waiting;
    uint64_t calls, errors;
    Methods methods;
    bool in_crowded; /* is in services->crowded */
    Service *next_crowded;
    UT_hash_handle hh;
    size_t name_len;
    char name[];
};

struct Server {
    Service *service;
    Session *session;
    Server *prev, *next; /* of the service */
    Server *session_prev, *session_next;
    unsigned slots, busy;
    bool leaving;      /* UNSERVE: no new calls; gone when the last has ended */
    uint64_t number;   /* of the instance, when it has no name */
    void *description; /* a block */
    size_t description_len;
    bool described; /* the description can be read */
    char instance[];
};

/* Its part of its service's free_slots. */
static inline unsigned server_free_slots(const Server *server) {
    return !server->leaving && server->slots > server->busy ? server->slots - server->busy : 0;
}

typedef struct UnsentItem {
    struct UnsentItem *next;
    ferry_bytes body; /* owned */
} UnsentItem;

struct Call {
    Session *caller; /* NULL: nobody waits any more, or nobody ever did */
    uint64_t caller_id;
    uint32_t caller_number; /* of its session, which may have ended */
    Service *service;
    Server *server;      /* NULL: in wait_queue, or over */
    uint64_t request_id; /* at the server */
    Method *method;
    WaitQueue *wait_queue; /* NULL: it does not wait */
    Call *prev, *next;     /* of the wait_queue; of the free calls */
    Call *parent;          /* on whose behalf it is made, or NULL */
    Call *children, *child_prev, *child_next;
    Timer deadline;
    uint64_t started_us;
    uint32_t timeout_ms, flags;
    uint8_t moves;                   /* times it was given to another server */
    uint8_t depth;                   /* calls it was made on behalf of, one within another */
    bool ended;                      /* the caller has said END */
    UnsentItem *unsent, *unsent_end; /* a stream's items while it waits in line */
    int64_t credit_up, credit_down;  /* of a stream's two directions */

    /* What a server is to be sent: kept only while that may be needed (again). */
    uint8_t *kept; /* the passed fields, or those and the body's block apart */
    size_t kept_len;
    ferry_bytes kept_body;                     /* a large body: owned */
    Span name, method_name, instance, headers; /* into kept, with a large body */
};

struct Services {
    Room room;
    Broker *broker;
    Service *table, *last;  /* last: that was asked for, or NULL */
    Service *crowded;       /* have calls in wait_queue, and may have room */
    WaitQueue *wait_queues; /* uthash by key */
    Call *free_calls;       /* by next */
    size_t n_calls;
    uint64_t last_instance;
    Methods own; /* of ferry.Broker */
};

/* ---- table.c ---- */

/* The service of this name, or NULL. */
Service *service_find(Services *services, Span name);
Service *service_new(Services *services, Span name); /* NULL: out of memory */
/* Frees it when nothing needs it any more. */
void service_release(Service *service);

/* Of the service and the session, with no slots yet. instance: empty, and it gets one. NULL: out of
 * memory. */
Server *server_new(Session *session, Service *service, Span instance);
Server *server_find(Session *session, const Service *service);
Server *server_of_instance(const Service *service, Span instance);
bool server_is(const Server *server, Span instance);
/* It gets no new calls. */
void server_leave(Server *server);
void server_free(Server *server);

/* ---- call.c ---- */

#define STREAM_ID (UINT64_C(1) << 63) /* in the ids that servers are given for streams */

static inline bool call_is_stream(const Call *call) {
    return (call->flags & (CALL_STREAM_IN | CALL_STREAM_OUT)) != 0;
}

Call *call_new(Services *services); /* NULL: out of memory */
/* Leaves its caller, its server, the wait_queue, and every list. */
void call_free(Call *call);
/* Its slot is free. */
void call_leave_server(Call *call);
/* Nobody waits for its answer any more. A server that works on it is told, and keeps its slot until
 * it has ended; with none the call is freed. */
void call_abandon(Call *call);
/* Abandons it; its caller gets its one answer: this error, of our own. */
void call_fail(Call *call, const char *type, const char *text);
/* From now on; a stream's begins anew with each item. */
void call_arm_deadline(Call *call);

/* ---- wait-queue.c ---- */

/* in_front: it is the next of all. -ENOMEM. */
int call_join_wait_queue(Call *call, bool in_front);
void call_leave_wait_queue(Call *call); /* the line is freed with its last */
/* The other lines have their turn first. */
void wait_queue_served(WaitQueue *wait_queue, Service *service);
/* No more may wait: the call that is to fail in favour of this one, which is not in line yet,
 * because its caller has more than a share; NULL: none. */
Call *call_to_give_way(const Call *call);

/* ---- stream.c ---- */

/* The call has a server now, which gets the items that the caller has sent before. */
void call_send_unsent(Call *call);

/* ---- routing.c ---- */

/* To a server of its service, or into the line. */
void call_dispatch(Call *call, const Message *message, const void *block);
/* It has lost its server. True: it waits for another; false: it may not move. */
bool call_move(Call *call);
/* A server has room again, or is new: hands it calls from the line. */
void calls_serve_waiting(Service *service);

/* Calls fail that wait for a service without servers, or for this instance of it. */
void calls_fail_waiting(Service *service, Span instance);
