/* SPDX-License-Identifier: Apache-2.0 */
/* The URL of a store in Redis, parsed. See options.h. */

#include "broker/stores/redis/options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"

enum { SETTING_MAX = 80 }; /* most bytes of a value */

typedef struct StoreSetting {
    const char *name;
    int (*read)(const char *value, RedisStoreOptions *to);
    const char *allowed;
} StoreSetting;

static int read_name(const char *value, RedisStoreOptions *to) {
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
    size_t len = strlen(value);

    if (len == 0 || len > REDIS_NAME_MAX || strspn(value, allowed) != len)
        return -EINVAL;
    memcpy(to->name, value, len + 1);
    return 0;
}

static int read_id(const char *value, RedisStoreOptions *to) {
    if (strlen(value) != REDIS_ID_SIZE || strspn(value, "0123456789abcdef") != REDIS_ID_SIZE)
        return -EINVAL;
    memcpy(to->id, value, REDIS_ID_SIZE + 1);
    return 0;
}

static int read_wait(const char *value, RedisStoreOptions *to) {
    uint64_t n;

    if (text_parse_count(value, &n) < 0 || n > REDIS_WAIT_MAX)
        return -EINVAL;
    to->n_wait = (uint32_t)n;
    return 0;
}

static int read_lease(const char *value, RedisStoreOptions *to) {
    uint64_t ms;

    if (text_parse_ms(value, &ms) < 0 || ms < REDIS_LEASE_MIN_MS || ms > REDIS_LEASE_MAX_MS)
        return -EINVAL;
    to->lease_ms = (uint32_t)ms;
    return 0;
}

static int read_shards(const char *value, RedisStoreOptions *to) {
    uint64_t n;

    if (text_parse_count(value, &n) < 0 || n < 2 || n > STORE_SHARDS_MAX)
        return -EINVAL;
    to->n_shards = (unsigned)n;
    return 0;
}

static const StoreSetting settings[] = {
    {"name=", read_name, "1 to 64 letters, digits, '-', '_' and '.'"},
    {"id=", read_id, "the 32 digits that the broker's log shows as id="},
    {"wait=", read_wait, "a number of replicas from 0 to 100"},
    {"lease=", read_lease, "a time from 1s to 10min"},
    {"shards=", read_shards, "a number from 2 to 62"},
};

/* One NAME=VALUE; false: it is a setting of the connection. */
static bool take(const char *text, size_t len, RedisStoreOptions *to, ferry_error *reterr, int *r) {
    char value[SETTING_MAX + 1];

    for (size_t i = 0; i < sizeof(settings) / sizeof(*settings); i++) {
        size_t n = strlen(settings[i].name);

        if (len < n || memcmp(text, settings[i].name, n) != 0)
            continue;
        *r = -EINVAL;
        if (len - n <= SETTING_MAX) {
            memcpy(value, text + n, len - n);
            value[len - n] = '\0';
            *r = settings[i].read(value, to);
        }
        if (*r < 0)
            error_set(reterr, "ferry.InvalidArgument", "--store: '%s' must be %s", settings[i].name,
                      settings[i].allowed);
        return true;
    }
    return false;
}

/* Moves the settings of the store from the query to *to. */
static int split(char *url, RedisStoreOptions *to, ferry_error *reterr) {
    char *from = strchr(url, '?'), *keep = from;
    int r = 0;

    if (!from)
        return 0;
    for (from++; r == 0 && *from;) {
        size_t len = strcspn(from, "&");
        bool more = from[len] == '&';

        if (!take(from, len, to, reterr, &r)) {
            *keep = keep == strchr(url, '?') ? '?' : '&';
            memmove(keep + 1, from, len);
            keep += len + 1;
        }
        from += len + more;
    }
    *keep = '\0';
    return r;
}

static int check(const CacheUrl *url, ferry_error *reterr) {
    if (url->kind == CACHE_URL_MEMORY)
        return error_set(reterr, "ferry.InvalidArgument",
                         "--store: memory:// is not a store; without --store queues are in memory");
    if (url->kind == CACHE_URL_REDIS && url->n_hosts > 1)
        return error_set(reterr, "ferry.InvalidArgument",
                         "--store: redis:// with several hosts divides keys among them, and the "
                         "keys of a store belong together; use redis+cluster:// or "
                         "redis+sentinel://");
    return 0;
}

int redis_options_parse(const char *text, RedisStoreOptions *ret, ferry_error *reterr) {
    CLEANUP(redis_options_deinit)
    RedisStoreOptions options = {.name = "ferry", .lease_ms = REDIS_LEASE_MS};
    char *url;
    int r;

    if (strlen(text) > CACHE_URL_MAX)
        return error_set(reterr, "ferry.InvalidArgument", "--store: a URL has at most %d bytes",
                         CACHE_URL_MAX);
    url = strdup(text);
    if (!url)
        return error_set_code(reterr, -ENOMEM, NULL);
    r = split(url, &options, reterr);
    if (r == 0)
        r = cache_url_parse(url, &options.url, reterr);
    if (r == 0)
        r = check(&options.url, reterr);
    explicit_bzero(url, strlen(url));
    free(url);
    if (r < 0)
        return r;
    *ret = options;
    options.url = (CacheUrl){0};
    return 0;
}

void redis_options_deinit(RedisStoreOptions *options) {
    cache_url_deinit(&options->url);
}
