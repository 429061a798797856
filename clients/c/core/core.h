/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The core of libferry: one connection (Core), the handles on it (ferry_client), the waits for an
 * answer (Await), and the parts that the core drives (Part).
 *
 * Callbacks of the program run only in a turn (loop.c). If something ends outside a turn, by a
 * deadline or in a blocking call, its callback is deferred to the next turn.
 */

#include <ferry/call.h>
#include <ferry/schema.h>
#include <ferry/serve.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/id-map.h"
#include "base/timers.h"
#include "clients/c/core/record.h"
#include "clients/c/core/trace.h"
#include "rpc/link/client/link.h"

typedef struct Core Core;
typedef struct Call Call;
typedef struct Flow Flow;
typedef struct Request Request;
typedef struct ferry_registration Registration;
typedef struct Job Job;
typedef struct PushLog PushLog;
typedef struct NameCache NameCache;
typedef struct EventNote EventNote;
typedef struct Post Post;
typedef struct Slab Slab;
typedef struct Memo Memo;
typedef struct Serving Serving;
typedef struct CallMemo CallMemo;
typedef struct ServeMemo ServeMemo;

enum {
    TIMEOUT_MS = 30000, /* a call's, when neither handle nor method says another */
    TIMEOUT_MAX_MS = 3600000,
    CONNECT_MS = 5000,    /* how long a call waits for the connection */
    CLOSE_WAIT_MS = 1000, /* how long a close waits for the broker */
    DEFERRED_MAX =
        8 * 1024 * 1024, /* bytes of deferred messages; later topic messages are dropped */
    BEFORE_CONNECT_MAX = 4 * 1024 * 1024, /* bytes of publishes that wait for the connection */
    FLUSH_AT = 640 * 1024, /* bytes put since the last flush that make one due at once */
    TURN_MESSAGES = 200,
};

/* The ids of requests with streams have this bit: it tells whether an ITEM or MORE belongs to a
 * call that this client made (0) or to one that it serves (1). */
#define STREAM_ID (UINT64_C(1) << 63)

/*
 * A part of the library (calls, serving, topics, queues, memo) as the core sees it: the functions
 * that the core calls. open.c lists the parts. The core calls them in the order of that list, down
 * and free in the opposite order. Each function may be NULL.
 */
typedef struct Part {
    int (*init)(Core *core); /* 0 or -ENOMEM */
    void (*free)(Core *core);

    /* A session begins; also while a closed client waits for its last messages to leave. */
    void (*up)(Core *core);
    /* The session, if there was one, has ended: was_up. Otherwise an attempt to connect failed. */
    void (*down)(Core *core, const ferry_error *reason, bool was_up);
    /* Adds to HELLO; buffer holds the fields that are added until HELLO is written. */
    void (*hello)(Core *core, Message *hello, Buffer *buffer);
    /* The outbox may have room again. */
    void (*pump)(Core *core);

    bool (*is_due)(const Core *core);         /* callbacks wait for a turn */
    bool (*run)(Core *core);                  /* in a turn: runs them; true: there were some */
    bool (*is_unconfirmed)(const Core *core); /* ferry_run() and ferry_close() wait for it */
    void (*watch)(Core *core);                /* the client is in loop mode now */

    void (*cancel)(ferry_client *handle); /* the handle is being closed */
    void (*stop)(Core *core);             /* the client is being closed */
    void (*shut)(Core *core);             /* its link is gone */

    /* The messages for this part; op 0 ends the list. later: a blocking call is under way, or
     * earlier messages are deferred; a function that runs callbacks defers the message then. */
    const struct Receiver {
        unsigned op;
        void (*fn)(Core *core, const Message *message, const void *block, bool later);
    } * receivers;
} Part;

enum { PARTS_MAX = 8, RECEIVED_OPS = 64 };

/* The outcome of a blocking call, push or registration. */
typedef struct Outcome {
    bool done;
    int code;
    ferry_reply *reply; /* of a call */
    ferry_error error;
} Outcome;

/* Something that waits for messages with its id: OK, ERROR, ITEM, MORE, ANSWER, PONG. */
typedef struct Await Await;
struct Await {
    void (*fn)(Core *core, Await *await, const Message *message, const void *block);
    uint64_t id;       /* 0: not in the table */
    bool callback;     /* the answer runs the program's callback: not while a call blocks */
    bool deferred;     /* its answer has come and is deferred: its deadline no longer counts */
    bool session_only; /* means nothing to another session: fn is told of its end, with NULL */
};

/* A handle: a connection and the defaults of what is started through it. */
struct ferry_client {
    Core *core;
    ferry_client *next, **link; /* of the core's */
    Call *calls, *last_call;    /* started through it, oldest first */
    Request *request;           /* calls are made on its behalf; NULL */
    uint64_t parent;            /* the id of that request, in the session parent_session */
    uint64_t parent_session;
    bool cancelled;       /* that request is cancelled */
    bool lent;            /* made for a request: the program may not close it */
    uint64_t deadline_ms; /* inherited; UINT64_MAX: none */
    uint32_t timeout_ms;  /* 0: the method's own, else TIMEOUT_MS */
    bool idempotent, closed;
    ferry_cache *cache;
    Span instance, headers; /* in owned; headers: see client_headers() */
    bool trace;             /* what carries no traceparent begins a trace */
    char *traceparent;      /* in headers: made anew for each; NULL: there is none to make */
    char *owned;
};

/* A connection. Lives until its last handle is closed and the last deferred request and job is
 * answered. */
struct Core {
    ferry_client main;
    Link *link;
    const Part *parts[PARTS_MAX];
    size_t n_parts;
    const struct Receiver *receivers[RECEIVED_OPS]; /* by op; NULL: no part receives it */
    uint32_t owners;
    void (*free)(Core *core); /* the last owner has gone */
    void (*shut)(Core *core); /* no callback runs any more: ends a closed client's connection */
    unsigned forks;           /* of the process, when the client was opened */
    unsigned turns;           /* 1 inside a turn */
    unsigned waits; /* blocking calls under way: messages that need callbacks are deferred */
    unsigned corks;
    bool loop_mode, closed, is_up;
    bool has_run; /* services and workers were announced by a run that has ended */
    uint64_t next_id;
    uint64_t session; /* counts them; 0: none yet */
    uint64_t now_ms;  /* inside a turn */
    uint64_t down_since_ms;
    size_t unflushed; /* bytes in the outbox after the last flush */
    Timers timers;
    IdMap awaits; /* by id */

    Record *deferred, *last_deferred; /* messages for a later turn */
    uint64_t deferred_batch;          /* the batch that the first of them came in */
    size_t deferred_bytes;
    IdMap cancelled; /* ids of requests among them that were cancelled meanwhile */
    Record *before_connect, *last_before_connect; /* publishes from before the connection */
    size_t before_connect_bytes;
    bool has_published;           /* since the last ferry_flush() */
    Record *unsent, *last_unsent; /* answers and settlements that found no room, or no connection */
    Call *ended, *last_ended;     /* their callbacks are due */

    Slab *calls, *requests, *jobs;
    Buffer scratch; /* see typed.h */
    void *spare;    /* for unpacked values, see schema_spare(); NULL: none */
    NameCache *names;
    Memo *memo;                  /* NULL: no memoised method was called */
    const CallMemo *call_memo;   /* memoises calls; NULL: built without the cache */
    const ServeMemo *serve_memo; /* memoises answers of services; NULL likewise */

    Registration *registrations;
    IdMap subscriptions, pulls; /* by the id that messages and jobs carry */
    Registration *last_service; /* called last */
    Request *current;           /* whose handler runs */
    IdMap requests_by_id;       /* deferred ones of this session */
    Request *deferred_requests; /* not answered */
    unsigned n_requests;        /* how many */
    unsigned n_due;             /* watched ones whose fn is due */
    ferry_stream *due_streams;  /* likewise */
    Flow *full_flows;           /* streams of either kind that wait for room in the outbox */
    Job *in_flight;             /* delivered and not settled */
    unsigned n_jobs;            /* how many of them are deferred */
    uint64_t looked_ms;         /* ferry_request_cancelled() looked at the socket */
    bool ran_long;              /* a handler did: much may have been cancelled meanwhile */

    PushLog *pushes;
    ferry_error push_error; /* the first failure of a push without a callback */
    int64_t retry_budget;   /* in thousandths of a retry: see retry.h */
    TraceIds trace_ids;

    void (*on_event)(int event, const ferry_error *error, void *ctx);
    void *event_ctx;
    EventNote *events, *last_event;
    unsigned n_events;

    int event_fd, timer_fd;
    int wait_fd; /* event_fd, or what holds it and more */
    bool raised; /* event_fd was, by us */
    bool woken;  /* atomic: it was, by ferry_post() or ferry_stop() */
    uint64_t timer_at_ms;
    unsigned stops;    /* atomic: ferry_stop() calls */
    unsigned visitors; /* atomic: threads inside ferry_post() or ferry_stop() */
    void *post_lock;
    Post *posts, *last_post;
};

/* ---- core.c ---- */

/* Begins to count this process's forks. */
void core_watch_forks(Core *core);
/* This process is a child of the one that opened it. */
bool core_is_of_parent(const Core *core);
/* 0, -ECHILD in a child of the process that opened it, -ECANCELED after ferry_close(). */
int client_check(const ferry_client *client, ferry_error *reterr);
Core *core_ref(Core *core);
void core_unref(Core *core);

/* Opens a client that drives these parts: see ferry_open(). */
int client_open(const Part *const *parts, size_t n_parts, const char *url,
                const ferry_options *options, ferry_client **ret, ferry_error *reterr);

/* A handle without options of its own, on behalf of the request with this id in this session. NULL:
 * out of memory. */
ferry_client *client_for_request(Core *core, Request *request, uint64_t id, Span headers,
                                 uint64_t deadline_ms);
void client_drop(ferry_client *client);

/* The headers of what is sent through this handle, for this once. */
static inline Span client_headers(ferry_client *client) {
    if (__builtin_expect(client->traceparent != NULL, 0))
        traceparent_begin(&client->core->trace_ids, client->traceparent);
    return client->headers;
}

/* The time to wait for an answer: the handle's, else the method's, else 30 s, but no longer than
 * what is left of an inherited deadline. 0: that has passed. */
uint32_t client_timeout(const ferry_client *client, uint32_t method_ms, uint64_t now_ms);

/* ---- loop.c ---- */

static inline uint64_t core_now(const Core *core) {
    return core->turns && !core->waits ? core->now_ms : clock_ms();
}

/* Something was put into the outbox: it leaves now, or at the end of the turn. */
void core_sent(Core *core);

/* Waits until *done; other messages are deferred. -ETIMEDOUT; -ENOTCONN: the link gave up. */
int core_wait(Core *core, const bool *done, uint64_t until_ms);

/* Takes in what has arrived without waiting and without a callback, for its credit and answers. */
void core_poll(Core *core);

/* Sees to it that the program's loop calls ferry_process() soon. */
void core_raise(Core *core);

/* 0, or as client_check(), or -EINVAL inside a callback. */
int core_turn_check(ferry_client *client, ferry_error *reterr);

/* For functions that any thread may call, between the two. The first may end ferry_run(), whose
 * thread then closes the client: ferry_close() waits until `visitors` is 0. The second wakes the
 * client's thread. */
void core_visit(Core *core);
void core_wake_and_leave(Core *core);

int loop_init(Core *core);
void loop_deinit(Core *core);

/* One turn. True: there was something to do. */
bool core_turn(Core *core);

/* Runs the callbacks that are due in the parts; in a turn. True: there were some. */
bool core_run_due(Core *core);

/* A part still waits for confirmations: see Part. */
bool core_is_unconfirmed(const Core *core);

/* Runs turns until is_over() or until_ms, or until a callback closes the client. Outside turns. */
void core_run(Core *core, bool (*is_over)(const Core *core, const void *ctx), const void *ctx,
              uint64_t until_ms);

/* Between them callbacks may run. After leaving, the core may be gone. */
void core_enter(Core *core);
void core_leave(Core *core);

/* ---- session.c ---- */

extern const LinkHandlers session_handlers; /* ctx is to be set to the core */

int await_put(Core *core, Await *await);
void await_take(Core *core, Await *await);

/* Dispatches the deferred messages; in a turn. */
bool deferred_run(Core *core);

/* Fills reterr: there is no connection, and why, as far as is known. */
int session_missing(Core *core, ferry_error *reterr);
/* Waits for the connection: no longer than CONNECT_MS or until_ms. -ENOTCONN, -ETIMEDOUT. */
int session_await(Core *core, uint64_t until_ms, ferry_error *reterr);

/* Sends it now, or as soon as there is room; settlements of jobs even in the next session. */
int core_send(Core *core, Lane lane, const Message *message, const void *block);
void unsent_pump(Core *core);
void session_deinit(Core *core);

/* Keeps a message for a turn to come. */
void deferred_put(Core *core, const Message *message, const void *block);

/* Takes the deferred messages with this id, other than CALLs, and gives each to fn: a handler that
 * begins may wait for them, and later ones must not overtake them. */
void deferred_claim(Core *core, uint64_t id,
                    void (*fn)(Core *core, Request *request, const Message *message,
                               const void *block),
                    Request *request);

/* The error that an ERROR holds. outcome_unknown is set where the type says so. */
void error_of_message(const Message *message, ferry_error *reterr);

/* ---- events.c ---- */

void event_note(Core *core, int event, const ferry_error *error);
void events_run(Core *core);
void events_deinit(Core *core);

/* ---- headers.c ---- */

/* A map of the program's headers behind those of the handle. The result is in to. -EINVAL. */
int headers_write(Buffer *to, Span inherited, size_t n, const ferry_header *headers,
                  ferry_error *reterr);

/* All of reserved must be zero: options of a later version are refused, not ignored. */
int reserved_check(const uint64_t *reserved, size_t n, ferry_error *reterr);

static inline Span span_bytes(ferry_bytes bytes) {
    /* A body of no bytes is still a body. */
    return bytes.data ? span_of(bytes.data, bytes.len) : span_of("", 0);
}

static inline ferry_bytes bytes_span(Span span, const void *block) {
    return (ferry_bytes){span.data, span.len, block};
}
