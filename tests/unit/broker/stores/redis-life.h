/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Lives of a queue router on a store in Redis. See store-life.h. */

#include "broker/stores/redis/redis-private.h"
#include "support/redis.h"
#include "unit/broker/stores/store-life.h"

static RedisServer server;
static Store *redis;
static char url[500], url_more[200]; /* url_more: further settings, "&name=value" */
static char url_of_servers[200];     /* empty: of `server` */
static int n_places;

/* One command to Redis; "@" is the first key of this place. */
static inline const char *ask(const char *format) {
    static char line[200];
    char words[300], key[40], *at = words;

    snprintf(key, sizeof(key), "ferry:{place%d}", n_places);
    for (const char *from = format; *from && at < words + sizeof(words) - sizeof(key); from++) {
        if (*from == '@')
            at += sprintf(at, "%s", key);
        else
            *at++ = *from;
    }
    *at = '\0';
    snprintf(line, sizeof(line), "%s", redis_ask(&server, words));
    line[strcspn(line, "\r\n")] = '\0';
    return line;
}

static inline void new_place(void) {
    n_places++;
}

static inline int try_begin(ferry_error *reterr) {
    int r;

    setup();
    CU_ASSERT_EQUAL(waker_open(&waker), 0);
    if (!*url_of_servers)
        snprintf(url_of_servers, sizeof(url_of_servers), "redis://127.0.0.1:%u", server.port);
    snprintf(url, sizeof(url), "%s?name=place%d%s", url_of_servers, n_places, url_more);
    r = store_redis_new(url, &redis, reterr);
    CU_ASSERT_EQUAL_FATAL(r, 0);
    return begin_on(redis, reterr);
}

static inline void stop(void) {
    teardown();
    redis = store_redis_free(redis);
    waker_close(&waker);
}

/* The process is killed: it does not give its lease back, which ends later. */
static inline void crash(void) {
    redis->broken = true;
    stop();
    ask("HSET @ until 0");
}
