/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Calls with arguments and results in JSON, by the description of the service: for
 * /v1/call/SERVICE/METHOD and for JSON-RPC.
 */

#include "clients/web/core/core.h"

/* Called instead of CallFn for a method that takes or yields items: answers with the stream. args
 * are lent. handle: for the stream, with the headers of the call; the callee closes it after the
 * stream. */
typedef void (*CallStreamFn)(const ferry_description *description, const ferry_method *method,
                             const char *name, ferry_bytes args, ferry_client *handle, void *ctx);

typedef struct CallOptions {
    const char *service, *method; /* "calc.Calc", "add" */
    json_t *args;                 /* an object or a list; web_call_start() takes it over */
    uint32_t timeout_ms;          /* 0: the method's own, else 30 s */
    bool is_idempotent;           /* the call may run twice */
    bool text_integers;           /* integers beyond 2^53 in the result become texts */
    bool has_items;         /* the request has items: a method that takes no stream is refused */
    CallStreamFn stream_fn; /* NULL: a method with a stream is refused */
    size_t n_headers;
    ferry_header headers[4]; /* names are static texts; values are copied */
} CallOptions;

/* The end of a call. status: 200, 202 (a oneway method was called), 204 (no result), or the status
 * of a problem. json: the result, a problem, or NULL; the callee owns it. error: the reason,
 * borrowed; NULL: the call succeeded. */
typedef void (*CallFn)(unsigned status, json_t *json, const ferry_error *error, void *ctx);

/* Calls a method. fn is called once, at once or in a later turn. The options are copied. */
void web_call_start(Web *web, const CallOptions *options, CallFn fn, void *ctx);

/* A value of the type (NULL: not described) as JSON; NULL, with the error. */
json_t *call_value(const ferry_type *type, ferry_bytes bytes, bool text_integers,
                   ferry_error *reterr);

/* Returns the problem for an error of this method, and its status. The fields of declared
 * exceptions are formatted by type. method may be NULL. */
json_t *call_problem(const ferry_method *method, const ferry_error *error, unsigned *ret_status);
