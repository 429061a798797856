/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A cache in this process, in one Redis server, in several servers, or in a Redis cluster. It needs
 * no broker.
 *
 * Unlike a client, a cache is shared by all threads, so that a process computes each value only
 * once. Any thread may call any function of this header. While one thread calls
 * ferry_cache_close(), no other thread may use the handle. After fork() the child opens its own
 * cache: for a cache that its parent opened, every function returns -ECHILD, and
 * ferry_cache_close() frees the handle alone.
 *
 * No function waits longer than options.timeout_ms. After that time a read counts as a miss, and a
 * write is dropped and counted. If options.strict is set, the caller gets the error instead.
 * Functions whose result the caller acts on (add, replace, touch, exists, get_ttl, incr, decr,
 * append, clear) always return the error.
 *
 * A key has 1 to 32 768 bytes of any kind, including the prefix. A value has 0 bytes to 64 MiB. A
 * ttl is in milliseconds, at most FERRY_CACHE_TTL_MAX. With a ttl of 0 the entry stays until it is
 * evicted. Keys that begin with "ferry.tag:" or "ferry.lease:" belong to the cache itself.
 *
 * Errors of every function that returns errors:
 *   -EINVAL     an argument is NULL, a key is empty, a ttl is out of range, a tag is malformed;
 *   -EMSGSIZE   the key or the value is larger than the limit;
 *   -ECHILD     the cache was opened before fork();
 *   -ENOMEM     out of memory;
 *   -ETIMEDOUT  Redis did not answer within timeout_ms (error->outcome_unknown for a write);
 *   -ENOTCONN   Redis cannot be reached, or its circuit breaker is open and nothing was sent;
 *   -ECONNRESET the connection was lost during the call (error->outcome_unknown for a write);
 *   -EACCES     Redis refused the user, the password, the client's certificate or the command, or
 *               Redis has a certificate that is not trusted;
 *   -ENOBUFS    Redis is at its memory limit, or too many bytes wait to be sent to it;
 *   -EROFS      Redis is a read-only replica;
 *   -EPROTO     the reply is not Redis protocol, or its lengths are wrong;
 *   -EREMOTEIO  any other error of Redis; error->message has its text.
 * The functions return the first four even without strict.
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
    FERRY_CACHE_KEY_MAX = 32768,   /* bytes, including the prefix */
    FERRY_CACHE_TAG_MAX = 128,     /* bytes of one tag */
    FERRY_CACHE_TAGS_MAX = 16,     /* tags of one entry */
    FERRY_CACHE_MANY_MAX = 1048576 /* keys in one call */
};

#define FERRY_CACHE_VALUE_MAX ((size_t)64 * 1024 * 1024)
#define FERRY_CACHE_TTL_MAX   (UINT64_C(10) * 366 * 24 * 3600 * 1000) /* ms: ten years */

/* ---- opening ---- */

/* ferry_cache_options.near_cache: which values of Redis this process also keeps in its memory.
 * `.near_cache = true` keeps all of them. */
enum {
    FERRY_NEAR_MEMOISED = 0, /* only answers of memoised methods, whose ttl permits old values */
    FERRY_NEAR_ALL = 1,
    FERRY_NEAR_NOTHING = 2
};

typedef struct ferry_cache_options {
    uint32_t timeout_ms; /* longest wait for Redis in one call; 1 to 3 600 000; 0: 100 */
    uint8_t near_cache;  /* the values from Redis that this process keeps too: FERRY_NEAR_… */
    bool strict;         /* return errors instead of misses and dropped writes */
    uint64_t max_bytes;  /* of memory:// and of the near cache; at least 64 KiB; 0: 64 MiB */
    /* A namespace that is put before every key and tag: 1 to 255 bytes; NULL: no prefix. */
    const char *prefix;
    uint32_t near_stale_ms; /* bound on the age of a near hit; 10 to 3 600 000; 0: 1 000 */
    uint32_t reserved32;
    uint64_t reserved[4];
} ferry_cache_options;

/**
 * Opens a cache. It connects when it is first used, so Redis may start later.
 *
 * @param url  One of these forms. In user, password, path and the values after '?', %XX stands for
 *             a byte.
 *             "memory://"
 *             "redis://[[user]:password@]host[:port][/db]": the defaults are port 6379 and db 0;
 *             IPv6 is written as [::1]; several hosts are separated by commas, and ketama
 *             distributes the keys among them
 *             "redis+unix://[[user]:password@]/path/to/socket[?db=3]"
 *             "redis+cluster://[[user]:password@]host[:port][,host[:port]...]": one or more nodes
 *             "redis+sentinel://[[user]:password@]host[:port][,host[:port]...]/master[/db]
 *             [?sentinel_login=[user]:password]": the server that the Sentinels report; the default
 *             port is 26379
 *             "rediss://", "rediss+cluster://", "rediss+sentinel://": the same over TLS, with
 *             "?ca=FILE" (trusted authorities; default: those of the system) and
 *             "cert=FILE&key=FILE" (the client's certificate, if the server requires one)
 * @param options  NULL: all defaults.
 * @param ret      Receives the cache; untouched on failure.
 *
 * Ownership: ferry_cache_close().
 *
 * @return 0, or
 *   -EINVAL      the URL is malformed, a file that it names cannot be used, an option is out of
 *                range, a reserved word is not zero;
 *   -EOPNOTSUPP  the URL has another scheme;
 *   -ENOMEM      out of memory.
 */
int ferry_cache_open(const char *url, const ferry_cache_options *options, ferry_cache **ret,
                     ferry_error *reterr);

/**
 * Opens another handle on the same cache. Its prefix replaces the prefix of the first handle. All
 * handles share connections, memory and statistics, which last until the last handle is closed.
 *
 * @param prefix  1 to 255 bytes, NUL-terminated; NULL: no prefix.
 * @return 0, -EINVAL (the prefix is empty or too long), -ECHILD or -ENOMEM.
 */
int ferry_cache_with(ferry_cache *cache, const char *prefix, ferry_cache **ret);

/* Closes the handle. Blocks that the cache returned stay valid: they belong to the caller. NULL is
 * allowed. Returns NULL. */
ferry_cache *ferry_cache_close(ferry_cache *cache);

/* ---- one entry ---- */

/**
 * Looks a key up.
 *
 * For a value of 0 bytes, data is not NULL and len is 0.
 *
 * @param ret  Receives the value as one block, to be freed with ferry_free(). Untouched unless the
 *             function returns 1.
 * @return 1: found; 0: the key has no value, its entry has expired or was invalidated, or (without
 * strict) Redis failed; otherwise a negative errno as listed at the top.
 */
int ferry_cache_get(ferry_cache *cache, ferry_bytes key, ferry_bytes **ret, ferry_error *reterr);

/* Stores a value, in place of the old value if the key has one. 0, or as listed at the top. */
int ferry_cache_set(ferry_cache *cache, ferry_bytes key, ferry_bytes value, uint64_t ttl_ms,
                    ferry_error *reterr);

/* ferry_cache_set() with tags, "users,user:7": up to 16, each of 1 to 128 bytes without commas and
 * control characters. If one of its tags is invalidated, the entry is no longer valid. NULL or "":
 * no tags. */
int ferry_cache_set_tagged(ferry_cache *cache, ferry_bytes key, ferry_bytes value, uint64_t ttl_ms,
                           const char *tags, ferry_error *reterr);

/* Stores a value if the key has no value. If several callers try at once, one succeeds. 0; -EEXIST:
 * the key has a value; or an error listed at the top, also without strict. */
int ferry_cache_add(ferry_cache *cache, ferry_bytes key, ferry_bytes value, uint64_t ttl_ms,
                    ferry_error *reterr);

/* Stores a value if the key already has one. 0; -ENOENT: the key has no value; or an error listed
 * at the top, also without strict. */
int ferry_cache_replace(ferry_cache *cache, ferry_bytes key, ferry_bytes value, uint64_t ttl_ms,
                        ferry_error *reterr);

/* Removes a key. If a value for it is being computed, the result is not stored. 0, whether the key
 * had a value or not; or an error listed at the top. Without strict, a delete that did not reach
 * Redis is counted in dropped_writes, and the entry stays until its ttl ends. */
int ferry_cache_delete(ferry_cache *cache, ferry_bytes key, ferry_error *reterr);

/* Gives an entry a new time to live, counted from now. 0; -ENOENT: the key has no value; or an
 * error listed at the top, also without strict. For an entry of ferry_cache_fetch() it changes the
 * time at which the entry is removed, not the time at which it becomes stale. */
int ferry_cache_touch(ferry_cache *cache, ferry_bytes key, uint64_t ttl_ms, ferry_error *reterr);

/* 1: the key has a value; 0: it has no value, or a tag of its entry was invalidated; or as listed
 * at the top, also without strict. */
int ferry_cache_exists(ferry_cache *cache, ferry_bytes key, ferry_error *reterr);

/**
 * Reads the remaining time to live of an entry.
 *
 * @param ret_ms  Receives milliseconds; UINT64_MAX: until it is evicted.
 * @return 1: found; 0: the key has no value; or as listed at the top, also without strict.
 */
int ferry_cache_get_ttl(ferry_cache *cache, ferry_bytes key, uint64_t *ret_ms, ferry_error *reterr);

/**
 * Adds to a number that is stored as decimal text. A key without a value counts as 0 and gets
 * ttl_ms. A key with a value keeps its time to live.
 *
 * @param by       Any number; negative to subtract.
 * @param ret_now  Receives the number after the addition; may be NULL.
 * @return 0; -EINVAL: the value is not a number; -ERANGE: the result would not fit into 64 bits; or
 * an error listed at the top, also without strict. The function is never retried: after -ETIMEDOUT
 * or -ECONNRESET, `by` may have been added.
 */
int ferry_cache_incr(ferry_cache *cache, ferry_bytes key, int64_t by, uint64_t ttl_ms,
                     int64_t *ret_now, ferry_error *reterr);

/* ferry_cache_incr() with -by. -EINVAL also for INT64_MIN. */
int ferry_cache_decr(ferry_cache *cache, ferry_bytes key, int64_t by, uint64_t ttl_ms,
                     int64_t *ret_now, ferry_error *reterr);

/* Appends bytes to a value, which keeps its time to live. A key without a value starts empty and
 * without a ttl. Never retried. 0; -EMSGSIZE: this process knows that the value would exceed the
 * limit; or as listed at the top, also without strict. */
int ferry_cache_append(ferry_cache *cache, ferry_bytes key, ferry_bytes more, ferry_error *reterr);

/* ---- many entries: one round trip for each Redis that has some of them ---- */

/**
 * Looks up n keys.
 *
 * @param n    1 to 1 048 576.
 * @param ret  Receives n values in the order of the keys, together in one block, to be freed with
 *             ferry_free(). For a key that was not found, data is NULL.
 * @return the number found, or a negative errno as listed at the top. Without strict, the keys of a
 * Redis server that fails count as not found.
 */
int ferry_cache_get_many(ferry_cache *cache, const ferry_bytes *keys, size_t n, ferry_bytes **ret,
                         ferry_error *reterr);

/* Stores values[i] under keys[i]. 0, or an error listed at the top; after an error some of the
 * values may be stored. */
int ferry_cache_set_many(ferry_cache *cache, const ferry_bytes *keys, const ferry_bytes *values,
                         size_t n, uint64_t ttl_ms, ferry_error *reterr);

/* ---- tags ---- */

/* Invalidates every entry that has one of these tags, "users,user:7", in one step for each tag, for
 * any number of entries. If a computation began earlier, its result is invalid too. 0, or as listed
 * at the top. */
int ferry_cache_invalidate(ferry_cache *cache, const char *tags, ferry_error *reterr);

/* Removes all keys with this handle's prefix; without a prefix, all keys of the Redis database, or
 * of the memory of this cache. It goes through all keys, for at most timeout_ms. -ETIMEDOUT: call
 * it again to continue. */
int ferry_cache_clear(ferry_cache *cache, ferry_error *reterr);

/* ---- computing missing values ---- */

typedef struct ferry_fetch_options {
    /* How long the value is fresh, minus a random part of up to 10 %; 0: until evicted. */
    uint64_t ttl_ms;
    uint64_t stale_ms; /* how long after ttl_ms the old value is served while one caller computes */
    uint64_t negative_ms; /* how long -ENOENT is remembered; 0: it is not remembered */
    uint32_t wait_ms; /* longest wait for another caller's computation; then compute; 0: 5 000 */
    uint32_t reserved32;
    const char *tags; /* "users,user:7" */
    uint64_t reserved[4];
} ferry_fetch_options;

/* Packs the value into out. -ENOENT: no value exists. Other errors are returned to the caller and
 * not stored. */
typedef int (*ferry_compute_fn)(ferry_packer *out, void *ctx);

/**
 * Looks a key up, and computes its value if the key has no value. The value is computed once for
 * all callers that ask, in this process and in all other processes that share the Redis server.
 *
 * If another caller is computing the value, this caller waits at most wait_ms and then computes it
 * too. A value that is older than its ttl, by at most stale_ms, is returned at once to all callers
 * except the one that computes. Shortly before the ttl ends one caller, chosen at random, computes
 * early (the longer the computation takes, the earlier), so that a busy key never expires. If Redis
 * fails, each process computes the value once and returns it, so every returned error is one of
 * compute.
 *
 * In addition to compute, the function takes at most timeout_ms to look the key up, wait_ms to
 * wait, and timeout_ms to store the value.
 *
 * @param options  NULL: no ttl, no stale time, no tags.
 * @param compute  Called at most once, on this thread. It may use the cache and fetch other keys,
 *                 but must not fetch the same key again (-EDEADLK).
 * @param ret      Receives the value as one block, to be freed with ferry_free().
 *
 * @return 0, or
 *   -ENOENT    compute returned -ENOENT, now or within the last negative_ms;
 *   -EINVAL    an argument is out of range, or compute did not pack exactly one value;
 *   -EMSGSIZE  the key, or the value that compute packed, is larger than the limit;
 *   -EDEADLK   compute asked for the key that it computes;
 *   -ENOMEM    out of memory;
 *   any other negative errno of compute, returned to all callers that waited for it, and not
 *   stored; with strict also the errors listed at the top.
 */
int ferry_cache_fetch(ferry_cache *cache, ferry_bytes key, const ferry_fetch_options *options,
                      ferry_compute_fn compute, void *ctx, ferry_bytes **ret, ferry_error *reterr);

/* ---- statistics ---- */

typedef struct ferry_cache_stats {
    uint64_t hits;            /* found and valid, including near hits */
    uint64_t near_hits;       /* found without asking Redis */
    uint64_t misses;          /* no value, expired or invalidated */
    uint64_t stale_hits;      /* served after their ttl while another caller computed */
    uint64_t negative_hits;   /* answered by a remembered -ENOENT */
    uint64_t loads;           /* computations that returned a value or -ENOENT */
    uint64_t load_failures;   /* computations that failed */
    uint64_t early_loads;     /* loads that began before the ttl ended */
    uint64_t waits;           /* waits for the computation of another caller */
    uint64_t wait_timeouts;   /* waits that ended without a value */
    uint64_t stores;          /* values written */
    uint64_t errors;          /* calls that failed because of Redis, including timeouts */
    uint64_t timeouts;        /* errors that were timeouts */
    uint64_t dropped_writes;  /* writes and deletes that were dropped without an error */
    uint64_t breaker_opens;   /* times that the circuit breaker of a Redis server opened */
    uint64_t breaker_refused; /* commands that were not sent because a circuit breaker was open */
    uint64_t connects;        /* connections made */
    uint64_t redirects;       /* MOVED and ASK replies followed */
    uint64_t refreshes;       /* cluster maps fetched */
    uint64_t invalidations;   /* near entries dropped on a message of Redis */
    uint64_t near_flushes;    /* times that the whole near cache was dropped */
    uint64_t evictions;       /* entries removed from memory to make room */
    uint64_t expirations;     /* entries removed from memory after their ttl */
    uint64_t entries;         /* entries in memory now */
    uint64_t bytes;           /* bytes of these entries */
    uint64_t max_bytes;       /* limit of bytes */
    uint64_t commands;        /* sent to Redis */
    uint64_t round_trips;     /* waits for one Redis server, each for one or more commands */
    uint64_t latency_us_sum;  /* sum of the times of round_trips */
    uint64_t latency_us_max;
    uint64_t latency_us[16]; /* round trips of less than 32 us, 64 us, 128 us, ...; last: all longer
                                ones */
    uint32_t breakers_open;  /* Redis servers whose circuit breaker is open now */
    uint32_t nodes;          /* known Redis servers */
    uint64_t reserved[8];
} ferry_cache_stats;

/* Reads the counters of all handles since the cache was opened. Never waits. */
void ferry_cache_get_stats(ferry_cache *cache, ferry_cache_stats *ret);

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
