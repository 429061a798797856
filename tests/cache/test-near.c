/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The near cache is fresh: writes of another process are seen, connections are cut, Redis freezes,
 * and no read is older than the bound of ferry/cache.h.
 */

#include <ferry/cache.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "cache-setup.h"
#include "support/suite.h"

enum { PATIENCE_MS = 60000 /* only a hang takes that long */ };

static ferry_cache *open_with(const CacheSetup *setup, const ferry_cache_options *options) {
    ferry_cache *cache = NULL;

    CU_ASSERT_EQUAL(ferry_cache_open(setup->url, options, &cache, NULL), 0);
    return cache;
}

static ferry_cache *open_cache(const CacheSetup *setup, bool near, uint32_t stale_ms) {
    return open_with(setup, &(ferry_cache_options){.timeout_ms = PATIENCE_MS,
                                                   .near_cache = near,
                                                   .near_stale_ms = stale_ms,
                                                   .strict = true});
}

/* The number stored under a key; -1: the key has no value; -2: an error. */
static long read_number(ferry_cache *cache, const char *key) {
    FERRY_AUTO(ferry_free) ferry_bytes *got = NULL;
    char text[24] = "";
    int r = ferry_cache_get(cache, ferry_str(key), &got, NULL);

    if (r <= 0)
        return r < 0 ? -2 : -1;
    memcpy(text, got->data, got->len < 23 ? got->len : 23);
    return atol(text);
}

static void write_number(ferry_cache *cache, const char *key, long number, uint64_t ttl_ms) {
    char text[24];

    snprintf(text, sizeof(text), "%ld", number);
    CU_ASSERT_EQUAL(ferry_cache_set(cache, ferry_str(key), ferry_str(text), ttl_ms, NULL), 0);
}

static uint64_t near_hits(ferry_cache *cache) {
    ferry_cache_stats stats;

    ferry_cache_get_stats(cache, &stats);
    return stats.near_hits;
}

/* Reads until the near cache answers: it has to connect first. */
static void warm(ferry_cache *cache, const char *key) {
    uint64_t before = near_hits(cache), until = clock_ms() + 60000;

    while (near_hits(cache) == before && clock_ms() < until) {
        read_number(cache, key);
        sleep_ms(1);
    }
    CU_ASSERT_TRUE(near_hits(cache) > before);
}

static void values_that_were_read_are_near(void) {
    CacheSetup setup;
    ferry_cache *cache;
    uint64_t before;

    cache_setup(&setup, "unix");
    cache = open_cache(&setup, true, 0);
    write_number(cache, "a", 1, 0);
    warm(cache, "a");
    before = near_hits(cache);
    for (int i = 0; i < 1000; i++)
        CU_ASSERT_EQUAL(read_number(cache, "a"), 1);
    CU_ASSERT_TRUE(near_hits(cache) >= before + 990);
    /* One's own writes are seen at once. */
    for (long i = 2; i < 200; i++) {
        write_number(cache, "a", i, 0);
        CU_ASSERT_EQUAL(read_number(cache, "a"), i);
        CU_ASSERT_EQUAL(read_number(cache, "a"), i);
    }
    ferry_cache_close(cache);
    cache_setup_end(&setup);
}

static void a_near_copy_does_not_outlive_its_entry(void) {
    CacheSetup setup;
    ferry_cache *cache;

    cache_setup(&setup, "unix");
    cache = open_cache(&setup, true, 0);
    write_number(cache, "warm", 1, 0);
    warm(cache, "warm");
    for (int i = 0; i < 20; i++) {
        uint64_t start_ms = clock_ms();
        long number;

        write_number(cache, "short", 1, 20);
        number = read_number(cache, "short");
        CU_ASSERT(number == 1 || clock_ms() - start_ms >= 20);
        sleep_ms(21);
        CU_ASSERT_EQUAL(read_number(cache, "short"), -1);
    }
    ferry_cache_close(cache);
    cache_setup_end(&setup);
}

static void flushing_redis_empties_the_near_cache(void) {
    CacheSetup setup;
    ferry_cache *cache;

    cache_setup(&setup, "unix");
    cache = open_cache(&setup, true, 0);
    write_number(cache, "a", 1, 0);
    warm(cache, "a");
    redis_ask(&setup.servers[0], "FLUSHALL");
    for (int i = 0; i < 60000 && read_number(cache, "a") != -1; i++)
        sleep_ms(1);
    CU_ASSERT_EQUAL(read_number(cache, "a"), -1);
    ferry_cache_close(cache);
    cache_setup_end(&setup);
}

/* Waits until Redis answers again, after a pause of the breaker. */
static bool reads_again(ferry_cache *cache, const char *key) {
    uint64_t until_ms = clock_ms() + 60000;

    while (read_number(cache, key) < 0 && clock_ms() < until_ms)
        sleep_ms(10);
    return clock_ms() < until_ms;
}

static void hits_end_with_the_bound_when_redis_freezes(void) {
    enum { BOUND_MS = 300 };
    CacheSetup setup;
    ferry_cache *cache, *writer;
    uint64_t frozen, now, last = 0;

    cache_setup(&setup, "unix");
    cache = open_with(&setup, &(ferry_cache_options){.timeout_ms = 1000,
                                                     .near_cache = true,
                                                     .near_stale_ms = BOUND_MS,
                                                     .strict = true});
    writer = open_cache(&setup, false, 0);
    /* On a busy machine this program may stand still for half of the time: repeat. */
    for (int tries = 0; tries < 100 && last <= BOUND_MS / 2; tries++) {
        write_number(writer, "a", 1, 0);
        warm(cache, "a");
        redis_freeze(&setup.servers[0]);
        frozen = clock_ms();
        while (now = clock_ms() - frozen, read_number(cache, "a") == 1)
            last = now;
        CU_ASSERT_TRUE(last <= BOUND_MS);
        redis_unfreeze(&setup.servers[0]);
        CU_ASSERT_TRUE(reads_again(cache, "a"));
    }
    CU_ASSERT_TRUE(last > BOUND_MS / 2);
    ferry_cache_close(writer);
    ferry_cache_close(cache);
    cache_setup_end(&setup);
}

/* Redis ends idle connections, but not the tracking connection, which subscribes: the tracking
 * ends, and the tracking connection does not report it. */
static void a_write_is_seen_after_redis_ended_the_reading_connection(void) {
    CacheSetup setup;
    ferry_cache *cache, *writer;
    uint64_t until;

    cache_setup(&setup, "unix");
    cache = open_cache(&setup, true, 300);
    writer = open_cache(&setup, false, 0);
    for (long round = 1; round <= 5; round++) {
        write_number(writer, "a", round, 0);
        until = clock_ms() + 60000;
        while (read_number(cache, "a") != round && clock_ms() < until)
            sleep_ms(1);
        warm(cache, "a");
        /* As its `timeout` does. */
        CU_ASSERT_EQUAL(*redis_ask(&setup.servers[0], "CLIENT KILL TYPE normal"), ':');
        write_number(writer, "a", -round, 0);
        until = clock_ms() + 60000;
        while (read_number(cache, "a") != -round && clock_ms() < until)
            sleep_ms(1);
        CU_ASSERT_EQUAL(read_number(cache, "a"), -round);
    }
    ferry_cache_close(writer);
    ferry_cache_close(cache);
    cache_setup_end(&setup);
}

/* Memoised methods use the near cache by default. If Redis refuses tracking, they must work without
 * it, and not ask at each look-up. */
static void a_redis_that_refuses_to_tell_is_read_from(void) {
    ferry_cache_options options = {.near_cache = FERRY_NEAR_ALL, .strict = true};
    ferry_cache *cache = NULL;
    CacheSetup setup;
    const char *answer;
    char url[160];

    cache_setup(&setup, "unix");
    redis_ask(&setup.servers[0], "ACL SETUSER weak on nopass ~* &* +@all -client|tracking");
    snprintf(url, sizeof(url), "redis+unix://weak:x@%s", setup.servers[0].socket);
    CU_ASSERT_EQUAL_FATAL(ferry_cache_open(url, &options, &cache, NULL), 0);
    write_number(cache, "a", 1, 0);
    for (int i = 0; i < 100; i++) {
        CU_ASSERT_EQUAL(read_number(cache, "a"), 1);
        usleep(500);
    }
    CU_ASSERT_EQUAL(near_hits(cache), 0);
    redis_ask(&setup.servers[0], "CONFIG RESETSTAT");
    for (int i = 0; i < 100; i++) {
        CU_ASSERT_EQUAL(read_number(cache, "a"), 1);
        usleep(500);
    }
    /* The cache pauses its requests: Redis has refused no further one. */
    answer = redis_ask(&setup.servers[0], "EVAL \"return(redis.call('INFO','errorstats'):"
                                          "find('NOPERM')or-1)\" 0");
    CU_ASSERT_EQUAL(strncmp(answer, ":-1", 3), 0);
    ferry_cache_close(cache);
    cache_setup_end(&setup);
}

/* ---- two processes ---- */

enum { ROUNDS = 200 };

typedef struct Shared {
    atomic_int ready;
    atomic_long written, seen;
    _Atomic uint64_t seen_ns;
} Shared;

static void watch(const CacheSetup *setup, Shared *shared) {
    ferry_cache *cache = open_cache(setup, true, 0);

    warm(cache, "x");
    shared->ready = 1;
    for (long next = 1; next <= ROUNDS;) {
        long now = read_number(cache, "x");

        if (now >= next) {
            shared->seen_ns = clock_ns();
            shared->seen = now;
            next = now + 1;
        }
        usleep(100);
    }
    ferry_cache_close(cache);
    _exit(0);
}

static int compare(const void *a, const void *b) {
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static void another_process_sees_each_write(void) {
    CacheSetup setup;
    ferry_cache *cache;
    Shared *shared;
    uint64_t took[ROUNDS];
    pid_t pid;

    cache_setup(&setup, "unix");
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    cache = open_cache(&setup, true, 0);
    write_number(cache, "x", 0, 0);
    fflush(NULL);
    pid = fork();
    if (pid == 0)
        watch(&setup, shared);
    while (!shared->ready)
        sleep_ms(1);
    for (long i = 1; i <= ROUNDS; i++) {
        uint64_t written;

        write_number(cache, "x", i, 0);
        written = clock_ns();
        for (int tries = 0; shared->seen < i && tries < 600000; tries++)
            usleep(50);
        CU_ASSERT_TRUE_FATAL(shared->seen >= i);
        took[i - 1] = shared->seen_ns > written ? shared->seen_ns - written : 0;
        usleep(2000);
    }
    waitpid(pid, NULL, 0);
    qsort(took, ROUNDS, sizeof(*took), compare);
    printf("(median %llu us, 99 %% %llu us) ", (unsigned long long)took[ROUNDS / 2] / 1000,
           (unsigned long long)took[ROUNDS * 99 / 100] / 1000);
    munmap(shared, sizeof(*shared));
    ferry_cache_close(cache);
    cache_setup_end(&setup);
}

/* ---- histories ---- */

enum { KEYS = 4, STEPS = 24, WRITES_KEPT = STEPS + 1 };

/* The invalidations are read every millisecond, and Redis sends them before it confirms the write.
 * The remaining time is for a busy machine. */
#define USUAL_NS (UINT64_C(5) * 1000000)

/* One write: the number, when it was confirmed. Numbers only grow. */
typedef struct Write {
    long number;
    uint64_t confirmed_ns;
} Write;

static uint64_t seed;

static unsigned dice(unsigned sides) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (unsigned)(seed >> 33) % sides;
}

#ifdef SANITIZED
enum { HISTORIES = 1000 };
#else
enum { HISTORIES = 10000 };
#endif

typedef struct History {
    CacheSetup *setup;
    ferry_cache *writer, *reader;
    Write writes[KEYS][WRITES_KEPT];
    size_t n[KEYS];
    uint64_t stale, reads, oldest_ns;
    uint64_t late; /* of the stale ones: older than usual */
} History;

static void check_read(History *history, unsigned key, const char *name, uint64_t bound_ns) {
    uint64_t began = clock_ns();
    long number = read_number(history->reader, name);

    history->reads++;
    for (size_t i = 0; i < history->n[key]; i++) {
        const Write *write = &history->writes[key][i];

        /* A later write was confirmed before this read began, so the read value is old. */
        if (write->number > number && write->confirmed_ns < began) {
            uint64_t age = began - write->confirmed_ns;

            history->stale++;
            if (age > history->oldest_ns)
                history->oldest_ns = age;
            history->late += age > USUAL_NS;
            CU_ASSERT_TRUE(age <= bound_ns);
            break;
        }
    }
}

static void run_history(History *history, long *number, uint64_t bound_ns) {
    static const char *const names[KEYS] = {"h:0", "h:1", "h:2", "h:3"};

    memset(history->n, 0, sizeof(history->n));
    for (int step = 0; step < STEPS; step++) {
        unsigned key = dice(KEYS), what = dice(1000);

        if (what < 200) {
            Write *write = &history->writes[key][history->n[key]++];

            write->number = ++*number;
            write_number(dice(4) ? history->writer : history->reader, names[key], *number, 0);
            write->confirmed_ns = clock_ns();
        } else if (what < 203) {
            redis_ask(&history->setup->servers[0], "CLIENT KILL TYPE pubsub");
        } else if (what < 206) {
            redis_ask(&history->setup->servers[0], "CLIENT KILL TYPE normal");
        } else if (what < 230) {
            usleep(dice(1500));
        } else {
            check_read(history, key, names[key], bound_ns);
        }
    }
}

static void no_read_is_older_than_the_bound_in_random_histories(void) {
    const uint64_t bound_ns = UINT64_C(1000) * 1000000; /* near_stale_ms */
    const char *wanted = getenv("FERRY_HISTORIES");
    long n = wanted ? atol(wanted) : HISTORIES, number = 0;
    History *history = calloc(1, sizeof(*history));
    CacheSetup setup;

    cache_setup(&setup, "unix");
    history->setup = &setup;
    history->writer = open_cache(&setup, false, 0);
    history->reader = open_cache(&setup, true, 0);
    for (long i = 1; i <= n; i++) {
        seed = (uint64_t)i * UINT64_C(0x9E3779B97F4A7C15);
        run_history(history, &number, bound_ns);
    }
    printf("(%ld histories, %llu reads, %llu near, %llu old, the oldest %llu us) ", n,
           (unsigned long long)history->reads, (unsigned long long)near_hits(history->reader),
           (unsigned long long)history->stale, (unsigned long long)history->oldest_ns / 1000);
    CU_ASSERT_TRUE(near_hits(history->reader) > history->reads / 20);
    CU_ASSERT_TRUE(history->late <= history->reads / 1000);
    ferry_cache_close(history->writer);
    ferry_cache_close(history->reader);
    cache_setup_end(&setup);
    free(history);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(values_that_were_read_are_near),
        TEST(a_near_copy_does_not_outlive_its_entry),
        TEST(flushing_redis_empties_the_near_cache),
        TEST(a_write_is_seen_after_redis_ended_the_reading_connection),
        TEST(hits_end_with_the_bound_when_redis_freezes),
        TEST(a_redis_that_refuses_to_tell_is_read_from),
        TEST(another_process_sees_each_write),
        TEST(no_read_is_older_than_the_bound_in_random_histories),
        TESTS_END,
    };

    if (!redis_available())
        return EXIT_SKIPPED;
    return run_suite("cache: near", tests);
}
