/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The seam between the queue router and the stores that keep its jobs. The router has every job in
 * memory and makes all decisions; a store makes the changes outlive the process.
 *
 * A change (append, settle, forward) is done at once, as in the memory store, or later. If it is
 * done later, the router gives it a ticket, and the store calls done() with this ticket exactly
 * once, on the broker's thread. The changes of one job end in the order in which they began;
 * changes of different jobs may end in any order. The router calls flush() at the end of each turn
 * in which it made a change, so that all changes of the turn can share one transaction.
 *
 * A store may have threads. To report the end of changes it writes to the wake-up descriptor, and
 * the broker's loop then calls process().
 *
 * If a store cannot write, it calls store_set_degraded(): it refuses pushes then, and jobs that are
 * in memory are still delivered. The reason is in the log, in `ferry queue list` and in `ferry
 * stats`. After a write or flush that failed, the outcome of the changes under way is unknown: the
 * store never calls done() for them.
 *
 * Brokers may share the queues of a store in Redis: then each broker has one store for each shard,
 * and a queue is in the shard that follows from its name. A shard is at one broker at a time, and
 * away at all others. See "shards" below.
 */

#include <assert.h>

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/waker.h"
#include "rpc/wire/message.h"

struct Queues;

typedef struct Store Store;

/* A queue, as a store sees it. */
typedef struct StoredQueue {
    const char *name; /* name_len bytes, and a NUL */
    size_t name_len;
    /* 0: a change is confirmed when it is on the disk. Otherwise it is confirmed at once, and is on
     * the disk at most this many milliseconds later. */
    uint64_t interval_ms;
} StoredQueue;

/* A job, as a store sees it. Times are of the broker's monotonic clock: a store that outlives the
 * process converts them. */
typedef struct StoredJob {
    uint64_t id; /* unique in the broker, counting up */
    StoredQueue *queue;
    uint64_t pushed_ms;
    uint64_t due_ms;     /* the earliest delivery; 0: at once */
    uint64_t expires_ms; /* 0: never */
    uint64_t worker;     /* identifies the client that had the last delivery; 0: no delivery yet */
    uint32_t attempt;    /* deliveries that count as attempts */
    uint8_t priority;
    bool held;   /* in flight: a worker has it */
    void *place; /* for the store's use */
} StoredJob;

/* The push that made a job. The store keeps it beside the job, so that the same push does not store
 * a second job after a restart. */
typedef struct StoredPush {
    const uint8_t *client; /* WIRE_TOKEN bytes; NULL: the push is not remembered */
    uint64_t id;           /* 0: the push is not remembered */
    Span key;              /* the deduplication key; empty: no key */
    uint64_t key_until_ms;
} StoredPush;

enum {
    STORE_LATER = 1,
    STORE_HAS_MORE = 1,
    STORE_REASON_MAX = 200,
    STORE_SETTING_MAX = 64,
    STORE_SHARED_MAX = 32,
    STORE_SHARDS_MAX = 62,
    STORE_URL_MAX = 256,
};

/* The ops of a store, all called on the broker's thread. An op that is NULL does nothing. */
typedef struct StoreOps {
    const char *durability; /* its name in the configuration: "memory", "disk", "redis" */
    uint64_t confirms;      /* in the confirmation of a push: DURABILITY_DISK and so on */
    bool has_intervals;     /* the configuration may also say "interval:TIME" */
    bool later;             /* append, settle and forward may return STORE_LATER */

    /* Begins to work. The waker belongs to the broker and outlives the store's work: the store
     * calls it, from any thread, if it has work for process(). 0, or a negative errno, and *reterr
     * says which file is the cause: the broker does not start. */
    int (*open)(Store *store, Waker *waker, ferry_error *reterr);
    /* Restores the contents of the store through queues_restore_*(), about max jobs and push ids in
     * one call. STORE_HAS_MORE: call it again; 0: all is restored; or a negative errno, and
     * *reterr. */
    int (*restore)(Store *store, size_t max, ferry_error *reterr);
    /* Calls done() for the changes that have ended. */
    void (*process)(Store *store);
    /* The broker ends: writes the changes that are not written yet. No op is called after it. */
    void (*close)(Store *store);

    /* The changes. 0: done; STORE_LATER: done() will be called; or a negative errno: not done. */
    int (*append)(Store *store, uint64_t ticket, StoredJob *job, const StoredPush *by);
    int (*settle)(Store *store, uint64_t ticket, StoredJob *job);
    /* Settles `old` and appends `job` in one step: FORWARD, dead letters, moving. Both queues
     * belong to this store. */
    int (*forward)(Store *store, uint64_t ticket, StoredJob *old, StoredJob *job,
                   const StoredPush *by);
    /* Appends up to STORE_SHARED_MAX jobs in one step. They have the same headers and body, and
     * consecutive ids. NULL: append() is called for each job. */
    int (*append_shared)(Store *store, uint64_t ticket, StoredJob *const *jobs, size_t n);
    /* Appends jobs (their number may be 0), and deletes an entry of the shard's inbox, in one step:
     * see queues_take_entry(). */
    int (*append_entry)(Store *store, uint64_t ticket, StoredJob *const *jobs, size_t n,
                        const StoredPush *by, void *entry);
    void (*flush)(Store *store);

    /* True: the content of this job may be dropped from memory, because load() can read it back.
     * NULL: all contents stay in memory. */
    bool (*has_content)(const Store *store, const StoredJob *job);
    /* Reads the content of the job back, and then calls queues_loaded() in process(), unless the
     * job is settled before. It is called again only after that. -ENOMEM. */
    int (*load)(Store *store, StoredJob *job);
    /* Keeps a fact: a setting or a bind that a command has made, under a name. An empty value
     * forgets it. Returns 0, STORE_LATER or a negative errno, like a change. */
    int (*keep)(Store *store, uint64_t ticket, Span name, Span value);

    /* The job's attempt, due_ms, worker, held or reason has changed. The store keeps it with the
     * next transaction; no client waits for it. */
    void (*note)(Store *store, StoredJob *job);
    /* Forgets the push ids of the client that are lower than floor. */
    void (*forget_pushes)(Store *store, const uint8_t *client, uint64_t floor);
    /* Keeps that the queue is paused, or no longer. Returns 0, STORE_LATER or a negative errno,
     * like a change. With ticket 0 no client waits for it. */
    int (*pause)(Store *store, uint64_t ticket, StoredQueue *queue, bool paused);
    void (*queue_gone)(Store *store, StoredQueue *queue);
} StoreOps;

/* The broker that has a shard, as far as it is known. */
typedef struct StoreOwner {
    bool is_known;
    uint8_t broker[WIRE_TOKEN]; /* as in WELCOME */
    char url[STORE_URL_MAX];
} StoreOwner;

struct Store {
    const StoreOps *ops;
    /* A store that is a shard sets these two before queues_add_store(): its number + 1 (otherwise
     * 0); and true, because the shard is away until this broker has taken it. */
    unsigned shard;
    bool away;
    /* Of a shard that is away. After a change the store calls queues_owner_changed(). */
    StoreOwner owner;
    /* Of a shard that is being adopted: its last broker has given it up in order, so that jobs in
     * flight have living workers. */
    bool handed_over;
    /* The other fields are the queue router's. */
    void (*done)(uint64_t ticket, int result, void *ctx); /* result: 0, or a negative errno */
    void *ctx;
    bool has_changes;                /* the store has changes of this turn */
    bool adopting;                   /* a shard: it is being restored */
    bool closing;                    /* a shard: no change of it begins any more */
    size_t n_open;                   /* changes under way, and moves of its jobs to other stores */
    size_t n_jobs;                   /* in all its queues */
    char degraded[STORE_REASON_MAX]; /* the reason why it cannot write; empty: the store works */
    /* The setting in force outside ferry that decides what a confirmed change survives, for example
     * "appendfsync=always wait=1"; empty: there is no such setting. */
    char setting[STORE_SETTING_MAX];
    bool broken; /* a write has failed: the broker must be restarted */
    bool lost;   /* its queues belong to another broker: this broker must end, unless the store is a
                  * shard */
};

/* The jobs of a shard cannot be used here: it is away, or about to leave. */
static inline bool store_is_away(const Store *store) {
    return store->away || store->closing;
}

/* Fills in headers and body, or passed, of a message; they point into the job. Returns the block
 * around the body, or NULL. The content of a job that is paged out is empty. */
const void *stored_job_content(const StoredJob *job, Message *to);
bool stored_job_is_paged_out(const StoredJob *job);
/* The reason of the job's last failure; empty: it has not failed. Points into the job. */
Span stored_job_reason(const StoredJob *job);
/* The ordering key and the unique key; empty: the job has no such key. They point into the job. */
Span stored_job_order(const StoredJob *job);
Span stored_job_unique(const StoredJob *job);

/* The store cannot write, and reason says why; NULL: it can write again. */
void store_set_degraded(Store *store, const char *reason);

extern Store store_memory;

/* ---- when the broker starts; queues/restore.c, queues/restored-pushes.c ---- */

/* Adds the store, before any queue is made. Its durability is its name. Shards are added in the
 * order of their numbers. -ENOSPC: there are too many stores. */
int queues_add_store(struct Queues *queues, Store *store);
/* Sets the store of queues without a durability in the configuration; before it is the store in
 * memory. A shard stands for all shards. */
void queues_set_default_store(struct Queues *queues, Store *store);

/* For restore(): a queue, before its jobs. -EINVAL: the name is wrong; -ENOMEM. */
int queues_restore_queue(struct Queues *queues, Store *store, Span name, bool is_paused);
/* A job with the id, times, attempt, priority, worker and held of *as. The jobs of one queue come
 * in the order of their ids. A job in flight waits two seconds for its worker, or
 * 30 s if the shard was handed over. *ret is the new
 * record. -EINVAL: the name is wrong; -EEXIST: another job has the id; -ENOMEM. */
int queues_restore_job(struct Queues *queues, Store *store, Span queue, const StoredJob *as,
                       Span reason, const Message *content, StoredJob **ret);
/* The keys of a job that was restored. -ENOMEM. */
int queues_restore_ties(struct Queues *queues, StoredJob *job, Span order, Span unique);
/* A deduplication key. -EINVAL, -ENOMEM. */
int queues_restore_key(struct Queues *queues, Span queue, Span key, uint64_t until_ms);
/* A push that is stored, of this client (WIRE_TOKEN bytes). Ascending ids are the cheapest order.
 * -ENOMEM. */
int queues_restore_push(struct Queues *queues, const uint8_t *client, uint64_t id);
/* A fact of this store, after the last job. -ENOMEM. */
int queues_restore_fact(struct Queues *queues, Store *store, Span name, Span value);
/* Job numbers up to this one are used up. */
void queues_restore_last(struct Queues *queues, uint64_t last_job);

/* ---- shards; queues/shards.c ---- */

/*
 * This broker has taken a shard that was away. The store calls queues_adopt_begin(), then
 * queues_restore_*() in slices beside the turns of the broker, and then queues_adopt_end(): from
 * now on the shard is here, and jobs go to the pulls that wait.
 *
 * -EBUSY: the broker has not finished queues_release_shard() yet: try again in a later turn.
 */
int queues_adopt_begin(struct Queues *queues, Store *store);
void queues_adopt_end(struct Queues *queues, Store *store);

/* The shard is about to leave in order: no change of it begins any more. True: no change of it is
 * under way. */
bool queues_close_shard(struct Queues *queues, Store *store);

/*
 * The shard is no longer at this broker, or its adoption has failed: it is away. Changes under way
 * are answered with ferry.Moved, and done() for them is ignored. All jobs, keys and facts of the
 * shard leave memory in slices, without a change in the store: from this call on the store must not
 * use any StoredJob or StoredQueue of the shard, nor call queues_loaded() for one.
 */
void queues_release_shard(struct Queues *queues, Store *store);

/* store->owner has changed: another broker has the shard, or no broker has it. */
void queues_owner_changed(struct Queues *queues, const Store *store);

/*
 * A message from the inbox of the shard, which is here: it becomes jobs, and append_entry() gets
 * `entry`. 0: the store does it, now or later; if it fails, call this again. -EAGAIN: the message
 * must wait, and problem says why; -EBADMSG: data is no message. queues/inbox.c
 */
int queues_take_entry(struct Queues *queues, Store *store, Span data, void *entry, char *problem,
                      size_t size);

/* ---- contents that are read back; queues/loaded.c ---- */

/* For load(). result: 0, or a negative errno: the content cannot be read, and place (valid during
 * the call) says where it is. */
void queues_loaded(struct Queues *queues, StoredJob *job, int result, const char *place,
                   const Message *content);

/* ---- push ids, keys and queues that a store may forget; queues/restore.c ---- */

/* True: the broker would recognise this push if the client (WIRE_TOKEN bytes) sent it again. */
bool queues_knows_push(const struct Queues *queues, const uint8_t *client, uint64_t id);
/* The time until which a deduplication key is remembered; 0: it is not remembered. */
uint64_t queues_key_until(struct Queues *queues, Span queue, Span key);
bool queues_is_paused(struct Queues *queues, Span name);
/* The value of a fact of a store without shards; empty: the fact is gone. */
Span queues_fact(const struct Queues *queues, Span name);
uint64_t queues_last_job(const struct Queues *queues);

/* ---- calls of the ops ---- */

static inline int store_append(Store *store, uint64_t ticket, StoredJob *job,
                               const StoredPush *by) {
    assert(!store_is_away(store));
    store->has_changes = true;
    return store->ops->append ? store->ops->append(store, ticket, job, by) : 0;
}

static inline int store_settle(Store *store, uint64_t ticket, StoredJob *job) {
    assert(!store->away); /* a move may end while the shard closes */
    store->has_changes = true;
    return store->ops->settle ? store->ops->settle(store, ticket, job) : 0;
}

static inline int store_forward(Store *store, uint64_t ticket, StoredJob *old, StoredJob *job,
                                const StoredPush *by) {
    assert(!store_is_away(store));
    store->has_changes = true;
    return store->ops->forward ? store->ops->forward(store, ticket, old, job, by) : 0;
}

static inline int store_load(Store *store, StoredJob *job) {
    store->has_changes = true; /* flush() begins to read */
    return store->ops->load(store, job);
}

static inline int store_keep(Store *store, uint64_t ticket, Span name, Span value) {
    assert(!store_is_away(store));
    store->has_changes = true;
    return store->ops->keep(store, ticket, name, value);
}

static inline void store_note(Store *store, StoredJob *job) {
    if (!store->ops->note || store_is_away(store))
        return;
    store->has_changes = true;
    store->ops->note(store, job);
}

static inline void store_flush(Store *store) {
    if (store->has_changes && store->ops->flush)
        store->ops->flush(store);
    store->has_changes = false;
}

static inline void store_forget_pushes(Store *store, const uint8_t *client, uint64_t floor) {
    if (!store->ops->forget_pushes || store_is_away(store))
        return;
    store->has_changes = true;
    store->ops->forget_pushes(store, client, floor);
}

static inline int store_pause(Store *store, uint64_t ticket, StoredQueue *queue, bool paused) {
    if (!store->ops->pause || store_is_away(store))
        return 0;
    store->has_changes = true;
    return store->ops->pause(store, ticket, queue, paused);
}

static inline void store_queue_gone(Store *store, StoredQueue *queue) {
    if (store->ops->queue_gone && !store_is_away(store))
        store->ops->queue_gone(store, queue);
}
