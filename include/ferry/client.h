/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clients: connections to a broker, with their options, handles and loop.
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

/* A call, as passed to an interceptor. Lent from the start of `before` to the end of `after`. */
typedef struct ferry_interception {
    const char *method;            /* "calc.Calc.add" */
    struct ferry_request *request; /* the request that is served; NULL: a call of this client */
    uint64_t elapsed_us; /* in `after`: microseconds since `before` began; in `before`: 0 */
    void *state;         /* for the interceptor itself: `before` may set it, and `after` reads it */
} ferry_interception;

/* Two functions around each call of a handle (ferry_options.interceptor), or around each request of
 * a service (ferry_serve_options.interceptor): for headers, traces, measurements, access checks.
 * Each may be NULL.
 *
 * before  runs before the call is sent, once for all of its attempts, or before the request's
 *         handler begins. If it returns 0, the call or the handler follows. If it returns a
 *         negative errno, the call is not sent and fails with the standard error of that errno, or
 *         the handler does not run and the request is answered with that error. In front of a
 *         handler, `before` may also answer the request itself, for example with
 *         ferry_request_throw().
 * after   runs when the call has its answer, or the request has been answered. error is lent, and
 *         NULL after success. `after` runs once for each `before`, also after a refusal.
 * ctx     the last argument of both. It must stay valid as long as there are calls or requests.
 *
 * Both run inside the functions that make, end or answer the call. They may use the functions of
 * the request, and other clients. On this client they may only call ferry_interception_header(),
 * ferry_post() and ferry_stop(). If a cache has the answer of a memoised method, there is no call,
 * and the caller's interceptor does not run. */
typedef struct ferry_interceptor {
    int (*before)(ferry_interception *call, void *ctx);
    void (*after)(ferry_interception *call, const ferry_error *error, void *ctx);
    void *ctx;
} ferry_interceptor;

/**
 * Adds a header to a call. Call it inside `before` of a caller's interceptor. It replaces a header
 * of the same name. The server reads it with ferry_request_header().
 *
 * @return 0, or
 *   -EINVAL  the call is a request, or is sent already; the name or value is not valid, or the call
 *            has 64 headers or 16 KiB of them;
 *   -ENOMEM  out of memory.
 */
int ferry_interception_header(ferry_interception *call, const char *name, const char *value);

/* Values of ferry_options.prefer: the same as "?prefer=" at the end of a URL. */
enum {
    FERRY_PREFER_ANY,   /* the first broker is a random one */
    FERRY_PREFER_LOCAL, /* brokers of this machine come first */
    FERRY_PREFER_ORDER, /* the first broker is the first one of the list */
};

/* Options of a client, or of another handle on it (ferry_with()).
 *
 * In this and in every options struct a field of zero means its default, and reserved fields must
 * be zero (otherwise: -EINVAL).
 *
 * In ferry_with() fields that are zero inherit the value of the handle it is made from. Headers are
 * added to the inherited headers, and replace inherited headers of the same name. Only ferry_open()
 * uses name, on_event, ctx, the keys and prefer. */
typedef struct ferry_options {
    const char *name;     /* for people: `ferry sessions` shows it; at most 63 bytes. NULL: the
                           * program's name and process id */
    const char *instance; /* call only this instance of a service; NULL: any */
    /* Of each call: 1 to 3 600 000; 0: the timeout of the method; 30 000 if the method has no
     * timeout. */
    uint32_t timeout_ms;
    size_t n_headers;
    const ferry_header *headers; /* sent with each call; see ferry_header */
    /* Stores answers of memoised methods, both of methods that this client calls and of methods
     * that it serves. Close the cache after the client. */
    ferry_cache *cache;
    /* Calls by name may run twice. If the server or the connection is lost, or the server is
     * overloaded, they are retried, with growing pauses and within a budget, and the broker
     * moves them to another server. They wait if no server is left, or if the broker has just
     * started. */
    bool idempotent;
    /* If no server offers the service, calls wait for a server until their deadline, instead of
     * failing at once. */
    bool wait_for_server;
    /* For programs that start before their broker: before the connection is up, calls and
     * publishes wait for it until their deadline, instead of at most 5 s. ferry_serve(),
     * ferry_subscribe(), ferry_work() and ferry_ping() wait without limit, or until ferry_stop().
     */
    bool wait_for_broker;
    /* If a server takes direct calls, calls go straight to it and not through the broker: see
     * ferry_serve_options.listen and docs/scaling.md. */
    bool direct;
    /* Runs around each call; copied. NULL: no interceptor, or in ferry_with() the inherited one. */
    const ferry_interceptor *interceptor;
    bool trace; /* calls, messages and jobs without a "traceparent" header start a trace */
    void (*on_event)(int event, const ferry_error *error, void *ctx); /* FERRY_EVENT_… */
    void *ctx;                                                        /* argument of on_event */
    /* Keys for encrypted connections over tcp://, see docs/security.md. Set both or neither. Only
     * ferry_open() uses them. NULL: the values of $FERRY_KEY and $FERRY_SERVER_KEY, which ipc://
     * ignores. */
    const char *key_file;   /* file with the client's keys, as `ferry key new` writes it */
    const char *server_key; /* the broker's public key: 64 hexadecimal digits */
    /* Which broker of a URL that lists several is used first, unless the URL ends in "?prefer=".
     * Only ferry_open() uses it. */
    uint32_t prefer; /* FERRY_PREFER_… */
    uint32_t reserved32;
    uint64_t reserved[2];
} ferry_options;

/* Traces follow W3C Trace Context: headers "traceparent" and "tracestate", in lower case.
 *
 * Calls through ferry_request_client() carry the trace of the request: the same trace id and flags,
 * and a new parent id, which is the same for all messages sent on behalf of this request. It works
 * without any option. A malformed traceparent is dropped, together with its tracestate.
 *
 * With options.trace, each call, message and job without a traceparent starts a trace of its own,
 * marked as sampled (flags 01). A request without a traceparent starts a trace for all messages
 * sent on its behalf. The library sends no spans. A tracer can read ferry_request_header() and pass
 * its own traceparent in the headers of ferry_with(), which then replaces the library's. */

/* The confirmation of a push or publish. If error is NULL, the broker has the job or message, and a
 * job is as safe as its queue promises. */
typedef void (*ferry_done_fn)(const ferry_error *error, void *ctx);

/* Events for options.on_event. */
enum {
    FERRY_EVENT_UP = 1,  /* the client is connected to the broker, for the first time or again */
    FERRY_EVENT_DOWN,    /* the connection was lost; the error says why */
    FERRY_EVENT_RETRY,   /* an attempt to connect failed; another one follows */
    FERRY_EVENT_REFUSED, /* after a reconnect the broker refused a service, subscription or worker;
                          * the client tries again every second */
    FERRY_EVENT_MISSED,  /* a subscription missed messages and has received no message since */
    /* A service is served, but listed without its description; the error has the problem of the
     * description. */
    FERRY_EVENT_UNDESCRIBED,
    /* The broker refused this client, and the client makes no further attempt, because the broker
     * would refuse it again. ferry_run() and ferry_process() return the error. If the URL has
     * several brokers and others accept the client, they do not return it: services, workers and
     * subscriptions are at the other brokers, and the client asks this one again after 30 s. */
    FERRY_EVENT_CLOSED
};

/**
 * Opens a client. It connects to the broker in the background, and reconnects each time that the
 * connection is lost. Then it announces its services, subscriptions and workers again, and sends
 * unconfirmed pushes again.
 *
 * If the URL lists several brokers, calls, publishes and pushes go through one of them. When that
 * broker is lost, they go through the next one. Calls that were not sent yet move to it, and
 * idempotent calls are repeated. Other calls in flight end with ferry.ConnectionLost and
 * outcome_unknown. Unconfirmed pushes are sent again with their ids, so one broker stores each of
 * them once. The client begins with a random broker. "?prefer=local" at the end of the URL puts
 * brokers of this machine first, and "?prefer=order" begins with the first one of the list; the end
 * of the URL has precedence over options.prefer.
 * Services, workers and subscriptions are at each broker of the list, in a session of its own.
 * docs/scaling.md describes each promise with several brokers.
 *
 * Returns at once. Before the connection is up, calls and publishes wait for it, at most 5 s (see
 * wait_for_broker). Pushes wait without limit. ferry_ping() waits for the connection.
 *
 * @param url      "tcp://host:port" or "ipc://path"; with "zmq+" in front, the client uses libzmq
 *                 for the connection. Or a list of at most 16 brokers: "tcp://a:5877,tcp://b:5877".
 *                 Or the name of a list: "tcp+dns://name:port", where each address of the name is a
 *                 broker, or "tcp+srv://name", where the SRV records of _ferry._tcp.name have the
 *                 brokers. NULL: the value of $FERRY_URL, or tcp://127.0.0.1:5877 if it is not set.
 * @param options  NULL: all defaults. Copied.
 * @param ret      Receives the client; untouched on failure.
 * @param reterr   Receives the error; may be NULL.
 *
 * Ownership: ferry_close(*ret). Threads: any; afterwards only one thread at a time may use the
 * client. The library runs one thread for all clients of a process, which keeps their sessions
 * alive while callbacks compute. A host name in the URL is looked up on another thread for each new
 * connection, and all its addresses are tried. The name of a list is looked up on another thread,
 * too: at the start, after each lost connection, and each 30 s while the client has services,
 * workers or subscriptions.
 *
 * @return 0, or
 *   -EINVAL  the URL, a name, an option or a key is invalid, or only one of the keys is given;
 *   -EACCES  other users can read the key file, or this user cannot;
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
 * Closing the handle ends only calls and registrations that were started through it: calls fail
 * with -ECANCELED, and their servers are told; subscriptions, services and workers end. This is how
 * a call, or a group of calls, is cancelled.
 *
 * @param client   A handle. If client belongs to a request, the new handle inherits the deadline of
 *                 that request.
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
 * Pending callbacks run with -ECANCELED before it returns. If it is called inside a callback, the
 * pending callbacks run, and the connection ends, after that callback has returned. Publishes,
 * pushes and oneway calls that the broker does not have yet get up to one second to reach it, also
 * while the client is still connecting. ferry_flush() waits longer, and reports failures. Unsettled
 * jobs return to their queues. Deferred requests and jobs must still be answered or settled; the
 * functions for this then return -ECANCELED and send nothing.
 *
 * @param client  NULL is allowed. In a child after fork() only the child's copy is freed.
 *
 * Threads: the client's.
 *
 * @return NULL, always.
 */
ferry_client *ferry_close(ferry_client *client);

/**
 * Waits for the connection, at most 5 s, and measures one round trip to the broker.
 *
 * @param client  A client. Its timeout limits the wait for the answer.
 * @param ret_us  Receives microseconds; may be NULL. Untouched on failure.
 * @param reterr  Receives the error; may be NULL.
 *
 * Threads: the client's.
 *
 * @return 0, or
 *   -ENOTCONN    no connection within 5 s: reterr says why the last attempt failed;
 *   -EACCES      the broker refused the client's key, has another key than server_key, or one of
 *                the two has no key: reterr says which;
 *   -ETIMEDOUT   the broker did not answer in time;
 *   -ECONNRESET  the connection was lost meanwhile;
 *   -ECANCELED   client is closed;
 *   -ECHILD      client was opened before fork();
 *   -ENOMEM      out of memory.
 */
int ferry_ping(ferry_client *client, uint64_t *ret_us, ferry_error *reterr);

/* ---- registrations ---- */

/**
 * Ends a registration: a service of ferry_serve(), a worker of ferry_work() or a subscription of
 * ferry_subscribe(). After this function has returned, the handler is not called again.
 *
 * It drains the registration first: it tells the broker, and runs turns of the client until the
 * broker has confirmed, at most 1 s. In these turns the client handles calls and messages that the
 * broker had already sent, and returns jobs that it had already sent to their queue. The program
 * answers deferred requests and settles deferred jobs afterwards, as usual.
 *
 * Inside a callback, and while the connection is down, it returns at once. Calls that arrive later
 * then fail with ferry.NoSuchService, and messages that arrive later are dropped.
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
 * not begun. It finishes the work in progress: it waits until deferred requests are answered and
 * deferred jobs are settled, and at most 5 s for the confirmations of pushes. A second ferry_stop()
 * ends that wait. The next ferry_run() announces services and workers again.
 *
 * A lost connection does not end it: the client reconnects. It ends with an error if the broker
 * refuses the client for a reason that another attempt would not change, for example an unknown key
 * or a violation of the protocol.
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
 * Runs a function on the client's thread, in its next turn. Functions run in the order in which
 * they were posted.
 *
 * @param fn   Runs once, like a callback. Closing the client drops functions that have not run yet.
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
 * Returns a descriptor for the program's own event loop. It is level-triggered, stays the same
 * while the client is open, and also becomes readable when a deadline passes. When it is readable,
 * call ferry_process(). The program need not watch anything else. The descriptor belongs to ferry:
 * do not read from it or close it.
 *
 * The first call puts the client in loop mode: messages that the program sends make the descriptor
 * readable at once, and leave together in the next ferry_process(). <ferry/adapters/libuv.h> and
 * <ferry/adapters/libev.h> do all of this.
 *
 * Threads: the client's.
 *
 * @return the descriptor, or
 *   -ECANCELED  client is closed;
 *   -ECHILD     client was opened before fork();
 *   -EMFILE     the process has no descriptors left.
 */
int ferry_fd(ferry_client *client);

enum { FERRY_BROKER_ID = 16 }; /* bytes */

/**
 * Writes the id of the broker that the client has a session with: FERRY_BROKER_ID random bytes that
 * the broker makes when it starts. So two URLs with the same id lead to one broker.
 *
 * Threads: the client's.
 *
 * @return 0, or
 *   -ENOTCONN   there is no session now;
 *   -ECANCELED  client is closed;
 *   -ECHILD     client was opened before fork().
 */
int ferry_broker_id(ferry_client *client, uint8_t ret_id[FERRY_BROKER_ID]);

/**
 * Runs one bounded turn: receives, runs callbacks, sends. It never waits.
 *
 * @param reterr  Receives the error; may be NULL.
 *
 * Threads: the client's.
 *
 * @return 0, also if there was no work; or
 *   -EACCES, -EPROTO  the broker refused the client for good: see ferry_run();
 *   -EINVAL     called inside a callback: callbacks never nest;
 *   -ECANCELED  client is closed;
 *   -ECHILD     client was opened before fork().
 */
int ferry_process(ferry_client *client, ferry_error *reterr);

/**
 * Holds messages back between ferry_cork() and ferry_uncork(), so that a hundred calls or messages
 * leave in one packet and cost little more than one. Pairs of them nest. Without them, and outside
 * loop mode and callbacks, each message leaves at once. Blocking calls send the messages that are
 * held back.
 *
 * If the connection has no room for all of them, the rest leaves with the next call of any function
 * that waits or processes.
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
