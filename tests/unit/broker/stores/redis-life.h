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
    char words[900], key[40], *at = words;

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

/* The jobs in Redis that have not ended. */
static inline int jobs_in_redis(void) {
    return atoi(ask("EVAL \"local n = 0 for _, at in ipairs(redis.call('ZRANGE', "
                    "KEYS[1]..':order', 0, -1)) do"
                    " local v, bits, p, i = redis.call('HGET', KEYS[1]..':segments', at),"
                    " redis.call('HGET', KEYS[1]..':ended', at) or '', 1, 0"
                    " while p < #v do"
                    " local byte = string.byte(bits, math.floor(i / 8) + 1) or 0"
                    " local id = string.format('%.0f', struct.unpack('<I8', v, p + 40))"
                    " if math.floor(byte / 2 ^ (i % 8)) % 2 == 0 and"
                    " redis.call('HEXISTS', KEYS[1]..':passed', id) == 0 then n = n + 1 end"
                    " p, i = p + 8 * math.ceil(struct.unpack('<I4', v, p + 4) / 8), i + 1"
                    " end end return n\" 1 @") +
                1);
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
