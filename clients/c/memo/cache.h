/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What memoising has in common for those who call and those who serve: the caches that a connection
 * uses, what its methods' annotations say, and how answers are stored.
 *
 * What is stored is one MessagePack value: [result], or [milliseconds of the wall clock, error map]
 * for a declared exception, which counts until then.
 */

#include "cache/api/lookup.h"
#include "clients/c/calls/call.h"
#include "clients/c/memo/plan.h"

typedef struct MemoCall MemoCall;

/* One cache, looked into without waiting. */
typedef struct Source Source;
struct Source {
    Source *next;
    const ferry_cache *given; /* by the program */
    ferry_cache *cache;       /* the same keys, as memoised methods use them */
    CacheLookups *lookups;
    unsigned pending; /* operations on their way */
};

struct Memo {
    MemoPlan *plans;
    Source *sources;
    MemoCall *calls; /* ours, with a callback */
    MemoCall *due, *last_due;
    Serving *servings; /* calls of others that we serve */
    Serving *due_servings, *last_due_serving;
    Buffer key;
    int epoll_fd; /* what wakes the loop, and what the caches have to say */
};

/* NULL: out of memory, or of descriptors. */
Memo *memo_of(Core *core);
const MemoPlan *memo_plan_of(Memo *memo, const ferry_method *method);
Source *memo_source_of(Memo *memo, ferry_cache *cache);

/* A Redis that hangs takes its timeout_ms. A call with less than twice that is not to lose its time
 * to it. */
bool memo_has_time(ferry_cache *cache, uint32_t timeout_ms);

/* ---- what is stored ---- */

bool memo_is_declared(const ferry_method *method, const char *type);

void memo_pack_result(ferry_packer *out, Span body);
void memo_pack_exception(ferry_packer *out, Span error_map, uint64_t keep_ms);

/* A value out of a cache. Anybody may have put it there. */
typedef struct MemoValue {
    ferry_bytes body; /* the result; not looked into yet */
    Span error_map;   /* of a declared exception; len 0: none */
} MemoValue;

/* 0: there is a result in ret; -EAGAIN: it does not count (an exception whose time is over, bytes
 * of somebody else); else the code of a declared exception, which goes to reterr, too. */
int memo_value_read(const ferry_method *method, const ferry_bytes *value, MemoValue *ret,
                    ferry_error *reterr);

/* Likewise, and the result is looked into: -EAGAIN when it is none. */
int memo_value_check(const ferry_method *method, const ferry_bytes *value, MemoValue *ret,
                     ferry_error *reterr);

/* ---- storing without waiting ---- */

/* Where the answer of one call is to be kept. */
typedef struct MemoEntry {
    const MemoPlan *plan;
    Source *source;
    ferry_bytes key;
    CacheStamps *stamps; /* ours; NULL: no tags */
    uint64_t began_us;   /* the computation */
    bool storing;        /* the answer may be stored */
} MemoEntry;

static inline bool memo_entry_is_same(const MemoEntry *one, const MemoEntry *other) {
    return one->source == other->source && one->key.len == other->key.len &&
           memcmp(one->key.data, other->key.data, one->key.len) == 0;
}

/* Before the computation: the stamps of the tags. True: go on, storing says the rest. False: fn
 * will be called with a status, once it is 0 storing may be set. */
bool memo_entry_stamp(MemoEntry *entry, CacheDoneFn fn, void *ctx);

/* Nothing happens to what is not to be kept. */
void memo_entry_keep_result(const MemoEntry *entry, Span body);
void memo_entry_keep_exception(const MemoEntry *entry, const ferry_error *error);

/* ---- a turn ---- */

bool memo_calls_run(Core *core);
bool memo_servings_run(Memo *memo);

/* The client is in loop mode: its descriptor becomes readable when Redis has answered. */
void memo_watch(Core *core);
void memo_free(Core *core);

/* Ends calls of a handle with -ECANCELED, in a later turn. */
void memo_cancel(ferry_client *client);

/* The link is gone: requests that wait for the cache are dropped. */
void memo_serve_shut(Core *core);

extern const CallMemo memo_calls;
extern const ServeMemo memo_services;
