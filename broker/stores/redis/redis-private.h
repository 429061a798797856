/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The records that the files of the store in Redis share:
 *
 *   restore.c      takes the lease, and reads the contents of the space
 *   redis-store.c  the ops of the store: changes, and their ends
 *
 * Under them are options (the URL), link (calls), script (what Redis runs), segments (which values
 * have the records of the jobs) and writer (the thread).
 */

#include "broker/stores/redis/redis-store.h"
#include "broker/stores/redis/segments.h"
#include "broker/stores/redis/writer.h"

typedef enum RestoreStep {
    RESTORE_LEASE, /* may wait for another broker, or for Redis */
    RESTORE_PAUSED,
    RESTORE_SEGMENTS,
    RESTORE_KEYS,
    RESTORE_PUSHES,
    RESTORE_FACTS,
    RESTORE_DONE,
} RestoreStep;

typedef struct Restoring {
    RestoreStep step;
    uint64_t began_ms;
    uint64_t told_ms; /* when the log last had the reason for waiting; 0: never */
    uint64_t cursor;  /* values that were read */
    uint64_t n_jobs;
    LinkScript take, read, list;
    char seen_until[24]; /* the end of another broker's lease */
    uint64_t seen_ms;    /* since when it is the same */
    uint64_t seen_lease_ms;
} Restoring;

typedef struct RedisQueues {
    Store store; /* first: a RedisQueues is a Store */
    RedisStoreOptions options;
    RedisLink link;
    RedisWriter writer;
    Waker *waker;
    char holder[128]; /* names this process: host, process, a random number */
    char token[REDIS_TOKEN_SIZE];
    uint64_t last_job; /* the last one that was appended or restored */
    WallClock wall;    /* the clock of Redis */
    Restoring restoring;
    WriterBatch *open, *spare; /* the batch in the making; one to use again */
    size_t n_submitted;        /* batches that the thread has */
    size_t backlog;            /* their bytes, and those of `open` */
    WriterState state;         /* the last one that the thread has reported */
    RedisSegments segments;
} RedisQueues;

static inline RedisQueues *redis_of(Store *store) {
    return (RedisQueues *)store;
}

/* The job was forwarded, and has ended: its number is forgotten. */
void redis_job_passed(RedisQueues *redis, uint64_t id);

/* As StoreOps.restore. */
int redis_restore(Store *store, size_t max, ferry_error *reterr);
