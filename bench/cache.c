/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cost of the cache, next to the cost of the parts below it. Starts its own redis-server, and
 * three for the cluster. Prints a line of JSON for each figure, with its target; bench/run makes a
 * table of them.
 *
 *     build/bench/bench-cache
 */

#include <ferry/cache.h>
#include <hiredis/hiredis.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/random.h"
#include "cache/cache-setup.h"
#include "cache/memory/memory.h"

enum { VALUE = 100, KEYS = 10000, RUNS = 5 };

static char value[VALUE];

static int compare(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

typedef double (*RunFn)(void *ctx);

static double median(double all[RUNS]) {
    qsort(all, RUNS, sizeof(*all), compare);
    return all[RUNS / 2];
}

/* A figure of the cache, the figure that it is compared with, and their ratio. */
typedef struct Figure {
    double ours, theirs, ratio;
} Figure;

/* Measures medians. Both sides run in turns, and the ratio is taken in each turn, so that other
 * work on the machine disturbs both. */
static Figure measure(RunFn ours, void *our_ctx, RunFn theirs, void *their_ctx) {
    double a[RUNS], b[RUNS], ratios[RUNS];

    for (int i = 0; i < RUNS; i++) {
        a[i] = ours(our_ctx);
        b[i] = theirs(their_ctx);
        ratios[i] = a[i] / b[i];
    }
    return (Figure){median(a), median(b), median(ratios)};
}

/* bound limits the ratio; without a rival, it limits the figure itself. */
static void tell(const char *name, const char *unit, Figure figure, const char *rival,
                 const char *target, double bound, bool at_most) {
    printf("{\"name\": \"%s\", \"unit\": \"%s\", \"ours\": %.6g, \"rival\": \"%s\", "
           "\"theirs\": %.6g, \"measured\": %.6g, \"target\": \"%s\", \"bound\": %g, "
           "\"at_most\": %s}\n",
           name, unit, figure.ours, rival ? rival : "", figure.theirs,
           rival ? figure.ratio : figure.ours, target, bound, at_most ? "true" : "false");
    fflush(stdout);
}

static void die(const char *what) {
    fprintf(stderr, "bench-cache: %s\n", what);
    exit(EXIT_FAILURE);
}

static ferry_cache *open_cache(const char *url, bool near) {
    ferry_cache_options options = {.timeout_ms = 5000, .near_cache = near, .strict = true};
    ferry_error error = FERRY_ERROR_INIT;
    ferry_cache *cache = NULL;

    if (ferry_cache_open(url, &options, &cache, &error) < 0) {
        ferry_error_print(&error, stderr);
        exit(EXIT_FAILURE);
    }
    return cache;
}

/* ---- one get ---- */

typedef struct Gets {
    ferry_cache *cache;
    int n;
} Gets;

static double get_ns(void *ctx) {
    Gets *gets = ctx;
    uint64_t began = clock_ns();

    for (int i = 0; i < gets->n; i++) {
        ferry_bytes *got = NULL;

        if (ferry_cache_get(gets->cache, ferry_str("user:1234567"), &got, NULL) != 1)
            die("a value is not there");
        ferry_free(got);
    }
    return (double)(clock_ns() - began) / gets->n;
}

static double hiredis_get_ns(void *ctx) {
    uint64_t began = clock_ns();

    for (int i = 0; i < 20000; i++) {
        redisReply *reply = redisCommand(ctx, "GET %s", "user:1234567");

        if (!reply || reply->type != REDIS_REPLY_STRING)
            die("hiredis got no value");
        freeReplyObject(reply);
    }
    return (double)(clock_ns() - began) / 20000;
}

/* ---- many keys in memory ---- */

typedef struct Item {
    UT_hash_handle hh;
    char key[24];
    char value[VALUE];
} Item;

typedef struct Tables {
    Item *items;
    ferry_cache *cache;
    char (*keys)[24];
    uint32_t *order;
} Tables;

static double uthash_ns(void *ctx) {
    Tables *tables = ctx;
    uint64_t began = clock_ns(), sum = 0;

    for (int i = 0; i < 1000000; i++) {
        const char *key = tables->keys[tables->order[i]];
        Item *item;
        char *copy = malloc(VALUE);

        HASH_FIND(hh, tables->items, key, strlen(key), item);
        if (!item || !copy)
            die("uthash has lost a value");
        memcpy(copy, item->value, VALUE);
        sum += (uint8_t)copy[7];
        free(copy);
    }
    if (sum == 1)
        puts("");
    return (double)(clock_ns() - began) / 1000000;
}

static double memory_ns(void *ctx) {
    Tables *tables = ctx;
    uint64_t began = clock_ns();

    for (int i = 0; i < 1000000; i++) {
        ferry_bytes *got = NULL;

        if (ferry_cache_get(tables->cache, ferry_str(tables->keys[tables->order[i]]), &got, NULL) !=
            1)
            die("memory:// has lost a value");
        ferry_free(got);
    }
    return (double)(clock_ns() - began) / 1000000;
}

static void bench_memory(void) {
    Tables tables = {.cache = open_cache("memory://", false)};

    tables.keys = calloc(KEYS, sizeof(*tables.keys));
    tables.order = calloc(1000000, sizeof(*tables.order));
    for (uint32_t i = 0; i < KEYS; i++) {
        Item *item = calloc(1, sizeof(*item));

        snprintf(tables.keys[i], 24, "user:%u", i);
        strcpy(item->key, tables.keys[i]);
        HASH_ADD_KEYPTR(hh, tables.items, item->key, strlen(item->key), item);
        ferry_cache_set(tables.cache, ferry_str(tables.keys[i]), ferry_bytes_of(value, VALUE), 0,
                        NULL);
    }
    for (int i = 0; i < 1000000; i++)
        tables.order[i] = (uint32_t)random_below(KEYS);
    tell("memory:// get", "ns", measure(memory_ns, &tables, uthash_ns, &tables),
         "uthash look-up and copy", "at most 2x uthash", 2, true);
    ferry_cache_close(tables.cache);
}

/* ---- hit rate with keys of a realistic distribution ---- */

static uint32_t *zipf(size_t n_keys, double s, size_t n) {
    double *sums = malloc(n_keys * sizeof(*sums)), sum = 0;
    uint32_t *keys = malloc(n * sizeof(*keys));

    for (size_t i = 0; i < n_keys; i++)
        sums[i] = sum += 1 / pow((double)(i + 1), s);
    for (size_t i = 0; i < n; i++) {
        double at = (double)random_below(UINT64_C(1) << 52) / (double)(UINT64_C(1) << 52) * sum;
        size_t low = 0, high = n_keys - 1;

        while (low < high) {
            size_t middle = (low + high) / 2;

            if (sums[middle] < at)
                low = middle + 1;
            else
                high = middle;
        }
        keys[i] = (uint32_t)low;
    }
    free(sums);
    return keys;
}

/* The hit rate of plain LRU with this many entries. */
static double lru_rate(const uint32_t *keys, size_t n, size_t n_keys, size_t entries) {
    uint32_t *next = malloc((n_keys + 1) * 4), *before = malloc((n_keys + 1) * 4);
    bool *in = calloc(n_keys + 1, 1);
    uint32_t head = (uint32_t)n_keys;
    size_t held = 0, hits = 0;

    next[head] = before[head] = head;
    for (size_t i = 0; i < n; i++) {
        uint32_t key = keys[i];

        if (in[key]) {
            hits++;
            next[before[key]] = next[key];
            before[next[key]] = before[key];
        } else if (held == entries) {
            uint32_t last = before[head];

            next[before[last]] = head;
            before[head] = before[last];
            in[last] = false;
        } else {
            held++;
        }
        in[key] = true;
        next[key] = next[head];
        before[key] = head;
        before[next[head]] = key;
        next[head] = key;
    }
    free(next);
    free(before);
    free(in);
    return (double)hits / (double)n;
}

static void bench_zipf(double s) {
    enum { N = 2000000, ALL = 200000 };
    uint32_t *keys = zipf(ALL, s, N);
    ferry_cache_options options = {.max_bytes = 4 * 1024 * 1024};
    ferry_cache_stats stats;
    ferry_cache *cache = NULL;
    size_t hits = 0;
    Figure figure;
    char name[48];

    ferry_cache_open("memory://", &options, &cache, NULL);
    for (size_t i = 0; i < N; i++) {
        ferry_bytes *got = NULL, key = ferry_bytes_of(&keys[i], sizeof(keys[i]));

        if (ferry_cache_get(cache, key, &got, NULL) == 1)
            hits++;
        else
            ferry_cache_set(cache, key, ferry_bytes_of(value, VALUE), 0, NULL);
        ferry_free(got);
    }
    ferry_cache_get_stats(cache, &stats);
    figure.ours = 100.0 * (double)hits / N;
    figure.theirs = 100 * lru_rate(keys, N, ALL, stats.entries);
    figure.ratio = figure.ours / figure.theirs;
    snprintf(name, sizeof(name), "memory:// hit rate, zipf %.1f", s);
    tell(name, "%", figure, "LRU of as many entries", "no worse than LRU", 1, false);
    ferry_cache_close(cache);
    free(keys);
}

/* ---- pipelines ---- */

enum { BATCH = 1000, ROUNDS = 100 };

static ferry_bytes keys[BATCH];
static char names[BATCH][16];

static double many_rate(void *ctx) {
    uint64_t began = clock_ns();

    for (int i = 0; i < ROUNDS; i++) {
        ferry_bytes *got = NULL;

        if (ferry_cache_get_many(ctx, keys, BATCH, &got, NULL) != BATCH)
            die("values are not there");
        ferry_free(got);
    }
    return BATCH * ROUNDS * 1e9 / (double)(clock_ns() - began);
}

static double hiredis_rate(void *ctx) {
    uint64_t began = clock_ns();

    for (int i = 0; i < ROUNDS; i++) {
        for (int k = 0; k < BATCH; k++) {
            const char *argv[] = {"GET", keys[k].data};
            size_t lens[] = {3, keys[k].len};

            redisAppendCommandArgv(ctx, 2, argv, lens);
        }
        for (int k = 0; k < BATCH; k++) {
            redisReply *reply = NULL;

            if (redisGetReply(ctx, (void **)&reply) != REDIS_OK)
                die("hiredis got no value");
            freeReplyObject(reply);
        }
    }
    return BATCH * ROUNDS * 1e9 / (double)(clock_ns() - began);
}

static void *get_alone(void *ctx) {
    for (int i = 0; i < 20000; i++) {
        ferry_bytes *got = NULL;

        ferry_cache_get(ctx, ferry_str("user:1234567"), &got, NULL);
        ferry_free(got);
    }
    return NULL;
}

static double threads_rate(void *ctx) {
    pthread_t threads[8];
    uint64_t began = clock_ns();

    for (int i = 0; i < 8; i++)
        pthread_create(&threads[i], NULL, get_alone, ctx);
    for (int i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
    return 8 * 20000 * 1e9 / (double)(clock_ns() - began);
}

static void bench_redis(void) {
    CacheSetup setup;
    ferry_cache *far, *near;
    redisContext *raw;
    Figure figure;

    if (!cache_setup(&setup, "unix"))
        die("there is no redis-server");
    far = open_cache(setup.url, false);
    near = open_cache(setup.url, true);
    raw = redisConnectUnix(setup.servers[0].socket);
    redisCommand(raw, "SELECT 2");
    ferry_cache_set(far, ferry_str("user:1234567"), ferry_bytes_of(value, VALUE), 0, NULL);
    for (int i = 0; i < BATCH; i++) {
        snprintf(names[i], sizeof(names[i]), "many:%d", i);
        keys[i] = ferry_str(names[i]);
        ferry_cache_set(far, keys[i], ferry_bytes_of(value, VALUE), 0, NULL);
    }
    get_ns(&(Gets){near, 2000});
    figure = measure(get_ns, &(Gets){near, 1000000}, hiredis_get_ns, raw);
    tell("near cache hit", "ns", figure, NULL, "under 200 ns", 200, true);
    tell("near cache hit", "ns", figure, "hiredis GET, Unix socket", "100x as fast", 0.01, true);
    figure = measure(get_ns, &(Gets){far, 20000}, hiredis_get_ns, raw);
    tell("get from Redis", "ns", figure, "hiredis GET, Unix socket", "", 0, true);
    figure = measure(many_rate, far, hiredis_rate, raw);
    tell("gets, 1000 in a pipeline", "/s", figure, "hiredis, 1000 in a pipeline", "0.9x hiredis",
         0.9, false);
    figure.ours = threads_rate(far);
    tell("gets of 8 threads, one at a time", "/s", figure, NULL, "", 0, false);
    redisFree(raw);
    ferry_cache_close(far);
    ferry_cache_close(near);
    cache_setup_end(&setup);
}

static void bench_cluster(void) {
    ferry_cache_stats before, after;
    ferry_bytes *got = NULL;
    CacheSetup setup;
    ferry_cache *cache;
    Figure figure = {0};
    uint64_t took_ns;

    if (!cache_setup(&setup, "cluster"))
        return;
    cache = open_cache(setup.url, false);
    for (int i = 0; i < 100; i++)
        ferry_cache_set(cache, keys[i], ferry_bytes_of(value, VALUE), 0, NULL);
    ferry_cache_get_stats(cache, &before);
    took_ns = clock_ns();
    if (ferry_cache_get_many(cache, keys, 100, &got, NULL) != 100)
        die("values are not there");
    took_ns = clock_ns() - took_ns;
    ferry_cache_get_stats(cache, &after);
    figure.ours = (double)(after.round_trips - before.round_trips);
    tell("round trips for 100 keys on 3 nodes", "", figure, NULL, "one for each node", 3, true);
    figure.ours = (double)took_ns / 1000;
    tell("100 keys on 3 nodes", "us", figure, NULL, "", 0, true);
    ferry_free(got);
    ferry_cache_close(cache);
    cache_setup_end(&setup);
}

int main(void) {
    for (int i = 0; i < VALUE; i++)
        value[i] = (char)i;
    bench_memory();
    bench_zipf(0.8);
    bench_zipf(1.0);
    bench_zipf(1.2);
    bench_redis();
    bench_cluster();
    return 0;
}
