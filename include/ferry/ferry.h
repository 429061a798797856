/*
 * ferry: call a remote procedure, publish to a topic, push a job down a pipeline.
 *
 * Six rules hold for every function here.
 *
 * 1. Results: 0, or a negative errno, repeated in error->code. A function named _next, _receive or
 *    _get reads as read(2) does: 1 for an item, 0 for none.
 *
 * 2. Memory in: what you pass is copied before the function returns, unless bytes.block is set.
 *
 * 3. Memory out: a pointer that ferry hands out is one block, whatever it holds. ferry_free() frees
 *    it. What a callback is given is only lent: ferry_keep() to hold it longer.
 *
 * 4. Threads: a client is used by one thread at a time; open one per thread. From any thread:
 *    ferry_post(), ferry_stop() (in a signal handler too) and everything on blocks. After fork()
 *    the child gets -ECHILD.
 *
 * 5. Callbacks run inside ferry_run(), ferry_process() and ferry_close() of their client, on that
 *    thread, never before the function that took them has returned. One answer means one call of
 *    the callback. If the function that took it failed, there is none. ctx is the last argument.
 *
 * 6. A blocking call inside a callback waits for its own answer alone. What else arrives is set
 *    aside and delivered afterwards: callbacks never nest.
 */
#ifndef FERRY_FERRY_H
#define FERRY_FERRY_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What is declared here is what the library exports. */
#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif

#define FERRY_VERSION_MAJOR 0
#define FERRY_VERSION_MINOR 1
#define FERRY_VERSION_PATCH 0
#define FERRY_VERSION       "0.1.0"

typedef struct ferry_client ferry_client;
typedef struct ferry_stream ferry_stream;
typedef struct ferry_subscription ferry_subscription;
typedef struct ferry_service ferry_service;
typedef struct ferry_cache ferry_cache;
typedef struct ferry_error_detail ferry_error_detail;

/* "0.1.0": of the library that runs, which may be newer than this header. */
const char *ferry_version(void);

/* ---- blocks and bytes ---- */

/**
 * Makes a block to fill and send without a copy.
 *
 * @param size  Bytes; 0 is allowed.
 *
 * Ownership: the caller's; ferry_free(). Threads: any.
 *
 * @return the memory, aligned as malloc() aligns, not zeroed; NULL: out of memory.
 */
void *ferry_alloc(size_t size);

/**
 * Holds a block longer: one more owner.
 *
 * Use the pointer that it returns. What was lent to a callback (a message, a reply, a job, a
 * request) is copied, small bodies with it: keeping 64 bytes takes 64 bytes and what belongs to
 * them, never the batch they came in. A large body is shared. A copy can be read, not answered.
 *
 * @param block  What ferry handed out or lent; NULL is allowed.
 *
 * Ownership: one ferry_free() for each ferry_keep(). Threads: any, but what is lent only within
 * its callback.
 *
 * @return the block to use from now on; NULL: out of memory, or block was NULL.
 */
const void *ferry_keep(const void *block);

/**
 * Gives up one ownership of a block; the last one frees it. What is only lent is left alone.
 *
 * @param block  What ferry handed out, or ferry_keep() returned; NULL is allowed.
 *
 * Threads: any.
 *
 * @return NULL, always: `p = ferry_free(p);`
 */
void *ferry_free(const void *block);

/* Bytes of somebody's. Passed in, they are copied before the function returns, unless block is set;
 * handed to a callback, they are lent with what they are in. */
typedef struct ferry_bytes {
    const void *data;
    size_t len;
    const void *block; /* NULL: copied when sent. Else the block around data: shared, not copied. */
} ferry_bytes;

static inline ferry_bytes ferry_bytes_of(const void *data, size_t len) {
    ferry_bytes bytes = {data, len, NULL};
    return bytes;
}

static inline ferry_bytes ferry_str(const char *text) {
    return ferry_bytes_of(text, strlen(text));
}

/* The first len bytes of what ferry_alloc() gave. */
static inline ferry_bytes ferry_shared(const void *block, size_t len) {
    ferry_bytes bytes = {block, len, block};
    return bytes;
}

/**
 * Makes bytes of memory of another kind (mmap, a pool) that can be sent without a copy.
 *
 * Until free_fn was called the memory must stay as it is.
 *
 * @param data     The memory; NULL only when len is 0.
 * @param len      Its bytes.
 * @param free_fn  Called once, when the last owner is gone, on ANY thread: it frees, and never
 * calls ferry. NULL: nothing is to be done.
 * @param ctx      For free_fn.
 * @param ret      Receives the bytes; ret->block is the caller's, ferry_free().
 *
 * Threads: any.
 *
 * @return 0; -EINVAL: data or ret is NULL; -ENOMEM: and free_fn will not be called.
 */
int ferry_wrap(const void *data, size_t len, void (*free_fn)(void *ctx), void *ctx,
               ferry_bytes *ret);

/* ---- errors ---- */

typedef struct ferry_error {
    int code;             /* what the function returned */
    bool outcome_unknown; /* sent but not answered: it may have happened */
    const char *type;     /* "ferry.DeadlineExceeded", "calc.DivisionByZero"; NULL: no error */
    const char *message;  /* for a person; never NULL beside a type */
    ferry_error_detail *detail;
} ferry_error;

/* Start with this. A function that fails clears what was there before: reuse never leaks. */
#define FERRY_ERROR_INIT                                                                           \
    { 0, false, NULL, NULL, NULL }

/* Frees what the error holds and makes it FERRY_ERROR_INIT again. NULL is fine. */
void ferry_error_clear(ferry_error *error);

/* What follows is lent until the error is cleared; NULL errors are fine. */

/* The error that led to this one, or NULL: it is the root. */
const ferry_error *ferry_error_cause(const ferry_error *error);

/* Who failed: "calc.Calc.div on host/4711". NULL: not known. */
const char *ferry_error_origin(const ferry_error *error);

/* The server's advice: milliseconds after which to try again; -1: none. */
int64_t ferry_error_retry_ms(const ferry_error *error);

/* Message, origin, trace and causes, a line each. Nothing when there is no error. */
void ferry_error_print(const ferry_error *error, FILE *to);

/* ---- clients ---- */

/* UTF-8; no name twice in one place. At most 64 in all, 16 KiB (-EINVAL). */
typedef struct ferry_header {
    const char *name;
    const char *value;
} ferry_header;

/* Here and in every options struct: zero means the default; reserved stays zero (-EINVAL).
 *
 * In ferry_with() what is zero is taken from the handle it is made of; headers are added to its
 * own, and win over those of the same name. name, on_event and ctx count in ferry_open() alone. */
typedef struct ferry_options {
    const char *name;     /* for people: `ferry sessions` shows it; at most 63 bytes. NULL: made of
                           * the program's name and process id */
    const char *instance; /* this instance of a service alone; NULL: any */
    uint32_t timeout_ms;  /* each call; 1 to 3 600 000; 0: the method's own, else 30 000 */
    size_t n_headers;
    const ferry_header *headers;
    ferry_cache *cache; /* remembers answers of memoised methods, of those that are called and of
                         * those that are served; to be closed after the client */
    bool idempotent;    /* calls by name may be made twice: they are retried, with growing pauses
                         * and within a budget, when a server or the connection was lost or the
                         * server is overloaded; the broker moves them to another server */
    bool trace;         /* what is sent without a header "traceparent" begins a trace: see below */
    void (*on_event)(int event, const ferry_error *error, void *ctx);
    void *ctx;
    uint64_t reserved[6];
} ferry_options;

/* Traces, as W3C Trace Context has them: headers "traceparent" and "tracestate", in small letters.
 *
 * Calls through ferry_request_client() carry the trace that the request belongs to: the same trace
 * id and flags, and a new parent id, one for all that is sent on behalf of this request. Nothing
 * has to be switched on for that. A traceparent that is malformed goes no further, nor does its
 * tracestate.
 *
 * With options.trace each call, message and job that has no traceparent begins a trace of its own,
 * sampled (flags 01); a request without one begins one for all that is sent on its behalf. Closing
 * the circle is up to a tracer: it reads ferry_request_header(), and may put a traceparent of its
 * own into the headers of ferry_with(), which wins. */

/* What on_event is told. */
enum {
    FERRY_EVENT_UP = 1,  /* connected to the broker, for the first time or again */
    FERRY_EVENT_DOWN,    /* the connection was lost; the error says why */
    FERRY_EVENT_RETRY,   /* an attempt to connect failed; another one follows */
    FERRY_EVENT_REFUSED, /* a service, subscription or worker was refused after a reconnection; it
                          * is tried again every second */
    FERRY_EVENT_MISSED,  /* a subscription has missed messages and none has come since */
    FERRY_EVENT_UNDESCRIBED /* a service is served, but listed without its description: the error
                             * says what is wrong with that */
};

/**
 * Opens a client: a connection to a broker, made in the background and made anew whenever it is
 * lost. Services, subscriptions and workers are then announced again, pushes without a
 * confirmation sent again.
 *
 * Takes no time. Calls and publishes made before the connection is up wait for it, 5 s at most;
 * pushes as long as it takes. ferry_ping() waits for it on purpose.
 *
 * @param url      "tcp://host:port" or "ipc://path". NULL: $FERRY_URL, else tcp://127.0.0.1:5877.
 * @param options  NULL: all defaults. Copied.
 * @param ret      Receives the client; untouched on failure.
 * @param reterr   Receives what went wrong; may be NULL, here and everywhere.
 *
 * Ownership: ferry_close(*ret). Threads: any; the client belongs to the one that uses it. libzmq
 * runs two threads of its own for all clients of a process; a host name in the url is looked up on
 * another one, each time that a connection is made, and all its addresses are tried.
 *
 * @return 0, or
 *   -EINVAL  the url, a name or an option is refused;
 *   -EMFILE  no descriptors left, -ENFILE likewise;
 *   -ENOMEM  out of memory.
 */
int ferry_open(const char *url, const ferry_options *options, ferry_client **ret,
               ferry_error *reterr);

/**
 * Makes another handle on the same connection, with other defaults.
 *
 * Closing it ends what was started through it, and only that: calls with -ECANCELED (the server is
 * told), subscriptions, services and workers. This is how a call, or a group of calls, is
 * cancelled.
 *
 * @param client   A handle; a deadline that it has inherited from a request goes on to the new one.
 * @param options  What is to differ. NULL: nothing.
 * @param ret      Receives the handle.
 *
 * Ownership: ferry_close(*ret), before or after the client it was made of.
 *
 * @return 0; -EINVAL: an option is refused; -ENOMEM; -ECHILD; -ECANCELED: client is closed.
 */
int ferry_with(ferry_client *client, const ferry_options *options, ferry_client **ret);

/**
 * Closes a client, or a handle of ferry_with().
 *
 * Runs the callbacks that remain, with -ECANCELED, before it returns. Inside a callback they run
 * when that one has returned, and so does the end of the connection. What waits to be sent has up
 * to a second to leave. Jobs that were not settled go back to their queues. Deferred requests and
 * jobs must be answered still; the answers get -ECANCELED and lead nowhere.
 *
 * @param client  NULL is fine. A child after fork() gives up its copy and touches nothing.
 *
 * @return NULL, always.
 */
ferry_client *ferry_close(ferry_client *client);

/**
 * Waits for the connection, 5 s at most, and measures the way to the broker and back.
 *
 * @param client  A client; its timeout counts.
 * @param ret_us  Receives microseconds; may be NULL.
 *
 * @return 0, or
 *   -ENOTCONN   no connection: reterr says why the last attempt failed;
 *   -ETIMEDOUT  the broker did not answer in time;
 *   -ECONNRESET the connection was lost meanwhile;
 *   -ECANCELED, -ECHILD, -ENOMEM.
 */
int ferry_ping(ferry_client *client, uint64_t *ret_us, ferry_error *reterr);

/* ---- the loop ---- */

/**
 * Runs the client: callbacks as their causes come, until ferry_stop().
 *
 * Then takes no more: services are withdrawn, jobs that were not begun given back. What was begun
 * is finished: requests and jobs that were deferred are waited for, and pushes for 5 s. A second
 * ferry_stop() ends that at once. Another ferry_run() announces services and workers again.
 *
 * It does not end when the connection is lost: it is made again.
 *
 * @return 0 after ferry_stop(), or when a callback closed the client (which is gone then);
 *   -EINVAL  called inside a callback;
 *   -ECANCELED, -ECHILD.
 */
int ferry_run(ferry_client *client, ferry_error *reterr);

/**
 * Ends ferry_run(), or the next one when none runs. Its thread may then close the client, whether
 * or not this function has returned yet.
 *
 * Threads: any; in a signal handler too.
 *
 * @return 0; -EINVAL: client is NULL; -ECHILD.
 */
int ferry_stop(ferry_client *client);

/**
 * Has a function run on the client's thread, in its next turn; in the order of the posts.
 *
 * @param fn   Runs once, as a callback does. After ferry_close() it does not run any more.
 * @param ctx  For fn.
 *
 * Threads: any, as long as the client is open.
 *
 * @return 0; -EINVAL: client or fn is NULL; -ECHILD, -ENOMEM.
 */
int ferry_post(ferry_client *client, void (*fn)(void *ctx), void *ctx);

/**
 * The descriptor to watch in a loop of the program's own: one for the client's life,
 * level-triggered, deadlines included. When it is readable, call ferry_process(); there is nothing
 * else to watch. It is ferry's: do not read from it, do not close it.
 *
 * Asking for it puts the client in loop mode: what is sent leaves together in the next
 * ferry_process(), for which the descriptor becomes readable at once. <ferry/adapters/libuv.h> and
 * libev.h do all this.
 *
 * @return the descriptor; -ECANCELED, -ECHILD, -EMFILE.
 */
int ferry_fd(ferry_client *client);

/**
 * One bounded turn: takes in what has come, runs callbacks, sends. Never waits.
 *
 * @return 0, whether or not there was something to do;
 *   -EINVAL  called inside a callback: callbacks never nest;
 *   -ECANCELED, -ECHILD.
 */
int ferry_process(ferry_client *client, ferry_error *reterr);

/**
 * Outside loop mode and callbacks every send leaves at once, except between these two: a hundred
 * calls or messages in one packet cost hardly more than one. They nest. Blocking calls send what
 * waits.
 *
 * What the connection cannot take at the moment leaves with the next call of any function that
 * waits or processes.
 *
 * @return of ferry_uncork(): 0; -EINVAL: more often than corked; -ECANCELED, -ECHILD.
 */
void ferry_cork(ferry_client *client);
int ferry_uncork(ferry_client *client, ferry_error *reterr);

/* ---- calls by name: for tools and tests; programs use generated functions ---- */

typedef struct ferry_reply {
    ferry_bytes body; /* one MessagePack value; len 0: the method returns nothing */
} ferry_reply;

/* One of reply and error is NULL. Both are lent: ferry_keep(reply). */
typedef void (*ferry_reply_fn)(const ferry_reply *reply, const ferry_error *error, void *ctx);

/**
 * Calls a method and waits for its answer.
 *
 * No callback runs meanwhile: what else arrives is set aside for the next turn. The call is made
 * once, unless options.idempotent says that it may be made again.
 *
 * @param client  A handle: its timeout, instance and headers count.
 * @param method  "calc.Calc.add": service and method, 3 to 255 bytes.
 * @param args    The arguments: one MessagePack list, not looked at here. At most the broker's
 *                max_body, 64 MiB.
 * @param ret     Receives the reply; may be NULL. Untouched on failure.
 *
 * Ownership: args stays the caller's; ferry_free(*ret).
 *
 * @return 0, or
 *   -EINVAL        the name is malformed (ferry.Misuse), or the server refused the arguments
 *                  (ferry.InvalidArgument): error.type says which;
 *   -EHOSTUNREACH  no server offers the service, or that instance of it;
 *   -ENOSYS        the service has no such method;
 *   -ETIMEDOUT     no answer within the timeout, or the inherited deadline;
 *   -ENOTCONN      no connection within 5 s: nothing was sent;
 *   -ECONNRESET    the connection, or the server, was lost during the call;
 *   -EBUSY         all servers are busy, and the line is full;
 *   -EREMOTEIO     an exception of the service's own: error.type names it;
 *   -EIO           the server failed without saying how;
 *   -EMSGSIZE      args is too large;
 *   -ECANCELED     the request on whose behalf it was made was cancelled, or client is closed;
 *   -ESHUTDOWN     the broker is being shut down;
 *   -ECHILD        the client was opened before fork();
 *   -ENOMEM        out of memory.
 * When error.outcome_unknown is set, it was sent, and may have happened.
 */
int ferry_call(ferry_client *client, const char *method, ferry_bytes args, ferry_reply **ret,
               ferry_error *reterr);

/**
 * Calls a method; fn hears of the answer.
 *
 * @param fn   Called once, in a turn to come or in ferry_close(): with the errors of ferry_call().
 *             Not called when this function fails.
 * @param ctx  For fn.
 *
 * @return 0, or -EINVAL, -EMSGSIZE, -ENOTCONN (the broker refuses us for good), -ETIMEDOUT (the
 * inherited deadline has passed), -EAGAIN (8 MiB wait to be sent), -ECANCELED, -ECHILD, -ENOMEM.
 */
int ferry_call_async(ferry_client *client, const char *method, ferry_bytes args, ferry_reply_fn fn,
                     void *ctx);

/**
 * ferry_call() with arguments by format: `ferry_callf(client, "calc.Calc.add", &reply, &error,
 * "ii", 2, 3)`.
 *
 * Formats: b bool (int)  i int32_t  l int64_t  u uint64_t  d double  s string, UTF-8
 *          y ferry_bytes  n nil  [..] list  {s.s.} map, keys as strings.
 * "ii" is two arguments, "[ii]" is one, a list of two.
 *
 * @return as ferry_call(); -EINVAL: the format is not understood.
 */
int ferry_callf(ferry_client *client, const char *method, ferry_reply **ret, ferry_error *reterr,
                const char *format, ...);

/**
 * Takes one MessagePack value apart: `ferry_unpack(reply->body, &error, "[is]", &n, &text)`.
 *
 * The formats of ferry_callf(), with pointers: int * for b, int32_t * for i, char ** for s (one
 * block each: ferry_free(); a string that holds a NUL is refused), ferry_bytes * for y (lent with
 * body); NULL skips a value. Lists must have as many elements as the format. In maps keys are
 * given, "{sisd}", "low", &low, "step", &step, and found in any order; others are skipped. A format
 * of several values, "ii", reads a list of them, as arguments are.
 *
 * @return 0, or
 *   -EINVAL  the format is not understood;
 *   -EPROTO  body is another value: reterr says what was expected, and where. What was read before
 *            that has been stored;
 *   -ENOMEM.
 */
int ferry_unpack(ferry_bytes body, ferry_error *reterr, const char *format, ...);

/* ---- streams, the caller's end ----
 *
 * A stream's timeout bounds the wait for the next item, or for credit to send one, not the whole.
 * Each direction begins with credit for 256 KiB, and a reader that waits for items gives up to 1
 * MiB: memory is bounded whatever the length.
 */

enum { FERRY_SEND = 1, FERRY_RECEIVE = 2 };

/**
 * Calls a method that takes items, yields items, or both.
 *
 * @param directions  FERRY_SEND, FERRY_RECEIVE, or both: as the method was declared.
 * @param ret         Receives the stream: ferry_stream_close().
 *
 * The rest as in ferry_call(); does not wait.
 */
int ferry_stream_open(ferry_client *client, const char *method, ferry_bytes args,
                      unsigned directions, ferry_stream **ret, ferry_error *reterr);

/**
 * The next item from the server; waits for it, unless the stream is watched.
 *
 * @param ret  Receives the item: lent until the next call on the stream.
 *
 * @return 1: *ret is an item. 0: the server has ended the stream in order. -EAGAIN: none is here,
 * and the stream is watched. Else as ferry_call(): the stream has failed, and stays so.
 */
int ferry_stream_next(ferry_stream *stream, ferry_bytes *ret, ferry_error *reterr);

/**
 * Sends an item; waits for credit, unless the stream is watched.
 *
 * @param item  At most max_body.
 *
 * @return 0; -EINVAL: this end has ended, or takes no items; -EAGAIN: no credit, or too much waits
 * to be sent, and the stream is watched; -ECANCELED: the server has ended the stream; -EMSGSIZE.
 * Else as ferry_call().
 */
int ferry_stream_send(ferry_stream *stream, ferry_bytes item, ferry_error *reterr);

/* No more items from us. The server may go on sending. 0, or as ferry_stream_send(). */
int ferry_stream_end(ferry_stream *stream, ferry_error *reterr);

/**
 * Waits for the method's own result, behind all items; items that were not taken are dropped.
 *
 * @param ret  Receives the result, lent until the stream is closed; may be NULL.
 *
 * @return 0, or as ferry_stream_next().
 */
int ferry_stream_result(ferry_stream *stream, ferry_bytes *ret, ferry_error *reterr);

/* Frees the stream; what has not ended is cancelled. Also in its own callback. Returns NULL. */
ferry_stream *ferry_stream_close(ferry_stream *stream);

/**
 * Makes the stream non-blocking: next and send say -EAGAIN, and fn says when to try again.
 *
 * fn is called in turns: once soon, then whenever an item, credit or the end has come, and when
 * there is room again for what was not taken.
 *
 * @return 0; -EINVAL: stream or fn is NULL.
 */
int ferry_stream_watch(ferry_stream *stream, void (*fn)(ferry_stream *stream, void *ctx),
                       void *ctx);

/**
 * A stdio file over the stream, which it takes over: fclose() ends and closes it.
 *
 * Reading gives the bytes of the items one after another; each write that stdio makes is an item.
 * fclose() of a file written to waits for the server's answer, and fails with it.
 *
 * @param mode  "r", "w" or "r+".
 *
 * @return NULL: errno says why, and the stream is still the caller's.
 */
FILE *ferry_stream_fopen(ferry_stream *stream, const char *mode);

/* ---- serving calls ----
 *
 * A handler answers once, with a _return, a _throw or ferry_request_fail(), and returns 0. If it
 * returns a negative errno instead, that is the answer. If it returns 0 and neither answered nor
 * deferred, a void method is answered and any other gets ferry.Internal: no caller waits for ever.
 */
typedef struct ferry_request {
    const char *method; /* "calc.Calc.div" */
    const char *caller; /* its name, for people; may be empty */
    ferry_bytes body;   /* the arguments: one MessagePack list */
} ferry_request;

typedef struct ferry_serve_options {
    uint32_t slots;   /* requests at once: 1 unless the handlers defer; at most 65 536 */
    bool bare_errors; /* its callers are outsiders: of an error they are told type, message, fields
                       * and when to try again, but not where it was thrown, by which process, and
                       * what led to it */
    const char *instance; /* NULL: made up */
    uint64_t reserved[4];
} ferry_serve_options;

/**
 * Offers a service. Returns when the broker has accepted or refused; handlers then run in turns,
 * and after every reconnection again, until ferry_stop(), ferry_close(), or the close of the
 * handle.
 *
 * @param service   The table that ferry-idl made, or one filled in by hand (<ferry/schema.h>). It,
 *                  and the handlers, must stay where they are.
 * @param handlers  For the table's functions.
 * @param options   NULL: one slot.
 * @param ctx       For the handlers.
 *
 * @return 0, or
 *   -EINVAL      a name or an option is refused;
 *   -EEXIST      another living client has that instance;
 *   -EACCES      the name is the broker's ("ferry.…");
 *   -EOPNOTSUPP  the table is of another version of ferry-idl;
 *   -ENOBUFS     the broker has too many services;
 *   -ENOTCONN, -ETIMEDOUT, -ECANCELED, -ECHILD, -ENOMEM.
 */
int ferry_serve(ferry_client *client, const ferry_service *service, const void *handlers,
                const ferry_serve_options *options, void *ctx, ferry_error *reterr);

/**
 * Offers one method by name; its handler reads the body itself. Several methods of a service may be
 * added one after another, but not inside a handler of that service; the largest slots counts. The
 * same name again replaces the handler.
 *
 * @param method  "calc.Calc.add".
 * @param fn      The handler: see above for how it answers.
 *
 * The rest, and what is returned, as ferry_serve().
 */
int ferry_serve_method(ferry_client *client, const char *method, const ferry_serve_options *options,
                       int (*fn)(ferry_request *request, void *ctx), void *ctx,
                       ferry_error *reterr);

/**
 * Keeps a request beyond its handler: it is to be answered later, by the same functions, on the
 * same thread. The request and its arguments live until then; it must be answered once, even when
 * cancelled or after ferry_close().
 *
 * @return the request, for use from now on; NULL: out of memory, or it is answered already.
 */
ferry_request *ferry_request_defer(ferry_request *request);

/**
 * A handle for calls on behalf of the request: they share its deadline, its headers and its
 * cancellation.
 *
 * @return the handle, lent until the request is answered; NULL: out of memory, or it is answered.
 */
ferry_client *ferry_request_client(ferry_request *request);

/* Milliseconds until its deadline; 0: it has passed. */
uint32_t ferry_request_left_ms(const ferry_request *request);

/* The value of a header, lent until the request is answered; NULL: there is none. */
const char *ferry_request_header(const ferry_request *request, const char *name);

/* Walks the headers: the name behind this one, which came from here; NULL: the first. NULL: there
 * are no more. Likewise of messages and jobs. */
const char *ferry_request_header_after(const ferry_request *request, const char *name);

/**
 * Is it cancelled, or past its deadline? A handler that computes hears of it only by asking. Looks
 * at the socket, at most once a millisecond; what else it finds there is set aside.
 */
bool ferry_request_cancelled(ferry_request *request);

/**
 * Answers with a result.
 *
 * @param result  One MessagePack value, not looked at here; {NULL, 0, NULL}: nothing.
 *
 * @return 0: also when the caller is gone, and nobody will see it;
 *   -EINVAL     answered already, or result has a length, but is NULL;
 *   -EMSGSIZE   larger than max_body: not answered yet;
 *   -ECANCELED  the client is closed: the request is gone all the same;
 *   -ENOMEM     not answered yet.
 */
int ferry_request_return(ferry_request *request, ferry_bytes result);

/* Where an error is thrown: it becomes a line of the error's trace. */
#define FERRY_HERE __FILE__, __LINE__, __func__

/**
 * Answers with the standard error of an errno, because a call of ours failed, or for any reason:
 * `ferry_request_fail(request, r, &error)`.
 *
 * @param code   Negative errno: -ENOMEM, or what the failed function returned. 0: the cause's.
 * @param cause  The error behind it, which the caller sees as the cause, and whose message becomes
 *               the answer's; NULL: none. Copied.
 *
 * @return as ferry_request_return().
 */
#define ferry_request_fail(...) ferry_request_fail_at(FERRY_HERE, __VA_ARGS__)
int ferry_request_fail_at(const char *file, int line, const char *func, ferry_request *request,
                          int code, const ferry_error *cause);

/**
 * Answers with an exception: `ferry_request_throw(request, "calc.TooBig", NULL, "%d is too big",
 * a)`. The caller sees type, message, file and line, and the cause.
 *
 * @return as ferry_request_return().
 */
#define ferry_request_throw(...) ferry_request_throw_at(FERRY_HERE, __VA_ARGS__)
int ferry_request_throw_at(const char *file, int line, const char *func, ferry_request *request,
                           const char *type, const ferry_error *cause, const char *format, ...);

/**
 * Says more about the failure that a request is about to be answered with, whichever function
 * answers it; with an answer that is none it has no effect.
 *
 *     return bank_throw_refused(ferry_request_because(request, &error), &(bank_refused){amount});
 *     return ferry_request_throw(ferry_request_retry_after(request, 500), "ferry.Overloaded", NULL,
 *                                "the disk is full");
 *
 * because      the error that led to it: the caller sees it, and what led to that, as its cause.
 *              Copied (if there is memory for it).
 * retry_after  advice to try again after so many milliseconds, no sooner. Callers with an
 *              idempotent method do so by themselves, within their deadline and budget; others read
 *              it with ferry_error_retry_ms().
 *
 * @return request.
 */
ferry_request *ferry_request_because(ferry_request *request, const ferry_error *cause);
ferry_request *ferry_request_retry_after(ferry_request *request, uint32_t ms);

/**
 * Streams, the server's end: sends an item to the caller; waits for credit, unless the request is
 * watched.
 *
 * @return 0; -EAGAIN: no credit, or too much waits to be sent, and it is watched; -ECANCELED: the
 * caller wants no more; -ECONNRESET: the connection was lost; -ETIMEDOUT: no credit in time;
 * -EINVAL: no stream, or answered; -EMSGSIZE.
 */
int ferry_request_yield(ferry_request *request, ferry_bytes item);

/**
 * The next item from the caller; waits for it, unless the request is watched.
 *
 * @param ret  Receives the item: lent until the next call with this request.
 *
 * @return 1: *ret is an item. 0: the caller sends no more. Else as ferry_request_yield().
 */
int ferry_request_receive(ferry_request *request, ferry_bytes *ret);

/**
 * Makes a deferred request's streams non-blocking; fn is called in turns whenever an item, credit
 * or the end has come, when there is room again for what was not taken, and when the request is
 * cancelled, also for one without streams.
 *
 * @return 0; -EINVAL.
 */
int ferry_request_watch(ferry_request *request, void (*fn)(ferry_request *request, void *ctx),
                        void *ctx);

/* ---- topics ---- */

#define FERRY_MISSED_UNKNOWN UINT64_MAX

typedef struct ferry_message {
    const char *topic;
    uint64_t seq;    /* counts the subscription's messages from 1, missed ones included */
    uint64_t missed; /* messages lost to us since the one before; FERRY_MISSED_UNKNOWN */
    ferry_bytes body;
} ferry_message;

typedef struct ferry_publish_options {
    bool retain; /* kept for later subscribers, in place of the one before */
    size_t n_headers;
    const ferry_header *headers;
    uint64_t reserved[4];
} ferry_publish_options;

typedef struct ferry_subscribe_options {
    const char *group; /* each message goes to one member of it; a name as of a topic */
    uint32_t last;     /* first the last n, of those that the broker keeps: 1 000 at most */
    uint32_t reserved32;
    uint64_t reserved[4];
} ferry_subscribe_options;

/* The message is lent: ferry_keep(message). */
typedef void (*ferry_message_fn)(const ferry_message *message, void *ctx);

/**
 * Publishes a message to all who subscribed to its topic. Never waits; nobody confirms.
 *
 * Before the connection is up, and for 5 s after it was lost, messages wait for it.
 *
 * @param topic    "orders.new": 1 to 255 bytes, tokens between dots.
 * @param body     Any bytes, at most max_body.
 * @param options  NULL: none. retain: the last one is kept for later subscribers; an empty body
 *                 deletes it.
 *
 * @return 0, or
 *   -EAGAIN    4 MiB wait to be sent: the connection is slower than we are. Process, and try again;
 *   -EINVAL    the topic, the body or an option is malformed;
 *   -EACCES    the topic is the broker's ("ferry.…");
 *   -EMSGSIZE  larger than max_body;
 *   -ENOTCONN  no connection for 5 s;
 *   -ECANCELED, -ECHILD, -ENOMEM.
 */
int ferry_publish(ferry_client *client, const char *topic, ferry_bytes body,
                  const ferry_publish_options *options, ferry_error *reterr);

/**
 * Subscribes. Returns when the broker has accepted or refused: what is published after that is
 * seen, or counted in message.missed. fn runs in turns; retained and replayed messages come first.
 *
 * After a lost connection the subscription goes on; what was missed meanwhile is counted, for up to
 * 60 s: then, or after a restart of the broker, missed is FERRY_MISSED_UNKNOWN.
 *
 * @param pattern  A topic; a token may be '*' (any one), the last one '>' (one or more).
 * @param options  NULL: none.
 * @param fn       Called for each message.
 * @param ret      Receives the subscription; NULL: it lasts until ferry_close().
 *
 * @return 0, or
 *   -EINVAL   the pattern or an option is malformed, or fn is NULL;
 *   -ENOBUFS  too many subscriptions in this session;
 *   -ENOTCONN, -ETIMEDOUT, -ECANCELED, -ECHILD, -ENOMEM.
 */
int ferry_subscribe(ferry_client *client, const char *pattern,
                    const ferry_subscribe_options *options, ferry_message_fn fn, void *ctx,
                    ferry_subscription **ret, ferry_error *reterr);

/* Ends it: fn is not called any more. Also in its own callback. NULL is fine. Before ferry_close()
 * of its client, which ends it too. Returns NULL. */
ferry_subscription *ferry_unsubscribe(ferry_subscription *subscription);

/**
 * Asks every subscriber of a topic, and waits window_ms for their answers.
 *
 * fn is called once for each answer, inside this function: the one exception to rule 5, as in
 * qsort(). message.seq counts the answers.
 *
 * @param window_ms  1 to 60 000.
 *
 * @return 0 at the end of the window, however many answered;
 *   -EINVAL, -ENOTCONN, -ECONNRESET (lost meanwhile), -EMSGSIZE, -ECANCELED, -ECHILD, -ENOMEM.
 */
int ferry_gather(ferry_client *client, const char *topic, ferry_bytes question, uint32_t window_ms,
                 ferry_message_fn fn, void *ctx, ferry_error *reterr);

/* The value of a header, lent with the message; NULL: there is none. */
const char *ferry_message_header(const ferry_message *message, const char *name);
const char *ferry_message_header_after(const ferry_message *message, const char *name);

/**
 * Answers a question, inside the callback that got it.
 *
 * @return 0: late answers are dropped by the broker;
 *   -EINVAL      the message is no question, or a copy;
 *   -ECONNRESET  the session that it came in is gone;
 *   -EAGAIN, -ECANCELED, -ENOMEM.
 */
int ferry_message_answer(const ferry_message *message, ferry_bytes answer);

/* ---- queues ---- */

typedef struct ferry_push_options {
    const char *key;   /* 1 to 255 bytes: while the queue remembers it (2 min, or as configured)
                        * another job with it is confirmed, but not stored; NULL: none */
    uint64_t delay_ms; /* delivered no earlier; ten years at most */
    uint64_t ttl_ms;   /* not with a worker by then: to the dead letters; ten years at most; 0: the
                        * queue's own */
    uint32_t priority; /* 0 to 9, higher first */
    uint32_t reserved32;
    size_t n_headers;
    const ferry_header *headers;
    uint64_t reserved[4];
} ferry_push_options;

typedef struct ferry_work_options {
    uint32_t slots; /* jobs at once: 1 unless the handler defers; at most 65 536 */
    uint32_t reserved32;
    uint64_t reserved[4];
} ferry_work_options;

typedef struct ferry_job {
    const char *queue;
    const char *id;   /* of the broker's, in decimal; the same in each attempt */
    uint32_t attempt; /* from 1 */
    ferry_bytes body;
} ferry_job;

/* 0: acknowledged. Negative errno: retried after the queue's back-off. Or settle it yourself, once.
 * The job is lent. */
typedef int (*ferry_job_fn)(ferry_job *job, void *ctx);

/* error is NULL: confirmed, as safe as the queue promises. */
typedef void (*ferry_done_fn)(const ferry_error *error, void *ctx);

/**
 * Pushes a job and waits until it is as safe as the queue promises.
 *
 * When the connection is lost meanwhile it is sent again; the broker stores it once.
 *
 * @param queue    1 to 250 bytes, a name as of a topic. A queue comes into being with its first job
 *                 or worker.
 * @param body     Any bytes, at most max_body.
 * @param options  NULL: none.
 *
 * @return 0, or
 *   -EINVAL     the name, the body or an option is malformed;
 *   -ENOBUFS    the queue is full;
 *   -EACCES     the name is the broker's;
 *   -ETIMEDOUT  not confirmed in time, -ENOTCONN no connection within 5 s: error.outcome_unknown
 *               says whether it may have been stored;
 *   -EMSGSIZE, -ESHUTDOWN, -ECANCELED, -ECHILD, -ENOMEM.
 */
int ferry_push(ferry_client *client, const char *queue, ferry_bytes body,
               const ferry_push_options *options, ferry_error *reterr);

/**
 * Pushes a job; fn hears of the confirmation, in a turn. It is kept, and sent again after a lost
 * connection, until then; there is no deadline.
 *
 * @param fn  NULL: ferry_flush() reports the first failure.
 *
 * @return 0, or
 *   -EAGAIN  65 536 pushes, or 64 MiB of them, are not confirmed yet, or 4 MiB wait to be sent:
 *            process, or flush, and try again;
 *   -EINVAL, -EMSGSIZE, -ECANCELED, -ECHILD, -ENOMEM.
 */
int ferry_push_async(ferry_client *client, const char *queue, ferry_bytes body,
                     const ferry_push_options *options, ferry_done_fn fn, void *ctx);

/**
 * Waits until all pushes made so far are confirmed or refused, and what was published so far has
 * left and is taken by the broker. What a lost connection took with it is not published again.
 *
 * @return 0; the code of the first failure, since the last flush, of a push without a callback;
 * -ETIMEDOUT: not all were confirmed within the client's timeout: they are still being tried;
 * -ENOTCONN: something was published, and there is no connection within 5 s; -ECONNRESET: the
 * connection was lost meanwhile, and perhaps what was published with it.
 */
int ferry_flush(ferry_client *client, ferry_error *reterr);

/**
 * Works on the jobs of a queue. Returns when the broker has accepted or refused; fn then runs in
 * turns, until ferry_stop(), ferry_close(), or the close of the handle.
 *
 * A job is ours as long as the connection lasts, and half a second longer; it may take hours. After
 * a reconnection in time it still is. A lost client never settles: its jobs come again elsewhere.
 *
 * @param options  NULL: one job at a time.
 *
 * @return 0, or -EINVAL, -EACCES, -ENOBUFS, -ENOTCONN, -ETIMEDOUT, -ECANCELED, -ECHILD, -ENOMEM.
 */
int ferry_work(ferry_client *client, const char *queue, const ferry_work_options *options,
               ferry_job_fn fn, void *ctx, ferry_error *reterr);

/**
 * Each of these settles the job, once; the job is gone afterwards, unless its handler still runs.
 *
 * ack      done.
 * retry    again after delay_ms; 0: the queue's back-off. Dead after the queue's max_attempts.
 * reject   to the dead-letter queue, at once.
 * forward  done, and a job pushed to another queue, in one step of the broker's. The job's headers
 *          go along. Forwarding job->body itself copies nothing when its block is set. A refused
 *          forward (full, forbidden) comes back as a retry.
 *
 * @param reason  For people, at most 1 024 bytes; NULL: none.
 *
 * @return 0, or
 *   -EINVAL     settled already, or a copy, or an argument is malformed;
 *   -EMSGSIZE   the body is larger than max_body: not settled yet;
 *   -ECANCELED  the client is closed: the job is gone, and comes again elsewhere;
 *   -ENOMEM     not settled yet.
 */
int ferry_job_ack(ferry_job *job);
int ferry_job_retry(ferry_job *job, uint64_t delay_ms, const char *reason);
int ferry_job_reject(ferry_job *job, const char *reason);
int ferry_job_forward(ferry_job *job, const char *queue, ferry_bytes body,
                      const ferry_push_options *options);

/**
 * Keeps a job beyond its handler: it is to be settled later, on the same thread, even after
 * ferry_close(). Slots bound how many.
 *
 * @return the job, for use from now on; NULL: out of memory, or it is settled already.
 */
ferry_job *ferry_job_defer(ferry_job *job);

/* So many milliseconds from now on, instead of what is left: only where the queue has a time limit.
 * 0; -EINVAL: ms is 0, or the job is settled; -ECANCELED: the client is closed; -ENOMEM. */
int ferry_job_extend(ferry_job *job, uint64_t ms);

/* The value of a header, lent until the job is settled; NULL: there is none. */
const char *ferry_job_header(const ferry_job *job, const char *name);
const char *ferry_job_header_after(const ferry_job *job, const char *name);

/* ---- FERRY_AUTO(ferry_close) ferry_client *client = NULL; ---- */
#ifdef __GNUC__
#define FERRY_AUTO(free_fn) __attribute__((__cleanup__(free_fn##_at)))
static inline void ferry_close_at(ferry_client **client) {
    ferry_close(*client);
}
static inline void ferry_free_at(void *block) {
    ferry_free(*(void **)block);
}
static inline void ferry_error_clear_at(ferry_error *error) {
    ferry_error_clear(error);
}
static inline void ferry_stream_close_at(ferry_stream **stream) {
    ferry_stream_close(*stream);
}
static inline void ferry_unsubscribe_at(ferry_subscription **subscription) {
    ferry_unsubscribe(*subscription);
}
#endif

#ifdef __GNUC__
#pragma GCC visibility pop
#endif

#ifdef __cplusplus
}
#endif
#endif
