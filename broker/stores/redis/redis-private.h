/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The records that the files of the store in Redis share:
 *
 *   restore.c      restores what the thread has read
 *   redis-store.c  the ops of the store: changes, and their ends
 *
 * Under them are options (the URL), link (calls), script (what Redis runs), segments (which values
 * have the records of the jobs), reader (the lease, and the contents) and writer (the thread).
 */

#include "broker/stores/redis/redis-store.h"
#include "broker/stores/redis/segments.h"
#include "broker/stores/redis/shard-inbox.h"
#include "broker/stores/redis/writer.h"

typedef struct Restoring {
    bool has_lease;
    uint64_t began_ms;
    uint64_t told_ms; /* when the log last had the reason for waiting; 0: never */
    uint64_t n_jobs;
    uint64_t n_values; /* values of all kinds, including jobs that have ended */
    ReadSlice *slice;  /* NULL: the thread has not read the next one yet */
    size_t at;         /* elements of the slice that are restored */
} Restoring;

typedef struct RedisQueues {
    Store store; /* first: a RedisQueues is a Store */
    RedisStoreOptions options;
    RedisLink link;
    RedisWriter writer;
    bool writes;       /* the space was restored, and the thread takes batches */
    uint64_t last_job; /* the number of the job that was appended or restored last */
    WallClock wall;    /* the clock of Redis */
    Restoring restoring;
    WriterBatch *open, *spare; /* the batch in the making; one to use again */
    size_t n_submitted;        /* batches that the thread has */
    size_t backlog;            /* bytes of these batches and of `open` */
    WriterState state;         /* the state that the thread has reported last */
    RedisSegments segments;
    ShardInbox inbox;
} RedisQueues;

static inline RedisQueues *redis_of(Store *store) {
    return (RedisQueues *)store;
}

/* The job was forwarded, and has ended: its number is forgotten. */
void redis_job_passed(RedisQueues *redis, uint64_t id);

extern const StoreOps redis_ops;

/* Fills in the settings of the thread that belong to the store. */
void redis_set_reader(RedisQueues *redis, RedisReader *reader);
/* Handles the batches that the thread has finished, and its report. */
void redis_take_done(RedisQueues *redis);
/* Writes the last change: the end of the lease. The space was served until served_ms, by the clock
 * of Redis. */
void redis_give_lease_back(RedisQueues *redis, uint64_t served_ms);

/* As StoreOps.restore, of a store without shards: waits for the thread. */
int redis_restore(Store *store, size_t max, ferry_error *reterr);
/* Restores about max values of restoring->slice. As StoreOps.restore. */
int redis_restore_some(RedisQueues *redis, size_t max, ferry_error *reterr);
/* There is nothing to restore yet: logs the reason from time to time. */
void redis_restore_tell(RedisQueues *redis);
