#pragma once

/*
 * The cache for a program with a loop: nothing here waits. What this process knows is answered at
 * once; what Redis has to say comes through a callback. Memoised methods are looked up and stored
 * this way.
 *
 * A CacheLookups belongs to one client and is used by one thread at a time; the ferry_cache behind
 * it may be shared as ever and must outlive it. Its descriptor is an epoll descriptor to put into
 * the client's own: readable, level-triggered, when cache_lookups_process() has something to do,
 * deadlines included. Callbacks run in cache_lookups_process() and cache_lookups_close(), each
 * exactly once, never before the function that took it has returned.
 */

#include "cache/api/cache.h"

enum { LOOKUPS_PENDING_MAX = 65536 }; /* operations on their way; more get -ENOBUFS */

typedef struct CacheLookups CacheLookups;

/* 0, -ENOMEM, or what epoll_create1() and its like gave. */
int cache_lookups_open(ferry_cache *cache, CacheLookups **ret);

/* What has not ended gets -ECANCELED. NULL is fine. Returns NULL. */
CacheLookups *cache_lookups_close(CacheLookups *lookups);
DEFINE_CLEANUP(CacheLookups *, cache_lookups_close);

int cache_lookups_fd(const CacheLookups *lookups);
void cache_lookups_process(CacheLookups *lookups);

/*
 * state: LOOK_FRESH and LOOK_STALE with the value, one block, the callee's; LOOK_NEGATIVE,
 * LOOK_ABSENT, or LOOK_FAILED with a status, without.
 */
typedef void (*CacheGotFn)(LookState state, ferry_bytes *value, int status, void *ctx);

/* 0: known at once: *ret_state, and *ret with LOOK_FRESH and LOOK_STALE; fn is not called.
 * -EINPROGRESS: fn will be. -EINVAL, -EMSGSIZE, -ENOMEM, -ENOBUFS: neither. A Redis that is left
 * alone after failures is known at once too: LOOK_FAILED. */
int cache_try_get(CacheLookups *lookups, ferry_bytes key, LookState *ret_state, ferry_bytes **ret,
                  CacheGotFn fn, void *ctx);

typedef void (*CacheDoneFn)(int status, void *ctx);

/*
 * To store something with tags: first their stamps, then the computation, then the value. Asked for
 * afterwards, the stamps would make valid what was invalidated during the computation.
 */
typedef struct CacheStamps {
    CacheEntry entry; /* its tags, whose names are in text */
    char text[FERRY_CACHE_TAGS_MAX * (FERRY_CACHE_TAG_MAX + 1)];
} CacheStamps;

/* tags: as in ferry/cache.h; NULL: none. ret stays in place until fn. 0: at once, fn is not called;
 * -EINPROGRESS; -EINVAL, -ENOMEM, -ENOBUFS. A status in fn that is not 0: do not store. */
int cache_try_stamp(CacheLookups *lookups, const char *tags, uint64_t ttl_ms, CacheStamps *ret,
                    CacheDoneFn fn, void *ctx);

typedef struct CacheTimes {
    uint64_t ttl_ms;   /* 0: until evicted */
    uint64_t stale_ms; /* after ttl_ms */
    uint32_t took_us;  /* by the computation */
    bool negative;     /* there is no value: remember that for ttl_ms, which must not be 0 */
} CacheTimes;

/* Stores a value. stamps: NULL for no tags. fn may be NULL. As cache_try_stamp(), and -EMSGSIZE. */
int cache_try_set(CacheLookups *lookups, ferry_bytes key, ferry_bytes value,
                  const CacheTimes *times, const CacheStamps *stamps, CacheDoneFn fn, void *ctx);
