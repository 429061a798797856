/* SPDX-License-Identifier: Apache-2.0 */
/* Many keys in one call. See ferry/cache.h. */

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/error.h"
#include "cache/api/cache.h"

static int check_many(const ferry_cache *cache, const void *keys, size_t n, ferry_error *reterr) {
    int r;

    if (!cache || !keys)
        return error_set(reterr, "ferry.Misuse", "a required argument is NULL");
    r = cache_check(cache, reterr);
    if (r < 0)
        return r;
    if (n == 0 || n > FERRY_CACHE_MANY_MAX)
        return error_set(reterr, "ferry.InvalidArgument", "%zu keys in one call: 1 to %d can be", n,
                         FERRY_CACHE_MANY_MAX);
    return 0;
}

/* Keys with their prefix. Without a prefix the keys are not copied. */
typedef struct Keys {
    Span *spans;
    uint8_t *bytes;
} Keys;

static void keys_deinitp(Keys *keys) {
    free(keys->spans);
    free(keys->bytes);
}

static int keys_init(Keys *keys, const ferry_cache *cache, const ferry_bytes *given, size_t n,
                     ferry_error *reterr) {
    size_t size = 0;
    uint8_t *to;

    for (size_t i = 0; i < n; i++) {
        CacheKey key; /* only to validate the key */
        ferry_cache no_prefix = {.core = cache->core, .prefix_len = 0};
        int r = cache_key_init(&key, &no_prefix, given[i], reterr);

        if (r < 0)
            return r;
        if (given[i].len + cache->prefix_len > FERRY_CACHE_KEY_MAX)
            return error_set(reterr, "ferry.TooBig", "a cache key is larger than the limit of %d",
                             FERRY_CACHE_KEY_MAX);
        size += cache->prefix_len + given[i].len;
    }
    keys->spans = malloc(n * sizeof(*keys->spans));
    to = keys->bytes = cache->prefix_len > 0 ? malloc(size) : NULL;
    if (!keys->spans || (cache->prefix_len > 0 && !keys->bytes))
        return error_set_code(reterr, -ENOMEM, NULL);
    for (size_t i = 0; i < n; i++) {
        keys->spans[i] = (Span){given[i].data, given[i].len};
        if (!to)
            continue;
        memcpy(to, cache->prefix, cache->prefix_len);
        memcpy(to + cache->prefix_len, given[i].data, given[i].len);
        keys->spans[i] = (Span){to, cache->prefix_len + given[i].len};
        to += keys->spans[i].len;
    }
    return 0;
}

/* ---- get ---- */

/* Turns the stored bytes into the value, or into a miss. The tags of each entry are fetched
 * separately: entries with tags are rare when many keys are requested at once. */
static void resolve(ferry_cache *cache, StoreGet *get, StoreCall *call) {
    CacheEntry entry;
    int valid = 1;

    if (!get->value)
        return;
    entry_read((Span){get->value->data, get->value->len}, &entry);
    if (entry.kind == ENTRY_RAW)
        return;
    if (entry.kind == ENTRY_NEGATIVE ||
        (entry.fresh_until_ms != 0 && clock_wall_ms() >= entry.fresh_until_ms))
        valid = 0;
    else if (entry.n_tags > 0)
        valid = cache_tags_valid(cache, &entry, false, call);
    if (valid > 0) {
        get->value->data = entry.value.data;
        get->value->len = entry.value.len;
    } else {
        get->status = valid;
        get->value = ferry_free(get->value);
    }
}

static ferry_bytes *gather(const StoreGet *gets, size_t n) {
    size_t size = n * sizeof(ferry_bytes);
    ferry_bytes *out;
    uint8_t *to;

    for (size_t i = 0; i < n; i++)
        size += gets[i].value ? gets[i].value->len : 0;
    out = ferry_alloc(size);
    if (!out)
        return NULL;
    to = (uint8_t *)(out + n);
    for (size_t i = 0; i < n; i++) {
        const ferry_bytes *value = gets[i].value;

        out[i] = (ferry_bytes){NULL, 0, NULL};
        if (!value)
            continue;
        if (value->len > 0)
            memcpy(to, value->data, value->len);
        out[i] = (ferry_bytes){to, value->len, out};
        to += value->len;
    }
    return out;
}

int ferry_cache_get_many(ferry_cache *cache, const ferry_bytes *keys, size_t n, ferry_bytes **ret,
                         ferry_error *reterr) {
    __attribute__((__cleanup__(keys_deinitp))) Keys full = {NULL, NULL};
    ferry_bytes *out = NULL;
    StoreCall call;
    StoreGet *gets;
    int r, found = 0, status = 0;

    if ((r = check_many(cache, keys, n, reterr)) < 0 ||
        (r = check_many(cache, ret, n, reterr)) < 0 ||
        (r = keys_init(&full, cache, keys, n, reterr)) < 0)
        return r;
    gets = calloc(n, sizeof(*gets));
    if (!gets)
        return error_set_code(reterr, -ENOMEM, NULL);
    for (size_t i = 0; i < n; i++) {
        gets[i].key = full.spans[i];
        gets[i].plain = !cache->near;
    }
    call = cache_call(cache);
    cache->core->store->ops->get(cache->core->store, gets, n, &call);
    for (size_t i = 0; i < n; i++) {
        resolve(cache, &gets[i], &call);
        if (gets[i].status < 0)
            status = gets[i].status;
        found += gets[i].value != NULL;
    }
    __atomic_add_fetch(&cache->core->counts.hits, (uint64_t)found, __ATOMIC_RELAXED);
    __atomic_add_fetch(&cache->core->counts.misses, n - (uint64_t)found, __ATOMIC_RELAXED);
    r = status < 0 ? cache_fail(cache, status, CACHE_SOFT_READ, &call, reterr) : 0;
    if (r >= 0 && !(out = gather(gets, n)))
        r = error_set_code(reterr, -ENOMEM, NULL);
    for (size_t i = 0; i < n; i++)
        ferry_free(gets[i].value);
    free(gets);
    if (r < 0)
        return r;
    *ret = out;
    return found;
}

/* ---- set ---- */

static int check_values(const ferry_bytes *values, size_t n, uint64_t ttl_ms, ferry_error *reterr) {
    if (!values)
        return error_set(reterr, "ferry.Misuse", "a required argument is NULL");
    if (ttl_ms > FERRY_CACHE_TTL_MAX)
        return error_set(reterr, "ferry.InvalidArgument", "the ttl is more than ten years");
    for (size_t i = 0; i < n; i++)
        if (values[i].len > FERRY_CACHE_VALUE_MAX || (!values[i].data && values[i].len > 0))
            return error_set(reterr, values[i].data ? "ferry.TooBig" : "ferry.InvalidArgument",
                             "cache value %zu is larger than the limit, or has no data", i);
    return 0;
}

int ferry_cache_set_many(ferry_cache *cache, const ferry_bytes *keys, const ferry_bytes *values,
                         size_t n, uint64_t ttl_ms, ferry_error *reterr) {
    __attribute__((__cleanup__(keys_deinitp))) Keys full = {NULL, NULL};
    uint8_t header[ENTRY_HEADER_MAX];
    CacheEntry plain = {.kind = ENTRY_PLAIN, .n_tags = 0};
    size_t header_len = entry_write_header(&plain, header);
    StorePut *puts;
    StoreCall call;
    int r, status = 0;

    if ((r = check_many(cache, keys, n, reterr)) < 0 ||
        (r = check_values(values, n, ttl_ms, reterr)) < 0 ||
        (r = keys_init(&full, cache, keys, n, reterr)) < 0)
        return r;
    puts = calloc(n, sizeof(*puts));
    if (!puts)
        return error_set_code(reterr, -ENOMEM, NULL);
    for (size_t i = 0; i < n; i++) {
        puts[i] = (StorePut){.body = {values[i].data, values[i].len}, .ttl_ms = ttl_ms};
        /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): keys_init() never returns above 0 */
        puts[i].key = full.spans[i];
        if (entry_looks_like_header(puts[i].body))
            puts[i].head = (Span){header, header_len};
    }
    call = cache_call(cache);
    cache->core->store->ops->put(cache->core->store, puts, n, &call);
    for (size_t i = 0; i < n; i++) {
        if (puts[i].status < 0)
            status = puts[i].status;
        else
            cache_count(cache, stores);
    }
    free(puts);
    return status < 0 ? cache_fail(cache, status, CACHE_SOFT_WRITE, &call, reterr) : 0;
}
