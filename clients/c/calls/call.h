/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Calls in flight. The initiator of a call (a blocking call, a callback, a stream) is told of its
 * end exactly once. Each file calls only files below it in this list:
 *
 *   call.c     starts calls; changes of handles and of the connection
 *   attempt.c  one attempt after another: answers, deadlines, retries
 *   outcome.c  ends calls
 *   send.c     the connection that a call uses
 *   follow.c   calls about queues at other brokers
 */

#include <utlist.h>

#include "base/block.h"
#include "clients/c/core/core.h"

typedef void (*AnyFn)(void);

/* Passes the answer to a callback of the program; one of reply and error is NULL. */
typedef void (*CallEndFn)(Core *core, AnyFn fn, const void *aux, void *ctx,
                          const ferry_reply *reply, const ferry_error *error);

/* The parameters of a call. */
typedef struct CallSpec {
    Span service, method; /* valid names */
    uint64_t flags;       /* CALL_IDEMPOTENT and the other CALL_ flags */
    uint32_t timeout_ms;  /* of the method; 0: the method has no timeout */
    uint64_t until_ms;    /* deadline of a call that began earlier; 0: the call begins now */
    ferry_bytes args;
    bool direct; /* of the method: it goes straight to a server, if one takes direct calls */

    /* For calls with a callback: */
    AnyFn fn;
    void *ctx;
    CallEndFn end;   /* NULL: fn is a ferry_reply_fn */
    const void *aux; /* for end */
} CallSpec;

struct CallsPart {
    PendingCall *ended;        /* their callbacks are due */
    ferry_stream *due_streams; /* watched streams whose fn is due */
    int64_t retry_budget;      /* in thousandths of a retry: see resend/retry.h */
};

typedef enum CallState {
    CALL_BEFORE_CONNECT, /* waits for the connection */
    CALL_SENT,           /* waits for the answer */
    CALL_BACKOFF,        /* waits for the next attempt */
    CALL_ENDED,          /* its callback has not run yet */
} CallState;

/* The functions of a stream that its call uses. */
typedef struct StreamEvents {
    void (*sent)(PendingCall *call);                      /* the call was sent later */
    void (*ended)(PendingCall *call, ferry_error *error); /* the call has failed; error is moved */
} StreamEvents;

struct PendingCall {
    Await await;
    Timer timer;
    ferry_client *handle;
    PendingCall *prev, *next; /* of handle->calls or, if it has ended, of core->calls->ended */
    AnyFn fn;
    void *ctx;
    CallEndFn end;
    const void *aux;
    Record *record;           /* for CALL_BEFORE_CONNECT and for retries */
    Intercepted *intercepted; /* NULL: the handle has no interceptor */
    ferry_error *error;       /* of an ended call; NULL: out of memory */
    ferry_error *first_error; /* of the first attempt that may have been executed; or NULL */
    uint64_t deadline_ms;
    Outcome *result;            /* of a blocking call */
    const StreamEvents *stream; /* NULL: not a streaming call */
    uint32_t timeout_ms;        /* deadline_ms minus the start */
    uint32_t flags;
    Route *via; /* to the broker that has the queue of this call; NULL: the client's own one */
    unsigned n_moved; /* answers ferry.Moved that it has followed */
    uint16_t attempts;
    uint8_t state;
    bool was_sent;     /* the server may have executed it */
    bool is_streaming; /* no overall deadline: the stream waits for each item */
    bool is_direct;    /* it goes straight to a server, if one takes direct calls */
};

/* Blocks until the answer arrives. *ret is one block; ret may be NULL. */
int call_run(ferry_client *client, const CallSpec *spec, ferry_reply **ret, ferry_error *reterr);

/* Starts a call with a callback. */
int call_start(ferry_client *client, const CallSpec *spec, ferry_error *reterr);

/* Starts a call in memory of the caller (a stream). All fields of *call are zero, except result,
 * stream and await.fn. After a failure, try again with the same *call, or give up with
 * call_not_begun(). */
int call_begin(ferry_client *client, const CallSpec *spec, PendingCall *call, ferry_error *reterr);

/* Reports to the interceptor that the call was not begun, because of this error. */
void call_not_begun(PendingCall *call, const ferry_error *error, int code);

extern const Part calls_part;

/* The connection is lost: calls that were sent through it may have been executed. */
void calls_route_down(Core *core, Route *route, const ferry_error *reason);

/* Ends all calls of a handle with -ECANCELED; their callbacks run in a later turn. */
void calls_cancel(ferry_client *client);

/* ---- attempt.c ---- */

/* True: the call keeps its message. Idempotent calls are retried. A call of any kind that a
 * draining broker refuses goes to another broker. */
static inline bool call_may_be_sent_again(const Core *core, const PendingCall *call) {
    return ((call->flags & CALL_IDEMPOTENT) || core->brokers) && !call->is_streaming;
}

/* Sends the call again, with the time that is left. */
void call_send_again(Core *core, PendingCall *call, uint64_t now_ms);

/* Arm the timer of a call that waits for the connection, or that was sent. */
void call_wait_for_connection(Core *core, PendingCall *call, uint64_t now_ms);
void call_wait_for_answer(Core *core, PendingCall *call);

/* The await.fn of all calls without streams. */
void call_on_answer(Core *core, Await *await, const Message *message, const void *block);

/* An attempt has failed: begins another one, or ends the call with this error, which is moved. */
void pending_call_fail(Core *core, PendingCall *call, ferry_error *error, bool in_turn);

/* ---- outcome.c ---- */

static inline bool call_is_oneway(const PendingCall *call) {
    return (call->flags & CALL_ONEWAY) != 0;
}

/* Add the call to the calls of a handle, and remove it. */
static inline void call_link(ferry_client *handle, PendingCall *call) {
    call->handle = handle;
    DL_APPEND(handle->calls, call);
    handle->core->unconfirmed.n_oneway += call_is_oneway(call);
}

static inline void call_unlink(PendingCall *call) {
    ferry_client *handle = call->handle;

    DL_DELETE(handle->calls, call);
    handle->core->unconfirmed.n_oneway -= call_is_oneway(call);
}

/* Ends the call with this error, or with the error of an earlier attempt. error is moved. */
void call_end_with(Core *core, PendingCall *call, ferry_error *error, bool in_turn);

/* Ends the call with the answer. */
void call_answered(Core *core, PendingCall *call, const Message *message, const void *block);

/* Tells the server, and ends the call with -ECANCELED. */
void call_cancel(Core *core, PendingCall *call);

/* The functions below do not tell the initiator. call_end() ends a call that has its answer.
 * pending_call_abandon() sends a CANCEL to the server, call_drop() sends nothing. */
void call_end(Core *core, PendingCall *call);
void pending_call_abandon(Core *core, PendingCall *call);
void call_drop(Core *core, PendingCall *call);

/* Runs the callbacks of ended calls. True: there were some. */
bool calls_run_ended(Core *core);

/* Copies a reply into one block, which is its own owner. NULL: out of memory. */
ferry_reply *reply_new(Span body, const void *block);

/* An answer from a cache or from the server. body lies in block, which the receiver owns. */
typedef struct MemoAnswer {
    const void *block;
    ferry_bytes body;
    bool cached; /* from the cache; it may fail to unpack */
} MemoAnswer;

/* How memo/ answers calls from a cache; core->call_memo. */
struct CallMemo {
    /* True: a cache may answer this call. */
    bool (*applies)(const ferry_client *client, const ferry_method *method);
    /* A blocking call: answers from the cache, or sends one call for all concurrent callers and
     * stores the answer. */
    int (*run)(ferry_client *client, const ferry_method *method, const void *args, CallSpec *spec,
               MemoAnswer *ret, ferry_error *reterr);
    /* Removes a cached answer that cannot be unpacked, and calls the server. */
    int (*replace)(ferry_client *client, const CallSpec *spec, MemoAnswer *ret,
                   ferry_error *reterr);
    /* Starts a call with a callback, without waiting for Redis. spec->end and spec->aux are set. */
    int (*start)(ferry_client *client, const ferry_method *method, const void *args, CallSpec *spec,
                 ferry_error *reterr);
};
