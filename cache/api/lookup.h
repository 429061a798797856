/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The cache for a program with an event loop: no function here waits. A value that is in this
 * process is returned at once; an answer of Redis arrives in a callback. Memoised methods use this
 * interface.
 *
 * A CacheLookups belongs to one client; one thread at a time may use it. The ferry_cache behind it
 * may be shared and must outlive it. Its descriptor is an epoll descriptor for the client's own
 * epoll set: level-triggered, readable when cache_lookups_process() has work, deadlines included.
 * Callbacks run in cache_lookups_process() and cache_lookups_close(), each exactly once, and never
 * before the function that took the callback has returned.
 */

#include "cache/api/cache.h"

enum { LOOKUPS_PENDING_MAX = 65536 }; /* operations in flight; above this, -ENOBUFS */

typedef struct CacheLookups CacheLookups;

/* 0, -ENOMEM, or the errno of epoll_create1(), eventfd() or timerfd_create(), negative. */
int cache_lookups_open(ferry_cache *cache, CacheLookups **ret);

/* Ends unfinished operations with -ECANCELED. lookups may be NULL. Returns NULL. */
CacheLookups *cache_lookups_close(CacheLookups *lookups);
DEFINE_CLEANUP(CacheLookups *, cache_lookups_close);

int cache_lookups_fd(const CacheLookups *lookups);
void cache_lookups_process(CacheLookups *lookups);

/*
 * state: LOOK_FRESH and LOOK_STALE come with the value, one block that the callback owns;
 * LOOK_NEGATIVE and LOOK_ABSENT without; LOOK_FAILED with a status.
 */
typedef void (*CacheGotFn)(LookState state, ferry_bytes *value, int status, void *ctx);

/* 0: the answer is known at once: *ret_state is set, for LOOK_FRESH and LOOK_STALE also *ret, and
 * fn is not called. -EINPROGRESS: fn will be called. -EINVAL, -EMSGSIZE, -ENOMEM, -ENOBUFS: fn is
 * not called. If the circuit breaker of the Redis server is open, the answer is at once
 * LOOK_FAILED. */
int cache_try_get(CacheLookups *lookups, ferry_bytes key, LookState *ret_state, ferry_bytes **ret,
                  CacheGotFn fn, void *ctx);

typedef void (*CacheDoneFn)(int status, void *ctx);

/*
 * To store a value with tags: fetch the stamps of the tags, compute the value, then store it. If
 * the stamps were fetched after the computation, a value that was invalidated during the
 * computation would count as valid.
 */
typedef struct CacheStamps {
    CacheEntry entry; /* its tags, whose names are in text */
    char text[FERRY_CACHE_TAGS_MAX * (FERRY_CACHE_TAG_MAX + 1)];
} CacheStamps;

/* tags: as in ferry/cache.h, NULL for no tags. ret stays in place until fn is called. 0: done at
 * once, fn is not called; -EINPROGRESS; -EINVAL, -ENOMEM, -ENOBUFS. If fn gets a status other than
 * 0, do not store the value. */
int cache_try_stamp(CacheLookups *lookups, const char *tags, uint64_t ttl_ms, CacheStamps *ret,
                    CacheDoneFn fn, void *ctx);

typedef struct CacheTimes {
    uint64_t ttl_ms;   /* 0: until evicted */
    uint64_t stale_ms; /* after ttl_ms */
    uint32_t took_us;  /* by the computation */
    bool negative;     /* store for ttl_ms (not 0) that there is no value */
} CacheTimes;

/* Stores a value. stamps: NULL without tags. fn may be NULL. Returns as cache_try_stamp(), and
 * -EMSGSIZE. */
int cache_try_set(CacheLookups *lookups, ferry_bytes key, ferry_bytes value,
                  const CacheTimes *times, const CacheStamps *stamps, CacheDoneFn fn, void *ctx);
