#pragma once

/*
 * Memoised methods: answers that a client's cache has do not reach a server, and what a server's
 * cache has does not reach a handler. Only the memo files know the cache; in a library without one
 * nothing here does anything.
 *
 * A call that ends neither with a result nor with a declared exception leaves nothing in a cache.
 * Of a cache that fails, a call hears nothing: the server is asked, its handler runs, within the
 * call's own time.
 */

#include <ferry/schema.h>

#include "clients/c/calls/call.h"

/* An answer: body is in block, which is the caller's. */
typedef struct MemoAnswer {
    const void *block;
    ferry_bytes body;
    bool cached; /* nobody has looked into it */
} MemoAnswer;

#ifdef FERRY_WITH_CACHE

/* May this call be answered from a cache? A named instance is asked itself. */
static inline bool memo_applies(const ferry_client *client, const ferry_method *method) {
    return client->cache && method->cache_ttl_ms > 0 && method->result &&
           client->instance.len == 0 &&
           !(method->flags & (FERRY_ONEWAY | FERRY_STREAM_IN | FERRY_STREAM_OUT));
}

/* A blocking call: from the cache, or made once for all who ask, and stored. */
int memo_run_call(ferry_client *client, const ferry_method *method, const void *args,
                  CallSpec *spec, MemoAnswer *ret, ferry_error *reterr);

/* What came from the cache is no result of this method: forgets it, and asks the server. */
int memo_ask_instead(ferry_client *client, const CallSpec *spec, MemoAnswer *ret,
                     ferry_error *reterr);

/* A call with a callback, which never waits for Redis. spec.end and spec.aux are set. */
int memo_start_call(ferry_client *client, const ferry_method *method, const void *args,
                    CallSpec *spec, ferry_error *reterr);

/* Runs callbacks that are due; in a turn. True: there were some. */
bool memo_run(Core *core);
bool memo_due(const Core *core);

/* Those of a handle end with -ECANCELED, in a turn to come. */
void memo_cancel(ferry_client *client);

/* The program's loop is to hear of what Redis says. */
void memo_watch(Core *core);

/* ---- serving ---- */

/* Are answers of this method, served through this handle, to be remembered? */
static inline bool memo_serves(const ferry_client *handle, const ferry_method *method) {
    return handle->cache && method && method->cache_ttl_ms > 0 && method->result &&
           !(method->flags & (FERRY_ONEWAY | FERRY_STREAM_IN | FERRY_STREAM_OUT));
}

/* A request whose arguments are unpacked, before its handler is called. True: call it. False: it is
 * answered, or set aside until the cache has spoken. */
bool memo_serve(Request *request, ferry_cache *cache, const void *args);

/* It has been answered with a result, or with an error; and it is over. */
void memo_serve_result(Request *request, Span body);
void memo_serve_error(Request *request, const ferry_error *error);
void memo_serve_end(Request *request);

/* The connection is gone: what was set aside is not answered any more. */
void memo_serve_shut(Core *core);

void memo_free(Core *core);

#else

static inline bool memo_applies(const ferry_client *client, const ferry_method *method) {
    (void)client, (void)method;
    return false;
}
static inline int memo_run_call(ferry_client *client, const ferry_method *method, const void *args,
                                CallSpec *spec, MemoAnswer *ret, ferry_error *reterr) {
    (void)client, (void)method, (void)args, (void)spec, (void)ret, (void)reterr;
    return -EOPNOTSUPP;
}
static inline int memo_ask_instead(ferry_client *client, const CallSpec *spec, MemoAnswer *ret,
                                   ferry_error *reterr) {
    (void)client, (void)spec, (void)ret, (void)reterr;
    return -EOPNOTSUPP;
}
static inline int memo_start_call(ferry_client *client, const ferry_method *method,
                                  const void *args, CallSpec *spec, ferry_error *reterr) {
    (void)client, (void)method, (void)args, (void)spec, (void)reterr;
    return -EOPNOTSUPP;
}
static inline bool memo_run(Core *core) {
    (void)core;
    return false;
}
static inline bool memo_due(const Core *core) {
    (void)core;
    return false;
}
static inline void memo_cancel(ferry_client *client) {
    (void)client;
}
static inline void memo_watch(Core *core) {
    (void)core;
}
static inline bool memo_serves(const ferry_client *handle, const ferry_method *method) {
    (void)handle, (void)method;
    return false;
}
static inline bool memo_serve(Request *request, ferry_cache *cache, const void *args) {
    (void)request, (void)cache, (void)args;
    return true;
}
static inline void memo_serve_result(Request *request, Span body) {
    (void)request, (void)body;
}
static inline void memo_serve_error(Request *request, const ferry_error *error) {
    (void)request, (void)error;
}
static inline void memo_serve_end(Request *request) {
    (void)request;
}
static inline void memo_serve_shut(Core *core) {
    (void)core;
}
static inline void memo_free(Core *core) {
    (void)core;
}

#endif
