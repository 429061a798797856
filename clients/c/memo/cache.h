/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Memoising, the code that callers and servers share: the caches that a connection uses, the
 * annotations of its methods, and the format of stored answers.
 *
 * A stored answer is one MessagePack value: [result]; or, for a declared exception, [time of its
 * expiry in milliseconds of the wall clock, error map].
 */

#include "cache/api/lookup.h"
#include "clients/c/calls/call.h"
#include "clients/c/memo/plan.h"

typedef struct MemoCall MemoCall;

/* One cache. No access to it waits. */
typedef struct MemoSource MemoSource;
struct MemoSource {
    MemoSource *next;
    struct Memo *memo;
    const ferry_cache *given; /* the cache of the program */
    ferry_cache *cache;       /* our own handle on the same keys */
    CacheLookups *lookups;
    unsigned pending; /* operations in flight */
};

struct Memo {
    Core *core;
    MemoPlan *plans;
    MemoSource *sources;
    MemoCall *calls; /* calls of this client with a callback */
    MemoCall *due, *last_due;
    Serving *servings; /* requests that this client serves */
    Serving *due_servings, *last_due_serving;
    Buffer key;
    int epoll_fd; /* epoll set: event_fd of the core, and the caches */
};

/* Returns the Memo of this connection; the first call makes it. NULL: out of memory or descriptors.
 */
Memo *memo_of(Core *core);
const MemoPlan *memo_plan_of(Memo *memo, const ferry_method *method);
MemoSource *memo_source_of(Memo *memo, ferry_cache *cache);

/* True: the cache has no Redis, or the call's time is at least twice the timeout_ms of the cache.
 * With less time, a hanging Redis could use up the time of the call. */
bool memo_has_time(ferry_cache *cache, uint32_t timeout_ms);

/* ---- stored values ---- */

bool memo_is_declared(const ferry_method *method, const char *type);

void memo_pack_result(ferry_packer *out, Span body);
void memo_pack_exception(ferry_packer *out, Span error_map, uint64_t keep_ms);

/* A value from a cache. It is untrusted: any client of Redis may have written it. */
typedef struct MemoValue {
    ferry_bytes body; /* the result, not validated */
    Span error_map;   /* of a declared exception; len 0: a result */
} MemoValue;

/* 0: ret has a result. -EAGAIN: the value is unusable (an expired exception, foreign bytes).
 * Otherwise the code of a declared exception, which is also in reterr. */
int memo_value_read(const ferry_method *method, const ferry_bytes *value, MemoValue *ret,
                    ferry_error *reterr);

/* As memo_value_read(), and validates the result: -EAGAIN if it does not fit the method. */
int memo_value_check(const ferry_method *method, const ferry_bytes *value, MemoValue *ret,
                     ferry_error *reterr);

/* ---- storing without waiting ---- */

/* The cache entry for the answer of one call. */
typedef struct MemoEntry {
    const MemoPlan *plan;
    MemoSource *source;
    ferry_bytes key;
    CacheStamps *stamps; /* owned; NULL: no tags */
    uint64_t began_us;   /* start of the computation */
    bool storing;        /* the answer may be stored */
} MemoEntry;

static inline bool memo_entry_is_same(const MemoEntry *one, const MemoEntry *other) {
    return one->source == other->source && one->key.len == other->key.len &&
           memcmp(one->key.data, other->key.data, one->key.len) == 0;
}

/* Fetches the stamps of the tags. Call this before the computation. True: continue now;
 * entry->storing tells whether the answer may be stored. False: continue when fn is called with a
 * status; if the status is 0, fn may set entry->storing. */
bool memo_entry_stamp(MemoEntry *entry, CacheDoneFn fn, void *ctx);

/* Store an answer, if entry->storing allows it. */
void memo_entry_keep_result(const MemoEntry *entry, Span body);
void memo_entry_keep_exception(const MemoEntry *entry, const ferry_error *error);

/* ---- for the part ---- */

/* The client is in loop mode: its descriptor becomes readable when Redis has answered. */
void memo_watch(Core *core);
void memo_free(Core *core);
