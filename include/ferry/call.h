/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls and streams on the caller's side. Programs with an interface file call generated functions
 * instead; the functions here call methods by name, for tools and tests.
 */
#ifndef FERRY_CALL_H
#define FERRY_CALL_H

#include <ferry/client.h>
#include <ferry/pack.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif

typedef struct ferry_reply {
    ferry_bytes body; /* one MessagePack value; len 0: the method returns nothing */
} ferry_reply;

/* Exactly one of reply and error is NULL. Both are lent. Use ferry_keep(reply) to keep the
 * reply. */
typedef void (*ferry_reply_fn)(const ferry_reply *reply, const ferry_error *error, void *ctx);

/**
 * Calls a method and waits for its answer.
 *
 * No callback runs during the call: other messages that arrive are deferred to the next turn. The
 * call is sent once, unless options.idempotent allows retries.
 *
 * @param client  A handle: its timeout, instance and headers are used.
 * @param method  "calc.Calc.add": service and method, 3 to 255 bytes.
 * @param args    The arguments: one MessagePack list, not checked here. At most the broker's
 *                max_body, 64 MiB.
 * @param ret     Receives the reply; may be NULL. Untouched on failure.
 * @param reterr  Receives the error; may be NULL.
 *
 * Ownership: args stays the caller's; the caller frees *ret with ferry_free(). Threads: the
 * client's.
 *
 * @return 0, or
 *   -EINVAL        the name is malformed (ferry.Misuse), or the server refused the arguments
 *                  (ferry.InvalidArgument): error.type says which;
 *   -EHOSTUNREACH  no server offers the service, or that instance of it;
 *   -ENOSYS        the service does not have the method;
 *   -ETIMEDOUT     no answer within the timeout, or before the inherited deadline;
 *   -ENOTCONN      no connection within 5 s: nothing was sent;
 *   -ECONNRESET    the connection, or the server, was lost during the call;
 *   -EBUSY         all servers are busy, and the wait queue is full; or each server of the
 *                  service waits for this call, directly or through other calls, and begins no
 *                  request meanwhile;
 *   -EREMOTEIO     the service threw an exception of its own: error.type names it;
 *   -EIO           the server failed and gave no reason;
 *   -EMSGSIZE      args is too large;
 *   -ECANCELED     the request on whose behalf the call was made is cancelled, or client is closed;
 *   -ESHUTDOWN     the broker is shutting down;
 *   -ECHILD        client was opened before fork();
 *   -ENOMEM        out of memory.
 * If error.outcome_unknown is set, the call was sent, and the method may have run.
 */
int ferry_call(ferry_client *client, const char *method, ferry_bytes args, ferry_reply **ret,
               ferry_error *reterr);

/**
 * Starts a call of a method and returns. fn gets the answer.
 *
 * @param method  As in ferry_call().
 * @param args    As in ferry_call().
 * @param fn      Called once, in a later turn or in ferry_close(), with the reply or with an error
 *                of ferry_call(). Not called when this function fails.
 * @param ctx     The last argument of fn.
 * @param reterr  Receives the error of this function; may be NULL.
 *
 * Threads: the client's.
 *
 * @return 0, or
 *   -EINVAL     the name is malformed, or fn is NULL;
 *   -EMSGSIZE   args is too large;
 *   -EAGAIN     8 MiB wait to be sent: call ferry_process(), and try again;
 *   -ENOTCONN   the broker refuses this client for good;
 *   -ETIMEDOUT  the inherited deadline has passed;
 *   -ECANCELED  client is closed;
 *   -ECHILD     client was opened before fork();
 *   -ENOMEM     out of memory.
 */
int ferry_call_async(ferry_client *client, const char *method, ferry_bytes args, ferry_reply_fn fn,
                     void *ctx, ferry_error *reterr);

/**
 * Like ferry_call(), but packs the arguments by a format: `ferry_callf(client, "calc.Calc.add",
 * &reply, &error, "ii", 2, 3)`. The formats are those of <ferry/pack.h>.
 *
 * "ii" is two arguments; "[ii]" is one argument, a list of two.
 *
 * @return as ferry_call(); -EINVAL also: the format is invalid, or a string is not UTF-8.
 */
int ferry_callf(ferry_client *client, const char *method, ferry_reply **ret, ferry_error *reterr,
                const char *format, ...);

/* ---- streams on the caller's side ----
 *
 * The timeout of a stream limits each wait for an item, and each wait for credit to send one. It
 * does not limit the whole stream. Each direction begins with credit for 256 KiB. A reader that
 * waits for items raises the credit up to 1 MiB, so a stream of any length uses limited memory. */

/* The directions of a stream, from the caller's point of view. */
enum { FERRY_SEND = 1, FERRY_RECEIVE = 2 };

/**
 * Starts a call of a method that takes items, yields items, or both. It does not wait.
 *
 * @param directions  FERRY_SEND, FERRY_RECEIVE, or both, as the interface file declares the method.
 * @param ret         Receives the stream; untouched on failure.
 *
 * The other parameters and the errors are those of ferry_call().
 *
 * Ownership: ferry_stream_close(*ret). Threads: the client's, here and in all functions below.
 */
int ferry_stream_open(ferry_client *client, const char *method, ferry_bytes args,
                      unsigned directions, ferry_stream **ret, ferry_error *reterr);

/**
 * Takes the next item from the server; waits for it, unless the stream is watched.
 *
 * @param ret     Receives the item, lent until the next function call on the stream.
 * @param reterr  Receives the error; may be NULL.
 *
 * @return 1: *ret is an item; 0: the server has ended the stream; or
 *   -EAGAIN  the stream is watched, and no item has arrived;
 *   -EINVAL  the method yields no items;
 *   an error of ferry_call(): the stream has failed, and each further call returns the same error.
 */
int ferry_stream_next(ferry_stream *stream, ferry_bytes *ret, ferry_error *reterr);

/**
 * Sends an item; waits for credit, unless the stream is watched.
 *
 * @param item    At most max_body, 64 MiB.
 * @param reterr  Receives the error; may be NULL.
 *
 * @return 0, or
 *   -EAGAIN     the stream is watched, and has no credit or too many bytes waiting to be sent;
 *   -EINVAL     this side has ended, or the method takes no items;
 *   -ECANCELED  the server has ended the stream;
 *   -EMSGSIZE   the item is too large;
 *   an error of ferry_call(): the stream has failed.
 */
int ferry_stream_send(ferry_stream *stream, ferry_bytes item, ferry_error *reterr);

/**
 * Tells the server that no more items come from this side. The server may continue to send.
 *
 * @return 0, or an error of ferry_stream_send().
 */
int ferry_stream_end(ferry_stream *stream, ferry_error *reterr);

/**
 * Waits for the method's result, which follows the last item. Items that were not taken are
 * dropped.
 *
 * @param ret  Receives the result, lent until the stream is closed; may be NULL.
 *
 * @return 0, or an error of ferry_stream_next().
 */
int ferry_stream_result(ferry_stream *stream, ferry_bytes *ret, ferry_error *reterr);

/* Frees the stream; if it has not ended, cancels the call. Allowed in the stream's own callback.
 * NULL is allowed. Returns NULL. */
ferry_stream *ferry_stream_close(ferry_stream *stream);

/**
 * Makes the stream non-blocking: next and send may return -EAGAIN, and fn is called when it is time
 * to try again.
 *
 * Turns of the client call fn: once soon after this function, then each time that an item, credit
 * or the end has arrived, and when there is room again after a refused send.
 *
 * @return 0; -EINVAL: stream or fn is NULL.
 */
int ferry_stream_watch(ferry_stream *stream, void (*fn)(ferry_stream *stream, void *ctx),
                       void *ctx);

/**
 * Turns the stream into a stdio file, to be read with getline() and written with fprintf().
 *
 * A file may read, write, or do both. A stream in both directions may also have two files, one "r"
 * and one "w"; open both before closing either. The files then own the stream, and the last
 * fclose() frees it.
 *
 * A read returns the bytes of the items, one item after another, and the end of file when the
 * server has ended the stream. Each write of stdio (by default 4096 bytes, or the content of the
 * buffer at an fflush()) is sent as one item of at most 64 KiB. A write waits until the server
 * reads, so the memory is limited.
 *
 * The items must be bytes: `stream<binary>` in an interface file, or the items of a method called
 * by name. As in all of POSIX, there is no text mode.
 *
 * After an error ferror() is true, and errno is the positive errno of ferry_stream_next() or
 * ferry_stream_send(): ECONNRESET when the server was lost. Before fclose(),
 * ferry_stream_result(stream, NULL, &error) returns the whole error, including a typed exception.
 *
 * fclose() of a file that writes ends this side of the stream. If no other file reads, it waits for
 * the server's answer, and fails with the errno of an error in it. fclose() of the last file
 * cancels the call if the server has not ended it.
 *
 * @param stream  A stream that is not watched.
 * @param mode    "r", "w" or "r+" (both); a "b" or "e" behind it has no effect.
 *
 * Threads: the client's.
 *
 * @return the file; or NULL: then the caller still owns the stream, and errno is
 *   EINVAL  the mode is invalid, the method has no stream in this direction, or its items are not
 *           bytes;
 *   EBUSY   a file of the stream reads, or writes, already;
 *   ENOMEM  out of memory.
 */
FILE *ferry_stream_fopen(ferry_stream *stream, const char *mode);

#ifdef __GNUC__
static inline void ferry_stream_close_auto(ferry_stream **stream) {
    ferry_stream_close(*stream);
}
#endif

#ifdef __GNUC__
#pragma GCC visibility pop
#endif

#ifdef __cplusplus
}
#endif

#endif
