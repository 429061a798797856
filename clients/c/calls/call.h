/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Calls that wait for their answer. What started one (a blocking call, a callback, a stream) hears
 * of its end exactly once.
 */

#include "base/block.h"
#include "clients/c/core/core.h"

typedef void (*AnyFn)(void);

/* Brings the answer to a callback of the program's; one of reply and error is NULL. */
typedef void (*CallEndFn)(Core *core, AnyFn fn, const void *aux, void *ctx,
                          const ferry_reply *reply, const ferry_error *error);

/* A call to be made. */
typedef struct CallSpec {
    Span service, method; /* valid names */
    uint64_t flags;       /* CALL_IDEMPOTENT and its like */
    uint32_t timeout_ms;  /* the method's own; 0: none */
    uint64_t until_ms;    /* time was spent on it before; 0: it begins now */
    ferry_bytes args;

    /* With a callback: */
    AnyFn fn;
    void *ctx;
    CallEndFn end;   /* NULL: fn is a ferry_reply_fn */
    const void *aux; /* for end */
} CallSpec;

typedef enum CallState {
    CALL_BEFORE_CONNECT, /* waits for the connection */
    CALL_SENT,           /* waits for the answer */
    CALL_BACKOFF,        /* waits to be sent again */
    CALL_ENDED,          /* waits for its callback to be run */
} CallState;

struct Call {
    Await await;
    Timer timer;
    ferry_client *handle;
    Call *next, *previous; /* of the handle's */
    Call *next_ended;
    AnyFn fn;
    void *ctx;
    CallEndFn end;
    const void *aux;
    Record *record;     /* for CALL_BEFORE_CONNECT, and while it may be sent again */
    ferry_error *error; /* when ended; NULL beside one: out of memory */
    uint64_t deadline_ms;
    Outcome *result;      /* of a blocking call */
    ferry_stream *stream; /* that it is the call of */
    uint32_t timeout_ms;  /* what the deadline was made of */
    uint32_t flags;
    uint16_t attempts;
    uint8_t state;
    bool was_sent;     /* it may have happened */
    bool is_streaming; /* no deadline as a whole: the stream waits for each item itself */
};

/* Blocks until the answer is there. *ret (may be NULL) is one block. */
int call_run(ferry_client *client, const CallSpec *spec, ferry_reply **ret, ferry_error *reterr);

/* Starts a call with a callback. */
int call_start(ferry_client *client, const CallSpec *spec, ferry_error *reterr);

/* Starts one whose Call lies elsewhere (a stream). It is zero but for result, stream, await.fn. */
int call_begin(ferry_client *client, const CallSpec *spec, Call *call, ferry_error *reterr);

/* It is answered: out of every list. No callback follows. */
void call_end(Core *core, Call *call);

/* Ends it without an answer, and tells the broker so. No callback follows. */
void call_abandon(Core *core, Call *call);

extern const Part calls_part;

/* Ends all calls of a handle with -ECANCELED; their callbacks run in a later turn. */
void calls_cancel(ferry_client *client);

/* Hands an error to what waits for the call; the call is over. The error is moved. */
void call_fail(Core *core, Call *call, ferry_error *error, bool in_turn);

/* A copy of a reply that owns itself: one block. NULL: out of memory. */
ferry_reply *reply_new(Span body, const void *block);

/* An answer from a cache, or from the server; body is in block, which the receiver owns. */
typedef struct MemoAnswer {
    const void *block;
    ferry_bytes body;
    bool cached; /* not unpacked yet: it may be no result of the method */
} MemoAnswer;

/* How memo/ answers calls from a cache; core->call_memo. */
struct CallMemo {
    /* May this call be answered from a cache? */
    bool (*applies)(const ferry_client *client, const ferry_method *method);
    /* A blocking call: from the cache, or sent once for all callers, and stored. */
    int (*run)(ferry_client *client, const ferry_method *method, const void *args, CallSpec *spec,
               MemoAnswer *ret, ferry_error *reterr);
    /* The cached answer cannot be unpacked: removes it, and calls the server. */
    int (*replace)(ferry_client *client, const CallSpec *spec, MemoAnswer *ret,
                   ferry_error *reterr);
    /* A call with a callback; it never waits for Redis. spec->end and spec->aux are set. */
    int (*start)(ferry_client *client, const ferry_method *method, const void *args, CallSpec *spec,
                 ferry_error *reterr);
};
