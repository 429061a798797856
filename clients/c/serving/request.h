/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A call that we serve, from its arrival to its one answer. */

#include "base/block.h"
#include "clients/c/core/flow.h"
#include "clients/c/core/header-text.h"
#include "clients/c/serving/serve.h"
#include "rpc/wire/name.h"

enum { CALLER_MAX = 63 };

struct Request {
    BlockHeader header; /* what is handed out, `request`, follows it */
    ferry_request request;
    Core *core; /* NULL: a copy that was kept */
    uint64_t id, session, deadline_ms;
    uint32_t timeout_ms;
    const ferry_method *typed; /* NULL: served by name */
    Span headers;
    HeaderText *text;
    const void *args;                              /* unpacked: a block; NULL */
    void *copy;                                    /* of what was lent, once it is deferred */
    ferry_client *client;                          /* ferry_request_client() made it */
    Flow *flow;                                    /* NULL: no stream */
    ferry_error *because;                          /* what a failure will name as its cause; NULL */
    int64_t retry_ms;                              /* advice to go with a failure; -1: none */
    void (*fn)(ferry_request *request, void *ctx); /* it is watched */
    void *ctx;
    Request *next, *previous; /* deferred */
    Serving *serving;         /* what its answer means to a cache; NULL: nothing */
    bool redact_errors;       /* see ferry_serve_options; set by who makes it */
    bool in_handler, deferred, answered, cancelled, due, in_table;
    bool fresh;   /* not to be answered from a cache */
    bool resumed; /* the library deferred it before its handler ran; the handler did not */
    bool told;    /* the caller has an answer; this one is for the cache alone */
    char caller[CALLER_MAX + 1];
};

static inline Request *request_of(const ferry_request *request) {
    return (Request *)((char *)(uintptr_t)request - offsetof(Request, request));
}

extern const Part serving_part;

/* The one that is being worked on under this id in this session, or NULL. */
Request *request_find(Core *core, uint64_t id);

/* ITEM, MORE, END or CANCEL. */
void request_message(Core *core, Request *request, const Message *message, const void *block);

/* A CALL has come: a Request for its handler, or NULL: out of memory. */
Request *request_new(Core *core, const ServedMethod *method, const Message *message,
                     const void *block);

/* The handler has returned r. Answers for it if it must; the request may be gone afterwards. */
void request_handled(Request *request, const ServedMethod *method, int r);

/* Sends this answer; the handler's own will be for the cache alone. */
int request_tell(Request *request, ferry_bytes result);

/* Answers with an error map as it is; error: what it says, for a cache, or NULL. */
int request_answer_error(Request *request, Span map, const ferry_error *error);

/* Calls the handler of a request that the library deferred: serve.c. It may be gone afterwards. */
void request_resume(Request *request);

/* Ends one that waits for its handler: nobody hears of it any more. */
void request_drop(Request *request);

/* It is watched, and something has changed. */
void request_note_due(Request *request);

/* Cancels all requests: the session has ended, or the client is closed. */
void requests_cancel(Core *core);

/* Calls the fn of watched ones that are due. */
bool requests_run(Core *core);
bool requests_due(const Core *core);

/* Answers a CALL that has no Request. */
void request_refuse(Core *core, uint64_t id, const char *type, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Where an error was thrown: FERRY_HERE. */
typedef struct Place {
    const char *file; /* NULL: not known */
    int line;
    const char *func;
} Place;

/* "divide at calc.c:12" and the rest of an answer that is an error. data.len 0: none. */
int request_throw(Request *request, Place place, const char *type, const char *message,
                  ferry_bytes data, const ferry_error *cause);

/* What the library itself has to say: nobody threw it, nothing led to it. */
int request_reject(Request *request, const char *type, const char *message);
