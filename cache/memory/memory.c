/* SPDX-License-Identifier: Apache-2.0 */
/* The table of keys and values in this process. See memory.h. */

#include "cache/memory/memory.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/block.h"
#include "base/hash.h"

enum {
    SHARDS_MAX = 64,
    SHARD_BYTES = 8 * 1024 * 1024, /* the size of a shard above which another one is added */
    BUCKETS_MIN = 64,
    FREQ_MAX = 3,
    COPY_MAX = 1024, /* larger values are shared with their entry instead of copied */
    SWEEP = 2,       /* buckets in which each put looks for expired entries */
    OVERHEAD = sizeof(BlockHeader) + 16 +
               2 * sizeof(void *), /* overhead of an entry: block, malloc(), tables */
};

typedef enum FifoQueue { SMALL, MAIN, N_QUEUES } FifoQueue;

/* An entry is a block: a reader of a large value keeps the entry alive after its eviction. */
typedef struct Entry {
    struct Entry *next;          /* the next entry in the bucket */
    struct Entry *older, *newer; /* neighbours in the queue */
    uint64_t hash;
    uint64_t expires_ms; /* 0: never */
    size_t value_len;
    uint32_t key_len;
    uint8_t queue;
    uint8_t freq;
    uint8_t data[]; /* key, value */
} Entry;

typedef struct Fifo {
    Entry *oldest, *newest;
    uint64_t bytes;
    size_t n;
} Fifo;

typedef struct Shard {
    _Alignas(64) pthread_mutex_t lock;
    Entry **buckets;
    uint64_t *ghosts; /* as many as buckets; each is a fingerprint and a time of eviction */
    size_t mask;
    size_t n;
    uint64_t bytes, max_bytes;
    Fifo queues[N_QUEUES];
    uint32_t ghost_time;
    size_t sweep_at;
    uint64_t evictions, expirations;
} Shard;

struct Memory {
    size_t n_shards; /* a power of two */
    uint64_t max_bytes;
    Shard shards[];
};

uint64_t memory_hash(Span key) {
    return hash_bytes(key.data, key.len);
}

static Shard *shard_of(Memory *memory, uint64_t hash) {
    return &memory->shards[(hash >> 48) & (memory->n_shards - 1)];
}

static uint64_t size_of(const Entry *entry) {
    return sizeof(*entry) + OVERHEAD + entry->key_len + entry->value_len;
}

static bool expired(const Entry *entry, uint64_t now_ms) {
    return entry->expires_ms != 0 && now_ms >= entry->expires_ms;
}

/* ---- making and freeing ---- */

int memory_new(Memory **ret, uint64_t max_bytes) {
    CLEANUP(memory_free) Memory *memory = NULL;
    size_t n = 1;

    while (n < SHARDS_MAX && max_bytes / SHARD_BYTES >= n * 2)
        n *= 2;
    /* calloc() does not align to a cache line, as the shards require. */
    memory = aligned_alloc(64, (sizeof(Memory) + 63 + n * sizeof(Shard)) / 64 * 64);
    if (!memory)
        return -ENOMEM;
    memset(memory, 0, sizeof(Memory));
    memory->max_bytes = max_bytes;
    for (; memory->n_shards < n; memory->n_shards++) {
        Shard *shard = &memory->shards[memory->n_shards];

        *shard = (Shard){.mask = BUCKETS_MIN - 1, .max_bytes = max_bytes / n};
        pthread_mutex_init(&shard->lock, NULL);
        shard->buckets = calloc(BUCKETS_MIN, sizeof(*shard->buckets));
        shard->ghosts = calloc(BUCKETS_MIN, sizeof(*shard->ghosts));
        if (!shard->buckets || !shard->ghosts) {
            memory->n_shards++;
            return -ENOMEM;
        }
    }
    *ret = steal(&memory);
    return 0;
}

Memory *memory_free(Memory *memory) {
    if (!memory)
        return NULL;
    for (size_t i = 0; i < memory->n_shards; i++) {
        Shard *shard = &memory->shards[i];

        for (size_t b = 0; shard->buckets && b <= shard->mask; b++)
            for (Entry *entry = shard->buckets[b], *next; entry; entry = next) {
                next = entry->next;
                ferry_free(entry);
            }
        free(shard->buckets);
        free(shard->ghosts);
        pthread_mutex_destroy(&shard->lock);
    }
    free(memory);
    return NULL;
}

/* ---- queues ---- */

static void fifo_push(Shard *shard, Entry *entry, FifoQueue queue) {
    Fifo *fifo = &shard->queues[queue];

    entry->queue = (uint8_t)queue;
    entry->older = fifo->newest;
    entry->newer = NULL;
    if (fifo->newest)
        fifo->newest->newer = entry;
    else
        fifo->oldest = entry;
    fifo->newest = entry;
    fifo->bytes += size_of(entry);
    fifo->n++;
}

static void fifo_remove(Shard *shard, Entry *entry) {
    Fifo *fifo = &shard->queues[entry->queue];

    *(entry->older ? &entry->older->newer : &fifo->oldest) = entry->newer;
    *(entry->newer ? &entry->newer->older : &fifo->newest) = entry->older;
    fifo->bytes -= size_of(entry);
    fifo->n--;
}

/* ---- ghosts: a slot has the fingerprint of the last evicted entry that hashes to it ---- */

static void ghost_add(Shard *shard, uint64_t hash) {
    shard->ghosts[hash & shard->mask] = (hash & UINT64_C(0xFFFFFFFF00000000)) | ++shard->ghost_time;
}

/* True if the key was evicted so recently that the main queue would still have it. */
static bool ghost_take(Shard *shard, uint64_t hash) {
    uint64_t *ghost = &shard->ghosts[hash & shard->mask];

    if (*ghost == 0 || (*ghost ^ hash) >> 32 != 0 ||
        shard->ghost_time - (uint32_t)*ghost > shard->queues[MAIN].n)
        return false;
    *ghost = 0;
    return true;
}

/* ---- the table ---- */

static Entry **find(Shard *shard, Span key, uint64_t hash) {
    Entry **at = &shard->buckets[hash & shard->mask];

    while (*at && ((*at)->hash != hash || (*at)->key_len != key.len ||
                   memcmp((*at)->data, key.data, key.len) != 0))
        at = &(*at)->next;
    return at;
}

static void drop(Shard *shard, Entry **at) {
    Entry *entry = *at;

    *at = entry->next;
    fifo_remove(shard, entry);
    shard->bytes -= size_of(entry);
    shard->n--;
    ferry_free(entry);
}

/* Returns the entry or NULL; an expired entry is removed. */
static Entry **find_live(Shard *shard, Span key, uint64_t hash, uint64_t now_ms) {
    Entry **at = find(shard, key, hash);

    if (*at && expired(*at, now_ms)) {
        drop(shard, at);
        shard->expirations++;
        return NULL;
    }
    return *at ? at : NULL;
}

/* Doubles the buckets. If memory is out, the chains get longer instead. */
static void grow(Shard *shard) {
    size_t n = (shard->mask + 1) * 2;
    Entry **buckets = calloc(n, sizeof(*buckets));
    uint64_t *ghosts = calloc(n, sizeof(*ghosts));

    if (!buckets || !ghosts) {
        free(buckets);
        free(ghosts);
        return;
    }
    for (size_t b = 0; b <= shard->mask; b++)
        for (Entry *entry = shard->buckets[b], *next; entry; entry = next) {
            Entry **to = &buckets[entry->hash & (n - 1)];

            next = entry->next;
            entry->next = *to;
            *to = entry;
        }
    free(shard->buckets);
    free(shard->ghosts); /* dropped: the new slot of each ghost is unknown */
    shard->buckets = buckets;
    shard->ghosts = ghosts;
    shard->mask = n - 1;
}

static void evict(Shard *shard, Entry *entry, bool remember) {
    if (remember)
        ghost_add(shard, entry->hash);
    drop(shard, find(shard, (Span){entry->data, entry->key_len}, entry->hash));
    shard->evictions++;
}

/* One step of eviction: an entry is removed, or moves to another queue. */
static void evict_step(Shard *shard) {
    Fifo *small = &shard->queues[SMALL], *main = &shard->queues[MAIN];
    Entry *entry;

    if (small->n > 0 && (small->bytes >= shard->max_bytes / 10 || main->n == 0)) {
        entry = small->oldest;
        if (entry->freq > 1) {
            fifo_remove(shard, entry);
            entry->freq = 0;
            fifo_push(shard, entry, MAIN);
        } else {
            evict(shard, entry, true);
        }
        return;
    }
    entry = main->oldest;
    if (entry->freq > 0) {
        fifo_remove(shard, entry);
        entry->freq--;
        fifo_push(shard, entry, MAIN);
    } else {
        evict(shard, entry, false);
    }
}

static void make_room(Shard *shard, uint64_t size) {
    while (shard->n > 0 && shard->bytes + size > shard->max_bytes)
        evict_step(shard);
}

/* Removes expired entries; without this they would stay until they are the oldest. */
static void sweep(Shard *shard, uint64_t now_ms) {
    for (int i = 0; i < SWEEP; i++) {
        Entry **at = &shard->buckets[shard->sweep_at++ & shard->mask];

        while (*at)
            if (expired(*at, now_ms)) {
                drop(shard, at);
                shard->expirations++;
            } else {
                at = &(*at)->next;
            }
    }
}

/* ---- reading and writing ---- */

static int hand_out(Entry *entry, ferry_bytes **ret) {
    const uint8_t *value = entry->data + entry->key_len;
    ferry_bytes *out;

    if (entry->value_len <= COPY_MAX) {
        out = ferry_alloc(sizeof(*out) + entry->value_len);
        if (!out)
            return -ENOMEM;
        memcpy(out + 1, value, entry->value_len);
        *out = (ferry_bytes){out + 1, entry->value_len, out};
    } else {
        out = block_new_around(sizeof(*out), entry);
        if (!out)
            return -ENOMEM;
        ferry_keep(entry);
        *out = (ferry_bytes){value, entry->value_len, out};
    }
    *ret = out;
    return MEMORY_FOUND;
}

int memory_get(Memory *memory, Span key, uint64_t hash, uint64_t now_ms, ferry_bytes **ret) {
    Shard *shard = shard_of(memory, hash);
    Entry **at;
    int r = MEMORY_ABSENT;

    pthread_mutex_lock(&shard->lock);
    at = find_live(shard, key, hash, now_ms);
    if (at) {
        if ((*at)->freq < FREQ_MAX)
            (*at)->freq++;
        r = hand_out(*at, ret);
    }
    pthread_mutex_unlock(&shard->lock);
    return r;
}

static Entry *entry_new(const MemoryPut *put, uint64_t hash) {
    size_t value_len = put->head.len + put->body.len;
    Entry *entry = ferry_alloc(sizeof(*entry) + put->key.len + value_len);
    uint8_t *to;

    if (!entry)
        return NULL;
    *entry = (Entry){.hash = hash,
                     .expires_ms = put->expires_ms,
                     .value_len = value_len,
                     .key_len = (uint32_t)put->key.len};
    memcpy(entry->data, put->key.data, put->key.len);
    to = entry->data + put->key.len;
    if (put->head.len > 0)
        memcpy(to, put->head.data, put->head.len);
    if (put->body.len > 0)
        memcpy(to + put->head.len, put->body.data, put->body.len);
    return entry;
}

static bool begins_with(const Entry *entry, Span head) {
    return entry->value_len >= head.len &&
           memcmp(entry->data + entry->key_len, head.data, head.len) == 0;
}

static int put_locked(Shard *shard, const MemoryPut *put, uint64_t hash, uint64_t now_ms) {
    uint64_t size = sizeof(Entry) + OVERHEAD + put->key.len + put->head.len + put->body.len;
    Entry **at = find_live(shard, put->key, hash, now_ms);
    FifoQueue queue;
    uint8_t freq = 0;
    Entry *entry;

    if (at && put->mode == MEMORY_ADD)
        return -EEXIST;
    if (!at && put->mode == MEMORY_REPLACE)
        return -ENOENT;
    if (at && put->expect.len > 0 && !begins_with(*at, put->expect))
        return -EEXIST;
    entry = size <= shard->max_bytes ? entry_new(put, hash) : NULL;
    if (at) {
        queue = (*at)->queue;
        freq = (*at)->freq;
        drop(shard, at);
    } else {
        queue = ghost_take(shard, hash) ? MAIN : SMALL;
    }
    if (!entry)
        return size <= shard->max_bytes ? -ENOMEM : -EMSGSIZE;
    make_room(shard, size);
    if (shard->n > shard->mask)
        grow(shard);
    entry->freq = freq;
    entry->next = shard->buckets[hash & shard->mask];
    shard->buckets[hash & shard->mask] = entry;
    fifo_push(shard, entry, queue);
    shard->bytes += size;
    shard->n++;
    return 0;
}

int memory_put(Memory *memory, const MemoryPut *put, uint64_t hash, uint64_t now_ms) {
    Shard *shard = shard_of(memory, hash);
    int r;

    pthread_mutex_lock(&shard->lock);
    sweep(shard, now_ms);
    r = put_locked(shard, put, hash, now_ms);
    pthread_mutex_unlock(&shard->lock);
    return r;
}

bool memory_delete(Memory *memory, Span key, uint64_t hash, uint64_t now_ms) {
    Shard *shard = shard_of(memory, hash);
    Entry **at;

    pthread_mutex_lock(&shard->lock);
    at = find_live(shard, key, hash, now_ms);
    if (at)
        drop(shard, at);
    pthread_mutex_unlock(&shard->lock);
    return at != NULL;
}

int memory_touch(Memory *memory, Span key, uint64_t hash, uint64_t expires_ms, uint64_t now_ms) {
    Shard *shard = shard_of(memory, hash);
    Entry **at;

    pthread_mutex_lock(&shard->lock);
    at = find_live(shard, key, hash, now_ms);
    if (at)
        (*at)->expires_ms = expires_ms;
    pthread_mutex_unlock(&shard->lock);
    return at ? 0 : -ENOENT;
}

int memory_ttl(Memory *memory, Span key, uint64_t hash, uint64_t now_ms, uint64_t *ret_ms) {
    Shard *shard = shard_of(memory, hash);
    Entry **at;

    pthread_mutex_lock(&shard->lock);
    at = find_live(shard, key, hash, now_ms);
    if (at)
        *ret_ms = (*at)->expires_ms ? (*at)->expires_ms - now_ms : UINT64_MAX;
    pthread_mutex_unlock(&shard->lock);
    return at ? MEMORY_FOUND : MEMORY_ABSENT;
}

int memory_edit(Memory *memory, Span key, uint64_t hash, uint64_t expires_ms, uint64_t now_ms,
                MemoryEditFn edit, void *ctx) {
    Shard *shard = shard_of(memory, hash);
    Span old = {NULL, 0}, fresh = {NULL, 0};
    Entry **at;
    int r;

    pthread_mutex_lock(&shard->lock);
    at = find_live(shard, key, hash, now_ms);
    if (at) {
        old = (Span){(*at)->data + (*at)->key_len, (*at)->value_len};
        expires_ms = (*at)->expires_ms;
    }
    r = edit(old, &fresh, ctx);
    if (r >= 0) {
        MemoryPut put = {.key = key, .body = fresh, .expires_ms = expires_ms};

        r = put_locked(shard, &put, hash, now_ms);
    }
    pthread_mutex_unlock(&shard->lock);
    free((void *)(uintptr_t)fresh.data);
    return r;
}

void memory_clear(Memory *memory, Span prefix) {
    for (size_t i = 0; i < memory->n_shards; i++) {
        Shard *shard = &memory->shards[i];

        pthread_mutex_lock(&shard->lock);
        for (size_t b = 0; b <= shard->mask; b++)
            for (Entry **at = &shard->buckets[b]; *at;)
                if (prefix.len == 0 || ((*at)->key_len >= prefix.len &&
                                        memcmp((*at)->data, prefix.data, prefix.len) == 0))
                    drop(shard, at);
                else
                    at = &(*at)->next;
        pthread_mutex_unlock(&shard->lock);
    }
}

void memory_stats(Memory *memory, MemoryStats *ret) {
    *ret = (MemoryStats){.max_bytes = memory->max_bytes};
    for (size_t i = 0; i < memory->n_shards; i++) {
        Shard *shard = &memory->shards[i];

        pthread_mutex_lock(&shard->lock);
        ret->entries += shard->n;
        ret->bytes += shard->bytes;
        ret->evictions += shard->evictions;
        ret->expirations += shard->expirations;
        pthread_mutex_unlock(&shard->lock);
    }
}
