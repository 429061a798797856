/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A call that this client serves, from its arrival to its one answer. */

#include "base/block.h"
#include "base/container.h"
#include "clients/c/core/flow.h"
#include "clients/c/core/header-text.h"
#include "clients/c/serving/serve.h"
#include "rpc/wire/name.h"

enum { CALLER_MAX = 63, USER_MAX = 63 };

struct ServingPart {
    struct ServedService *services, *last_service; /* uthash by name; the one called last */
    Request *current;                              /* the request whose handler runs */
    IdMap by_id;                                   /* deferred requests of this session */
    Request *deferred;                             /* deferred requests without an answer */
    unsigned n_due;                                /* number of watched requests whose fn is due */
};

struct Request {
    BlockHeader header; /* the program's pointer, `request`, follows it */
    ferry_request request;
    Core *core; /* NULL: a copy made by ferry_keep() */
    uint64_t id, session, deadline_ms;
    uint32_t timeout_ms;
    const ferry_method *typed; /* NULL: the method has no table */
    Span headers;
    HeaderText *text;
    const void *args;     /* the unpacked arguments, a block; NULL: not unpacked */
    void *copy;           /* a copy of the borrowed bytes, when the request is deferred */
    ferry_client *client; /* made by ferry_request_client(); NULL: not made yet */
    Flow *flow;           /* NULL: a call without streams */
    ferry_error *because; /* the cause of a later failure; NULL: no cause */
    int64_t retry_ms;     /* retry advice for a failure; -1: no advice */
    void (*fn)(ferry_request *request, void *ctx); /* called on changes of a watched request */
    void *ctx;
    Request *prev, *next; /* of core->serving->deferred */
    Serving *serving;     /* the entry of a cache for the answer; NULL: the answer is not cached */
    Intercepted *intercepted; /* NULL: the service has no interceptor */
    bool redact_errors;       /* see ferry_serve_options; set after request_new() */
    bool in_handler, deferred, answered, cancelled, due, in_table;
    bool fresh;   /* the caller refuses a cached answer */
    bool resumed; /* deferred by the library before its handler ran, and not by the handler */
    bool told;    /* the caller has its answer; the handler's answer goes only to the cache */
    char caller[CALLER_MAX + 1];
    char user[USER_MAX + 1]; /* "": the broker has no users */
};

static inline Request *request_of(const ferry_request *request) {
    return container_of(request, Request, request);
}

/* True: its caller can still be told. A direct caller's request does not need the broker. */
static inline bool request_is_live(const Request *request) {
    return request->id & DIRECT_ID || request->session == request->core->session;
}

extern const Part serving_part;

/* Finds the running or deferred request with this id in this session; else NULL. */
Request *request_find(Core *core, uint64_t id);

/* Handles ITEM, MORE, END or CANCEL. */
void request_message(Core *core, Request *request, const Message *message, const void *block);

/* Makes a Request for a received CALL. NULL: out of memory. */
Request *request_new(Core *core, const ServedMethod *method, const Message *message,
                     const void *block);

/* Call this after the handler has returned r. Answers for the handler if necessary; may free the
 * request. */
void request_handled(Request *request, const ServedMethod *method, int r);

/* Sends this answer; the handler's own answer then goes only to the cache. */
int request_tell(Request *request, ferry_bytes result);

/* Answers with this error map unchanged. error: the same error for a cache, or NULL. */
int request_answer_error(Request *request, Span map, const ferry_error *error);

/* Ends a request that waits for its handler, without an answer. */
void request_drop(Request *request);

/* Notes that fn of a watched request must be called, because something has changed. */
void request_note_due(Request *request);

/* Cancels all requests: the client is closed. */
void requests_cancel(Core *core);
/* Cancels the requests that came from the broker: the session has ended. */
void requests_lose_broker(Core *core);

/* Calls fn of each watched request that is due. True: there were some. */
bool requests_run(Core *core);
bool requests_due(const Core *core);

/* Answers a CALL that has no Request. */
void request_refuse(Core *core, uint64_t id, const char *type, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* The place where an error was thrown: FERRY_HERE. */
typedef struct ThrowPlace {
    const char *file; /* NULL: unknown */
    int line;
    const char *func;
} ThrowPlace;

/* Answers with an error and its trace, for example "divide at calc.c:12". data.len 0: no data. */
int request_throw(Request *request, ThrowPlace place, const char *type, const char *message,
                  ferry_bytes data, const ferry_error *cause);

/* Answers with an error of the library itself, which has no place and no cause. */
int request_reject(Request *request, const char *type, const char *message);
