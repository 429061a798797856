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

/* A CALL has come. */
void serve_call(Core *core, const Message *message, const void *block);
