/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Services: handlers, requests and answers.
 *
 * A handler answers its request once, with a _return function, a _throw function or
 * ferry_request_fail(), and returns 0. If it returns a negative errno and has not answered, the
 * library answers with the standard error of that errno. If it returns 0 and has neither answered
 * nor deferred the request, the library answers: a void method succeeds, and any other method fails
 * with ferry.Internal. So every caller gets an answer.
 *
 * Threads: requests belong to the client's thread. Call every function of this header on that
 * thread.
 */
#ifndef FERRY_SERVE_H
#define FERRY_SERVE_H

#include <ferry/client.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif

/* A request. It is lent to its handler: to keep it, see ferry_request_defer(). */
typedef struct ferry_request {
    const char *method; /* "calc.Calc.div" */
    const char *caller; /* the caller's client name, for people; may be empty */
    ferry_bytes body;   /* the arguments: one MessagePack list */
} ferry_request;

typedef struct ferry_serve_options {
    /* Requests at once, at most 65 536; 0: 1. More than 1 is useful only for handlers that defer.
     */
    uint32_t slots;
    /* For callers outside the organisation: errors contain only type, message, fields and retry
     * advice, without file, line, process and causes. */
    bool redact_errors;
    bool not_ready;       /* the service starts as not ready: see ferry_service_ready() */
    const char *instance; /* a name for this server, so that callers can choose it; NULL: the
                           * library makes one */
    /* "tcp://HOST:PORT" or "ipc://PATH": callers with ferry_options.direct connect there, see
     * docs/scaling.md. Port * is any free port, host * means all addresses. NULL: all calls come
     * through the broker. */
    const char *listen;
    /* Runs around each request of the service; copied. NULL: no interceptor. */
    const ferry_interceptor *interceptor;
    uint64_t reserved[3];
} ferry_serve_options;

/**
 * Serves a service. Returns when the broker has accepted or refused it. Its handlers then run in
 * turns until ferry_registration_close(), ferry_stop() or ferry_close(), or until the handle is
 * closed. After a reconnect the client announces the service again.
 *
 * @param client    A handle.
 * @param service   The table from ferry-idl, or one filled in by hand (<ferry/schema.h>). The
 *                  library keeps the pointers to the table and to handlers, so both must stay
 *                  valid.
 * @param handlers  The handlers, in the struct that the table's functions expect.
 * @param options   NULL: one slot. Copied.
 * @param ctx       The last argument of each handler.
 * @param ret       Receives the registration; may be NULL. All methods of a service that are served
 *                  by one client share one registration.
 * @param reterr    Receives the error; may be NULL.
 *
 * @return 0, or
 *   -EINVAL      a name or an option is invalid;
 *   -EEXIST      another client is connected with the same instance name;
 *   -EACCES      the name is reserved for the broker ("ferry.…");
 *   -EOPNOTSUPP  the table was made by another version of ferry-idl;
 *   -ENOBUFS     the broker has too many services;
 *   -ENOTCONN    no connection within 5 s;
 *   -ETIMEDOUT   the broker did not answer in time;
 *   -ECANCELED   client is closed;
 *   -ECHILD      client was opened before fork();
 *   -ENOMEM      out of memory.
 */
int ferry_serve(ferry_client *client, const ferry_service *service, const void *handlers,
                const ferry_serve_options *options, void *ctx, ferry_registration **ret,
                ferry_error *reterr);

/**
 * Serves one method by name. Its handler reads the body itself.
 *
 * Methods of one service can be added one after another, but not inside a handler of that service.
 * The service uses the largest of their slots. A second call with the same name replaces the
 * handler.
 *
 * @param method  "calc.Calc.add".
 * @param fn      The handler: the comment at the top of this file says how it answers.
 * @param ctx     The last argument of fn.
 *
 * The other parameters and the errors are those of ferry_serve().
 */
int ferry_serve_method(ferry_client *client, const char *method, const ferry_serve_options *options,
                       int (*fn)(ferry_request *request, void *ctx), void *ctx,
                       ferry_registration **ret, ferry_error *reterr);

/**
 * Declares whether the service of this client is ready for calls. For example, it is not ready
 * while it loads, or while a database that it needs is down. A service starts as ready, unless its
 * options have not_ready, and keeps the state over reconnects.
 *
 * A server that is not ready gets no calls. Other servers of the service get the calls; if all
 * servers are busy or not ready, calls wait until their deadlines. `ferry services` and `ferry
 * describe` show the state. Calls that the server already has are not affected.
 *
 * @param service   The registration of a service, from ferry_serve() or ferry_serve_method().
 * @param is_ready  The new state. If it is the current state, no message is sent.
 * @param reterr    Receives the error; may be NULL.
 *
 * @return 0: the broker knows the state, and every call that it sent before has arrived; or an
 * error of ferry_serve(). After -ENOTCONN and -ETIMEDOUT the client announces the state with its
 * next connection. -EINVAL: the registration is not a service.
 */
int ferry_service_ready(ferry_registration *service, bool is_ready, ferry_error *reterr);

/* ---- requests ---- */

/**
 * Keeps a request after its handler has returned. The program answers it later, with the same
 * functions. The request and its arguments stay valid until then. The program must answer it once,
 * even if it is cancelled or its client is closed.
 *
 * @return the request, to be used from now on; NULL: out of memory, or the request is already
 * answered.
 */
ferry_request *ferry_request_defer(ferry_request *request);

/**
 * Returns a handle for calls on behalf of the request. The calls inherit its deadline, its trace
 * headers and its cancellation. Their timeout is the rest of the deadline, or the method's own
 * timeout if that is shorter.
 *
 * @return the handle, lent until the request is answered; NULL: out of memory, or the request is
 * already answered.
 */
ferry_client *ferry_request_client(ferry_request *request);

/**
 * Returns the user of the caller, which the broker has authenticated: the name of a section [user
 * NAME] of ferry.conf(5), or "root", "broker" or "anonymous". Callers cannot choose it, unlike
 * headers and the text in `caller`. A memoised method must not depend on the user, because all
 * users get its cached results.
 *
 * @return the name, lent until the request is answered; NULL: the broker has no users, so every
 * program may call.
 */
const char *ferry_request_user(const ferry_request *request);

/* Milliseconds until the deadline of the request; 0: it has passed. */
uint32_t ferry_request_left_ms(const ferry_request *request);

/* The value of a header, lent until the request is answered; NULL: no header has this name. */
const char *ferry_request_header(const ferry_request *request, const char *name);

/* Iterates over the names of the headers. name: NULL for the first name, then the name that this
 * function returned last. Returns NULL after the last one. The name is lent until the request is
 * answered.
 */
const char *ferry_request_header_after(const ferry_request *request, const char *name);

/**
 * Returns true if the caller has cancelled the request, or its deadline has passed. A handler that
 * computes for a long time must call it to notice. It reads the socket at most once a millisecond,
 * and defers other messages that it finds there.
 */
bool ferry_request_cancelled(ferry_request *request);

/* ---- answers ---- */

/**
 * Answers with a result.
 *
 * @param result  One MessagePack value, not checked here; {NULL, 0, NULL}: nothing.
 *
 * @return 0, also if the caller has disconnected; or
 *   -EINVAL     the request is answered already, or result has a length and no data;
 *   -EMSGSIZE   result is larger than max_body: the caller gets ferry.TooBig;
 *   -ECANCELED  the client is closed: the request is freed;
 *   -ENOMEM     out of memory: the request is not answered yet.
 */
int ferry_request_return(ferry_request *request, ferry_bytes result);

/* The place where an error is thrown. It becomes a line of the error's trace. */
#define FERRY_HERE __FILE__, __LINE__, __func__

/**
 * Answers with the standard error of an errno: `ferry_request_fail(request, r, &error)`.
 *
 * @param code   A negative errno: -ENOMEM, or the result of a failed function. 0: the code of
 *               cause.
 * @param cause  The error that led to this one. The caller gets it as the cause, and its message
 *               becomes the answer's message. NULL: no cause. Copied.
 *
 * @return as ferry_request_return().
 */
#define ferry_request_fail(...) ferry_request_fail_at(FERRY_HERE, __VA_ARGS__)
int ferry_request_fail_at(const char *file, int line, const char *func, ferry_request *request,
                          int code, const ferry_error *cause);

/**
 * Answers with an exception: `ferry_request_throw(request, "calc.TooBig", NULL, "%d is too big",
 * a)`. The caller gets type, message, file and line, and the cause.
 *
 * @param type    A name with at least one dot, not beginning with "ferry." unless it is a standard
 *                error.
 * @param cause   The error that led to this one; NULL: no cause. Copied.
 * @param format  The message, for people: as in printf().
 *
 * @return as ferry_request_return().
 */
#define ferry_request_throw(...) ferry_request_throw_at(FERRY_HERE, __VA_ARGS__)
int ferry_request_throw_at(const char *file, int line, const char *func, ferry_request *request,
                           const char *type, const ferry_error *cause, const char *format, ...);

/**
 * Adds a cause or advice to the error that will answer a request, for any function that sends the
 * error. If the answer is a result, it is sent without them.
 *
 *     return bank_throw_refused(ferry_request_because(request, &error), &(bank_refused){amount});
 *     return ferry_request_throw(ferry_request_retry_after(request, 500), "ferry.Overloaded", NULL,
 *                                "the disk is full");
 *
 * because      the error that led to the answer. The caller gets it as the cause, together with its
 *              own causes. Copied; left out if there is no memory for the copy.
 * retry_after  advice to try again after ms milliseconds. For an idempotent method, the caller's
 *              library follows the advice, within the deadline and the retry budget. Other callers
 *              read it with ferry_error_retry_ms().
 *
 * @return request.
 */
ferry_request *ferry_request_because(ferry_request *request, const ferry_error *cause);
ferry_request *ferry_request_retry_after(ferry_request *request, uint32_t ms);

/* ---- streams, the server's side ---- */

/**
 * Sends an item to the caller; waits for credit, unless the request is watched.
 *
 * @param item  At most max_body, 64 MiB.
 *
 * @return 0, or
 *   -EAGAIN     the request is watched, and has no credit or too many bytes waiting to be sent;
 *   -ECANCELED  the caller wants no more items;
 *   -ECONNRESET the connection was lost;
 *   -ETIMEDOUT  no credit in time;
 *   -EINVAL     the method yields no items, or the request is already answered;
 *   -EMSGSIZE   the item is too large.
 */
int ferry_request_yield(ferry_request *request, ferry_bytes item);

/**
 * Takes the next item from the caller; waits for it, unless the request is watched.
 *
 * @param ret  Receives the item, lent until the next function call with this request.
 *
 * @return 1: *ret is an item; 0: the caller has ended its side; or an error of
 * ferry_request_yield().
 */
int ferry_request_receive(ferry_request *request, ferry_bytes *ret);

/**
 * Makes the streams of a deferred request non-blocking. Turns of the client call fn when an item,
 * credit or the end has arrived, when there is room again after a refused yield, and when the
 * request is cancelled. For a request without streams, fn is called when it is cancelled.
 *
 * @return 0; -EINVAL: the request is not deferred, or fn is NULL.
 */
int ferry_request_watch(ferry_request *request, void (*fn)(ferry_request *request, void *ctx),
                        void *ctx);

#ifdef __GNUC__
#pragma GCC visibility pop
#endif

#ifdef __cplusplus
}
#endif

#endif
