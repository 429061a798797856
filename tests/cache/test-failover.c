/* SPDX-License-Identifier: Apache-2.0 */
/* A master named by Sentinels moves: the cache follows. Errors say what the Sentinels do not know.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <ferry/cache.h>

#include "base/clock.h"
#include "cache-setup.h"
#include "support/suite.h"

enum { PATIENCE_MS = 60000 /* only a hang takes that long */ };

static ferry_cache *open_at(const char *url) {
    ferry_cache_options options = {.timeout_ms = PATIENCE_MS, .strict = true};
    ferry_cache *cache = NULL;

    CU_ASSERT_EQUAL_FATAL(ferry_cache_open(url, &options, &cache, NULL), 0);
    return cache;
}

static int write_at(const char *url, ferry_error *error) {
    ferry_cache *cache = open_at(url);
    int r = ferry_cache_set(cache, ferry_str("a"), ferry_str("1"), 0, error);

    ferry_cache_close(cache);
    return r;
}

static bool wait_for(const RedisServer *server, const char *command, const char *answer) {
    uint64_t until_ms = clock_ms() + PATIENCE_MS;

    while (!strstr(redis_ask(server, command), answer) && clock_ms() < until_ms)
        sleep_ms(20);
    return clock_ms() < until_ms;
}

static void a_cache_follows_the_master(void) {
    RedisServer servers[2], sentinel;
    ferry_cache *cache;
    char url[200], words[100], port[16];

    redis_start(&servers[0], NULL);
    redis_start(&servers[1], NULL);
    snprintf(words, sizeof(words), "REPLICAOF 127.0.0.1 %u", servers[0].port);
    redis_ask(&servers[1], words);
    redis_start_sentinel(&sentinel, &servers[0]);
    /* The first of the Sentinels does not exist: the second one answers. */
    snprintf(url, sizeof(url), "redis+sentinel://127.0.0.1:1,127.0.0.1:%u/mymaster", sentinel.port);
    cache = open_at(url);
    CU_ASSERT_EQUAL(ferry_cache_set(cache, ferry_str("a"), ferry_str("1"), 0, NULL), 0);
    CU_ASSERT_TRUE(wait_for(&servers[1], "GET a", "$1"));

    /* A planned failover: the old master becomes a replica. */
    CU_ASSERT_TRUE(wait_for(&sentinel, "SENTINEL FAILOVER mymaster", "+OK"));
    snprintf(port, sizeof(port), "%u", servers[1].port);
    CU_ASSERT_TRUE(wait_for(&servers[1], "ROLE", "*3"));
    CU_ASSERT_TRUE(wait_for(&servers[0], "SET probe 1", "READONLY"));
    CU_ASSERT_EQUAL(ferry_cache_set(cache, ferry_str("b"), ferry_str("2"), 0, NULL), 0);
    CU_ASSERT_EQUAL_FATAL(strncmp(redis_ask(&servers[1], "GET b"), "$1", 2), 0);
    CU_ASSERT_EQUAL(ferry_cache_exists(cache, ferry_str("a"), NULL), 1);

    ferry_cache_close(cache);
    redis_stop(&servers[0]);
    redis_stop(&servers[1]);
    redis_stop(&sentinel);
}

static void a_replica_is_not_taken_for_the_master(void) {
    FERRY_AUTO(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    ferry_cache_options options = {.timeout_ms = 5000, .strict = true};
    ferry_cache *cache = NULL;
    RedisServer server, sentinel;
    char url[200];

    redis_start(&server, NULL);
    redis_start_sentinel(&sentinel, &server);
    redis_ask(&server, "REPLICAOF 127.0.0.1 1");
    snprintf(url, sizeof(url), "redis+sentinel://127.0.0.1:%u/mymaster", sentinel.port);
    CU_ASSERT_EQUAL_FATAL(ferry_cache_open(url, &options, &cache, NULL), 0);
    CU_ASSERT_EQUAL(ferry_cache_exists(cache, ferry_str("a"), &error), -ENOTCONN);
    CU_ASSERT_PTR_NOT_NULL(
        strstr(error.message, "at mymaster: a Sentinel named a server that is not"));
    redis_ask(&server, "REPLICAOF NO ONE");
    ferry_cache_close(cache);
    CU_ASSERT_EQUAL(write_at(url, NULL), 0);
    redis_stop(&server);
    redis_stop(&sentinel);
}

static void errors_of_sentinels_are_explained(void) {
    FERRY_AUTO(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    RedisServer server, sentinel;
    char url[200];

    redis_start(&server, NULL);
    redis_start_sentinel(&sentinel, &server);
    snprintf(url, sizeof(url), "redis+sentinel://127.0.0.1:%u/other", sentinel.port);
    CU_ASSERT_EQUAL(write_at(url, &error), -EINVAL);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "does not know a master of this name"));
    snprintf(url, sizeof(url), "redis+sentinel://127.0.0.1:%u/mymaster", server.port);
    CU_ASSERT_EQUAL(write_at(url, &error), -EPROTO);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "the server is not a Sentinel"));

    redis_ask(&sentinel, "SENTINEL CONFIG SET sentinel-pass none");
    redis_ask(&sentinel, "ACL SETUSER default on >s3cret");
    snprintf(url, sizeof(url), "redis+sentinel://127.0.0.1:%u/mymaster", sentinel.port);
    CU_ASSERT_EQUAL(write_at(url, &error), -EACCES);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "the Sentinel requires a password"));
    strcat(url, "?sentinel_login=:wrong");
    CU_ASSERT_EQUAL(write_at(url, &error), -EACCES);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "the Sentinel refuses the user or password"));
    snprintf(url, sizeof(url),
             "redis+sentinel://127.0.0.1:%u/mymaster?sentinel_login=default:s3cret", sentinel.port);
    CU_ASSERT_EQUAL(write_at(url, NULL), 0);
    redis_stop(&server);
    redis_stop(&sentinel);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_cache_follows_the_master),
        TEST(a_replica_is_not_taken_for_the_master),
        TEST(errors_of_sentinels_are_explained),
        TESTS_END,
    };

    if (!redis_available())
        return EXIT_SKIPPED;
    return run_suite("cache: failover", tests);
}
