/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The servers behind a cache under test, by name: memory, redis, unix, shards, cluster, tls,
 * sentinel. */

#include "support/redis.h"

enum { SETUP_SERVERS = 3 };

typedef struct CacheSetup {
    RedisServer servers[SETUP_SERVERS];
    RedisServer sentinel; /* only in the setup "sentinel" */
    size_t n;             /* servers, without the Sentinel */
    char url[320];
} CacheSetup;

/* False: there is no redis-server. */
bool cache_setup(CacheSetup *setup, const char *name);
void cache_setup_empty(const CacheSetup *setup); /* removes all keys */
void cache_setup_end(CacheSetup *setup);

void sleep_ms(long ms); /* support/process.c */
