/* SPDX-License-Identifier: Apache-2.0 */
/* A Redis that sends wrong answers, no answers, closes connections, and redirects: every call ends
 * by its deadline with the right error, and memory stays bounded. */

#include <ferry/cache.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "cache-setup.h"
#include "fake-redis.h"
#include "support/suite.h"

/* TIMEOUT_MS: for servers that stay silent. LATE_MS: only a hang is that late. */
enum { TIMEOUT_MS = 2000, LATE_MS = 60000, PATIENCE_MS = 120000 };

static ferry_cache *open_with_timeout(const char *scheme, const FakeRedis *fake,
                                      uint32_t timeout_ms) {
    ferry_cache_options options = {.timeout_ms = timeout_ms, .strict = true};
    ferry_cache *cache = NULL;
    char url[64];

    snprintf(url, sizeof(url), "%s://127.0.0.1:%u", scheme, fake_redis_port(fake));
    CU_ASSERT_EQUAL(ferry_cache_open(url, &options, &cache, NULL), 0);
    return cache;
}

static int n_gets, n_late;

static int get(ferry_cache *cache, const char *key) {
    ferry_bytes *got = NULL;
    uint64_t began = clock_ms();
    int r = ferry_cache_get(cache, ferry_str(key), &got, NULL);

    n_gets++;
    n_late += clock_ms() - began > LATE_MS;
    ferry_free(got);
    return r;
}

static int same_answer(const char *command, char *reply, size_t size, void *ctx) {
    (void)command;
    return snprintf(reply, size, "%s", (const char *)ctx);
}

static void lies_are_protocol_errors(void) {
    static const char *const lies[] = {
        "*2147483647\r\n",
        "*1048577\r\n",
        "*-2\r\n",
        "$-2\r\n",
        "$9223372036854775807\r\n",
        "$99999999999999999999999\r\n",
        "$536870912\r\n",
        "$5x\r\nhello\r\n",
        "$\r\n",
        ":12a\r\n",
        ":\r\n",
        "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n",
        ">2\r\n+a\r\n+b\r\n",
        "%1\r\n+a\r\n+b\r\n",
        "HTTP/1.1 400 Bad Request\r\n\r\n",
        "\r\n",
        "+no end\rof line\r\n",
        "$3\r\nabcdefg\r\n",
        ":1\r\n", /* an answer, but not to GET */
        "*1\r\n$1\r\na\r\n",
        "+OK\r\n",
    };

    for (size_t i = 0; i < sizeof(lies) / sizeof(*lies); i++) {
        FakeRedis *fake = fake_redis_start(same_answer, (void *)(uintptr_t)lies[i]);
        ferry_cache *cache = open_with_timeout("redis", fake, PATIENCE_MS);
        int r = get(cache, "a");

        if (r != -EPROTO)
            fprintf(stderr, "lie %zu: %d\n", i, r);
        CU_ASSERT_EQUAL(r, -EPROTO);
        ferry_cache_close(cache);
        fake_redis_stop(fake);
    }
}

static void half_an_answer_and_silence_end_at_the_deadline(void) {
    static const char *const halves[] = {"", "$", "$10\r\nabc", "*3\r\n$1\r\na\r\n", "+half"};

    for (size_t i = 0; i < sizeof(halves) / sizeof(*halves); i++) {
        FakeRedis *fake = fake_redis_start(same_answer, (void *)(uintptr_t)halves[i]);
        ferry_cache *cache = open_with_timeout("redis", fake, TIMEOUT_MS);

        CU_ASSERT_EQUAL(get(cache, "a"), -ETIMEDOUT);
        ferry_cache_close(cache);
        fake_redis_stop(fake);
    }
}

static void an_unexpected_answer_ends_the_connection(void) {
    FakeRedis *fake = fake_redis_start(same_answer, "$1\r\na\r\n$1\r\nb\r\n");
    ferry_cache *cache = open_with_timeout("redis", fake, PATIENCE_MS);
    ferry_cache_stats stats;

    CU_ASSERT_EQUAL(get(cache, "a"), 1);
    get(cache, "a");
    get(cache, "a");
    ferry_cache_get_stats(cache, &stats);
    CU_ASSERT_TRUE(stats.connects >= 2);
    ferry_cache_close(cache);
    fake_redis_stop(fake);
}

static void errors_of_redis_become_errnos(void) {
    static const struct {
        const char *reply;
        int code;
    } cases[] = {
        {"-ERR what\r\n", -EREMOTEIO},
        {"-WRONGTYPE Operation against a key\r\n", -EINVAL},
        {"-OOM command not allowed\r\n", -ENOBUFS},
        {"-NOAUTH Authentication required.\r\n", -EACCES},
        {"-NOPERM this user has no permissions\r\n", -EACCES},
        {"-READONLY You can't write\r\n", -EROFS},
        {"-LOADING Redis is loading\r\n", -ENOTCONN},
        {"-MOVED 1 127.0.0.1:1\r\n", -EREMOTEIO}, /* redirections are followed only in a cluster */
        {"-\r\n", -EREMOTEIO},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        FakeRedis *fake = fake_redis_start(same_answer, (void *)(uintptr_t)cases[i].reply);
        /* A server that is loading is asked until the time is over. */
        bool waits = cases[i].code == -ENOTCONN;
        ferry_cache *cache = open_with_timeout("redis", fake, waits ? 3000 : PATIENCE_MS);
        int r = get(cache, "a");

        if (r != cases[i].code)
            fprintf(stderr, "%s: %d\n", cases[i].reply, r);
        CU_ASSERT_EQUAL(r, cases[i].code);
        ferry_cache_close(cache);
        fake_redis_stop(fake);
    }
}

static int flap(const char *command, char *reply, size_t size, void *ctx) {
    atomic_int *n = ctx;

    (void)command;
    return ++*n % 3 == 0 ? -1 : snprintf(reply, size, "$1\r\na\r\n");
}

static void a_flapping_server_costs_retries_not_errors(void) {
    atomic_int n = 0;
    FakeRedis *fake = fake_redis_start(flap, &n);
    ferry_cache *cache = open_with_timeout("redis", fake, PATIENCE_MS);
    int found = 0;

    for (int i = 0; i < 50; i++)
        found += get(cache, "a") == 1;
    CU_ASSERT_EQUAL(found, 50);
    ferry_cache_close(cache);
    fake_redis_stop(fake);
}

static int hang_up_on_incr(const char *command, char *reply, size_t size, void *ctx) {
    (void)reply, (void)size;
    if (strncmp(command, "INCRBY", 6) == 0)
        ++*(atomic_int *)ctx;
    return -1;
}

static void commands_that_must_not_run_twice_are_not_retried(void) {
    atomic_int n = 0;
    FakeRedis *fake = fake_redis_start(hang_up_on_incr, &n);
    ferry_cache *cache = open_with_timeout("redis", fake, PATIENCE_MS);
    ferry_error error = FERRY_ERROR_INIT;

    CU_ASSERT_EQUAL(ferry_cache_incr(cache, ferry_str("a"), 1, 0, NULL, &error), -ECONNRESET);
    CU_ASSERT_TRUE(error.outcome_unknown);
    CU_ASSERT_EQUAL(n, 1);
    ferry_error_clear(&error);
    ferry_cache_close(cache);
    fake_redis_stop(fake);
}

/* ---- a cluster ---- */

typedef struct FakeCluster {
    atomic_int asked, moved, asking, later;
    uint16_t here, there;
} FakeCluster;

static int slots_of(uint16_t port, char *reply, size_t size) {
    return snprintf(reply, size, "*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$0\r\n\r\n:%u\r\n", port);
}

/* "ask" is being moved to the other node; "flap" is redirected back and forth; "later" gets
 * TRYAGAIN twice. */
static int answer_here(const char *command, char *reply, size_t size, void *ctx) {
    FakeCluster *cluster = ctx;

    if (strncmp(command, "CLUSTER", 7) == 0)
        return slots_of(cluster->here, reply, size);
    if (strcmp(command, "GET ask") == 0) {
        cluster->asked++;
        return snprintf(reply, size, "-ASK 100 127.0.0.1:%u\r\n", cluster->there);
    }
    if (strcmp(command, "GET flap") == 0) {
        cluster->moved++;
        return snprintf(reply, size, "-MOVED 200 127.0.0.1:%u\r\n", cluster->there);
    }
    if (strcmp(command, "GET later") == 0 && ++cluster->later <= 2)
        return snprintf(reply, size, "-TRYAGAIN Multiple keys\r\n");
    if (strcmp(command, "GET nonsense") == 0)
        return snprintf(reply, size, "-MOVED 99999 nowhere\r\n");
    return snprintf(reply, size, "$4\r\nhere\r\n");
}

static int answer_there(const char *command, char *reply, size_t size, void *ctx) {
    FakeCluster *cluster = ctx;

    if (strncmp(command, "CLUSTER", 7) == 0)
        return slots_of(cluster->here, reply, size);
    if (strcmp(command, "ASKING") == 0) {
        cluster->asking++;
        return snprintf(reply, size, "+OK\r\n");
    }
    if (strcmp(command, "GET flap") == 0)
        return snprintf(reply, size, "-MOVED 200 127.0.0.1:%u\r\n", cluster->here);
    return snprintf(reply, size, "$5\r\nthere\r\n");
}

static void redirections_are_followed_within_bounds(void) {
    FakeCluster cluster = {0};
    FakeRedis *here = fake_redis_start(answer_here, &cluster);
    FakeRedis *there = fake_redis_start(answer_there, &cluster);
    ferry_cache *cache;

    cluster.here = fake_redis_port(here);
    cluster.there = fake_redis_port(there);
    cache = open_with_timeout("redis+cluster", here, PATIENCE_MS);
    CU_ASSERT_EQUAL(get(cache, "other"), 1);
    CU_ASSERT_EQUAL(get(cache, "ask"), 1);
    CU_ASSERT_EQUAL(get(cache, "ask"), 1);
    /* ASK applies once: the map does not change, and each try is preceded by ASKING. */
    CU_ASSERT_EQUAL(cluster.asked, 2);
    CU_ASSERT_EQUAL(cluster.asking, 2);
    CU_ASSERT_EQUAL(get(cache, "later"), 1);
    CU_ASSERT_EQUAL(cluster.later, 3);
    CU_ASSERT_TRUE(get(cache, "flap") < 0);
    CU_ASSERT_TRUE(cluster.moved <= 6);
    CU_ASSERT_EQUAL(get(cache, "nonsense"), -EPROTO);
    CU_ASSERT_EQUAL(get(cache, "other"), 1);
    ferry_cache_close(cache);
    fake_redis_stop(here);
    fake_redis_stop(there);
}

/* The cases above have counted the calls that ended more than LATE_MS after their deadline. */
static void calls_end_by_their_deadline(void) {
    CU_ASSERT_EQUAL(n_late, 0);
}

static void hostile_bytes_take_no_memory(void) {
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    /* ru_maxrss is in KiB. A sanitizer takes memory of its own. */
#ifndef SANITIZED
    CU_ASSERT_TRUE(usage.ru_maxrss < 100 * 1024);
#endif
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(lies_are_protocol_errors),
        TEST(half_an_answer_and_silence_end_at_the_deadline),
        TEST(an_unexpected_answer_ends_the_connection),
        TEST(errors_of_redis_become_errnos),
        TEST(a_flapping_server_costs_retries_not_errors),
        TEST(commands_that_must_not_run_twice_are_not_retried),
        TEST(redirections_are_followed_within_bounds),
        TEST(calls_end_by_their_deadline),
        TEST(hostile_bytes_take_no_memory),
        TESTS_END,
    };

    return run_suite("cache: hostile servers", tests);
}
