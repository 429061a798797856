/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Services: handlers, their requests, and their answers.
 *
 * A handler answers its request once, with a _return function, a _throw function or
 * ferry_request_fail(), and returns 0. If it returns a negative errno without an answer, the
 * standard error of that errno is the answer. If it returns 0 and has neither answered nor deferred
 * the request, a void method is answered, and any other method fails with ferry.Internal: every
 * caller gets an answer.
 *
 * Threads: requests belong to the client's thread. Every function here is called on it.
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

/* A request is lent to its handler; see ferry_request_defer(). */
typedef struct ferry_request {
    const char *method; /* "calc.Calc.div" */
    const char *caller; /* the caller's client name, for people; may be empty */
    ferry_bytes body;   /* the arguments: one MessagePack list */
} ferry_request;

typedef struct ferry_serve_options {
    uint32_t slots;       /* requests at once, at most 65 536; 0: 1. More help only handlers that
                           * defer */
    bool redact_errors;   /* callers are outsiders: errors carry type, message, fields and retry
                           * advice only; file, line, process and causes are removed */
    bool not_ready;       /* begins without calls: see ferry_service_ready() */
    const char *instance; /* a name for this server, so that callers can choose it; NULL: the
                           * library makes one */
    const ferry_interceptor *interceptor; /* sees each request of the service; copied. NULL: none */
    uint64_t reserved[3];
} ferry_serve_options;

/**
 * Serves a service. Returns when the broker has accepted or refused it. Its handlers then run in
 * turns until ferry_registration_close(), ferry_stop() or ferry_close(), or until the handle is
 * closed. After a reconnect the client announces the service again.
 *
 * @param client    A handle.
 * @param service   The table that ferry-idl made, or one filled in by hand (<ferry/schema.h>). The
 *                  library keeps the pointer: the table must stay valid, and handlers too.
 * @param handlers  The handlers, in the struct that the table's functions expect.
 * @param options   NULL: one slot. Copied.
 * @param ctx       The last argument of each handler.
 * @param ret       Receives the registration; may be NULL. All methods of a service that are served
 *                  by one client share one registration.
 * @param reterr    Receives the error; may be NULL.
 *
 * @return 0, or
 *   -EINVAL      a name or an option is invalid;
 *   -EEXIST      another client is connected with that instance;
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
 * Serves one method by name; its handler reads the body itself.
 *
 * Methods of one service can be added one after another, but not inside a handler of that service;
 * the largest slots is used. The same name again replaces the handler.
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
 * Declares whether the service of this client is ready for calls: while it loads, or while
 * something that it depends on is away, it is not. A service begins ready, unless its options say
 * otherwise, and keeps the state over reconnects.
 *
 * A server that is not ready gets no calls. Other servers of the service get them; if all of them
 * are busy or not ready, calls wait, up to their deadlines. `ferry services` and `ferry describe`
 * show the state. Calls that the server has already are not affected.
 *
 * @param service   The registration of a service, from ferry_serve() or ferry_serve_method().
 * @param is_ready  The new state; the same as before: nothing is sent.
 * @param reterr    Receives the error; may be NULL.
 *
 * @return 0: the broker knows the state, and has sent all calls that it sent before it did; or an
 *   error of ferry_serve(). -ENOTCONN and -ETIMEDOUT: the state is announced with the next
 *   connection. -EINVAL: the registration is not one of a service.
 */
int ferry_service_ready(ferry_registration *service, bool is_ready, ferry_error *reterr);

/* ---- requests ---- */

/**
 * Keeps a request beyond its handler. The same functions answer it later. The request and its
 * arguments stay valid until then. It must be answered once, even if it is cancelled or its client
 * is closed.
 *
 * @return the request, to be used from now on; NULL: out of memory, or it is answered already.
 */
ferry_request *ferry_request_defer(ferry_request *request);

/**
 * Returns a handle for calls on behalf of the request. They inherit its deadline, its trace headers
 * and its cancellation.
 *
 * @return the handle, lent until the request is answered; NULL: out of memory, or it is answered
 * already.
 */
ferry_client *ferry_request_client(ferry_request *request);

/**
 * Returns the user of the caller, as the broker has authenticated it: the name of a section
 * [user NAME] of ferry.conf(5), or "root", "broker" or "anonymous". Callers cannot set it: it is
 * not a header, and `caller` is a text that each caller chooses. A memoised method must not depend
 * on it: its cached results are for all users.
 *
 * @return the name, lent until the request is answered; NULL: the broker has no users, and every
 *         program may call.
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
 * computes for long must ask to learn of it. Reads the socket at most once a millisecond; other
 * messages found there are deferred.
 */
bool ferry_request_cancelled(ferry_request *request);

/* ---- answers ---- */

/**
 * Answers with a result.
 *
 * @param result  One MessagePack value, not checked here; {NULL, 0, NULL}: nothing.
 *
 * @return 0, also when the caller is gone and nobody receives the answer; or
 *   -EINVAL     the request is answered already, or result has a length and no data;
 *   -EMSGSIZE   result is larger than max_body: the caller gets ferry.TooBig;
 *   -ECANCELED  the client is closed: the request is gone;
 *   -ENOMEM     out of memory: the request is not answered yet.
 */
int ferry_request_return(ferry_request *request, ferry_bytes result);

/* The place where an error is thrown: it becomes a line of the error's trace. */
#define FERRY_HERE __FILE__, __LINE__, __func__

/**
 * Answers with the standard error of an errno: `ferry_request_fail(request, r, &error)`.
 *
 * @param code   A negative errno: -ENOMEM, or what a failed function returned. 0: the code of
 *               cause.
 * @param cause  The error that led to this one. The caller sees it as the cause, and its message
 *               becomes the answer's message. NULL: no cause. Copied.
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
 * Adds to the error that is about to answer a request, whichever function sends it. A result is
 * sent without it.
 *
 *     return bank_throw_refused(ferry_request_because(request, &error), &(bank_refused){amount});
 *     return ferry_request_throw(ferry_request_retry_after(request, 500), "ferry.Overloaded", NULL,
 *                                "the disk is full");
 *
 * because      the error that led to it: the caller sees it, and its own causes, as the cause.
 *              Copied; left out if there is no memory for the copy.
 * retry_after  advice to try again after ms milliseconds. Callers of an idempotent method follow it
 *              by themselves, within their deadline and retry budget; others read it with
 *              ferry_error_retry_ms().
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
 *   -EAGAIN     the request is watched, and has no credit, or too much waits to be sent;
 *   -ECANCELED  the caller wants no more items;
 *   -ECONNRESET the connection was lost;
 *   -ETIMEDOUT  no credit in time;
 *   -EINVAL     the method yields no items, or the request is answered already;
 *   -EMSGSIZE   the item is too large.
 */
int ferry_request_yield(ferry_request *request, ferry_bytes item);

/**
 * Takes the next item from the caller; waits for it, unless the request is watched.
 *
 * @param ret  Receives the item: lent until the next call with this request.
 *
 * @return 1: *ret is an item; 0: the caller has ended its side; or an error of
 * ferry_request_yield().
 */
int ferry_request_receive(ferry_request *request, ferry_bytes *ret);

/**
 * Makes the streams of a deferred request non-blocking. fn is called in turns: when an item, credit
 * or the end has arrived, when there is room again after a yield was refused, and when the request
 * is cancelled. The last holds for requests without streams too.
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
