#pragma once

/*
 * Memoised methods: answers that a client's cache has do not reach a server. Only memo.c knows the
 * cache; in a library without one nothing here does anything.
 *
 * What is stored is one MessagePack value: [result], or [milliseconds of the wall clock, error map]
 * for a declared exception, which counts until then. A call that ends otherwise leaves nothing. Of
 * a cache that fails, the call hears nothing: the server is asked, within the call's own time.
 */

#include <ferry/schema.h>

#include "clients/c/call.h"

typedef struct Memo Memo;

/* An answer: body is in block, which is the caller's. */
typedef struct MemoAnswer {
    const void *block;
    ferry_bytes body;
} MemoAnswer;

#ifdef FERRY_WITH_CACHE

/* May this call be answered from a cache? A named instance is asked itself. */
static inline bool memo_applies(const ferry_client *client, const ferry_method *method) {
    return client->cache && method->cache_ttl_ms > 0 && method->result &&
           client->instance.len == 0 &&
           !(method->flags & (FERRY_ONEWAY | FERRY_STREAM_IN | FERRY_STREAM_OUT));
}

/* A blocking call: from the cache, or made once for all who ask, and stored. */
int memo_run_call(ferry_client *client, const char *service, const ferry_method *method,
                  const void *args, CallSpec *spec, MemoAnswer *ret, ferry_error *reterr);

/* A call with a callback, which never waits for Redis. spec.end and spec.aux are set. */
int memo_start_call(ferry_client *client, const char *service, const ferry_method *method,
                    const void *args, CallSpec *spec);

/* Runs callbacks that are due; in a turn. True: there were some. */
bool memo_run(Core *core);
bool memo_due(const Core *core);

/* Those of a handle end with -ECANCELED, in a turn to come. */
void memo_cancel(ferry_client *client);

/* The program's loop is to hear of what Redis says. */
void memo_watch(Core *core);

void memo_free(Core *core);

#else

static inline bool memo_applies(const ferry_client *client, const ferry_method *method) {
    (void)client, (void)method;
    return false;
}
static inline int memo_run_call(ferry_client *client, const char *service,
                                const ferry_method *method, const void *args, CallSpec *spec,
                                MemoAnswer *ret, ferry_error *reterr) {
    (void)client, (void)service, (void)method, (void)args, (void)spec, (void)ret, (void)reterr;
    return -EOPNOTSUPP;
}
static inline int memo_start_call(ferry_client *client, const char *service,
                                  const ferry_method *method, const void *args, CallSpec *spec) {
    (void)client, (void)service, (void)method, (void)args, (void)spec;
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
static inline void memo_free(Core *core) {
    (void)core;
}

#endif
