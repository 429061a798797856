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

/* Where the answer of a blocking call goes. */
typedef struct CallResult {
    bool done;
    int code;
    ferry_reply *reply;
    ferry_error error;
} CallResult;

typedef enum CallState {
    CALL_EARLY,   /* waits for the connection */
    CALL_SENT,    /* waits for the answer */
    CALL_BACKOFF, /* waits to be sent again */
    CALL_ENDED,   /* waits for its callback to be run */
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
    Record *record;     /* for CALL_EARLY, and while it may be sent again */
    ferry_error *error; /* when ended; NULL beside one: out of memory */
    uint64_t deadline_ms;
    CallResult *result;   /* of a blocking call */
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

/* All of a handle's end with -ECANCELED, their callbacks in a turn to come. */
void calls_cancel(ferry_client *client);

/* The session began, or ended. */
void calls_up(Core *core);
void calls_down(Core *core, const ferry_error *error);

/* Runs callbacks that are due; in a turn. True: there were some. */
bool calls_run_ended(Core *core);

/* Hands an error to what waits for the call; the call is over. The error is moved. */
void call_fail(Core *core, Call *call, ferry_error *error, bool in_turn);

/* A copy of a reply that owns itself: one block. NULL: out of memory. */
ferry_reply *reply_new(Span body, const void *block);

/* An ERROR's contents. outcome_unknown is set where the type says so. */
void error_of_message(const Message *message, ferry_error *reterr);
