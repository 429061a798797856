/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The parts that all public functions of the cache use: the handle, keys, look-ups, errors. */

#include <ferry/cache.h>

#include "base/cleanup.h"
#include "cache/api/flight.h"
#include "cache/stores/entry.h"
#include "cache/stores/store.h"

enum { CACHE_PREFIX_MAX = 255, CACHE_KEY_SMALL = 512 };

/* Counters of calls, all atomic. The store has the other statistics. */
typedef struct CacheCounts {
    uint64_t hits, misses, stale_hits, negative_hits;
    uint64_t loads, load_failures, early_loads, waits, wait_timeouts;
    uint64_t stores, errors, timeouts, dropped_writes;
} CacheCounts;

/* The state that all handles of one cache share. */
typedef struct CacheCore {
    CacheStore *store;
    uint32_t handles; /* atomic */
    unsigned forks;   /* of the process when the cache was opened */
    bool strict;
    uint8_t near; /* FERRY_NEAR_… */
    uint64_t timeout_ns;
    Flights flights;
    CacheCounts counts;
    char place[128]; /* see cache_url_place() */
} CacheCore;

struct ferry_cache {
    CacheCore *core;
    bool near; /* the near cache keeps the values that this handle reads */
    size_t prefix_len;
    uint8_t prefix[CACHE_PREFIX_MAX];
};

#define cache_count(cache, what)                                                                   \
    __atomic_add_fetch(&(cache)->core->counts.what, 1, __ATOMIC_RELAXED)

static inline StoreCall cache_call(const ferry_cache *cache) {
    StoreCall call;

    call.timeout_ns = cache->core->timeout_ns;
    call.deadline_ns = 0;
    call.why[0] = '\0';
    return call;
}

/* 0; -EINVAL: cache is NULL; -ECHILD: it was opened before fork(). The sockets and locks belong to
 * the parent: a child that uses them would receive the answers to its parent's commands. */
int cache_check(const ferry_cache *cache, ferry_error *reterr);

/* A key behind its prefix. Long keys are on the heap. */
typedef struct CacheKey {
    Span span;
    uint8_t *large;
    uint8_t small[CACHE_KEY_SMALL];
} CacheKey;

/* 0; -EINVAL, -EMSGSIZE, -ENOMEM, -ECHILD, each with its cause in reterr. */
int cache_key_init(CacheKey *key, const ferry_cache *cache, ferry_bytes given, ferry_error *reterr);

/* As cache_key_init(), but always with a copy of the bytes. */
int cache_key_copy(CacheKey *key, const ferry_cache *cache, ferry_bytes given);

static inline void cache_key_deinitp(CacheKey *key) {
    if (key->large)
        ferry_free(key->large);
}

/* Counts the outcome of a user's call and fills reterr. Returns status; if the failure is soft and
 * the cache is not strict, returns 0: the read is a miss, or the write is dropped. */
typedef enum CacheFailure {
    CACHE_HARD,       /* the answer matters: always an error */
    CACHE_HARD_WRITE, /* always an error, and Redis may have done the write */
    CACHE_SOFT_READ,
    CACHE_SOFT_WRITE,
} CacheFailure;

int cache_fail(ferry_cache *cache, int status, CacheFailure kind, const StoreCall *call,
               ferry_error *reterr);

/* Opens another handle on the same keys, for memoised methods: its near cache is on if the owner of
 * the cache allows that. 0, -ENOMEM. */
int cache_open_memoised(ferry_cache *cache, ferry_cache **ret);

/* Tags. */
typedef struct CacheTagKeys {
    CacheKey keys[FERRY_CACHE_TAGS_MAX];
    Span spans[FERRY_CACHE_TAGS_MAX];
    size_t n;
} CacheTagKeys;

/* Makes the keys under which the stamps of the entry's tags are stored. 0, -ENOMEM. */
int cache_tag_keys_init(CacheTagKeys *keys, const ferry_cache *cache, const CacheEntry *entry);
void cache_tag_keys_deinitp(CacheTagKeys *keys);

/* Copies the current stamps of the tags into the entry. Returns 0, or the errors of store->stamp().
 */
int cache_stamp(ferry_cache *cache, CacheEntry *entry, uint64_t ttl_ms, StoreCall *call);

/* Checks that each tag still has the stamp that is in the entry: 1, 0, or a negative errno. */
int cache_tags_valid(ferry_cache *cache, const CacheEntry *entry, bool far, StoreCall *call);

/* ---- looking up ---- */

typedef enum LookState {
    LOOK_ABSENT,
    LOOK_FRESH,
    LOOK_STALE,
    LOOK_NEGATIVE,
    LOOK_FAILED, /* see status */
} LookState;

typedef struct Look {
    LookState state;
    int status;
    ferry_bytes *block; /* the stored bytes, valid or not; after cache_look_take() only the value;
                           NULL: not stored */
    CacheEntry entry;   /* its spans are in block */
} Look;

/* Looks a key up. far: skip the near cache. */
void cache_look(ferry_cache *cache, Span key, bool far, StoreCall *call, Look *ret);

/* Sets the state from the entry in block. Does not check the tags. */
void cache_look_judge(Look *look);

/* True: all tags of the entry are in the near cache, and the entry's state says whether they are
 * valid. */
bool cache_tags_near(ferry_cache *cache, Near *near, Look *look);

/* Returns the value for the user, as one block. */
ferry_bytes *cache_look_take(Look *look);
void cache_look_deinitp(Look *look);
