/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The URL of a store in Redis, parsed: see redis-store.h. */

#include "broker/stores/redis/spread.h"
#include "cache/connection/url.h"

enum {
    REDIS_NAME_MAX = 64,
    REDIS_ID_SIZE = 32, /* letters of an id */
    REDIS_WAIT_MAX = 100,
    REDIS_LEASE_MS = 10000,
    REDIS_LEASE_MIN_MS = 1000,
    REDIS_LEASE_MAX_MS = 600000,
};

typedef struct RedisStoreOptions {
    CacheUrl url;
    char name[REDIS_NAME_MAX + sizeof(".99")]; /* of a shard: NAME.SHARD */
    char id[REDIS_ID_SIZE + 1];                /* empty: any data is accepted */
    uint32_t n_wait;
    uint32_t lease_ms;
    unsigned n_shards; /* 0: the queues are one space */
} RedisStoreOptions;

/* 0; -EINVAL, -ENOMEM and others, each with its cause in reterr. */
int redis_options_parse(const char *text, RedisStoreOptions *ret, ferry_error *reterr);
void redis_options_deinit(RedisStoreOptions *options);

static inline void redis_options_deinitp(RedisStoreOptions *options) {
    redis_options_deinit(options);
}
