/* SPDX-License-Identifier: Apache-2.0 */
/* memory://: entries in this process. See store.h. */

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "cache/connection/number.h"
#include "cache/stores/store.h"

typedef struct MemoryStore {
    CacheStore store;
    Memory *memory;
} MemoryStore;

static Memory *memory_of(CacheStore *store) {
    return ((MemoryStore *)store)->memory;
}

static uint64_t expires(uint64_t ttl_ms, uint64_t now_ms) {
    return ttl_ms == 0 ? 0 : now_ms + ttl_ms;
}

static CacheStore *close_store(CacheStore *store) {
    memory_free(memory_of(store));
    free(store);
    return NULL;
}

static void get_all(CacheStore *store, StoreGet *gets, size_t n, StoreCall *call) {
    uint64_t now_ms = clock_ms();

    (void)call;
    for (size_t i = 0; i < n; i++) {
        gets[i].value = NULL;
        gets[i].status = memory_get(memory_of(store), gets[i].key, memory_hash(gets[i].key), now_ms,
                                    &gets[i].value);
        if (gets[i].status > 0)
            gets[i].status = 0;
    }
}

static void put_all(CacheStore *store, StorePut *puts, size_t n, StoreCall *call) {
    uint64_t now_ms = clock_ms();

    (void)call;
    for (size_t i = 0; i < n; i++) {
        MemoryPut put = {.key = puts[i].key,
                         .head = puts[i].head,
                         .body = puts[i].body,
                         .expires_ms = expires(puts[i].ttl_ms, now_ms),
                         .mode = puts[i].mode};

        puts[i].status = memory_put(memory_of(store), &put, memory_hash(put.key), now_ms);
    }
}

static int delete_all(CacheStore *store, const Span *keys, size_t n, StoreCall *call) {
    (void)call;
    for (size_t i = 0; i < n; i++)
        memory_delete(memory_of(store), keys[i], memory_hash(keys[i]), clock_ms());
    return 0;
}

static int touch(CacheStore *store, Span key, uint64_t ttl_ms, StoreCall *call) {
    uint64_t now_ms = clock_ms();

    (void)call;
    return memory_touch(memory_of(store), key, memory_hash(key), expires(ttl_ms, now_ms), now_ms);
}

static int ttl(CacheStore *store, Span key, uint64_t *ret_ms, StoreCall *call) {
    (void)call;
    return memory_ttl(memory_of(store), key, memory_hash(key), clock_ms(), ret_ms);
}

typedef struct Sum {
    int64_t by, now;
} Sum;

static int add_number(Span old, Span *ret, void *ctx) {
    Sum *sum = ctx;
    int64_t before = 0;
    char *text;
    int len;

    if (old.data && number_parse(old, &before) < 0)
        return -EINVAL;
    if (__builtin_add_overflow(before, sum->by, &sum->now))
        return -ERANGE;
    text = malloc(24);
    if (!text)
        return -ENOMEM;
    len = snprintf(text, 24, "%lld", (long long)sum->now);
    *ret = (Span){(uint8_t *)text, (size_t)len};
    return 0;
}

static int incr(CacheStore *store, Span key, int64_t by, uint64_t ttl_ms, int64_t *ret,
                StoreCall *call) {
    uint64_t now_ms = clock_ms();
    Sum sum = {.by = by};
    int r = memory_edit(memory_of(store), key, memory_hash(key), expires(ttl_ms, now_ms), now_ms,
                        add_number, &sum);

    (void)call;
    if (r >= 0)
        *ret = sum.now;
    return r;
}

static int add_bytes(Span old, Span *ret, void *ctx) {
    const Span *more = ctx;
    uint8_t *whole;

    if (old.len + more->len > FERRY_CACHE_VALUE_MAX)
        return -EMSGSIZE;
    whole = malloc(old.len + more->len + 1);
    if (!whole)
        return -ENOMEM;
    if (old.len > 0)
        memcpy(whole, old.data, old.len);
    if (more->len > 0)
        memcpy(whole + old.len, more->data, more->len);
    *ret = (Span){whole, old.len + more->len};
    return 0;
}

static int append(CacheStore *store, Span key, Span more, StoreCall *call) {
    (void)call;
    return memory_edit(memory_of(store), key, memory_hash(key), 0, clock_ms(), add_bytes, &more);
}

static int read_stamp(Memory *memory, Span key, uint64_t *ret) {
    ferry_bytes *value = NULL;
    int r = memory_get(memory, key, memory_hash(key), clock_ms(), &value);

    if (r == MEMORY_FOUND)
        *ret = stamp_parse((Span){value->data, value->len});
    ferry_free(value);
    return r;
}

static int stamp_all(CacheStore *store, const Span *keys, uint64_t *stamps, size_t n,
                     uint64_t ttl_ms, StoreCall *call) {
    Memory *memory = memory_of(store);

    (void)call;
    (void)ttl_ms; /* ignored: unused stamps are evicted */
    for (size_t i = 0; i < n; i++) {
        uint8_t text[STAMP_BYTES];
        MemoryPut put = {.key = keys[i], .body = {text, sizeof(text)}, .mode = MEMORY_ADD};
        int r;

        stamp_format(stamps[i], text);
        r = memory_put(memory, &put, memory_hash(keys[i]), clock_ms());
        if (r == -EEXIST)
            r = read_stamp(memory, keys[i], &stamps[i]);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Always succeeds: the layer above already runs one computation per process. */
static int lease(CacheStore *store, Span key, uint64_t token, uint64_t ms, StoreCall *call) {
    (void)store, (void)key, (void)token, (void)ms, (void)call;
    return LEASE_GOT;
}

static void release(CacheStore *store, Span key, uint64_t token, StoreCall *call) {
    (void)store, (void)key, (void)token, (void)call;
}

static int commit(CacheStore *store, StoreCommit *commit, StoreCall *call) {
    uint64_t now_ms = clock_ms();
    MemoryPut put = {.key = commit->put.key,
                     .head = commit->put.head,
                     .body = commit->put.body,
                     .expires_ms = expires(commit->put.ttl_ms, now_ms),
                     .mode = commit->expect.len > 0 ? MEMORY_REPLACE : MEMORY_ADD,
                     .expect = commit->expect};
    int r = memory_put(memory_of(store), &put, memory_hash(put.key), now_ms);

    (void)call;
    return r == -EEXIST || r == -ENOENT ? 0 : r < 0 ? r : 1;
}

static int clear(CacheStore *store, Span prefix, StoreCall *call) {
    (void)call;
    memory_clear(memory_of(store), prefix);
    return 0;
}

static void stats(CacheStore *store, ferry_cache_stats *to) {
    MemoryStats memory;

    memory_stats(memory_of(store), &memory);
    to->entries = memory.entries;
    to->bytes = memory.bytes;
    to->max_bytes = memory.max_bytes;
    to->evictions = memory.evictions;
    to->expirations = memory.expirations;
}

static const CacheStoreOps ops = {
    .free = close_store,
    .get = get_all,
    .put = put_all,
    .delete = delete_all,
    .touch = touch,
    .ttl = ttl,
    .incr = incr,
    .append = append,
    .stamp = stamp_all,
    .lease = lease,
    .commit = commit,
    .release = release,
    .clear = clear,
    .stats = stats,
};

int store_open_memory(CacheStore **ret, uint64_t max_bytes) {
    MemoryStore *store = calloc(1, sizeof(*store));
    int r;

    if (!store)
        return -ENOMEM;
    store->store.ops = &ops;
    r = memory_new(&store->memory, max_bytes);
    if (r < 0) {
        free(store);
        return r;
    }
    *ret = &store->store;
    return 0;
}
