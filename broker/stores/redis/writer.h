/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The thread of a space. First it takes the lease and reads the contents (reader.h), a few slices
 * ahead of the broker's thread. Then it writes: it takes one batch at a time, and tries each part
 * of it again until Redis has confirmed it, or refuses it because its memory is full. Without a
 * batch it prolongs the lease.
 *
 * A batch has two parts, as in the disk store: `pushes` need memory; `releases` (acknowledgements,
 * notes) are applied also when the memory of Redis is full. A release concerns jobs whose push was
 * confirmed in an earlier batch, so the parts may be applied in any order.
 */

#include <pthread.h>

#include "broker/stores/job-record.h"
#include "broker/stores/redis/reader.h"
#include "broker/stores/redis/segments.h"
#include "broker/stores/store.h"

enum {
    REDIS_BATCH_TICKETS = 1024,  /* changes with a ticket in one part of a batch */
    REDIS_BATCH_BYTES = 1 << 20, /* a larger batch is submitted at once */
    REDIS_BACKLOG = 64 << 20,    /* bytes that wait for Redis: more pushes are refused */
    REDIS_ATTEMPT_MS = 1000,     /* the first attempt; doubles, up to REDIS_ATTEMPT_MAX_MS */
    REDIS_ATTEMPT_MAX_MS = 8000,
    REDIS_CLOCK_MS = 200,  /* an answer that took longer does not set the clock */
    REDIS_STEP_MS = 1000,  /* the clock of Redis was set back by at least this time */
    REDIS_PAUSE_MS = 100,  /* pause after a failed attempt */
    REDIS_FULL_MS = 1000,  /* time between two tries while the memory of Redis is full */
    REDIS_CLOSE_MS = 5000, /* time for the last batch of a broker that ends */
    REDIS_SLICES_MAX = 2,  /* slices that wait for the broker's thread */
};

typedef enum WriterPartKind { PART_PUSHES, PART_RELEASES, N_PARTS } WriterPartKind;

typedef struct WriterPart {
    Buffer changes;
    uint64_t tickets[REDIS_BATCH_TICKETS];
    size_t n;
    uint64_t number; /* of the call */
    unsigned attempts;
    int result; /* of process(): 0, or a negative errno */
    bool ended;
} WriterPart;

enum { WRITER_RUNS = 8 };

/* Pushes of a client in the batch, and the place of their change. */
typedef struct WriterRun {
    RedisPushes pushes;
    size_t at;
} WriterRun;

typedef struct WriterBatch {
    struct WriterBatch *next;
    WriterPart parts[N_PARTS];
    /* Of the part `pushes`: */
    RedisSegment *segment;                  /* of the jobs; NULL: there are no jobs */
    Buffer records;                         /* the records of these jobs */
    StoredJob *passed[REDIS_BATCH_TICKETS]; /* jobs that were forwarded: they end together with the
                                               batch */
    size_t n_passed;
    struct InboxItem *items[REDIS_BATCH_TICKETS]; /* entries of the inbox that become jobs */
    size_t n_items;
    WriterRun runs[WRITER_RUNS]; /* runs of the clients that have pushed last */
    size_t n_runs;               /* clients so far */
    bool is_last;                /* it gives the lease back: nothing may prolong it again */
} WriterBatch;

void writer_batch_free(WriterBatch *batch);

typedef enum WriterState {
    WRITER_WORKS,
    WRITER_WAITS,  /* Redis does not confirm; the writer tries again */
    WRITER_FULL,   /* the memory of Redis is full */
    WRITER_BROKEN, /* the data is gone, or older than what Redis had confirmed */
    WRITER_LOST,   /* another broker has the lease, or may have it */
} WriterState;

/* The report of the thread to the store. */
typedef struct WriterReport {
    WriterState state;
    char reason[STORE_REASON_MAX];
    char setting[STORE_SETTING_MAX]; /* see redis_link_setting() */
    WallClock wall;                  /* the clock of Redis */
} WriterReport;

typedef struct RedisWriter {
    Waker *waker;
    /* The thread ends when the lease may be over. Otherwise it continues until another broker has
     * the lease. */
    bool is_strict;
    LinkScript write;
    pthread_t thread;
    bool running;

    pthread_mutex_t lock;
    pthread_cond_t cond;  /* for the thread */
    pthread_cond_t slice; /* for redis_writer_take_slice() */
    /* Shared, under the lock. */
    WriterBatch *todo, **todo_end, *done, **done_end;
    ReadSlice *slices, **slices_end;
    unsigned n_slices;
    bool stopping, is_over;
    WriterReport report;
    uint64_t stop_by_ns;
    uint64_t lease_ends_ms;     /* by the clock of this process; 0: no lease yet */
    char why[STORE_REASON_MAX]; /* why the reader waits; empty: it does not wait */

    /* Of the thread. The results of the reader do not change after the slice that has them. */
    RedisReader reader;
    uint64_t numbers[N_PARTS]; /* the numbers of the last calls */
    WriterBatch renewal;       /* of the lease */
} RedisWriter;

/* Starts the thread, which reads with the settings of this reader. It calls the waker when it has
 * read a slice, when a batch has ended, when its report has changed, and at its end. The link
 * belongs to it until redis_writer_stop(). 0, or a negative errno. */
int redis_writer_start(RedisWriter *writer, const RedisReader *reader, bool is_strict,
                       Waker *waker);
/* Lets the thread write the submitted batches, for at most this time, and end. While it reads, it
 * gives the lease back first. */
void redis_writer_end(RedisWriter *writer, uint32_t ms);
bool redis_writer_is_over(RedisWriter *writer);
/* Ends the thread within REDIS_CLOSE_MS, and waits for that. */
void redis_writer_stop(RedisWriter *writer);

/* The next slice, in the order of reading; the caller frees it. NULL: no slice came in this time.
 */
ReadSlice *redis_writer_take_slice(RedisWriter *writer, uint32_t wait_ms);
/* Why there is no slice yet; empty: it is being read. */
void redis_writer_why(RedisWriter *writer, char to[STORE_REASON_MAX]);
/* The reason of the last report. */
void redis_writer_reason(RedisWriter *writer, char to[STORE_REASON_MAX]);
/* True: the time of the lease is over, and another broker may have it. */
bool redis_writer_has_expired(RedisWriter *writer);

void redis_writer_submit(RedisWriter *writer, WriterBatch *batch);
/* The batches that have ended, in the order of submission: a list by next, or NULL. */
WriterBatch *redis_writer_take(RedisWriter *writer, WriterReport *ret);
