/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The records that the files of the store in Redis share:
 *
 *   restore.c      takes the lease, and reads the contents of the space
 *   redis-store.c  the ops of the store: changes, and their ends
 *
 * Under them are options (the URL), link (calls), script (what Redis runs) and writer (the thread).
 */

#include "broker/stores/job-record.h"
#include "broker/stores/redis/redis-store.h"
#include "broker/stores/redis/writer.h"

typedef enum RestoreStep {
    RESTORE_LEASE, /* may wait for another broker, or for Redis */
    RESTORE_PAUSED,
    RESTORE_JOBS,
    RESTORE_KEYS,
    RESTORE_PUSHES,
    RESTORE_FACTS,
    RESTORE_DONE,
} RestoreStep;

typedef struct Restoring {
    RestoreStep step;
    uint64_t began_ms;
    uint64_t told_ms; /* when the log last had the reason for waiting; 0: never */
    uint64_t cursor;  /* RESTORE_JOBS: the last job; later: values that were read */
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
    uint32_t n_batches;        /* made so far; the number of `open` */
    size_t n_submitted;        /* batches that the thread has */
    size_t backlog;            /* their bytes, and those of `open` */
    WriterState state;         /* the last one that the thread has reported */
    Buffer record;             /* the record in the making */
} RedisQueues;

static inline RedisQueues *redis_of(Store *store) {
    return (RedisQueues *)store;
}

/* StoredJob.place of a job in Redis: flags; then, where pointers have 64 bits, the place of its
 * last note in a batch (30 bits, 0: no note) and the number of this batch (32 bits). */
enum { PLACE_STORED = 1, PLACE_HAS_NOTE = 2, PLACE_FLAGS = 3, PLACE_NOTE_MAX = (1 << 30) - 2 };

static inline uint64_t redis_place(const StoredJob *job) {
    return (uintptr_t)job->place;
}

static inline void redis_set_place(StoredJob *job, uint64_t place) {
    job->place = (void *)(uintptr_t)place;
}

/* The seed of the checksums of records in Redis. */
#define REDIS_RECORD_SEED UINT64_C(0x7265646973)

/* As StoreOps.restore. */
int redis_restore(Store *store, size_t max, ferry_error *reterr);
