/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The URL of a cache, parsed. */

#include <stdbool.h>
#include <stdint.h>

#include <ferry/base.h>

#include "base/cleanup.h"

enum { CACHE_URL_MAX = 4096, CACHE_HOSTS_MAX = 64, CACHE_REDIS_PORT = 6379 };

typedef enum CacheUrlKind {
    CACHE_URL_MEMORY,
    CACHE_URL_REDIS, /* one host, or several with the keys sharded over them */
    CACHE_URL_UNIX,
    CACHE_URL_CLUSTER,
} CacheUrlKind;

typedef struct CacheHost {
    char *name; /* without brackets; a path for CACHE_URL_UNIX */
    uint16_t port;
} CacheHost;

typedef struct CacheUrl {
    CacheUrlKind kind;
    char *user;     /* NULL: none */
    char *password; /* NULL: none */
    uint32_t db;
    size_t n_hosts;
    CacheHost hosts[CACHE_HOSTS_MAX];
} CacheUrl;

/* 0; -EINVAL, -EOPNOTSUPP (another scheme), -ENOMEM, each with its cause in reterr. */
int cache_url_parse(const char *text, CacheUrl *ret, ferry_error *reterr);

/* "host:port" and "[::1]:port" of a list; text is not terminated. 0, -EINVAL, -ENOMEM. */
int cache_host_parse(const char *text, size_t len, CacheHost *ret);

void cache_url_deinit(CacheUrl *url);

static inline void cache_url_deinitp(CacheUrl *url) {
    cache_url_deinit(url);
}
