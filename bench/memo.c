/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A memoised method, through the broker and from the cache: the same answers, the same exceptions,
 * and how long each takes. Serves the method itself, on a thread; starts its own broker and Redis,
 * unless a broker's URL is given.
 *
 *     bench-memo [--table] [BROKER-URL]
 *
 * Prints a line of JSON for each figure, or, with --table, a table for people.
 */

#include <ferry/cache.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "memo.h"
#include "support/broker.h"
#include "support/redis.h"

enum { CALLS = 2000, HITS = 100000, LIMIT = 1000 };

static bool as_table;

static void die(const char *what, const ferry_error *error) {
    fprintf(stderr, "bench-memo: %s: %s\n", what, error && error->message ? error->message : "");
    exit(EXIT_FAILURE);
}

/* ---- the server ---- */

static int square(ferry_request *request, int32_t a, void *ctx) {
    (void)ctx;
    if (a > LIMIT)
        return memo_throw_too_large(request, &(memo_too_large){.limit = LIMIT});
    return memo_squares_square_return(request, (int64_t)a * a);
}

typedef struct Server {
    const char *url;
    ferry_client *client;
    int ready; /* atomic */
} Server;

static void *serve(void *ctx) {
    static const memo_squares_handlers handlers = {.square = square};
    ferry_error error = FERRY_ERROR_INIT;
    Server *server = ctx;

    if (ferry_open(server->url, NULL, &server->client, &error) < 0 ||
        memo_squares_serve(server->client, &handlers, NULL, NULL, NULL, &error) < 0)
        die("serving", &error);
    __atomic_store_n(&server->ready, 1, __ATOMIC_RELEASE);
    ferry_run(server->client, NULL);
    ferry_close(server->client);
    return NULL;
}

/* ---- the calls ---- */

/* "49", or "memo.TooLarge, limit 1000". */
static void answer_of(ferry_client *client, int32_t a, char *to, size_t size) {
    ferry_error error = FERRY_ERROR_INIT;
    const memo_too_large *e;
    int64_t result = 0;

    if (memo_squares_square(client, a, &result, &error) == 0) {
        snprintf(to, size, "%lld", (long long)result);
        return;
    }
    e = memo_too_large_in(&error);
    snprintf(to, size, "%s, limit %d", error.type, e ? e->limit : -1);
    ferry_error_clear(&error);
}

static double call_us(ferry_client *client, int32_t a, int n) {
    ferry_error error = FERRY_ERROR_INIT;
    uint64_t began = clock_ns();
    int64_t result;

    for (int i = 0; i < n; i++)
        if (memo_squares_square(client, a, &result, &error) < 0)
            ferry_error_clear(&error);
    return (double)(clock_ns() - began) / 1000 / n;
}

static void compare(ferry_client *plain, const char *name, const char *url, uint8_t near) {
    ferry_cache_options options = {.near_cache = near};
    ferry_error error = FERRY_ERROR_INIT;
    ferry_client *cached = NULL;
    ferry_cache *cache = NULL;

    if (ferry_cache_open(url, &options, &cache, &error) < 0)
        die(url, &error);
    if (ferry_with(plain, &(ferry_options){.cache = cache}, &cached, NULL) < 0)
        die("a handle", NULL);
    for (int32_t a = 7; a <= LIMIT + 7; a += LIMIT) {
        char through[80], first[80], again[80];
        double before_us, after_us;

        answer_of(plain, a, through, sizeof(through));
        answer_of(cached, a, first, sizeof(first));
        call_us(cached, a, 500);
        before_us = call_us(plain, a, CALLS);
        after_us = call_us(cached, a, near == FERRY_NEAR_NOTHING ? CALLS : HITS);
        answer_of(cached, a, again, sizeof(again));
        if (strcmp(through, first) != 0 || strcmp(through, again) != 0)
            die("answers differ", NULL);
        if (as_table)
            printf("square(%4d)  %-26s  %-26s  %-22s  %7.1f us  %7.2f us  %5.0f times\n", a,
                   through, again, name, before_us, after_us, before_us / after_us);
        else
            printf(
                "{\"name\": \"memoised call%s, %s\", \"unit\": \"us\", \"ours\": %.6g, \"rival\": "
                "\"through the broker\", \"theirs\": %.6g, \"measured\": %.6g, \"target\": "
                "\"%s\", \"bound\": 0.05, \"at_most\": true}\n",
                a > LIMIT ? " that throws" : "", name, after_us, before_us, after_us / before_us,
                near == FERRY_NEAR_NOTHING ? "" : "20x as fast");
    }
    ferry_close(cached);
    ferry_cache_close(cache);
}

int main(int argc, char **argv) {
    Server server = {0};
    ferry_client *client = NULL;
    ferry_error error = FERRY_ERROR_INIT;
    RedisServer redis;
    TestBroker broker;
    pthread_t thread;
    char url[160];

    as_table = argc > 1 && strcmp(argv[1], "--table") == 0;
    server.url = argc > 1 + as_table ? argv[1 + as_table] : NULL;
    if (!server.url) {
        setenv("FERRY_TEST_BROKER", TEST_BROKER, 0);
        broker_spawn(&broker);
        server.url = broker.url;
    }
    if (pthread_create(&thread, NULL, serve, &server) != 0)
        die("a thread", NULL);
    while (!__atomic_load_n(&server.ready, __ATOMIC_ACQUIRE))
        usleep(1000);
    if (ferry_open(server.url, NULL, &client, &error) < 0)
        die("opening", &error);
    if (as_table)
        printf("%-12s  %-26s  %-26s  %-22s  %10s  %10s\n", "the call", "answer of the server",
               "answer of the cache", "the cache", "broker", "cache");
    compare(client, "memory://", "memory://", 0);
    if (redis_available()) {
        redis_start(&redis, NULL);
        snprintf(url, sizeof(url), "redis+unix://%s", redis.socket);
        compare(client, "redis://", url, FERRY_NEAR_MEMOISED);
        redis_ask(&redis, "FLUSHALL");
        compare(client, "redis://, nothing near", url, FERRY_NEAR_NOTHING);
        redis_stop(&redis);
    }
    ferry_close(client);
    ferry_stop(server.client);
    pthread_join(thread, NULL);
    if (server.url == broker.url)
        broker_terminate(&broker);
    return 0;
}
