/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Services: the tables that map methods to handlers. */

#include <ferry/schema.h>

#include "clients/c/core/core.h"

typedef struct ServedMethod ServedMethod;

/* Passes a request to its handler; returns the result of the handler. */
typedef int (*InvokeFn)(ferry_request *request, const ServedMethod *method);

struct ServedMethod {
    char *full;       /* "calc.Calc.add": request->method */
    const char *name; /* "add", inside full */
    size_t name_len;
    InvokeFn invoke;
    bool is_void; /* if the handler returns without an answer, an empty answer is sent */
    const ferry_method *typed; /* NULL: fn takes the undecoded request */
    ferry_cache *cache;        /* stores its answers; NULL: answers are not stored */
    int (*fn)(ferry_request *request, void *ctx);
    const void *handlers;
    void *ctx;
};

/* The definition of a service. */
typedef struct ServeSpec {
    const char *service;
    size_t n_methods;
    const ServedMethod *methods; /* full is still NULL; name need not be NUL-terminated */
    ferry_bytes description;     /* len 0: no description */
} ServeSpec;

/* Calls a typed handler; unpacks the arguments unless they are unpacked already. In
 * typed-serve.c. */
int invoke_typed(ferry_request *request, const ServedMethod *method);
int invoke_unpacked(ferry_request *request, const ServedMethod *method);

/* Adds methods to the service and announces it to the broker. */
int service_serve(ferry_client *client, const ServeSpec *spec, const ferry_serve_options *options,
                  ferry_registration **ret, ferry_error *reterr);

/* Calls the handler of a request that the library deferred. May free the request. */
void serve_resume(Request *request);

/* The functions of memo/ that store and find the answers of services in a cache;
 * core->serve_memo. */
struct ServeMemo {
    /* True: answers of this method, served through this handle, are stored. */
    bool (*applies)(const ferry_client *handle, const ferry_method *method);
    /* Called before the handler of a request with unpacked arguments. True: call the handler.
     * False: the request is answered, or deferred until the cache has answered. */
    bool (*begin)(Request *request, ferry_cache *cache, const void *args);
    /* The request was answered with a result, or with an error. */
    void (*result)(Request *request, Span body);
    void (*error)(Request *request, const ferry_error *error);
    /* The request is freed. */
    void (*end)(Request *request);
};
