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
#include "base/slab.h"
#include "base/timers.h"
#include "clients/c/core/record.h"
#include "clients/c/core/trace.h"
#include "rpc/link/client/link.h"

typedef struct Core Core;
typedef struct CallsPart CallsPart;
typedef struct ServingPart ServingPart;
typedef struct TopicsPart TopicsPart;
typedef struct JobsPart JobsPart;
typedef struct PendingCall PendingCall;
typedef struct Flow Flow;
typedef struct Request Request;
typedef struct ferry_registration Registration;
typedef struct Delivery Delivery;
typedef struct PushLog PushLog;
typedef struct NameCache NameCache;
typedef struct EventNote EventNote;
typedef struct Intercepted Intercepted;
typedef struct Post Post;
typedef struct Memo Memo;
typedef struct Serving Serving;
typedef struct CallMemo CallMemo;
typedef struct ServeMemo ServeMemo;
typedef struct Route Route;
typedef struct Direct Direct;
typedef struct DirectOps DirectOps;
typedef struct Outcome Outcome;
typedef struct ForwardedJob ForwardedJob;
typedef struct Settlement Settlement;
typedef struct MovedJob MovedJob;

enum {
    TIMEOUT_MS = 30000, /* timeout of a call without any other limit */
    TIMEOUT_MAX_MS = 3600000,
    CONNECT_MS = 5000,    /* longest wait of a call for the connection */
    STOP_LOOK_MS = 100,   /* a wait for the broker ends at most this long after ferry_stop() */
    CLOSE_WAIT_MS = 1000, /* longest wait of a close for the broker */
    /* Bytes of deferred messages; above this, topic messages are dropped. */
    DEFERRED_MAX = 64 * 1024 * 1024,
    BEFORE_CONNECT_MAX = 4 * 1024 * 1024, /* bytes of publishes that wait for the connection */
    FLUSH_AT = 640 * 1024,                /* new bytes in the outbox that cause a flush at once */
    TURN_MESSAGES = 200,
    LONG_TURN_MS = 20, /* in a turn that is longer, messages leave at once */
};

/* Requests with streams have ids with this bit. In an ITEM or MORE, the bit tells which call is
 * meant: one that this client made (0), or one that it serves (1). */
#define STREAM_ID (UINT64_C(1) << 63)
/* Requests of direct callers have ids with this bit: their answers go to the caller's connection,
 * and they outlive the session with the broker. */
#define DIRECT_ID (UINT64_C(1) << 62)

/*
 * A part of the library (calls, serving, topics, queues, memo): the functions that the core calls.
 * open.c lists the parts. The core calls them in the order of that list, down and free in the
 * opposite order. Each function may be NULL.
 */
typedef struct Part {
    int (*init)(Core *core); /* 0 or -ENOMEM */
    /* The client has its link; options may be NULL. 0 or -ENOMEM. */
    int (*open)(Core *core, const ferry_options *options);
    void (*free)(Core *core);

    /* Returns the reason why the client does not use this broker, before its session begins; NULL:
     * it does. cluster: see LinkHandlers. */
    const char *(*refuses)(Core *core, const Message *welcome, Span cluster);
    /* A session begins. Called also while a closed client waits for its last messages to leave. */
    void (*up)(Core *core, const Message *welcome);
    /* was_up: the session has ended. Otherwise an attempt to connect failed. */
    void (*down)(Core *core, const ferry_error *reason, bool was_up);
    /* The session with a broker that drains has ended; see core_is_left(). */
    void (*left)(Core *core, const ferry_error *reason);
    /* Adds fields to HELLO; buffer holds them until HELLO is written. */
    void (*hello)(Core *core, Message *hello, Buffer *buffer);
    /* The outbox may have room again. */
    void (*pump)(Core *core);

    bool (*is_due)(const Core *core); /* callbacks wait for a turn */
    bool (*run)(Core *core);          /* in a turn: runs the due callbacks; true: there were some */
    bool (*is_unconfirmed)(const Core *core); /* ferry_run() and ferry_close() wait for it */
    void (*watch)(Core *core);                /* the client is in loop mode now */

    void (*cancel)(ferry_client *handle); /* the handle is being closed */
    void (*drop)(ferry_client *handle);   /* after cancel: the handle is being freed */
    void (*stop)(Core *core);             /* the client is being closed */
    void (*shut)(Core *core);             /* its link was freed */

    /* The part's own connections: reads from them, and returns the number of messages; sends what
     * waits, and does what is due if now_ms is not 0; the latest time for the next of these; true:
     * there is input that its descriptors do not report. */
    int (*process)(Core *core, uint64_t now_ms);
    void (*flush)(Core *core, uint64_t now_ms);
    uint64_t (*next_ms)(const Core *core);
    bool (*has_input)(const Core *core);

    /* The messages for this part; op 0 ends the list. later: a blocking call is in progress, or
     * earlier messages are deferred. If `later` is true, a function that runs callbacks defers the
     * message. */
    const struct Receiver {
        unsigned op;
        void (*fn)(Core *core, const Message *message, const void *block, bool later);
    } * receivers;
} Part;

enum { PARTS_MAX = 14, RECEIVED_OPS = OP_MOVED + 1 };

/* The outcome of a blocking call, push or registration. */
struct Outcome {
    bool done;
    int code;
    ferry_reply *reply; /* of a call */
    ferry_error error;
};

/* A receiver of the messages with its id: OK, ERROR, ITEM, MORE, ANSWER, PONG. */
typedef struct Await Await;
struct Await {
    void (*fn)(Core *core, Await *await, const Message *message, const void *block);
    uint64_t id;       /* 0: not in the table */
    bool callback;     /* the answer runs a callback of the program: deferred while a call blocks */
    bool deferred;     /* its answer arrived and was deferred: the deadline no longer applies */
    bool session_only; /* ends with the session: fn is then called with NULL */
    bool at_close;     /* ferry_close() waits for the answer */
    Route *route;      /* only an answer from there counts; NULL: the broker's */
};

/* A handle: a connection, and the defaults of calls and messages that are sent through it. */
struct ferry_client {
    Core *core;
    ferry_client *prev, *next; /* of core->main.next */
    PendingCall *calls;        /* calls in flight through this handle, oldest first */
    Request *request;          /* the request that makes the calls; NULL: no request */
    uint64_t parent;           /* the id of that request, in the session parent_session */
    uint64_t parent_session;
    bool cancelled;       /* the request is cancelled */
    bool lent;            /* made for a request: the program may not close it */
    uint64_t deadline_ms; /* inherited; UINT64_MAX: no deadline */
    uint32_t timeout_ms;  /* 0: the timeout of the method, else TIMEOUT_MS */
    bool idempotent, wait_for_server, wait_for_broker, closed;
    bool direct; /* calls go straight to a server, if one takes them */
    ferry_interceptor interceptor;
    ferry_cache *cache;
    Span instance, headers; /* in owned; headers: see client_headers() */
    bool trace;             /* a message without traceparent begins a trace */
    /* In headers: gets a new value for each message; NULL: headers are constant. */
    char *traceparent;
    char *owned;
};

/* Messages for a later turn. */
typedef struct DeferredMessages {
    RecordList records;
    uint64_t batch;  /* the batch of the first record */
    IdMap cancelled; /* ids of deferred requests that were cancelled */
} DeferredMessages;

/* The messages that ferry_flush() waits for, besides the pushes in the log. */
typedef struct Unconfirmed {
    bool has_published;   /* since the last ferry_flush() */
    unsigned n_publishes; /* publishes that wait for their confirmation */
    unsigned n_oneway;    /* oneway calls that the broker has not taken yet */
    ferry_error error;    /* the first failure of a push without a callback or of a oneway call */
} Unconfirmed;

/* Events that wait until a turn may pass them to the program: see events.c. */
typedef struct EventQueue {
    void (*fn)(int event, const ferry_error *error, void *ctx);
    void *ctx;
    EventNote *first, *last;
    unsigned n;
    bool is_quiet; /* events are dropped */
} EventQueue;

/* The descriptors that end a wait of the client, and the calls of other threads: see loop.c. */
typedef struct Wakeup {
    int event_fd, timer_fd;
    int wait_fd;    /* event_fd, or an epoll descriptor with it inside: see core_watch() */
    int members_fd; /* epoll set: descriptors of the members; -1: there are no members */
    bool is_raised; /* the core made event_fd readable */
    bool woken;     /* atomic: ferry_post() or ferry_stop() made event_fd readable */
    uint64_t timer_at_ms;
    unsigned stops;    /* atomic: number of ferry_stop() calls */
    unsigned visitors; /* atomic: number of threads inside ferry_post() or ferry_stop() */
    void *lock;        /* of the posts */
    Post *posts, *last_post;
} Wakeup;

/* The connections besides the broker's, which waits watch, too: see direct/waiting.c. */
typedef struct OtherLinks {
    Link *hot;    /* waits poll the descriptors of this one; NULL */
    bool are_hot; /* there is no other connection than the broker's and `hot` */
    int fd; /* an epoll descriptor of all of them; -1: the broker's connection is the only one */
} OtherLinks;

/* A connection. It lives until its last handle is closed and its last deferred request and job are
 * answered. */
struct Core {
    ferry_client main;
    Link *link;
    const Part *parts[PARTS_MAX];
    size_t n_parts;
    const struct Receiver *receivers[RECEIVED_OPS]; /* by op; NULL: no part receives it */
    uint32_t owners;
    void (*free)(Core *core); /* called when the last reference is gone */
    void (*shut)(Core *core); /* ends the connection of a closed client, when no callback runs */
    unsigned forks;           /* forks of the process when the client was opened */

    unsigned turns; /* 1 inside a turn */
    unsigned waits; /* blocking calls under way: messages that need callbacks are deferred */
    unsigned corks;
    bool loop_mode, closed, is_up;
    bool has_run;         /* an earlier run, now ended, announced services and workers */
    bool handler_is_long; /* in a handler that may compute for long: messages leave at once */
    bool ran_long;        /* a handler ran long: read cancellations before the next one */
    uint64_t now_ms;      /* inside a turn */
    uint64_t looked_ms;   /* the last core_look() */
    uint64_t received_ms; /* arrival of the deferred message that is dispatched now; else 0 */
    size_t unflushed;     /* bytes in the outbox after the last flush */
    Timers timers;
    Wakeup wakeup;
    OtherLinks others;
    EventQueue events;

    /* The id of the next message. A leader and its members count together, because messages of the
     * leader may go through the connections of its members. */
    uint64_t *next_id;
    uint64_t own_next_id;
    uint64_t session;                  /* number of the session; 0: before the first */
    uint8_t broker[WIRE_TOKEN];        /* the id of its broker */
    uint64_t left_session, left_below; /* see core_is_left() */
    uint64_t down_since_ms;
    uint64_t close_by_ms; /* of a closed client: it waits for the broker until then; else 0 */
    IdMap awaits;         /* by id */
    DeferredMessages deferred;
    RecordList unsent; /* answers and settlements that could not be sent yet */
    Flow *full_flows;  /* streams, of calls and requests, that wait for room in the outbox */
    Unconfirmed unconfirmed;
    unsigned n_requests, n_jobs; /* deferred requests and jobs: ferry_run() waits for them */

    Slabs slabs; /* calls, requests, jobs and pushes */
    uint64_t slab_bytes;
    Buffer scratch; /* see typed.h */
    void *spare;    /* spare memory for unpacked values, see schema_spare(); may be NULL */
    NameCache *names;
    TraceIds trace_ids;

    /* The state of the parts. Each type is in the header of its room. */
    CallsPart *calls;
    ServingPart *serving;
    TopicsPart *topics;
    JobsPart *jobs;
    PushLog *pushes;
    Registration *registrations;
    Outcome *outcome; /* if set, a registration does not wait: its outcome goes here */
    struct CacheReports *cache_reports; /* see memo/report.h; NULL: the client has no cache */
    Memo *memo;                         /* NULL: no memoised method was called yet */
    const CallMemo *call_memo;          /* memoises calls; NULL: built without the cache */
    const ServeMemo *serve_memo; /* memoises answers of services; NULL: built without the cache */
    Direct *direct;
    const DirectOps *direct_ops; /* see route.h */

    /* Clients of several brokers: see brokers/brokers.h. */
    struct Brokers *brokers; /* NULL: the URL names one broker */
    Core **members;          /* the clients of each of its brokers */
    unsigned n_members;
    Core *leader;       /* the client that this one is a member of; NULL */
    Route *route;       /* of a member: the way of its leader's messages through it; else NULL */
    unsigned n_carried; /* messages and queues of a leader that wait for answers to its members */
    bool has_endpoint;  /* direct calls of all members of the leader arrive at this one */
};

/* Starts to count the forks of this process. */
void core_watch_forks(Core *core);
/* True: this process is a child of the process that opened the client. */
bool core_is_of_parent(const Core *core);
/* True: the call or publish with this id was sent in the session with a broker that drains. This
 * session lasts until all these calls are answered; new calls are for another broker. */
static inline bool core_is_left(const Core *core, uint64_t id) {
    return id < core->left_below;
}
/* Checks that the client can be used. 0; -ECHILD: a parent of this process opened it; -ECANCELED:
 * ferry_close() was called. */
int client_check(const ferry_client *client, ferry_error *reterr);
Core *core_ref(Core *core);
void core_unref(Core *core);

/* Runs the due callbacks of all parts; call it in a turn. True: there were some. */
bool core_run_due(Core *core);

/* True: a part is waiting for confirmations. See Part. */
bool core_is_unconfirmed(const Core *core);

/* Returns the timeout of a call: the handle's, else the method's, at most the rest of an inherited
 * deadline. Without these three: 30 s. 0: the deadline has passed. */
uint32_t client_timeout(const ferry_client *client, uint32_t method_ms, uint64_t now_ms);

/* ---- events.c ---- */

void event_note(Core *core, int event, const ferry_error *error);
void events_run(Core *core);
void events_deinit(Core *core);

/* ---- headers.c ---- */

/* Writes a map of the inherited headers and the program's. A header of the program replaces an
 * inherited header of the same name. 0, -ENOMEM; -EINVAL: a header is malformed. */
int headers_write(Buffer *to, Span inherited, size_t n, const ferry_header *headers,
                  ferry_error *reterr);

/* Checks that all reserved fields are zero. Options that only a later version knows are refused,
 * not ignored. */
int reserved_check(const uint64_t *reserved, size_t n, ferry_error *reterr);

static inline Span span_bytes(ferry_bytes bytes) {
    /* An empty body must not be NULL: NULL means "no body". */
    return bytes.data ? span_of(bytes.data, bytes.len) : span_of("", 0);
}

static inline ferry_bytes bytes_span(Span span, const void *block) {
    return (ferry_bytes){span.data, span.len, block};
}
