/* SPDX-License-Identifier: Apache-2.0 */
/* Opening, closing, statistics. See ferry/cache.h. */

#include <errno.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/forks.h"
#include "cache/api/cache.h"
#include "cache/connection/url.h"

enum {
    DEFAULT_TIMEOUT_MS = 100,
    DEFAULT_BYTES = 64 * 1024 * 1024,
    DEFAULT_STALE_MS = 1000,
    TIMEOUT_MAX_MS = 3600 * 1000,
    BYTES_MIN = 64 * 1024,
    STALE_MIN_MS = 10,
};

static int refuse(ferry_error *reterr, const char *what) {
    return error_set(reterr, "ferry.InvalidArgument", "cache options: %s", what);
}

static int check_options(ferry_cache_options *options, ferry_error *reterr) {
    for (size_t i = 0; i < sizeof(options->reserved) / sizeof(*options->reserved); i++)
        if (options->reserved[i] != 0)
            return refuse(reterr, "a reserved field is not 0");
    if (options->reserved32 != 0)
        return refuse(reterr, "a reserved field is not 0");
    if (options->timeout_ms == 0)
        options->timeout_ms = DEFAULT_TIMEOUT_MS;
    if (options->max_bytes == 0)
        options->max_bytes = DEFAULT_BYTES;
    if (options->near_stale_ms == 0)
        options->near_stale_ms = DEFAULT_STALE_MS;
    if (options->timeout_ms > TIMEOUT_MAX_MS)
        return refuse(reterr, "timeout_ms is more than an hour");
    if (options->max_bytes < BYTES_MIN || options->max_bytes > UINT64_C(1) << 48)
        return refuse(reterr, "max_bytes is less than 64 KiB or more than 256 TiB");
    if (options->near_stale_ms < STALE_MIN_MS || options->near_stale_ms > TIMEOUT_MAX_MS)
        return refuse(reterr, "near_stale_ms is less than 10 or more than an hour");
    if (options->near_cache > FERRY_NEAR_NOTHING)
        return refuse(reterr, "near_cache is not one of the FERRY_NEAR_ values");
    if (options->prefix && (!*options->prefix || strlen(options->prefix) > CACHE_PREFIX_MAX))
        return refuse(reterr, "prefix is empty or longer than 255 bytes");
    return 0;
}

static void core_unref(CacheCore *core) {
    if (!core || __atomic_sub_fetch(&core->handles, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    store_free(core->store);
    flights_deinit(&core->flights);
    free(core);
}

static int open_store(const char *url, const ferry_cache_options *options, CacheStore **ret,
                      ferry_error *reterr) {
    CLEANUP(cache_url_deinit) CacheUrl parsed;
    int r = cache_url_parse(url, &parsed, reterr);

    if (r < 0)
        return r;
    if (parsed.kind != CACHE_URL_MEMORY)
        return store_open_redis(ret, &parsed, options, reterr);
    r = store_open_memory(ret, options->max_bytes);
    return r < 0 ? error_set_code(reterr, r, NULL) : 0;
}

static ferry_cache *handle_new(CacheCore *core, const char *prefix) {
    ferry_cache *cache = calloc(1, sizeof(*cache));

    if (!cache)
        return NULL;
    cache->core = core;
    cache->near = core->near == FERRY_NEAR_ALL;
    if (prefix) {
        cache->prefix_len = strlen(prefix);
        memcpy(cache->prefix, prefix, cache->prefix_len);
    }
    return cache;
}

int ferry_cache_open(const char *url, const ferry_cache_options *options, ferry_cache **ret,
                     ferry_error *reterr) {
    ferry_cache_options complete = options ? *options : (ferry_cache_options){0};
    CacheCore *core;
    int r = check_options(&complete, reterr);

    if (r < 0)
        return r;
    if (!ret)
        return error_set(reterr, "ferry.Misuse", "ret is NULL");
    core = aligned_alloc(64, (sizeof(*core) + 63) / 64 * 64);
    if (!core)
        return error_set_code(reterr, -ENOMEM, NULL);
    *core = (CacheCore){.handles = 1,
                        .forks = forks_watch(),
                        .strict = complete.strict,
                        .near = complete.near_cache,
                        .timeout_ns = complete.timeout_ms * UINT64_C(1000000)};
    flights_init(&core->flights);
    r = open_store(url, &complete, &core->store, reterr);
    if (r >= 0) {
        ferry_cache *cache = handle_new(core, complete.prefix);

        cache_url_place(url, core->place, sizeof(core->place));
        if (cache) {
            *ret = cache;
            return 0;
        }
        r = error_set_code(reterr, -ENOMEM, NULL);
    }
    core_unref(core);
    return r;
}

int ferry_cache_with(ferry_cache *cache, const char *prefix, ferry_cache **ret) {
    ferry_cache *other;

    if (cache && cache_check(cache, NULL) < 0)
        return -ECHILD;
    if (!cache || !ret || (prefix && (!*prefix || strlen(prefix) > CACHE_PREFIX_MAX)))
        return -EINVAL;
    other = handle_new(cache->core, prefix);
    if (!other)
        return -ENOMEM;
    __atomic_add_fetch(&cache->core->handles, 1, __ATOMIC_RELAXED);
    *ret = other;
    return 0;
}

int cache_open_memoised(ferry_cache *cache, ferry_cache **ret) {
    ferry_cache *other = malloc(sizeof(*other));

    if (!other)
        return -ENOMEM;
    *other = *cache;
    other->near = cache->core->near != FERRY_NEAR_NOTHING;
    __atomic_add_fetch(&cache->core->handles, 1, __ATOMIC_RELAXED);
    *ret = other;
    return 0;
}

ferry_cache *ferry_cache_close(ferry_cache *cache) {
    if (!cache)
        return NULL;
    /* In a child process nothing may be freed: a thread of the parent may have held a lock during
     * the fork, and the sockets belong to the parent. */
    if (cache_check(cache, NULL) == 0)
        core_unref(cache->core);
    free(cache);
    return NULL;
}

void ferry_cache_get_stats(ferry_cache *cache, ferry_cache_stats *ret) {
    const CacheCounts *counts = &cache->core->counts;

#define read_count(name) ret->name = __atomic_load_n(&counts->name, __ATOMIC_RELAXED)
    *ret = (ferry_cache_stats){0};
    if (cache_check(cache, NULL) < 0)
        return;
    read_count(hits);
    read_count(misses);
    read_count(stale_hits);
    read_count(negative_hits);
    read_count(loads);
    read_count(load_failures);
    read_count(early_loads);
    read_count(waits);
    read_count(wait_timeouts);
    read_count(stores);
    read_count(errors);
    read_count(timeouts);
    read_count(dropped_writes);
#undef read_count
    cache->core->store->ops->stats(cache->core->store, ret);
}
