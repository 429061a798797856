/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Squares, computed slowly, and kept in the cache that $SQUARES_CACHE names: memory:// unless it is
 * set; redis://host:port,host:port shares the keys among several Redis.
 */

#include <ferry/cache.h>
#include <stdlib.h>

#include "server.h"
#include "squares.h"

enum { TTL_MS = 60 * 1000, SHARDS_MAX = 16, KEYS_MAX = 100000, BATCH = 1000 };

typedef struct Squares {
    const char *url;
    ferry_cache *cache;
    int64_t computed;
} Squares;

static int out_of_range(ferry_request *request, int64_t n, int64_t max) {
    char message[80];

    snprintf(message, sizeof(message), "%lld is not 0 to %lld", (long long)n, (long long)max);
    return squares_throw_out_of_range(request, &(squares_out_of_range){n, max, message});
}

static ferry_bytes key_of(int64_t n, char key[32]) {
    return ferry_bytes_of(key, (size_t)snprintf(key, 32, "sq:%lld", (long long)n));
}

/* ---- squares ---- */

/* Adds n times; the compiler must not optimise the loop away. */
static int64_t add_up(int64_t n) {
    volatile int64_t sum = 0;

    for (int64_t i = 0; i < n; i++)
        sum += n;
    return sum;
}

typedef struct Work {
    int64_t n;
    bool done;
} Work;

static int compute_value(ferry_packer *out, void *ctx) {
    Work *work = ctx;

    ferry_pack_int(out, add_up(work->n));
    work->done = true;
    return 0;
}

static int square(ferry_request *request, int64_t n, void *ctx) {
    FERRY_AUTO(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    FERRY_AUTO(ferry_free) ferry_bytes *value = NULL;
    Squares *squares = ctx;
    Work work = {n, false};
    int64_t result;
    char key[32];
    int r;

    if (n < 0 || n > SQUARES_MAX)
        return out_of_range(request, n, SQUARES_MAX);
    r = ferry_cache_fetch(squares->cache, key_of(n, key), &(ferry_fetch_options){.ttl_ms = TTL_MS},
                          compute_value, &work, &value, &error);
    if (r == 0)
        r = ferry_unpack(*value, &error, "l", &result);
    if (r < 0)
        return ferry_request_fail(request, r, &error);
    squares->computed += work.done;
    return squares_square_return(request, &(squares_answer){result, !work.done});
}

static int compute(ferry_request *request, int64_t n, void *ctx) {
    (void)ctx;
    if (n < 0 || n > SQUARES_MAX)
        return out_of_range(request, n, SQUARES_MAX);
    return squares_compute_return(request, &(squares_answer){add_up(n), false});
}

static int stats(ferry_request *request, void *ctx) {
    const Squares *squares = ctx;
    ferry_cache_stats s;

    ferry_cache_get_stats(squares->cache, &s);
    return squares_stats_return(
        request, &(squares_counters){(int64_t)s.hits, (int64_t)s.misses, squares->computed,
                                     (int64_t)s.dropped_writes, (int32_t)s.breakers_open});
}

/* ---- shards ---- */

/* Counts the keys of one server in batches, through a cache that has only this server. -1: the
 * server does not answer. */
static int64_t count_keys(const char *url, int32_t n) {
    FERRY_AUTO(ferry_cache_close) ferry_cache *cache = NULL;
    static char keys[BATCH][32];
    ferry_bytes names[BATCH];
    int64_t found = 0;

    if (ferry_cache_open(url, &(ferry_cache_options){.strict = true}, &cache, NULL) < 0)
        return -1;
    for (int32_t at = 0; at < n; at += BATCH) {
        size_t batch = n - at < BATCH ? (size_t)(n - at) : BATCH;
        FERRY_AUTO(ferry_free) ferry_bytes *values = NULL;
        int r;

        for (size_t i = 0; i < batch; i++)
            names[i] = key_of(at + (int64_t)i, keys[i]);
        r = ferry_cache_get_many(cache, names, batch, &values, NULL);
        if (r < 0)
            return -1;
        found += r;
    }
    return found;
}

static int shards(ferry_request *request, int32_t n, void *ctx) {
    static const char scheme[] = "redis://";
    const Squares *squares = ctx;
    squares_shard shards[SHARDS_MAX];
    char urls[SHARDS_MAX][128];
    size_t n_shards = 0;

    if (n < 1 || n > KEYS_MAX)
        return out_of_range(request, n, KEYS_MAX);
    if (strncmp(squares->url, scheme, strlen(scheme)) != 0)
        return squares_throw_not_sharded(
            request, &(squares_not_sharded){squares->url, "the cache is not redis://host,host"});
    for (const char *at = squares->url + strlen(scheme), *end; *at && n_shards < SHARDS_MAX;
         at = *end == ',' ? end + 1 : "") {
        int64_t keys;

        end = at + strcspn(at, ",/");
        snprintf(urls[n_shards], sizeof(urls[0]), "%s%.*s", scheme, (int)(end - at), at);
        keys = count_keys(urls[n_shards], n);
        shards[n_shards] = (squares_shard){urls[n_shards], keys < 0 ? 0 : keys, keys >= 0};
        n_shards++;
    }
    return squares_shards_return(request, &(squares_list_shard){n_shards, shards});
}

int squares_start(ferry_client *client, ferry_error *reterr) {
    static const squares_handlers handlers = {
        .square = square, .compute = compute, .stats = stats, .shards = shards};
    static Squares squares;
    const char *url = getenv("SQUARES_CACHE");
    int r = 0;

    squares.url = url ? url : "memory://";
    if (!squares.cache) /* it stays until the process ends */
        r = ferry_cache_open(squares.url, NULL, &squares.cache, reterr);
    return r < 0 ? r : squares_serve(client, &handlers, NULL, &squares, NULL, reterr);
}
