/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Services: which method is called by which handler. */

#include <ferry/schema.h>

#include "clients/c/core/core.h"

typedef struct ServedMethod ServedMethod;

/* Brings a request to its handler; returns what the handler returned. */
typedef int (*InvokeFn)(ferry_request *request, const ServedMethod *method);

struct ServedMethod {
    char *full;       /* "calc.Calc.add": request->method */
    const char *name; /* "add", inside full */
    size_t name_len;
    InvokeFn invoke;
    bool is_void;              /* a handler that says nothing has answered */
    const ferry_method *typed; /* NULL: fn takes the request as it is */
    ferry_cache *cache;        /* remembers its answers; NULL: they are not remembered */
    int (*fn)(ferry_request *request, void *ctx);
    const void *handlers;
    void *ctx;
};

/* What a service is made of. */
typedef struct ServeSpec {
    const char *service;
    size_t n_methods;
    const ServedMethod *methods; /* full is still NULL; name need not be NUL-terminated */
    ferry_bytes description;     /* len 0: none */
} ServeSpec;

/* With the arguments unpacked, or unpacked before: typed-serve.c. */
int invoke_typed(ferry_request *request, const ServedMethod *method);
int invoke_unpacked(ferry_request *request, const ServedMethod *method);

/* Adds the methods to those already served, and tells the broker. */
int service_serve(ferry_client *client, const ServeSpec *spec, const ferry_serve_options *options,
                  ferry_registration **ret, ferry_error *reterr);

/* How memo/ stores and finds the answers of services in a cache; core->serve_memo. */
struct ServeMemo {
    /* Are answers of this method, served through this handle, to be stored? */
    bool (*applies)(const ferry_client *handle, const ferry_method *method);
    /* A request whose arguments are unpacked, before its handler runs. True: call the handler.
     * False: it is answered, or deferred until the cache has answered. */
    bool (*begin)(Request *request, ferry_cache *cache, const void *args);
    /* The request was answered with a result, or with an error. */
    void (*result)(Request *request, Span body);
    void (*error)(Request *request, const ferry_error *error);
    /* The request is freed. */
    void (*end)(Request *request);
};
