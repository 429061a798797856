/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Redis freezes, dies, comes back empty, runs full, becomes a replica: deadlines hold, the breaker
 * opens, fetch computes, and a restart costs only one computation for each key.
 */

#include <ferry/cache.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "cache-setup.h"
#include "support/suite.h"

/* LATE_MS: only a hang is that late. PATIENCE_MS: only a hang takes that long. */
enum { TIMEOUT_MS = 100, LATE_MS = 60000, PATIENCE_MS = 120000, THREADS = 16 };

static ferry_cache *open_cache(const CacheSetup *setup, uint32_t timeout_ms, bool strict) {
    ferry_cache_options options = {.timeout_ms = timeout_ms, .strict = strict};
    ferry_cache *cache = NULL;

    CU_ASSERT_EQUAL(ferry_cache_open(setup->url, &options, &cache, NULL), 0);
    return cache;
}

static int compute_one(ferry_packer *out, void *ctx) {
    ++*(atomic_int *)ctx;
    ferry_pack_int(out, 1);
    return 0;
}

typedef struct Caller {
    pthread_t thread;
    ferry_cache *cache;
    uint64_t longest_ms;
    int failed;
} Caller;

/* Makes every kind of call repeatedly, and measures the longest one. */
static void *call_all(void *arg) {
    Caller *caller = arg;
    ferry_bytes keys[3] = {ferry_str("a"), ferry_str("b"), ferry_str("c")};

    for (int i = 0; i < 12; i++) {
        uint64_t began = clock_ms(), took;
        ferry_bytes *got = NULL;
        int r = 0;

        switch (i % 6) {
        case 0:
            r = ferry_cache_get(caller->cache, keys[0], &got, NULL);
            break;
        case 1:
            r = ferry_cache_set(caller->cache, keys[1], keys[1], 0, NULL);
            break;
        case 2:
            r = ferry_cache_get_many(caller->cache, keys, 3, &got, NULL);
            break;
        case 3:
            r = ferry_cache_incr(caller->cache, keys[2], 1, 0, NULL, NULL);
            break;
        case 4:
            r = ferry_cache_delete(caller->cache, keys[1], NULL);
            break;
        default:
            r = ferry_cache_set_tagged(caller->cache, keys[1], keys[1], 0, "x,y", NULL);
        }
        took = clock_ms() - began;
        ferry_free(got);
        if (took > caller->longest_ms)
            caller->longest_ms = took;
        caller->failed += r < 0;
    }
    return NULL;
}

/* Returns the time of the longest call while the servers were frozen. */
static uint64_t longest_call(CacheSetup *setup, ferry_cache *cache) {
    Caller callers[THREADS] = {{0}};
    uint64_t longest = 0;

    for (size_t i = 0; i < setup->n; i++)
        redis_freeze(&setup->servers[i]);
    for (int i = 0; i < THREADS; i++) {
        callers[i].cache = cache;
        pthread_create(&callers[i].thread, NULL, call_all, &callers[i]);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(callers[i].thread, NULL);
        if (callers[i].longest_ms > longest)
            longest = callers[i].longest_ms;
        CU_ASSERT_EQUAL(callers[i].failed, 12);
    }
    for (size_t i = 0; i < setup->n; i++)
        redis_unfreeze(&setup->servers[i]);
    return longest;
}

/* True: the cache works again by itself, after a pause of the breaker. */
static bool comes_back(ferry_cache *cache) {
    ferry_bytes *got = NULL;

    for (uint64_t until = clock_ms() + 60000; clock_ms() < until && !got;) {
        ferry_cache_get(cache, ferry_str("a"), &got, NULL);
        sleep_ms(10);
    }
    ferry_free(got);
    return got != NULL;
}

static void no_call_outlives_its_deadline_when_redis_freezes_on(const char *name) {
    CacheSetup setup;
    ferry_cache *cache;
    uint64_t longest;

    CU_ASSERT_TRUE_FATAL(cache_setup(&setup, name));
    cache = open_cache(&setup, PATIENCE_MS, true);
    CU_ASSERT_EQUAL(ferry_cache_set(cache, ferry_str("a"), ferry_str("1"), 0, NULL), 0);
    ferry_cache_close(cache);
    cache = open_cache(&setup, TIMEOUT_MS, true);
    longest = longest_call(&setup, cache);
    CU_ASSERT_TRUE(comes_back(cache));
    printf("(%s: longest call %llu ms of %d) ", name, (unsigned long long)longest, TIMEOUT_MS);
    CU_ASSERT_TRUE(longest <= TIMEOUT_MS + LATE_MS);
    ferry_cache_close(cache);
    cache_setup_end(&setup);
}

static void no_call_outlives_its_deadline_when_redis_freezes(void) {
    no_call_outlives_its_deadline_when_redis_freezes_on("unix");
    no_call_outlives_its_deadline_when_redis_freezes_on("shards");
    no_call_outlives_its_deadline_when_redis_freezes_on("cluster");
}

static void without_redis_reads_miss_writes_are_dropped_and_fetch_computes(void) {
    CacheSetup setup;
    ferry_cache *cache;
    ferry_cache_stats stats;
    ferry_error error = FERRY_ERROR_INIT;
    ferry_bytes *got = NULL;
    atomic_int computed = 0;
    uint64_t began;

    CU_ASSERT_TRUE_FATAL(cache_setup(&setup, "redis"));
    cache = open_cache(&setup, 30, false);
    redis_stop(&setup.servers[0]);
    CU_ASSERT_EQUAL(ferry_cache_get(cache, ferry_str("a"), &got, &error), 0);
    CU_ASSERT_EQUAL(ferry_cache_set(cache, ferry_str("a"), ferry_str("1"), 0, &error), 0);
    CU_ASSERT_EQUAL(ferry_cache_delete(cache, ferry_str("a"), &error), 0);
    CU_ASSERT_EQUAL(ferry_cache_add(cache, ferry_str("a"), ferry_str("1"), 0, &error), -ENOTCONN);
    CU_ASSERT_FALSE(error.outcome_unknown);
    ferry_cache_get_stats(cache, &stats);
    CU_ASSERT_EQUAL(stats.errors, 4);
    CU_ASSERT_EQUAL(stats.dropped_writes, 2);
    CU_ASSERT_EQUAL(stats.breaker_opens, 1);
    CU_ASSERT_EQUAL(stats.breakers_open, 1);
    /* The breaker is open: no call waits. */
    began = clock_ms();
    for (int i = 0; i < 5; i++) {
        CU_ASSERT_EQUAL(
            ferry_cache_fetch(cache, ferry_str("f"), NULL, compute_one, &computed, &got, &error),
            0);
        got = ferry_free(got);
    }
    printf("(5 fetches beside an open breaker: %llu ms) ",
           (unsigned long long)(clock_ms() - began));
    CU_ASSERT_EQUAL(computed, 5);
    ferry_error_clear(&error);
    ferry_cache_close(cache);
}

static void redis_may_start_after_the_cache(void) {
    CacheSetup setup;
    ferry_cache *cache;

    CU_ASSERT_TRUE_FATAL(cache_setup(&setup, "redis"));
    cache = open_cache(&setup, PATIENCE_MS, true);
    CU_ASSERT_EQUAL(ferry_cache_set(cache, ferry_str("a"), ferry_str("1"), 0, NULL), 0);
    redis_restart(&setup.servers[0]);
    CU_ASSERT_EQUAL(ferry_cache_set(cache, ferry_str("a"), ferry_str("1"), 0, NULL), 0);
    CU_ASSERT_EQUAL(ferry_cache_exists(cache, ferry_str("a"), NULL), 1);
    ferry_cache_close(cache);
    cache_setup_end(&setup);
}

static void a_full_redis_and_a_replica_are_told_apart(void) {
    CacheSetup setup;
    ferry_cache *cache;
    ferry_error error = FERRY_ERROR_INIT;

    CU_ASSERT_TRUE_FATAL(cache_setup(&setup, "redis"));
    cache = open_cache(&setup, PATIENCE_MS, true);
    redis_ask(&setup.servers[0], "CONFIG SET maxmemory 1");
    CU_ASSERT_EQUAL(ferry_cache_set(cache, ferry_str("a"), ferry_str("1"), 0, &error), -ENOBUFS);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "OOM"));
    redis_ask(&setup.servers[0], "CONFIG SET maxmemory 0");
    redis_ask(&setup.servers[0], "REPLICAOF 127.0.0.1 1");
    CU_ASSERT_EQUAL(ferry_cache_set(cache, ferry_str("a"), ferry_str("1"), 0, &error), -EROFS);
    redis_ask(&setup.servers[0], "REPLICAOF NO ONE");
    CU_ASSERT_EQUAL(ferry_cache_set(cache, ferry_str("a"), ferry_str("1"), 0, &error), 0);

    ferry_error_clear(&error);
    ferry_cache_close(cache);
    cache_setup_end(&setup);
}

static void passwords_are_sent_and_missing_ones_reported(void) {
    CacheSetup setup;
    ferry_cache *cache = NULL;
    ferry_cache_options options = {.timeout_ms = PATIENCE_MS, .strict = true};
    char url[160];

    CU_ASSERT_TRUE_FATAL(cache_setup(&setup, "redis"));
    redis_ask(&setup.servers[0], "CONFIG SET requirepass s3cret/@");
    cache = open_cache(&setup, PATIENCE_MS, true);
    CU_ASSERT_EQUAL(ferry_cache_set(cache, ferry_str("a"), ferry_str("1"), 0, NULL), -EACCES);
    ferry_cache_close(cache);
    snprintf(url, sizeof(url), "redis://:s3cret%%2f%%40@127.0.0.1:%u", setup.servers[0].port);
    CU_ASSERT_EQUAL_FATAL(ferry_cache_open(url, &options, &cache, NULL), 0);
    CU_ASSERT_EQUAL(ferry_cache_set(cache, ferry_str("a"), ferry_str("1"), 0, NULL), 0);
    ferry_cache_close(cache);
    snprintf(url, sizeof(url), "redis://default:wrong@127.0.0.1:%u", setup.servers[0].port);
    CU_ASSERT_EQUAL_FATAL(ferry_cache_open(url, &options, &cache, NULL), 0);
    CU_ASSERT_EQUAL(ferry_cache_set(cache, ferry_str("a"), ferry_str("1"), 0, NULL), -EACCES);
    ferry_cache_close(cache);
    cache_setup_end(&setup);
}

/* ---- a stampede after a restart: 64 fetchers in 4 processes ---- */

enum { PROCESSES = 4, FETCHERS = 16, STAMPEDE_KEYS = 20 };

typedef struct Shared {
    atomic_int round; /* the number of the set of keys to fetch; -1: end */
    atomic_int computed[2][STAMPEDE_KEYS];
    atomic_int fetched[2];
    atomic_int wrong;
} Shared;

static Shared *shared;
static ferry_cache *mine;

typedef struct Which {
    int round, key;
} Which;

static int count_compute(ferry_packer *out, void *ctx) {
    const Which *which = ctx;

    atomic_fetch_add(&shared->computed[which->round][which->key], 1);
    sleep_ms(20);
    ferry_pack_int(out, which->key);
    return 0;
}

/* Fetches a key of the previous round until the restart is over; then all keys of the new round. */
static void *stampede(void *arg) {
    (void)arg;
    for (int round = 0; round < 2; round++) {
        while (atomic_load(&shared->round) < round) {
            ferry_bytes *got = NULL;
            Which which = {0, 0};

            ferry_cache_fetch(mine, ferry_str("stampede:0:0"), NULL, count_compute, &which, &got,
                              NULL);
            ferry_free(got);
        }
        for (int k = 0; k < STAMPEDE_KEYS; k++) {
            FERRY_AUTO(ferry_free) ferry_bytes *got = NULL;
            Which which = {round, k};
            char key[32];

            snprintf(key, sizeof(key), "stampede:%d:%d", round, k);
            if (ferry_cache_fetch(mine, ferry_str(key), NULL, count_compute, &which, &got, NULL) <
                    0 ||
                got->len != 1 || ((const uint8_t *)got->data)[0] != k)
                atomic_fetch_add(&shared->wrong, 1);
        }
        atomic_fetch_add(&shared->fetched[round], 1);
    }
    return NULL;
}

static void run_process(const CacheSetup *setup) {
    ferry_cache_options options = {.timeout_ms = PATIENCE_MS};
    pthread_t threads[FETCHERS];

    if (ferry_cache_open(setup->url, &options, &mine, NULL) < 0)
        _exit(1);
    for (int i = 0; i < FETCHERS; i++)
        pthread_create(&threads[i], NULL, stampede, NULL);
    for (int i = 0; i < FETCHERS; i++)
        pthread_join(threads[i], NULL);
    ferry_cache_close(mine);
    _exit(0);
}

static void wait_for_count(atomic_int *count, int wanted) {
    for (int i = 0; i < PATIENCE_MS / 10 && atomic_load(count) < wanted; i++)
        sleep_ms(10);
    CU_ASSERT_EQUAL(atomic_load(count), wanted);
}

static void a_restart_under_a_stampede_costs_one_computation_per_key(void) {
    CacheSetup setup;
    pid_t pids[PROCESSES];

    CU_ASSERT_TRUE_FATAL(cache_setup(&setup, "unix"));
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    memset(shared, 0, sizeof(*shared));
    fflush(NULL);
    for (int i = 0; i < PROCESSES; i++) {
        pids[i] = fork();
        if (pids[i] == 0)
            run_process(&setup);
    }
    wait_for_count(&shared->fetched[0], PROCESSES * FETCHERS);
    for (int k = 0; k < STAMPEDE_KEYS; k++)
        CU_ASSERT_EQUAL(shared->computed[0][k], 1);
    /* All 64 threads fetch while the server restarts; then they fetch keys that are not stored. */
    redis_restart(&setup.servers[0]);
    shared->round = 1;
    wait_for_count(&shared->fetched[1], PROCESSES * FETCHERS);
    for (int k = 0; k < STAMPEDE_KEYS; k++)
        CU_ASSERT_EQUAL(shared->computed[1][k], 1);
    /* The key that was fetched during the restart was computed once more. */
    CU_ASSERT_EQUAL(shared->computed[0][0], 2);
    CU_ASSERT_EQUAL(shared->wrong, 0);
    for (int i = 0; i < PROCESSES; i++)
        waitpid(pids[i], NULL, 0);
    munmap(shared, sizeof(*shared));
    cache_setup_end(&setup);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(no_call_outlives_its_deadline_when_redis_freezes),
        TEST(without_redis_reads_miss_writes_are_dropped_and_fetch_computes),
        TEST(redis_may_start_after_the_cache),
        TEST(a_full_redis_and_a_replica_are_told_apart),
        TEST(passwords_are_sent_and_missing_ones_reported),
        TEST(a_restart_under_a_stampede_costs_one_computation_per_key),
        TESTS_END,
    };

    if (!redis_available())
        return EXIT_SKIPPED;
    return run_suite("cache: failures", tests);
}
