/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The interface of a store of entries, in this process or in Redis. A store has bytes under keys,
 * with times to live; the layer above interprets the bytes. Statuses are 0 or negative errnos;
 * times to live are in milliseconds, 0: no limit.
 */

#include <ferry/cache.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "cache/connection/url.h"
#include "cache/memory/memory.h"
#include "rpc/wire/reader.h"

enum { STORE_WHY = 200 };

typedef struct CacheStore CacheStore;
typedef struct Near Near;
typedef struct Redis Redis;

/* One call of the user: its deadline, and a text about its failure. The deadline is computed when
 * the call first has to wait: a hit in memory does not read the clock for it. */
typedef struct StoreCall {
    uint64_t timeout_ns;
    uint64_t deadline_ns; /* 0: not computed yet */
    char why[STORE_WHY];
} StoreCall;

static inline uint64_t store_deadline(StoreCall *call) {
    if (call->deadline_ns == 0)
        call->deadline_ns = clock_ns() + call->timeout_ns;
    return call->deadline_ns;
}

typedef struct StoreGet {
    Span key;
    bool far;           /* skip the near cache */
    bool plain;         /* do not keep the value in the near cache */
    ferry_bytes *value; /* one block, owned by the caller; NULL: absent, or see status */
    int status;
} StoreGet;

typedef struct StorePut {
    Span key;
    Span head, body; /* the value is their concatenation */
    uint64_t ttl_ms;
    MemoryMode mode; /* -EEXIST and -ENOENT in status */
    int status;
} StorePut;

/* A computed value, and the entry that the computation found under its key when it began. Only this
 * entry may be replaced. */
typedef struct StoreCommit {
    StorePut put;
    uint64_t token; /* of store_lease() */
    Span expect;    /* the header of the entry to replace; empty: the key did not exist */
} StoreCommit;

enum { LEASE_TAKEN, LEASE_GOT };

typedef struct CacheStoreOps {
    CacheStore *(*free)(CacheStore *store);
    void (*get)(CacheStore *store, StoreGet *gets, size_t n, StoreCall *call);
    void (*put)(CacheStore *store, StorePut *puts, size_t n, StoreCall *call);
    int (*delete)(CacheStore *store, const Span *keys, size_t n, StoreCall *call);
    int (*touch)(CacheStore *store, Span key, uint64_t ttl_ms, StoreCall *call); /* -ENOENT */
    /* 1 and the remaining time, UINT64_MAX: no time to live; 0: absent. */
    int (*ttl)(CacheStore *store, Span key, uint64_t *ret_ms, StoreCall *call);
    int (*incr)(CacheStore *store, Span key, int64_t by, uint64_t ttl_ms, int64_t *ret,
                StoreCall *call);
    int (*append)(CacheStore *store, Span key, Span more, StoreCall *call);
    /* Sets stamps[i] where the key is absent, else receives the existing stamp. A stamp lives for
     * ttl_ms at least. */
    int (*stamp)(CacheStore *store, const Span *keys, uint64_t *stamps, size_t n, uint64_t ttl_ms,
                 StoreCall *call);
    /* Takes the right to compute a key, for ms: LEASE_GOT or LEASE_TAKEN. */
    int (*lease)(CacheStore *store, Span key, uint64_t token, uint64_t ms, StoreCall *call);
    /* Stores the computed value and ends the lease; 1: stored; 0: the lease has expired, or the
     * entry was replaced meanwhile. */
    int (*commit)(CacheStore *store, StoreCommit *commit, StoreCall *call);
    /* Ends the lease without a value. */
    void (*release)(CacheStore *store, Span key, uint64_t token, StoreCall *call);
    int (*clear)(CacheStore *store, Span prefix, StoreCall *call);
    void (*stats)(CacheStore *store, ferry_cache_stats *to);
} CacheStoreOps;

struct CacheStore {
    const CacheStoreOps *ops;
};

int store_open_memory(CacheStore **ret, uint64_t max_bytes);

int store_open_redis(CacheStore **ret, CacheUrl *url, const ferry_cache_options *options,
                     ferry_error *reterr);

/* The Redis behind a store; NULL for memory://. */
Redis *store_redis(CacheStore *store, Near **ret_near);

static inline CacheStore *store_free(CacheStore *store) {
    return store ? store->ops->free(store) : NULL;
}
DEFINE_CLEANUP(CacheStore *, store_free);
