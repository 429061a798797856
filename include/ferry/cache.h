/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A cache in this process, in Redis, in several Redis, in a Redis cluster. No broker needed.
 *
 * Unlike a client, a cache is shared by threads: one computation per process needs that. Every
 * function here may be called from any thread, except ferry_cache_close(): nothing else may be
 * using that handle then. After fork() the child opens its own.
 *
 * No function waits longer than options.timeout_ms; past it, a read is a miss and a write is
 * dropped and counted. Set options.strict to get the error instead. Functions whose answer decides
 * something (add, replace, touch, exists, incr, append) always give the error.
 *
 * A key is 1 to 32 768 bytes of any kind, the prefix included. A value is 0 bytes to 64 MiB. A ttl
 * is in milliseconds, 0: until it is evicted; at most FERRY_CACHE_TTL_MAX. Keys that begin with
 * "ferry.tag:" or "ferry.lease:" belong to the cache itself.
 *
 * Errors that every function may give when it gives errors at all:
 *   -EINVAL     an argument is NULL, a key is empty, a ttl is out of range, a tag is malformed;
 *   -EMSGSIZE   the key or the value is larger than the limit;
 *   -ENOMEM     out of memory;
 *   -ETIMEDOUT  Redis did not answer within timeout_ms (error->outcome_unknown for a write);
 *   -ENOTCONN   Redis cannot be reached, or its circuit breaker is open and nothing was tried;
 *   -ECONNRESET the connection was lost on the way (error->outcome_unknown for a write);
 *   -EACCES     Redis wants another user or password, or does not allow the command;
 *   -ENOBUFS    Redis is at its memory limit, or too much is waiting to be sent to it;
 *   -EROFS      Redis is a read-only replica;
 *   -EPROTO     what answered is not Redis, or lies about lengths;
 *   -EREMOTEIO  any other error that Redis gave; error->message has its words.
 * The first three are mistakes of the caller, or of the moment, and are given even without strict.
 */
#ifndef FERRY_CACHE_H
#define FERRY_CACHE_H

#include <ferry/base.h>
#include <ferry/pack.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif

enum {
    FERRY_CACHE_KEY_MAX = 32768,   /* bytes, the prefix included */
    FERRY_CACHE_TAG_MAX = 128,     /* bytes of one tag */
    FERRY_CACHE_TAGS_MAX = 16,     /* tags of one entry */
    FERRY_CACHE_MANY_MAX = 1048576 /* keys in one call */
};

#define FERRY_CACHE_VALUE_MAX ((size_t)64 * 1024 * 1024)
#define FERRY_CACHE_TTL_MAX   (UINT64_C(10) * 366 * 24 * 3600 * 1000) /* ms: ten years */

/* ---- opening ---- */

/* ferry_cache_options.near_cache: what is kept in this process too. A program that says
 * `.near_cache = true` gets all of it. */
enum {
    FERRY_NEAR_MEMOISED = 0, /* answers of memoised methods, whose ttl says that they may be old */
    FERRY_NEAR_ALL = 1,
    FERRY_NEAR_NOTHING = 2
};

typedef struct ferry_cache_options {
    uint32_t timeout_ms; /* longest wait for Redis in one call; 1 to 3 600 000; 0: 100 */
    uint8_t near_cache;  /* keep what was read from Redis in this process as well: FERRY_NEAR_… */
    bool strict;         /* give errors instead of misses and dropped writes */
    uint64_t max_bytes;  /* of memory:// and of the near cache; at least 64 KiB; 0: 64 MiB */
    const char *prefix; /* in front of every key and tag: a namespace; NULL: none; 1 to 255 bytes */
    uint32_t near_stale_ms; /* bound on the age of a near hit; 10 to 3 600 000; 0: 1 000 */
    uint32_t reserved32;
    uint64_t reserved[4];
} ferry_cache_options;

/**
 * Opens a cache. Nothing is connected yet: Redis may come up later.
 *
 * @param url  "memory://"
 *             "redis://[[user]:password@]host[:port][/db]": port 6379, db 0 unless given; [::1] for
 *             IPv6; several hosts separated by commas share the keys as ketama does
 *             "redis+unix://[[user]:password@]/path/to/socket[?db=3]"
 *             "redis+cluster://[[user]:password@]host[:port][,host[:port]...]": some of its nodes
 *             %XX stands for a byte in user, password and path.
 * @param options  NULL: all defaults.
 * @param ret      Receives the cache; untouched on failure.
 *
 * Ownership: ferry_cache_close().
 *
 * @return 0, or
 *   -EINVAL      the URL is malformed, an option is out of range, a reserved word is not zero;
 *   -EOPNOTSUPP  the URL's scheme is none of the above;
 *   -ENOMEM      out of memory.
 */
int ferry_cache_open(const char *url, const ferry_cache_options *options, ferry_cache **ret,
                     ferry_error *reterr);

/**
 * Another handle on the same cache, with a prefix of its own in place of the first one's.
 * Connections, memory and statistics are shared; they last until the last handle is closed.
 *
 * @param prefix  1 to 255 bytes, NUL-terminated; NULL: no prefix.
 * @return 0, -EINVAL (the prefix is empty or too long) or -ENOMEM.
 */
int ferry_cache_with(ferry_cache *cache, const char *prefix, ferry_cache **ret);

/* Closes the handle. What was handed out stays valid: blocks are the caller's. NULL is fine.
 * Returns NULL. */
ferry_cache *ferry_cache_close(ferry_cache *cache);

/* ---- one entry ---- */

/**
 * Looks a key up.
 *
 * A value of no bytes is found like any other: data is not NULL, len is 0.
 *
 * @param ret  Receives the value: one block, ferry_free(). Untouched unless 1 is returned.
 * @return 1: found; 0: not there, expired, invalidated, or (without strict) Redis failed; else a
 *         negative errno as listed at the top.
 */
int ferry_cache_get(ferry_cache *cache, ferry_bytes key, ferry_bytes **ret, ferry_error *reterr);

/* Stores a value, whatever was there before. 0, or as listed at the top. */
int ferry_cache_set(ferry_cache *cache, ferry_bytes key, ferry_bytes value, uint64_t ttl_ms,
                    ferry_error *reterr);

/* The same with tags, "users,user:7": up to 16, each of 1 to 128 bytes without commas and control
 * characters. The entry is gone as soon as one of them is invalidated. NULL or "": no tags. */
int ferry_cache_set_tagged(ferry_cache *cache, ferry_bytes key, ferry_bytes value, uint64_t ttl_ms,
                           const char *tags, ferry_error *reterr);

/* Stores a value where there is none: of several that try at once, one succeeds. 0; -EEXIST: there
 * is one; or as listed at the top, also without strict. */
int ferry_cache_add(ferry_cache *cache, ferry_bytes key, ferry_bytes value, uint64_t ttl_ms,
                    ferry_error *reterr);

/* Stores a value where there is one already. 0; -ENOENT: there is none; or as listed at the top,
 * also without strict. */
int ferry_cache_replace(ferry_cache *cache, ferry_bytes key, ferry_bytes value, uint64_t ttl_ms,
                        ferry_error *reterr);

/* Removes a key; a computation for it that is under way will not be stored. 0, there or not; or as
 * listed at the top. Without strict a delete that Redis did not get is counted in dropped_writes:
 * the entry then lives until its ttl. */
int ferry_cache_delete(ferry_cache *cache, ferry_bytes key, ferry_error *reterr);

/* Gives an entry a new time to live, from now. 0; -ENOENT: not there; or as listed at the top, also
 * without strict. Of what ferry_cache_fetch() stored, it moves the end of life, not the time at
 * which it counts as stale. */
int ferry_cache_touch(ferry_cache *cache, ferry_bytes key, uint64_t ttl_ms, ferry_error *reterr);

/* 1: the key is there; 0: it is not; or as listed at the top, also without strict. An entry whose
 * tag was invalidated is not there. */
int ferry_cache_exists(ferry_cache *cache, ferry_bytes key, ferry_error *reterr);

/**
 * The time an entry has left.
 *
 * @param ret_ms  Receives milliseconds; UINT64_MAX: until it is evicted.
 * @return 1: found; 0: not there; or as listed at the top, also without strict.
 */
int ferry_cache_ttl_get(ferry_cache *cache, ferry_bytes key, uint64_t *ret_ms, ferry_error *reterr);

/**
 * Adds to a number that is stored as decimal text. A key that is not there counts as 0 and gets
 * ttl_ms; one that is there keeps its time to live.
 *
 * @param by       Any number; negative to subtract.
 * @param ret_now  Receives the number after the addition; may be NULL.
 * @return 0; -EINVAL: the value is not a number; -ERANGE: it would leave 64 bits; or as listed at
 * the top, also without strict. Never tried twice: after -ETIMEDOUT or -ECONNRESET it may have been
 * added.
 */
int ferry_cache_incr(ferry_cache *cache, ferry_bytes key, int64_t by, uint64_t ttl_ms,
                     int64_t *ret_now, ferry_error *reterr);

/* ferry_cache_incr() with -by. -EINVAL also for INT64_MIN. */
int ferry_cache_decr(ferry_cache *cache, ferry_bytes key, int64_t by, uint64_t ttl_ms,
                     int64_t *ret_now, ferry_error *reterr);

/* Adds bytes to the end of a value, which keeps its time to live; -EMSGSIZE past the limit, as far
 * as this side can tell. A key that is not there begins empty and without a ttl. Never tried twice.
 * 0, or as listed at the top, also without strict. */
int ferry_cache_append(ferry_cache *cache, ferry_bytes key, ferry_bytes more, ferry_error *reterr);

/* ---- many entries: one round trip for each Redis that has some of them ---- */

/**
 * Looks up n keys.
 *
 * @param n    1 to 1 048 576.
 * @param ret  Receives n values in the order of the keys, one block in all: ferry_free(). data is
 *             NULL where nothing was found.
 * @return the number found, or a negative errno as listed at the top. Without strict, keys of a
 * Redis that fails are not found and the others are.
 */
int ferry_cache_get_many(ferry_cache *cache, const ferry_bytes *keys, size_t n, ferry_bytes **ret,
                         ferry_error *reterr);

/* Stores values[i] under keys[i]. 0, or as listed at the top: then some may be stored. */
int ferry_cache_set_many(ferry_cache *cache, const ferry_bytes *keys, const ferry_bytes *values,
                         size_t n, uint64_t ttl_ms, ferry_error *reterr);

/* ---- tags ---- */

/* Invalidates every entry that has one of these tags, "users,user:7", in one step each, however
 * many entries there are; a computation that began before will not count as valid. 0, or as listed
 * at the top. */
int ferry_cache_invalidate(ferry_cache *cache, const char *tags, ferry_error *reterr);

/* Removes everything with this handle's prefix; without a prefix, everything that Redis database or
 * this memory holds. Walks all keys, for at most timeout_ms: -ETIMEDOUT means call again. */
int ferry_cache_clear(ferry_cache *cache, ferry_error *reterr);

/* ---- computing what is not there ---- */

typedef struct ferry_fetch_options {
    uint64_t ttl_ms;      /* fresh for so long, less up to 10 % at random; 0: until evicted */
    uint64_t stale_ms;    /* after ttl: serve the old value while one of us computes */
    uint64_t negative_ms; /* remember -ENOENT; 0: do not */
    uint32_t wait_ms;     /* for somebody else's computation, then our own; 0: 5 000 */
    uint32_t reserved32;
    const char *tags; /* "users,user:7" */
    uint64_t reserved[4];
} ferry_fetch_options;

/* Packs the value into out. -ENOENT: there is none. Any other error is the caller's, unstored. */
typedef int (*ferry_compute_fn)(ferry_packer *out, void *ctx);

/**
 * Looks a key up and computes it when it is not there: once, however many ask for it, in this
 * process and in all others that share the Redis.
 *
 * Somebody else's computation is waited for, wait_ms at most; then this one computes as well. A
 * value past its ttl but within stale_ms is returned at once to all but the one who computes.
 * Shortly before the ttl ends one caller, chosen at random, computes early (the dearer the
 * computation, the earlier), so that a busy key never runs out. When Redis fails, the value is
 * computed once per process and returned; nothing is given as an error that did not come from
 * compute.
 *
 * The time this adds to that of compute: timeout_ms to look, wait_ms to wait, timeout_ms to store.
 *
 * @param options  NULL: no ttl, no stale time, no tags.
 * @param compute  Called at most once, on this thread. It may use the cache, also for other keys;
 * not fetch the same key again (-EDEADLK).
 * @param ret      Receives the value: one block, ferry_free().
 *
 * @return 0, or
 *   -ENOENT    compute said that there is none, now or (negative_ms) recently;
 *   -EINVAL    an argument is out of range; or compute packed not exactly one value;
 *   -EMSGSIZE  the key or what compute packed is larger than the limit;
 *   -EDEADLK   compute asked for the key that it computes;
 *   -ENOMEM    out of memory;
 *   any other negative errno that compute returned, to all who waited for it. Nothing is stored.
 *   With strict also the errors listed at the top.
 */
int ferry_cache_fetch(ferry_cache *cache, ferry_bytes key, const ferry_fetch_options *options,
                      ferry_compute_fn compute, void *ctx, ferry_bytes **ret, ferry_error *reterr);

/* ---- how it is doing ---- */

typedef struct ferry_cache_stats {
    uint64_t hits;            /* found and valid, near hits included */
    uint64_t near_hits;       /* found without asking Redis */
    uint64_t misses;          /* not there, expired or invalidated */
    uint64_t stale_hits;      /* served past their ttl while somebody computed */
    uint64_t negative_hits;   /* remembered that there is none */
    uint64_t loads;           /* computations that gave a value, or that there is none */
    uint64_t load_failures;   /* computations that failed */
    uint64_t early_loads;     /* of the loads: before the ttl ended */
    uint64_t waits;           /* waited for somebody else's computation */
    uint64_t wait_timeouts;   /* of these: in vain */
    uint64_t stores;          /* values written */
    uint64_t errors;          /* calls that Redis failed, timeouts included */
    uint64_t timeouts;        /* of these: because time ran out */
    uint64_t dropped_writes;  /* writes and deletes given up without an error */
    uint64_t breaker_opens;   /* times that a Redis was given up for a while */
    uint64_t breaker_refused; /* commands not tried because of it */
    uint64_t connects;        /* connections made */
    uint64_t redirects;       /* MOVED and ASK followed */
    uint64_t refreshes;       /* maps of the cluster fetched */
    uint64_t invalidations;   /* near entries dropped because Redis said so */
    uint64_t near_flushes;    /* times that the whole near cache was dropped */
    uint64_t evictions;       /* entries pushed out of memory by others */
    uint64_t expirations;     /* entries removed from memory after their ttl */
    uint64_t entries;         /* in memory now */
    uint64_t bytes;           /* that they take now */
    uint64_t max_bytes;       /* that they may take */
    uint64_t commands;        /* sent to Redis */
    uint64_t round_trips;     /* waits for one Redis, whatever number of commands they carried */
    uint64_t latency_us_sum;  /* of these waits */
    uint64_t latency_us_max;
    uint64_t latency_us[16]; /* how many took less than 32 us, 64 us, 128 us, ...; last: the rest */
    uint32_t breakers_open;  /* Redis servers given up right now */
    uint32_t nodes;          /* Redis servers known */
    uint64_t reserved[8];
} ferry_cache_stats;

/* Counts since the cache was opened, of all its handles. Never waits. */
void ferry_cache_stats_read(ferry_cache *cache, ferry_cache_stats *ret);

#ifdef __GNUC__
static inline void ferry_cache_close_auto(ferry_cache **cache) {
    ferry_cache_close(*cache);
}
#endif

#ifdef __GNUC__
#pragma GCC visibility pop
#endif

#ifdef __cplusplus
}
#endif
#endif
