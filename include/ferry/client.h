/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clients: a connection to a broker, its options, its handles and its loop.
 */
#ifndef FERRY_CLIENT_H
#define FERRY_CLIENT_H

#include <ferry/base.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif

struct ferry_request;

/* A call as an interceptor sees it. Lent from `before` to the end of `after`. */
typedef struct ferry_interception {
    const char *method;            /* "calc.Calc.add" */
    struct ferry_request *request; /* the request that is served; NULL: a call of this client */
    uint64_t elapsed_us; /* in `after`: microseconds since `before` began; in `before`: 0 */
    void *state;         /* the interceptor's own: `before` may set it, `after` finds it */
} ferry_interception;

/* Two functions around each call of a handle (ferry_options.interceptor), or around each request of
 * a service (ferry_serve_options.interceptor): for headers, traces, measurements, access checks.
 * Each may be NULL.
 *
 * before  runs before the call is sent, once for all of its attempts, or before the request's
 *         handler begins. 0: go on. A negative errno refuses it: the call fails with the standard
 *         error of that errno and is not sent; the request is answered with it, and the handler
 *         does not run. In front of a handler, `before` may also answer the request itself, with
 *         ferry_request_throw() for example.
 * after   runs when the call has its answer, or the request has been answered. error: NULL if it
 *         succeeded; lent. It runs once for each `before`, also after a refusal.
 * ctx     the last argument of both. It must live as long as calls or requests do.
 *
 * Both run inside the functions that make, end or answer the call. They may use the functions of
 * the request, and clients other than this one; of this client they call
 * ferry_interception_header(), ferry_post() and ferry_stop() only. Answers that a cache gives to a
 * memoised method are not calls: the caller's interceptor does not see them. */
typedef struct ferry_interceptor {
    int (*before)(ferry_interception *call, void *ctx);
    void (*after)(ferry_interception *call, const ferry_error *error, void *ctx);
    void *ctx;
} ferry_interceptor;

/**
 * Adds a header to a call, inside `before` of a caller's interceptor. It replaces a header of the
 * same name. The server reads it with ferry_request_header().
 *
 * @return 0, or
 *   -EINVAL  the call is a request, or is sent already; the name or value is not valid, or the call
 *            has 64 headers or 16 KiB of them;
 *   -ENOMEM  out of memory.
 */
int ferry_interception_header(ferry_interception *call, const char *name, const char *value);

/* Options of a client, or of another handle on it (ferry_with()).
 *
 * Here and in every options struct zero means the default, and reserved fields must be zero
 * (-EINVAL).
 *
 * In ferry_with() fields that are zero inherit the value of the handle it is made from. Headers are
 * added to the inherited ones; of two with the same name the new one wins. name, on_event, ctx and
 * the keys are used by ferry_open() only. */
typedef struct ferry_options {
    const char *name;     /* for people: `ferry sessions` shows it; at most 63 bytes. NULL: the
                           * program's name and process id */
    const char *instance; /* call only this instance of a service; NULL: any */
    uint32_t timeout_ms;  /* of each call: 1 to 3 600 000; 0: the method's own, else 30 000 */
    size_t n_headers;
    const ferry_header *headers; /* sent with each call; see ferry_header */
    ferry_cache *cache; /* stores answers of memoised methods: of the methods that are called, and
                         * of those that are served. Close the cache after the client */
    bool idempotent;    /* calls by name may run twice. If the server or the connection is lost, or
                         * the server is overloaded, they are retried, with growing pauses and
                         * within a budget; the broker moves them to another server. If no server
                         * is left, or the broker has just started, they wait for a server */
    bool wait_for_server; /* calls of a service that no server offers wait for one, until their
                           * deadline, instead of failing at once */
    bool wait_for_broker; /* calls and publishes made before the connection is up wait for it until
                           * their deadline, instead of 5 s at most; ferry_serve(),
                           * ferry_subscribe(), ferry_work() and ferry_ping() wait without limit,
                           * or until ferry_stop(), for programs that start before their broker */
    const ferry_interceptor *interceptor; /* sees each call; copied. NULL: none, and in ferry_with()
                                           * that of the handle it is made from */
    bool trace; /* calls, messages and jobs without a "traceparent" header begin a trace */
    void (*on_event)(int event, const ferry_error *error, void *ctx); /* FERRY_EVENT_… */
    void *ctx;                                                        /* argument of on_event */
    /* Encrypted connections over tcp://, see docs/security.md. Both or neither; used by
     * ferry_open() only. NULL: $FERRY_KEY and $FERRY_SERVER_KEY, which ipc:// does not use. */
    const char *key_file;   /* file with the client's keys, as `ferry key new` writes it */
    const char *server_key; /* the broker's public key: 64 hexadecimal digits */
    uint64_t reserved[3];
} ferry_options;

/* Traces follow W3C Trace Context: headers "traceparent" and "tracestate", in lower case.
 *
 * Calls through ferry_request_client() carry the trace of the request: the same trace id and flags,
 * and a new parent id, which is the same for everything sent on behalf of this request. This needs
 * no option. A malformed traceparent is dropped, together with its tracestate.
 *
 * With options.trace, each call, message and job without a traceparent begins a trace of its own,
 * sampled (flags 01). A request without one begins a trace for everything sent on its behalf. The
 * library sends no spans. A tracer can read ferry_request_header() and pass a traceparent of its
 * own in the headers of ferry_with(); that one wins. */

/* The confirmation of a push or publish. error is NULL: the broker has it; a job is then as safe as
 * its queue promises. */
typedef void (*ferry_done_fn)(const ferry_error *error, void *ctx);

/* Events for options.on_event. */
enum {
    FERRY_EVENT_UP = 1,  /* connected to the broker, for the first time or again */
    FERRY_EVENT_DOWN,    /* the connection was lost; the error says why */
    FERRY_EVENT_RETRY,   /* an attempt to connect failed; another one follows */
    FERRY_EVENT_REFUSED, /* after a reconnect the broker refused a service, subscription or worker;
                          * the client tries again every second */
    FERRY_EVENT_MISSED,  /* a subscription missed messages and has received nothing since */
    FERRY_EVENT_UNDESCRIBED, /* a service is served, but listed without its description; the error
                              * says what is wrong with the description */
    FERRY_EVENT_CLOSED /* the broker refused this client, and would do so again: there is no further
                        * attempt. ferry_run() and ferry_process() return the error */
};

/**
 * Opens a client. The connection to the broker is made in the background, and made again whenever
 * it is lost. The client then announces its services, subscriptions and workers again, and sends
 * unconfirmed pushes again.
 *
 * If the URL lists several brokers, calls, publishes and pushes go through one of them, and through
 * the next one as soon as it is lost. Calls that were not sent yet move silently, and idempotent
 * ones are repeated; other calls in flight end with ferry.ConnectionLost, and outcome_unknown.
 * Unconfirmed pushes are sent again with their ids: one broker stores none twice. The client begins
 * with a random broker; with "?prefer=local" at the end of the URL brokers of this machine come
 * first, with "?prefer=order" the first of the list does. docs/scaling.md says what each promise
 * means with several brokers.
 *
 * Returns at once. Calls and publishes made before the connection is up wait for it, 5 s at most
 * (see wait_for_broker); pushes wait without limit. ferry_ping() waits for the connection.
 *
 * @param url      "tcp://host:port" or "ipc://path"; with "zmq+" in front, libzmq carries the
 *                 connection. Or a list of at most 16 brokers: "tcp://a:5877,tcp://b:5877", see
 *                 below. NULL: $FERRY_URL, else tcp://127.0.0.1:5877.
 * @param options  NULL: all defaults. Copied.
 * @param ret      Receives the client; untouched on failure.
 * @param reterr   Receives the error; may be NULL.
 *
 * Ownership: ferry_close(*ret). Threads: any; afterwards one thread at a time uses the client.
 * One thread for all clients of a process keeps their sessions alive while callbacks compute. A
 * host name in the URL is looked up on another thread for each new connection, and all its
 * addresses are tried.
 *
 * @return 0, or
 *   -EINVAL  the URL, a name, an option or a key is invalid, or only one of the keys is given;
 *   -EACCES  other users can read the key file, or this one cannot;
 *   -ENOENT  there is no key file of this name;
 *   -EMFILE, -ENFILE  the process, or the system, has no descriptors left;
 *   -EAGAIN  the process may have no more threads;
 *   -ENOMEM  out of memory.
 */
int ferry_open(const char *url, const ferry_options *options, ferry_client **ret,
               ferry_error *reterr);

/**
 * Makes another handle on the same connection, with other defaults.
 *
 * Closing the handle ends everything that was started through it, and nothing else: calls fail with
 * -ECANCELED, and their servers are told; subscriptions, services and workers end. This is how a
 * call, or a group of calls, is cancelled.
 *
 * @param client   A handle. The new one inherits the deadline of the request that client belongs
 *                 to, if any.
 * @param options  The options that differ. NULL: all are inherited. Copied.
 * @param ret      Receives the handle; untouched on failure.
 * @param reterr   Receives the error; may be NULL.
 *
 * Ownership: ferry_close(*ret), before or after the client it was made from. Threads: the client's.
 *
 * @return 0, or
 *   -EINVAL     ret is NULL, or an option is invalid;
 *   -ECANCELED  client is closed;
 *   -ECHILD     client was opened before fork();
 *   -ENOMEM     out of memory.
 */
int ferry_with(ferry_client *client, const ferry_options *options, ferry_client **ret,
               ferry_error *reterr);

/**
 * Closes a client, or a handle of ferry_with().
 *
 * Callbacks that are still due run with -ECANCELED before it returns. Inside a callback, they run
 * and the connection ends after that callback has returned. Publishes, pushes and oneway calls that
 * the broker does not have yet get up to one second to reach it, also while the connection is still
 * being made; ferry_flush() waits longer, and reports failures. Unsettled jobs return to their
 * queues. Deferred requests and jobs must still be answered or settled: those functions then return
 * -ECANCELED and send nothing.
 *
 * @param client  NULL is allowed. In a child after fork() only the child's copy is freed.
 *
 * Threads: the client's.
 *
 * @return NULL, always.
 */
ferry_client *ferry_close(ferry_client *client);

/**
 * Waits for the connection, 5 s at most, and measures one round trip to the broker.
 *
 * @param client  A client; its timeout bounds the wait for the answer.
 * @param ret_us  Receives microseconds; may be NULL. Untouched on failure.
 * @param reterr  Receives the error; may be NULL.
 *
 * Threads: the client's.
 *
 * @return 0, or
 *   -ENOTCONN    no connection within 5 s: reterr says why the last attempt failed;
 *   -EACCES      the broker refused the client's key, has another key than server_key, or one of
 * the two has no key: reterr says which; -ETIMEDOUT   the broker did not answer in time;
 *   -ECONNRESET  the connection was lost meanwhile;
 *   -ECANCELED   client is closed;
 *   -ECHILD      client was opened before fork();
 *   -ENOMEM      out of memory.
 */
int ferry_ping(ferry_client *client, uint64_t *ret_us, ferry_error *reterr);

/* ---- registrations ---- */

/**
 * Ends a service, a worker or a subscription: a registration of ferry_serve(), ferry_work() or
 * ferry_subscribe(). Its handler is not called again after this function has returned.
 *
 * It drains the registration first: it tells the broker, and runs turns of the client until the
 * broker has confirmed, 1 s at most. In these turns, calls and messages that were on their way are
 * handled, and jobs that were on their way return to their queue. Requests and jobs that were
 * deferred are answered and settled afterwards, as usual.
 *
 * Inside a callback, and while the connection is down, it returns at once. Calls that are then
 * still on their way fail with ferry.NoSuchService, and messages are dropped.
 *
 * @param registration  NULL is allowed. Close it before its client: ferry_close() ends all
 *                      registrations of a client, and frees them.
 *
 * Threads: the client's.
 *
 * @return NULL, always.
 */
ferry_registration *ferry_registration_close(ferry_registration *registration);

/* ---- the loop ---- */

/**
 * Runs the client's callbacks until ferry_stop().
 *
 * After ferry_stop() it takes no new work: it withdraws its services and returns jobs that it has
 * not begun. It finishes the work in progress: it waits for deferred requests and jobs to be
 * answered or settled, and up to 5 s for pushes to be confirmed. A second ferry_stop() ends that
 * wait. The next ferry_run() announces services and workers again.
 *
 * A lost connection does not end it: the client reconnects. It ends with an error if the broker
 * refuses the client in a way that another attempt would not change: a key that it does not know, a
 * broken protocol.
 *
 * @param reterr  Receives the error; may be NULL.
 *
 * Threads: the client's.
 *
 * @return 0 after ferry_stop(), or when a callback closed the client (the client is then gone);
 *   -EACCES     the broker refused the client's key, has another key than server_key, or one of the
 *               two has no key: reterr says which;
 *   -EPROTO     the broker refused the client for another reason;
 *   -EINVAL     called inside a callback;
 *   -ECANCELED  client is closed;
 *   -ECHILD     client was opened before fork().
 */
int ferry_run(ferry_client *client, ferry_error *reterr);

/**
 * Ends ferry_run(); if it is not running, ends the next one. The thread of ferry_run() may then
 * close the client, even before this function has returned.
 *
 * Threads: any; also in a signal handler.
 *
 * @return 0, or
 *   -EINVAL  client is NULL;
 *   -ECHILD  client was opened before fork().
 */
int ferry_stop(ferry_client *client);

/**
 * Runs a function on the client's thread, in its next turn. Functions run in the order of the
 * posts.
 *
 * @param fn   Runs once, as a callback does. Functions that have not run when the client is closed
 *             are dropped.
 * @param ctx  The argument of fn.
 *
 * Threads: any, while the client is open.
 *
 * @return 0, or
 *   -EINVAL  client or fn is NULL;
 *   -ECHILD  client was opened before fork();
 *   -ENOMEM  out of memory.
 */
int ferry_post(ferry_client *client, void (*fn)(void *ctx), void *ctx);

/**
 * Returns the descriptor for an event loop of the program's own: one descriptor for the client's
 * life, level-triggered, deadlines included. When it is readable, call ferry_process(); nothing
 * else has to be watched. The descriptor belongs to ferry: do not read from it or close it.
 *
 * The first call puts the client in loop mode: what is sent leaves together in the next
 * ferry_process(), and the descriptor becomes readable at once. <ferry/adapters/libuv.h> and
 * <ferry/adapters/libev.h> do all this.
 *
 * Threads: the client's.
 *
 * @return the descriptor, or
 *   -ECANCELED  client is closed;
 *   -ECHILD     client was opened before fork();
 *   -EMFILE     the process has no descriptors left.
 */
int ferry_fd(ferry_client *client);

/**
 * Runs one bounded turn: receives, runs callbacks, sends. It never waits.
 *
 * @param reterr  Receives the error; may be NULL.
 *
 * Threads: the client's.
 *
 * @return 0, whether or not there was something to do; or
 *   -EACCES, -EPROTO  the broker refused the client for good: see ferry_run();
 *   -EINVAL     called inside a callback: callbacks never nest;
 *   -ECANCELED  client is closed;
 *   -ECHILD     client was opened before fork().
 */
int ferry_process(ferry_client *client, ferry_error *reterr);

/**
 * Holds back what is sent between the two, so that a hundred calls or messages leave in one packet
 * and cost little more than one. Pairs nest. Without them, outside loop mode and callbacks, each
 * send leaves at once. Blocking calls send what is held back.
 *
 * If the connection cannot take everything at the moment, the rest leaves with the next call of any
 * function that waits or processes.
 *
 * Threads: the client's.
 *
 * @return ferry_uncork(): 0, or
 *   -EINVAL     the client is not corked;
 *   -ECANCELED  client is closed;
 *   -ECHILD     client was opened before fork().
 */
void ferry_cork(ferry_client *client);
int ferry_uncork(ferry_client *client, ferry_error *reterr);

#ifdef __GNUC__
static inline void ferry_registration_close_auto(ferry_registration **registration) {
    ferry_registration_close(*registration);
}

static inline void ferry_close_auto(ferry_client **client) {
    ferry_close(*client);
}
#endif

#ifdef __GNUC__
#pragma GCC visibility pop
#endif

#ifdef __cplusplus
}
#endif

#endif
