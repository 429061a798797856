/* SPDX-License-Identifier: Apache-2.0 */
/* The public functions of the cache, except opening, many keys and fetch. See ferry/cache.h. */

#include <errno.h>

#include "base/error.h"
#include "base/random.h"
#include "cache/api/cache.h"
#include "cache/connection/number.h"

#define CACHE_KEY __attribute__((__cleanup__(cache_key_deinitp))) CacheKey

static int check_value(ferry_bytes value, ferry_error *reterr) {
    if (!value.data && value.len > 0)
        return error_set(reterr, "ferry.InvalidArgument",
                         "the cache value is NULL, but its length is not 0");
    if (value.len > FERRY_CACHE_VALUE_MAX)
        return error_set(reterr, "ferry.TooBig",
                         "a cache value of %zu bytes is larger than the limit of %zu", value.len,
                         FERRY_CACHE_VALUE_MAX);
    return 0;
}

static int check_ttl(uint64_t ttl_ms, ferry_error *reterr) {
    if (ttl_ms > FERRY_CACHE_TTL_MAX)
        return error_set(reterr, "ferry.InvalidArgument",
                         "the ttl of %llu ms is more than ten years: is it a negative number?",
                         (unsigned long long)ttl_ms);
    return 0;
}

static int check_tags(const char *tags, CacheEntry *entry, ferry_error *reterr) {
    entry->n_tags = 0;
    if (entry_parse_tags(tags, entry) < 0)
        return error_set(
            reterr, "ferry.InvalidArgument",
            "cache tags must be at most %d words of 1 to %d bytes, separated by commas",
            FERRY_CACHE_TAGS_MAX, FERRY_CACHE_TAG_MAX);
    return 0;
}

static int misuse(ferry_error *reterr) {
    return error_set(reterr, "ferry.Misuse", "a required argument is NULL");
}

int ferry_cache_get(ferry_cache *cache, ferry_bytes key, ferry_bytes **ret, ferry_error *reterr) {
    __attribute__((__cleanup__(cache_look_deinitp))) Look look;
    CACHE_KEY full;
    StoreCall call;
    int r;

    look.block = NULL;
    full.large = NULL;
    if (!cache || !ret)
        return misuse(reterr);
    r = cache_key_init(&full, cache, key, reterr);
    if (r < 0)
        return r;
    call = cache_call(cache);
    cache_look(cache, full.span, false, &call, &look);
    if (look.state == LOOK_FRESH) {
        cache_count(cache, hits);
        *ret = cache_look_take(&look);
        return 1;
    }
    if (look.state == LOOK_FAILED)
        return cache_fail(cache, look.status, CACHE_SOFT_READ, &call, reterr);
    cache_count(cache, misses);
    return 0;
}

/* ---- writing ---- */

static int store_one(ferry_cache *cache, ferry_bytes key, ferry_bytes value, uint64_t ttl_ms,
                     const char *tags, MemoryMode mode, ferry_error *reterr) {
    uint8_t header[ENTRY_HEADER_MAX];
    CACHE_KEY full;
    CacheEntry entry;
    StorePut put;
    StoreCall call;
    int r;

    full.large = NULL;
    if (!cache)
        return misuse(reterr);
    if ((r = cache_key_init(&full, cache, key, reterr)) < 0 ||
        (r = check_value(value, reterr)) < 0 || (r = check_ttl(ttl_ms, reterr)) < 0 ||
        (r = check_tags(tags, &entry, reterr)) < 0)
        return r;
    call = cache_call(cache);
    put = (StorePut){
        .key = full.span, .body = {value.data, value.len}, .ttl_ms = ttl_ms, .mode = mode};
    if (entry.n_tags > 0 || entry_looks_like_header(put.body)) {
        entry.kind = ENTRY_PLAIN;
        entry.fresh_until_ms = 0;
        entry.took_us = 0;
        entry.nonce = (uint32_t)random_u64();
        r = cache_stamp(cache, &entry, ttl_ms, &call);
        put.head = (Span){header, entry_write_header(&entry, header)};
    }
    if (r >= 0) {
        cache->core->store->ops->put(cache->core->store, &put, 1, &call);
        r = put.status;
    }
    if (r == -EEXIST && mode == MEMORY_ADD)
        return error_set(reterr, "ferry.AlreadyExists", "the cache has a value for this key");
    if (r == -ENOENT && mode == MEMORY_REPLACE)
        return error_set(reterr, "ferry.NotFound", "the cache has no value for this key");
    if (r < 0)
        return cache_fail(cache, r, mode == MEMORY_SET ? CACHE_SOFT_WRITE : CACHE_HARD_WRITE, &call,
                          reterr);
    cache_count(cache, stores);
    return 0;
}

int ferry_cache_set(ferry_cache *cache, ferry_bytes key, ferry_bytes value, uint64_t ttl_ms,
                    ferry_error *reterr) {
    return store_one(cache, key, value, ttl_ms, NULL, MEMORY_SET, reterr);
}

int ferry_cache_set_tagged(ferry_cache *cache, ferry_bytes key, ferry_bytes value, uint64_t ttl_ms,
                           const char *tags, ferry_error *reterr) {
    return store_one(cache, key, value, ttl_ms, tags, MEMORY_SET, reterr);
}

int ferry_cache_add(ferry_cache *cache, ferry_bytes key, ferry_bytes value, uint64_t ttl_ms,
                    ferry_error *reterr) {
    return store_one(cache, key, value, ttl_ms, NULL, MEMORY_ADD, reterr);
}

int ferry_cache_replace(ferry_cache *cache, ferry_bytes key, ferry_bytes value, uint64_t ttl_ms,
                        ferry_error *reterr) {
    return store_one(cache, key, value, ttl_ms, NULL, MEMORY_REPLACE, reterr);
}

int ferry_cache_delete(ferry_cache *cache, ferry_bytes key, ferry_error *reterr) {
    CACHE_KEY full;
    StoreCall call;
    int r;

    full.large = NULL;
    if (!cache)
        return misuse(reterr);
    r = cache_key_init(&full, cache, key, reterr);
    if (r < 0)
        return r;
    call = cache_call(cache);
    flights_void(&cache->core->flights, full.span, memory_hash(full.span));
    r = cache->core->store->ops->delete (cache->core->store, &full.span, 1, &call);
    return r < 0 ? cache_fail(cache, r, CACHE_SOFT_WRITE, &call, reterr) : 0;
}

int ferry_cache_touch(ferry_cache *cache, ferry_bytes key, uint64_t ttl_ms, ferry_error *reterr) {
    CACHE_KEY full;
    StoreCall call;
    int r;

    full.large = NULL;
    if (!cache)
        return misuse(reterr);
    if ((r = cache_key_init(&full, cache, key, reterr)) < 0 || (r = check_ttl(ttl_ms, reterr)) < 0)
        return r;
    call = cache_call(cache);
    r = cache->core->store->ops->touch(cache->core->store, full.span, ttl_ms, &call);
    if (r == -ENOENT)
        return error_set(reterr, "ferry.NotFound", "the cache has no value for this key");
    return r < 0 ? cache_fail(cache, r, CACHE_HARD_WRITE, &call, reterr) : 0;
}

/* ---- reading without the value ---- */

int ferry_cache_exists(ferry_cache *cache, ferry_bytes key, ferry_error *reterr) {
    __attribute__((__cleanup__(cache_look_deinitp))) Look look;
    CACHE_KEY full;
    StoreCall call;
    int r;

    look.block = NULL;
    full.large = NULL;
    if (!cache)
        return misuse(reterr);
    r = cache_key_init(&full, cache, key, reterr);
    if (r < 0)
        return r;
    call = cache_call(cache);
    cache_look(cache, full.span, false, &call, &look);
    if (look.state == LOOK_FAILED)
        return cache_fail(cache, look.status, CACHE_HARD, &call, reterr);
    return look.state == LOOK_FRESH;
}

int ferry_cache_get_ttl(ferry_cache *cache, ferry_bytes key, uint64_t *ret_ms,
                        ferry_error *reterr) {
    CACHE_KEY full;
    StoreCall call;
    int r;

    full.large = NULL;
    if (!cache || !ret_ms)
        return misuse(reterr);
    r = cache_key_init(&full, cache, key, reterr);
    if (r < 0)
        return r;
    call = cache_call(cache);
    r = cache->core->store->ops->ttl(cache->core->store, full.span, ret_ms, &call);
    return r < 0 ? cache_fail(cache, r, CACHE_HARD, &call, reterr) : r;
}

/* ---- changing ---- */

int ferry_cache_incr(ferry_cache *cache, ferry_bytes key, int64_t by, uint64_t ttl_ms,
                     int64_t *ret_now, ferry_error *reterr) {
    CACHE_KEY full;
    StoreCall call;
    int64_t now = 0;
    int r;

    full.large = NULL;
    if (!cache)
        return misuse(reterr);
    if ((r = cache_key_init(&full, cache, key, reterr)) < 0 || (r = check_ttl(ttl_ms, reterr)) < 0)
        return r;
    call = cache_call(cache);
    r = cache->core->store->ops->incr(cache->core->store, full.span, by, ttl_ms, &now, &call);
    if (r == -ERANGE)
        return error_set_code(reterr, r, "the result does not fit into 64 bits");
    if (r == -EINVAL)
        return error_set(reterr, "ferry.InvalidArgument", "the value of this key is not a number");
    if (r < 0)
        return cache_fail(cache, r, CACHE_HARD_WRITE, &call, reterr);
    if (ret_now)
        *ret_now = now;
    return 0;
}

int ferry_cache_decr(ferry_cache *cache, ferry_bytes key, int64_t by, uint64_t ttl_ms,
                     int64_t *ret_now, ferry_error *reterr) {
    if (by == INT64_MIN)
        return error_set(reterr, "ferry.InvalidArgument",
                         "the number cannot be negated in 64 bits");
    return ferry_cache_incr(cache, key, -by, ttl_ms, ret_now, reterr);
}

int ferry_cache_append(ferry_cache *cache, ferry_bytes key, ferry_bytes more, ferry_error *reterr) {
    CACHE_KEY full;
    StoreCall call;
    int r;

    full.large = NULL;
    if (!cache)
        return misuse(reterr);
    if ((r = cache_key_init(&full, cache, key, reterr)) < 0 || (r = check_value(more, reterr)) < 0)
        return r;
    call = cache_call(cache);
    r = cache->core->store->ops->append(cache->core->store, full.span, (Span){more.data, more.len},
                                        &call);
    return r < 0 ? cache_fail(cache, r, CACHE_HARD_WRITE, &call, reterr) : 0;
}

/* ---- many at once ---- */

int ferry_cache_invalidate(ferry_cache *cache, const char *tags, ferry_error *reterr) {
    __attribute__((__cleanup__(cache_tag_keys_deinitp))) CacheTagKeys keys = {.n = 0};
    CacheEntry entry;
    StoreCall call;
    int r;

    r = cache_check(cache, reterr);
    if (r < 0)
        return r;
    r = check_tags(tags, &entry, reterr);
    if (r < 0)
        return r;
    if (entry.n_tags == 0)
        return error_set(reterr, "ferry.InvalidArgument", "no tag is given");
    if (cache_tag_keys_init(&keys, cache, &entry) < 0)
        return error_set_code(reterr, -ENOMEM, NULL);
    call = cache_call(cache);
    /* Without the stamp of a tag, no entry with the tag is valid. The next store makes a new stamp.
     */
    r = cache->core->store->ops->delete (cache->core->store, keys.spans, keys.n, &call);
    return r < 0 ? cache_fail(cache, r, CACHE_SOFT_WRITE, &call, reterr) : 0;
}

int ferry_cache_clear(ferry_cache *cache, ferry_error *reterr) {
    StoreCall call;
    int r;

    r = cache_check(cache, reterr);
    if (r < 0)
        return r;
    call = cache_call(cache);
    r = cache->core->store->ops->clear(cache->core->store, (Span){cache->prefix, cache->prefix_len},
                                       &call);
    return r < 0 ? cache_fail(cache, r, CACHE_HARD_WRITE, &call, reterr) : 0;
}
