/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A table of keys and values in this process, bounded in bytes, with times to live. Eviction is
 * S3-FIFO (Yang and others, SOSP 2023): a small queue for new entries, a main queue for entries
 * that were read again, and a ghost list of hashes that left the small queue. A hit only increments
 * a counter.
 *
 * Any thread may call. Keys are spread over shards, each with its own lock.
 */

#include <stdbool.h>

#include <ferry/base.h>

#include "base/cleanup.h"
#include "rpc/wire/reader.h"

typedef struct Memory Memory;

/* max_bytes includes the bookkeeping. 0 or -ENOMEM. */
int memory_new(Memory **ret, uint64_t max_bytes);
Memory *memory_free(Memory *memory);
DEFINE_CLEANUP(Memory *, memory_free);

uint64_t memory_hash(Span key);

enum { MEMORY_ABSENT, MEMORY_FOUND };

/* MEMORY_FOUND: *ret is one block, owned by the caller. MEMORY_ABSENT. -ENOMEM. */
int memory_get(Memory *memory, Span key, uint64_t hash, uint64_t now_ms, ferry_bytes **ret);

typedef enum MemoryMode {
    MEMORY_SET,
    MEMORY_ADD,     /* -EEXIST if the key exists */
    MEMORY_REPLACE, /* -ENOENT if the key does not exist */
} MemoryMode;

/* The value is the concatenation of head and body. */
typedef struct MemoryPut {
    Span key;
    Span head;
    Span body;
    uint64_t expires_ms; /* 0: never */
    MemoryMode mode;
    Span expect; /* with MEMORY_REPLACE: the prefix that the old value must have, else -EEXIST */
} MemoryPut;

/* 0, -EEXIST, -ENOENT, -ENOMEM; -EMSGSIZE: the entry is larger than a shard. In that case the old
 * entry of the key is removed: an old value must not outlive a set. */
int memory_put(Memory *memory, const MemoryPut *put, uint64_t hash, uint64_t now_ms);

bool memory_delete(Memory *memory, Span key, uint64_t hash, uint64_t now_ms);

/* 0 or -ENOENT. */
int memory_touch(Memory *memory, Span key, uint64_t hash, uint64_t expires_ms, uint64_t now_ms);

/* MEMORY_FOUND: *ret_ms is the remaining time; UINT64_MAX: no time to live. MEMORY_ABSENT. */
int memory_ttl(Memory *memory, Span key, uint64_t hash, uint64_t now_ms, uint64_t *ret_ms);

/* Makes a new value from the old one while the shard is locked. old.data is NULL if the key does
 * not exist. Returns 0 and the new value in *ret (from malloc(), taken over), or a negative
 * errno. */
typedef int (*MemoryEditFn)(Span old, Span *ret, void *ctx);

/* Returns the result of edit, or as memory_put(). An existing entry keeps its time to live. */
int memory_edit(Memory *memory, Span key, uint64_t hash, uint64_t expires_ms, uint64_t now_ms,
                MemoryEditFn edit, void *ctx);

/* Removes all keys that begin with prefix; an empty prefix removes all. */
void memory_clear(Memory *memory, Span prefix);

typedef struct MemoryStats {
    uint64_t entries, bytes, max_bytes, evictions, expirations;
} MemoryStats;

void memory_stats(Memory *memory, MemoryStats *ret);
