/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Where queues are kept. The queue router holds every job's record in memory and decides
 * everything; a store makes changes outlive the process. A change is done at once (the memory
 * store: at no cost) or later: then the store calls done(), once, on the broker's thread, in the
 * order in which the changes were made. Many changes may share one transaction.
 *
 * One change at a time is under way for a job, and a job that is being stored is not handed out.
 */

#include <stdbool.h>
#include <stdint.h>

#include "rpc/wire/message.h"

struct Queues;

typedef struct Store Store;

/* A queue, as a store sees it. */
typedef struct StoredQueue {
    const char *name; /* name_len bytes, and a NUL */
    size_t name_len;
    void *place; /* the store's own */
} StoredQueue;

/* A job, as a store sees it. Times are of the broker's monotonic clock: a store that outlives the
 * process converts them. */
typedef struct StoredJob {
    uint64_t id; /* unique in the broker, counting up */
    StoredQueue *queue;
    uint64_t pushed_ms;
    uint64_t due_ms;     /* not delivered before; 0: at once */
    uint64_t expires_ms; /* 0: never */
    uint64_t worker;     /* stands for who it was last delivered to; 0: nobody */
    uint32_t attempt;    /* deliveries that count so far */
    uint8_t priority;
    bool held; /* the worker has it */
} StoredJob;

/* Who pushed it: kept beside the job, so that a push is not stored twice. */
typedef struct StoredPush {
    const uint8_t *client; /* WIRE_TOKEN bytes; NULL: nothing to remember */
    uint64_t id;           /* 0: likewise */
    Span key;              /* for deduplication; empty: none */
    uint64_t key_until_ms;
} StoredPush;

enum { STORE_LATER = 1 }; /* done() will be called */

typedef struct StoreOps {
    const char *durability; /* as in the configuration: "memory", "disk" */
    bool later;             /* may return STORE_LATER */

    /* Each returns 0 (done), STORE_LATER, or a negative errno (not done). A NULL function has
     * nothing to do. */
    int (*push)(Store *store, StoredJob *job, const StoredPush *by);
    int (*remove)(Store *store, StoredJob *job);
    /* Removes old and adds job, in one step: FORWARD, dead letters, moving. Both queues are of
     * this store. done() names job. */
    int (*replace)(Store *store, StoredJob *old, StoredJob *job, const StoredPush *by);

    /* attempt, due_ms, worker or held changed. Worth keeping, but nobody waits for it. */
    void (*note)(Store *store, StoredJob *job);
    /* Was this push stored, by an earlier process? */
    bool (*has_push)(Store *store, const StoredPush *by);
    void (*queue_gone)(Store *store, StoredQueue *queue);
} StoreOps;

struct Store {
    const StoreOps *ops;
    /* Set by the queue router. result: 0, or a negative errno: the change was not made. */
    void (*done)(StoredJob *job, int result, void *ctx);
    void *ctx;
};

/* Fills headers and body, or passed, of a message with what the job holds: lent. Returns the block
 * around the body, or NULL. */
const void *stored_job_content(const StoredJob *job, Message *to);

extern Store store_memory;

/* ---- when the broker starts; queues/restore.c ---- */

/* Makes the store known by its durability, before any queue is made. Then the store, as it opens,
 * gives back what it holds. -ENOSPC: there are too many stores. */
int queues_add_store(struct Queues *queues, Store *store);

/* A job as it was: id, times, attempt, priority, worker and held of *as count. Jobs of one queue
 * come in the order of their ids. One that is held waits two seconds for its worker. *ret is the
 * new record. -EINVAL (the name), -EEXIST (the id), -ENOMEM. */
int queues_restore_job(struct Queues *queues, Store *store, Span queue, const StoredJob *as,
                       const Message *content, const void *block, StoredJob **ret);
/* -EINVAL, -ENOMEM. */
int queues_restore_key(struct Queues *queues, Span queue, Span key, uint64_t until_ms);

static inline int store_push(Store *store, StoredJob *job, const StoredPush *by) {
    return store->ops->push ? store->ops->push(store, job, by) : 0;
}

static inline int store_remove(Store *store, StoredJob *job) {
    return store->ops->remove ? store->ops->remove(store, job) : 0;
}

static inline int store_replace(Store *store, StoredJob *old, StoredJob *job,
                                const StoredPush *by) {
    return store->ops->replace ? store->ops->replace(store, old, job, by) : 0;
}

static inline void store_note(Store *store, StoredJob *job) {
    if (store->ops->note)
        store->ops->note(store, job);
}

static inline bool store_has_push(Store *store, const StoredPush *by) {
    return store->ops->has_push && store->ops->has_push(store, by);
}

static inline void store_queue_gone(Store *store, StoredQueue *queue) {
    if (store->ops->queue_gone)
        store->ops->queue_gone(store, queue);
}
