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

/* A block to fill and send without a copy. NULL: out of memory. */
void *ferry_alloc(size_t size);

/* One more owner. Use the pointer it returns: what was lent may have to move. NULL: out of memory.
 */
const void *ferry_keep(const void *block);

/* One owner less. NULL is fine. Returns NULL. */
void *ferry_free(const void *block);

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

/* Memory of another kind (mmap, a pool). free_fn runs on ANY thread: it frees, it never calls
 * ferry. */
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

void ferry_error_clear(ferry_error *error);
const ferry_error *ferry_error_cause(const ferry_error *error); /* NULL at the root */
const char *ferry_error_origin(const ferry_error *error);       /* "calc.Calc.div on host/4711" */
int64_t ferry_error_retry_ms(const ferry_error *error);         /* the server's advice; -1: none */
void ferry_error_print(const ferry_error *error, FILE *to);     /* message, causes, trace */

/* ---- clients ---- */

typedef struct ferry_header {
    const char *name;
    const char *value;
} ferry_header;

/* Here and in every options struct: zero means the default; reserved stays zero. */
typedef struct ferry_options {
    const char *name;     /* for people: `ferry sessions` shows it */
    const char *instance; /* this instance of a service alone; NULL: any */
    uint32_t timeout_ms;  /* each call; 1 to 3 600 000; 0: the method's own, else 30 000 */
    size_t n_headers;
    const ferry_header *headers;
    ferry_cache *cache; /* answers memoised methods */
    bool idempotent;    /* calls by name may be made twice: see ferry_call() */
    void (*on_event)(int event, const ferry_error *error, void *ctx);
    void *ctx;
    uint64_t reserved[6];
} ferry_options;

/* What on_event is told. */
enum {
    FERRY_EVENT_UP = 1,  /* connected to the broker, for the first time or again */
    FERRY_EVENT_DOWN,    /* the connection was lost; the error says why */
    FERRY_EVENT_RETRY,   /* an attempt to connect failed; another one follows */
    FERRY_EVENT_REFUSED, /* a service, subscription or worker was refused after a reconnection; it
                          * is tried again every second */
    FERRY_EVENT_MISSED   /* a subscription has missed messages and none has come since */
};

/* NULL: $FERRY_URL, else tcp://127.0.0.1:5877. Never waits: calls made before the connection is up
 * wait for it, 5 s at most. ferry_ping() waits on purpose. */
int ferry_open(const char *url, const ferry_options *options, ferry_client **ret,
               ferry_error *reterr);

/* Another handle on the same connection with other defaults. Closing it cancels what was started
 * through it: this is how a call, or a group of calls, is cancelled. */
int ferry_with(ferry_client *client, const ferry_options *options, ferry_client **ret);

/* Runs the callbacks that remain, with -ECANCELED. Returns NULL. */
ferry_client *ferry_close(ferry_client *client);

int ferry_ping(ferry_client *client, uint64_t *ret_us, ferry_error *reterr);

/* ---- the loop ---- */

/* Until ferry_stop(); then takes no more, finishes what was begun, gives back the rest. */
int ferry_run(ferry_client *client, ferry_error *reterr);
int ferry_stop(ferry_client *client);

/* fn runs on the client's thread, in order. */
int ferry_post(ferry_client *client, void (*fn)(void *ctx), void *ctx);

/* One descriptor for the client's life, level-triggered, deadlines included. Readable: call
 * ferry_process(). Nothing else to watch. Asking for it puts the client in loop mode: what you send
 * leaves together in the next ferry_process(), for which the descriptor becomes readable at once.
 */
int ferry_fd(ferry_client *client);

/* One bounded turn. Never waits. */
int ferry_process(ferry_client *client, ferry_error *reterr);

/* Outside loop mode and callbacks every send leaves at once, except between these. They nest. */
void ferry_cork(ferry_client *client);
int ferry_uncork(ferry_client *client, ferry_error *reterr);

/* ---- calls by name: for tools and tests; programs use generated functions ---- */

typedef struct ferry_reply {
    ferry_bytes body; /* one MessagePack value */
} ferry_reply;

typedef void (*ferry_reply_fn)(const ferry_reply *reply, const ferry_error *error, void *ctx);

/* Formats: b bool (int)  i int32_t  l int64_t  u uint64_t  d double  s string  y ferry_bytes  n nil
 *          [..] list  {s.} map. "ii" is two arguments, "[ii]" is one list. */
int ferry_callf(ferry_client *client, const char *method, ferry_reply **ret, ferry_error *reterr,
                const char *format, ...);
int ferry_unpack(ferry_bytes body, ferry_error *reterr, const char *format, ...);
int ferry_call(ferry_client *client, const char *method, ferry_bytes args, ferry_reply **ret,
               ferry_error *reterr);
int ferry_call_async(ferry_client *client, const char *method, ferry_bytes args, ferry_reply_fn fn,
                     void *ctx);

/* ---- streams, the caller's end ---- */

enum { FERRY_SEND = 1, FERRY_RECEIVE = 2 };

int ferry_stream_open(ferry_client *client, const char *method, ferry_bytes args,
                      unsigned directions, ferry_stream **ret, ferry_error *reterr);
int ferry_stream_result(ferry_stream *stream, ferry_bytes *ret, ferry_error *reterr);

/* The item is lent until the next call on the stream. */
int ferry_stream_next(ferry_stream *stream, ferry_bytes *ret, ferry_error *reterr);
int ferry_stream_send(ferry_stream *stream, ferry_bytes item, ferry_error *reterr);
int ferry_stream_end(ferry_stream *stream, ferry_error *reterr); /* no more from us */
ferry_stream *ferry_stream_close(ferry_stream *stream);          /* cancels what has not ended */

/* Makes the stream non-blocking: next and send say -EAGAIN, fn says when to try again. */
int ferry_stream_watch(ferry_stream *stream, void (*fn)(ferry_stream *stream, void *ctx),
                       void *ctx);
FILE *ferry_stream_fopen(ferry_stream *stream, const char *mode); /* takes the stream over */

/* ---- serving calls ----
 *
 * A handler answers once, with a _return, a _throw or ferry_request_fail(), and returns 0. If it
 * returns a negative errno instead, that is the answer. If it returns 0 and neither answered nor
 * deferred, a void method is answered and any other gets ferry.Internal: no caller waits for ever.
 */
typedef struct ferry_request {
    const char *method;
    const char *caller;
    ferry_bytes body;
} ferry_request;

typedef struct ferry_serve_options {
    uint32_t slots; /* requests at once: 1 unless the handlers defer */
    uint32_t reserved32;
    const char *instance; /* NULL: made up */
    uint64_t reserved[4];
} ferry_serve_options;

/* Returns when the broker has accepted or refused. */
int ferry_serve(ferry_client *client, const ferry_service *service, const void *handlers,
                const ferry_serve_options *options, void *ctx, ferry_error *reterr);

int ferry_serve_method(ferry_client *client, const char *method, const ferry_serve_options *options,
                       int (*fn)(ferry_request *request, void *ctx), void *ctx,
                       ferry_error *reterr);

/* Answer after the handler has returned. The request and its arguments live until then; it must be
 * answered once, even when cancelled or after ferry_close(). */
ferry_request *ferry_request_defer(ferry_request *request);

/* Calls through this handle share the request's deadline, trace headers and cancellation. Lent. */
ferry_client *ferry_request_client(ferry_request *request);

uint32_t ferry_request_left_ms(const ferry_request *request);
const char *ferry_request_header(const ferry_request *request, const char *name);

/* Walks the headers: the name behind this one, which came from here; NULL: the first. NULL: there
 * are no more. */
const char *ferry_request_header_after(const ferry_request *request, const char *name);

/* Cancelled, or past its deadline. Looks at the socket, at most once a millisecond. */
bool ferry_request_cancelled(ferry_request *request);

int ferry_request_return(ferry_request *request, ferry_bytes result);
int ferry_request_fail(ferry_request *request, int code, const ferry_error *cause);

#define FERRY_HERE               __FILE__, __LINE__, __func__
#define ferry_request_throw(...) ferry_request_throw_at(FERRY_HERE, __VA_ARGS__)
int ferry_request_throw_at(const char *file, int line, const char *func, ferry_request *request,
                           const char *type, const ferry_error *cause, const char *format, ...);

/* Streams, the server's end. Both wait, unless the request is watched: then -EAGAIN. */
int ferry_request_yield(ferry_request *request, ferry_bytes item);
int ferry_request_receive(ferry_request *request, ferry_bytes *ret);
int ferry_request_watch(ferry_request *request, void (*fn)(ferry_request *request, void *ctx),
                        void *ctx); /* also on cancellation */

/* ---- topics ---- */

#define FERRY_MISSED_UNKNOWN UINT64_MAX

typedef struct ferry_message {
    const char *topic;
    uint64_t seq;
    uint64_t missed; /* messages lost to us since the one before */
    ferry_bytes body;
} ferry_message;

typedef struct ferry_publish_options {
    bool retain;
    size_t n_headers;
    const ferry_header *headers;
    uint64_t reserved[4];
} ferry_publish_options;

typedef struct ferry_subscribe_options {
    const char *group; /* each message goes to one member */
    uint32_t last;     /* first the last n */
    uint32_t reserved32;
    uint64_t reserved[4];
} ferry_subscribe_options;

typedef void (*ferry_message_fn)(const ferry_message *message, void *ctx);

/* Never waits. -EAGAIN: the connection is slower than we are and its buffer is full. */
int ferry_publish(ferry_client *client, const char *topic, ferry_bytes body,
                  const ferry_publish_options *options, ferry_error *reterr);

/* Returns when the broker has accepted or refused: what is published later is seen. ret may be
 * NULL: until ferry_close(). */
int ferry_subscribe(ferry_client *client, const char *pattern,
                    const ferry_subscribe_options *options, ferry_message_fn fn, void *ctx,
                    ferry_subscription **ret, ferry_error *reterr);
ferry_subscription *ferry_unsubscribe(ferry_subscription *subscription);

/* Asks every subscriber; waits window_ms; fn once for each answer. */
int ferry_gather(ferry_client *client, const char *topic, ferry_bytes question, uint32_t window_ms,
                 ferry_message_fn fn, void *ctx, ferry_error *reterr);
const char *ferry_message_header(const ferry_message *message, const char *name);
const char *ferry_message_header_after(const ferry_message *message, const char *name);
int ferry_message_answer(const ferry_message *message, ferry_bytes answer);

/* ---- queues ---- */

typedef struct ferry_push_options {
    const char *key; /* deduplicates */
    uint64_t delay_ms;
    uint64_t ttl_ms;
    uint32_t priority; /* 0 to 9, higher first */
    uint32_t reserved32;
    size_t n_headers;
    const ferry_header *headers;
    uint64_t reserved[4];
} ferry_push_options;

typedef struct ferry_work_options {
    uint32_t slots; /* jobs at once: 1 unless the handler defers */
    uint32_t reserved32;
    uint64_t reserved[4];
} ferry_work_options;

typedef struct ferry_job {
    const char *queue;
    const char *id;
    uint32_t attempt; /* from 1 */
    ferry_bytes body;
} ferry_job;

/* 0: acknowledged. Negative errno: retried after the queue's back-off. Or settle it yourself. */
typedef int (*ferry_job_fn)(ferry_job *job, void *ctx);
typedef void (*ferry_done_fn)(const ferry_error *error, void *ctx); /* NULL: confirmed */

/* 0: stored as safely as the queue promises. */
int ferry_push(ferry_client *client, const char *queue, ferry_bytes body,
               const ferry_push_options *options, ferry_error *reterr);
int ferry_push_async(ferry_client *client, const char *queue, ferry_bytes body,
                     const ferry_push_options *options, ferry_done_fn fn, void *ctx);

/* Waits until all pushes are confirmed; reports the first failure of those without a callback. */
int ferry_flush(ferry_client *client, ferry_error *reterr);

int ferry_work(ferry_client *client, const char *queue, const ferry_work_options *options,
               ferry_job_fn fn, void *ctx, ferry_error *reterr);

/* Each settles the job; once. A refused forward (full, forbidden) comes back as a retry. */
int ferry_job_ack(ferry_job *job);
int ferry_job_retry(ferry_job *job, uint64_t delay_ms, const char *reason);
int ferry_job_reject(ferry_job *job, const char *reason); /* to the dead-letter queue, at once */
int ferry_job_forward(ferry_job *job, const char *queue, ferry_bytes body,
                      const ferry_push_options *options);

ferry_job *ferry_job_defer(ferry_job *job);
int ferry_job_extend(ferry_job *job, uint64_t ms); /* only where the queue has a time limit */
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
