#pragma once

/*
 * Keys and values in this process, bounded in bytes, with times to live. Eviction is S3-FIFO (Yang
 * and others, SOSP 2023): a small queue for newcomers, a main queue for what was asked for again,
 * and a ghost of what was pushed out of the small one. A hit moves nothing, it only counts.
 *
 * Any thread. Keys are spread over shards, each with a lock of its own.
 */

#include <stdbool.h>

#include <ferry/ferry.h>

#include "base/cleanup.h"
#include "rpc/wire/reader.h"

typedef struct Memory Memory;

/* At most max_bytes, what the bookkeeping takes included. 0 or -ENOMEM. */
int memory_new(Memory **ret, uint64_t max_bytes);
Memory *memory_free(Memory *memory);
DEFINE_CLEANUP(Memory *, memory_free);

uint64_t memory_hash(Span key);

enum { MEMORY_ABSENT, MEMORY_FOUND };

/* MEMORY_FOUND: *ret is one block, the caller's. MEMORY_ABSENT. -ENOMEM. */
int memory_get(Memory *memory, Span key, uint64_t hash, uint64_t now_ms, ferry_bytes **ret);

typedef enum MemoryMode {
    MEMORY_SET,
    MEMORY_ADD,     /* -EEXIST where there is one */
    MEMORY_REPLACE, /* -ENOENT where there is none */
} MemoryMode;

/* The value is head and body, one after the other. */
typedef struct MemoryPut {
    Span key;
    Span head;
    Span body;
    uint64_t expires_ms; /* 0: never */
    MemoryMode mode;
    Span expect; /* with MEMORY_REPLACE: what the old value must begin with, else -EEXIST */
} MemoryPut;

/* 0, -EEXIST, -ENOENT, -ENOMEM; -EMSGSIZE: larger than a shard may be. Then an entry that the value
 * was to take the place of is gone: an old value must not outlive a set. */
int memory_put(Memory *memory, const MemoryPut *put, uint64_t hash, uint64_t now_ms);

bool memory_delete(Memory *memory, Span key, uint64_t hash, uint64_t now_ms);

/* 0 or -ENOENT. */
int memory_touch(Memory *memory, Span key, uint64_t hash, uint64_t expires_ms, uint64_t now_ms);

/* MEMORY_FOUND: *ret_ms is what is left; UINT64_MAX: no ttl. MEMORY_ABSENT. */
int memory_ttl(Memory *memory, Span key, uint64_t hash, uint64_t now_ms, uint64_t *ret_ms);

/* What makes a new value from an old one while nobody else can look. old.data is NULL: there is
 * none. Returns 0 and the new value in *ret (malloc, taken over), or a negative errno. */
typedef int (*MemoryEditFn)(Span old, Span *ret, void *ctx);

/* What edit returned, or as memory_put(). An entry that exists keeps its time to live. */
int memory_edit(Memory *memory, Span key, uint64_t hash, uint64_t expires_ms, uint64_t now_ms,
                MemoryEditFn edit, void *ctx);

/* Removes what begins with prefix; everything when it is empty. */
void memory_clear(Memory *memory, Span prefix);

typedef struct MemoryStats {
    uint64_t entries, bytes, max_bytes, evictions, expirations;
} MemoryStats;

void memory_stats(Memory *memory, MemoryStats *ret);
