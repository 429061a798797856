/* SPDX-License-Identifier: Apache-2.0 */
/* Handles, keys, look-ups and errors of the public functions. See cache.h. */

#include "cache/api/cache.h"

#include <errno.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/forks.h"
#include "base/random.h"
#include "cache/connection/number.h"
#include "cache/near/near.h"

int cache_check(const ferry_cache *cache, ferry_error *reterr) {
    if (!cache)
        return error_set(reterr, "ferry.Misuse", "the cache is NULL");
    if (cache->core->forks != forks_count())
        return error_set(reterr, "ferry.Forked",
                         "the cache was opened before fork(): open one in the child");
    return 0;
}

/* ---- keys ---- */

static int join(CacheKey *key, const ferry_cache *cache, Span middle, Span end) {
    size_t len = cache->prefix_len + middle.len + end.len;
    uint8_t *to = key->small;

    key->large = NULL;
    if (len > sizeof(key->small)) {
        to = key->large = ferry_alloc(len);
        if (!to)
            return -ENOMEM;
    }
    memcpy(to, cache->prefix, cache->prefix_len);
    if (middle.len > 0)
        memcpy(to + cache->prefix_len, middle.data, middle.len);
    if (end.data)
        memcpy(to + cache->prefix_len + middle.len, end.data, end.len);
    key->span = (Span){to, len};
    return 0;
}

int cache_key_init(CacheKey *key, const ferry_cache *cache, ferry_bytes given,
                   ferry_error *reterr) {
    int r = cache_check(cache, reterr);

    key->large = NULL;
    if (r < 0)
        return r;
    if (!given.data || given.len == 0)
        return error_set(reterr, "ferry.InvalidArgument", "a cache key must not be empty");
    if (given.len + cache->prefix_len > FERRY_CACHE_KEY_MAX)
        return error_set(reterr, "ferry.TooBig",
                         "a cache key of %zu bytes is larger than the limit of %d, prefix included",
                         given.len + cache->prefix_len, FERRY_CACHE_KEY_MAX);
    key->span = (Span){given.data, given.len};
    if (cache->prefix_len == 0)
        return 0;
    if (join(key, cache, (Span){NULL, 0}, key->span) < 0)
        return error_set_code(reterr, -ENOMEM, NULL);
    return 0;
}

int cache_key_copy(CacheKey *key, const ferry_cache *cache, ferry_bytes given) {
    CacheKey borrowed;
    int r = cache_key_init(&borrowed, cache, given, NULL);

    if (r >= 0)
        r = join(key, cache, (Span){NULL, 0}, (Span){given.data, given.len});
    cache_key_deinitp(&borrowed);
    return r;
}

/* ---- errors ---- */

static bool is_mistake(int status) {
    return status == -EINVAL || status == -EMSGSIZE || status == -ENOMEM;
}

int cache_fail(ferry_cache *cache, int status, CacheFailure kind, const StoreCall *call,
               ferry_error *reterr) {
    if (!is_mistake(status)) {
        cache_count(cache, errors);
        if (status == -ETIMEDOUT)
            cache_count(cache, timeouts);
        if (kind >= CACHE_SOFT_READ && !cache->core->strict) {
            if (kind == CACHE_SOFT_WRITE)
                cache_count(cache, dropped_writes);
            return 0;
        }
    }
    error_set_code(reterr, status, call && call->why[0] ? "%s" : NULL, call ? call->why : "");
    if (reterr && (kind == CACHE_HARD_WRITE || kind == CACHE_SOFT_WRITE))
        reterr->outcome_unknown = status == -ETIMEDOUT || status == -ECONNRESET;
    return status;
}

/* ---- tags ---- */

int cache_tag_keys_init(CacheTagKeys *keys, const ferry_cache *cache, const CacheEntry *entry) {
    static const Span middle = {(const uint8_t *)"ferry.tag:", 10};

    keys->n = 0;
    for (size_t i = 0; i < entry->n_tags; i++) {
        int r = join(&keys->keys[i], cache, middle, entry->tags[i].name);

        if (r < 0)
            return r;
        keys->spans[i] = keys->keys[i].span;
        keys->n++;
    }
    return 0;
}

void cache_tag_keys_deinitp(CacheTagKeys *keys) {
    for (size_t i = 0; i < keys->n; i++)
        cache_key_deinitp(&keys->keys[i]);
}

int cache_stamp(ferry_cache *cache, CacheEntry *entry, uint64_t ttl_ms, StoreCall *call) {
    __attribute__((__cleanup__(cache_tag_keys_deinitp))) CacheTagKeys keys = {.n = 0};
    uint64_t stamps[FERRY_CACHE_TAGS_MAX];
    int r;

    if (entry->n_tags == 0)
        return 0;
    for (size_t i = 0; i < entry->n_tags; i++)
        stamps[i] = random_u64() | 1;
    r = cache_tag_keys_init(&keys, cache, entry);
    if (r >= 0)
        r = cache->core->store->ops->stamp(cache->core->store, keys.spans, stamps, keys.n, ttl_ms,
                                           call);
    for (size_t i = 0; i < entry->n_tags && r >= 0; i++)
        entry->tags[i].stamp = stamps[i];
    return r;
}

int cache_tags_valid(ferry_cache *cache, const CacheEntry *entry, bool far, StoreCall *call) {
    __attribute__((__cleanup__(cache_tag_keys_deinitp))) CacheTagKeys keys = {.n = 0};
    StoreGet gets[FERRY_CACHE_TAGS_MAX];
    int r = cache_tag_keys_init(&keys, cache, entry);

    if (r < 0)
        return r;
    for (size_t i = 0; i < keys.n; i++)
        gets[i] = (StoreGet){.key = keys.spans[i], .far = far, .plain = !cache->near};
    cache->core->store->ops->get(cache->core->store, gets, keys.n, call);
    r = 1;
    for (size_t i = 0; i < keys.n; i++) {
        const ferry_bytes *value = gets[i].value;

        if (gets[i].status < 0)
            r = gets[i].status;
        else if (!value || stamp_parse((Span){value->data, value->len}) != entry->tags[i].stamp)
            r = r > 0 ? 0 : r;
        ferry_free(value);
    }
    return r;
}

/* ---- looking up ---- */

static LookState judge(const CacheEntry *entry) {
    bool past = entry->fresh_until_ms != 0 && clock_wall_ms() >= entry->fresh_until_ms;

    if (entry->kind == ENTRY_NEGATIVE)
        return past ? LOOK_ABSENT : LOOK_NEGATIVE;
    return past ? LOOK_STALE : LOOK_FRESH;
}

void cache_look_judge(Look *look) {
    look->state = LOOK_ABSENT;
    if (!look->block)
        return;
    entry_read((Span){look->block->data, look->block->len}, &look->entry);
    look->state = look->entry.kind == ENTRY_RAW ? LOOK_FRESH : judge(&look->entry);
}

bool cache_tags_near(ferry_cache *cache, Near *near, Look *look) {
    __attribute__((__cleanup__(cache_tag_keys_deinitp))) CacheTagKeys keys = {.n = 0};
    bool known = cache_tag_keys_init(&keys, cache, &look->entry) >= 0;

    for (size_t i = 0; i < keys.n && known; i++) {
        ferry_bytes *value = NULL;

        known = near_get(near, keys.spans[i], memory_hash(keys.spans[i]), &value) == MEMORY_FOUND;
        if (known && stamp_parse((Span){value->data, value->len}) != look->entry.tags[i].stamp)
            look->state = LOOK_ABSENT;
        ferry_free(value);
    }
    return known;
}

void cache_look(ferry_cache *cache, Span key, bool far, StoreCall *call, Look *ret) {
    CacheStore *store = cache->core->store;
    StoreGet get = {.key = key, .far = far, .plain = !cache->near};
    int r;

    store->ops->get(store, &get, 1, call);
    ret->status = get.status;
    ret->block = get.value;
    cache_look_judge(ret);
    if (get.status < 0)
        ret->state = LOOK_FAILED;
    if (ret->state == LOOK_FAILED || ret->state == LOOK_ABSENT || ret->entry.n_tags == 0)
        return;
    r = cache_tags_valid(cache, &ret->entry, far, call);
    if (r <= 0) {
        ret->state = r < 0 ? LOOK_FAILED : LOOK_ABSENT;
        ret->status = r;
    }
}

ferry_bytes *cache_look_take(Look *look) {
    if (look->entry.kind != ENTRY_RAW) {
        look->block->data = look->entry.value.data;
        look->block->len = look->entry.value.len;
    }
    return steal(&look->block);
}

void cache_look_deinitp(Look *look) {
    ferry_free(look->block);
}
