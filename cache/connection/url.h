/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The URL of a cache, parsed. */

#include <stdbool.h>
#include <stdint.h>

#include <ferry/base.h>

#include "base/cleanup.h"

enum {
    CACHE_URL_MAX = 4096,
    CACHE_HOSTS_MAX = 64,
    CACHE_REDIS_PORT = 6379,
    CACHE_SENTINEL_PORT = 26379
};

typedef enum CacheUrlKind {
    CACHE_URL_MEMORY,
    CACHE_URL_REDIS, /* one host, or several with the keys sharded over them */
    CACHE_URL_UNIX,
    CACHE_URL_CLUSTER,
    CACHE_URL_SENTINEL, /* the hosts are Sentinels, which know the server */
} CacheUrlKind;

typedef struct CacheHost {
    char *name; /* without brackets; a path for CACHE_URL_UNIX */
    uint16_t port;
} CacheHost;

typedef struct CacheUrl {
    CacheUrlKind kind;
    char *user;     /* NULL: no user */
    char *password; /* NULL: no password; from secret_alloc(), like sentinel_password */
    uint32_t db;
    bool tls;
    char *ca, *certificate, *key;            /* files for TLS; NULL: not given */
    char *master;                            /* the master's name at the Sentinels */
    char *sentinel_user, *sentinel_password; /* NULL: no login */
    size_t n_hosts;
    CacheHost hosts[CACHE_HOSTS_MAX];
} CacheUrl;

/* 0; -EINVAL, -EOPNOTSUPP (another scheme), -ENOMEM, each with its cause in reterr. */
int cache_url_parse(const char *text, CacheUrl *ret, ferry_error *reterr);

/* "host", "host:port" and "[::1]:port" of a list; text is not terminated. 0, -EINVAL, -ENOMEM. */
int cache_host_parse(const char *text, size_t len, uint16_t default_port, CacheHost *ret);

/* Copies a URL without its login and its options, for people; it is cut at size - 1 bytes.
 * Passwords are never copied. */
void cache_url_place(const char *text, char *to, size_t size);

void cache_url_deinit(CacheUrl *url);

static inline void cache_url_deinitp(CacheUrl *url) {
    cache_url_deinit(url);
}
