#pragma once

/* What the public functions of the cache share: the handle, keys, looking up, errors. */

#include <ferry/cache.h>

#include "base/cleanup.h"
#include "cache/api/flight.h"
#include "cache/stores/entry.h"
#include "cache/stores/store.h"

enum { CACHE_PREFIX_MAX = 255, CACHE_KEY_SMALL = 512 };

/* Counts of calls; the rest of the statistics is the store's. All atomic. */
typedef struct CacheCounts {
    uint64_t hits, misses, stale_hits, negative_hits;
    uint64_t loads, load_failures, early_loads, waits, wait_timeouts;
    uint64_t stores, errors, timeouts, dropped_writes;
} CacheCounts;

/* What all handles on one cache share. */
typedef struct CacheCore {
    Store *store;
    uint32_t handles; /* atomic */
    bool strict;
    uint8_t near; /* FERRY_NEAR_… */
    uint64_t timeout_ns;
    Flights flights;
    CacheCounts counts;
} CacheCore;

struct ferry_cache {
    CacheCore *core;
    bool near; /* what is read through this handle is kept near */
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

/* A key with its prefix in front. Long ones are on the heap. */
typedef struct CacheKey {
    Span span;
    uint8_t *large;
    uint8_t small[CACHE_KEY_SMALL];
} CacheKey;

/* 0; -EINVAL, -EMSGSIZE, -ENOMEM, each with its cause in reterr. */
int cache_key_init(CacheKey *key, const ferry_cache *cache, ferry_bytes given, ferry_error *reterr);

/* The same, but the bytes are always the key's own. */
int cache_key_copy(CacheKey *key, const ferry_cache *cache, ferry_bytes given);

static inline void cache_key_deinitp(CacheKey *key) {
    if (key->large)
        ferry_free(key->large);
}

/* Puts what a call of the user came to into words. Counts it. Returns status, or, where soft and
 * the cache is not strict, 0: a miss, a write that was dropped. */
typedef enum CacheFailure {
    CACHE_HARD,       /* the answer matters: always an error */
    CACHE_HARD_WRITE, /* likewise, and it may have been done */
    CACHE_SOFT_READ,
    CACHE_SOFT_WRITE,
} CacheFailure;

int cache_fail(ferry_cache *cache, int status, CacheFailure kind, const StoreCall *call,
               ferry_error *reterr);

/* Another handle, on the same keys, that keeps near what the cache's owner allows memoised methods
 * to keep there. 0, -ENOMEM. */
int cache_open_memoised(ferry_cache *cache, ferry_cache **ret);

/* Tags. */
typedef struct CacheTagKeys {
    CacheKey keys[FERRY_CACHE_TAGS_MAX];
    Span spans[FERRY_CACHE_TAGS_MAX];
    size_t n;
} CacheTagKeys;

/* The keys of the stamps of an entry's tags. 0, -ENOMEM. */
int cache_tag_keys_init(CacheTagKeys *keys, const ferry_cache *cache, const CacheEntry *entry);
void cache_tag_keys_deinitp(CacheTagKeys *keys);

/* Gives an entry the stamps that its tags have now. 0 or as store->stamp(). */
int cache_stamp(ferry_cache *cache, CacheEntry *entry, uint64_t ttl_ms, StoreCall *call);

/* Have the tags still the stamps that the entry has? 1, 0, or a negative errno. */
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
    ferry_bytes
        *block;       /* what is stored, valid or not; once taken, its value alone. NULL: nothing */
    CacheEntry entry; /* its spans are in block */
} Look;

/* far: not from the near cache. */
void cache_look(ferry_cache *cache, Span key, bool far, StoreCall *call, Look *ret);

/* Sets the state of what is in block, tags aside. */
void cache_look_judge(Look *look);

/* Are all tags of an entry in the near cache? Then its state says whether they are valid. */
bool cache_tags_near(ferry_cache *cache, Near *near, Look *look);

/* The value for the user: one block. */
ferry_bytes *cache_look_take(Look *look);
void cache_look_deinitp(Look *look);

uint64_t cache_wall_ms(void);
