/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The journal: batches of records are written to the segments, and flushed. Two threads take turns:
 * at any time one of them may write, and one may flush. A thread that has written a batch also
 * flushes it, unless the other thread is flushing: so a single push wakes one thread. All batches
 * that were written during a flush share the next flush. A write or flush that failed is never
 * tried again: after it, the journal writes nothing more. If work comes again and again within a
 * short time, as from a client that waits for each confirmation, a thread polls for it.
 *
 * Writing does not wait for a flush. So the kernel has the note of a delivery before a worker has
 * the job, and the note survives a crash of the broker.
 *
 * A batch has two parts: `pushes` need space, and are refused when the disk is full; `releases`
 * (acknowledgements, notes) then go to space that was reserved for them.
 */

#include <pthread.h>
#include <stdatomic.h>

#include "base/spin.h"
#include "broker/stores/reserve.h"
#include "broker/stores/segment.h"
#include "broker/stores/store.h"

enum {
    BATCH_ENTRIES = 1024,
    BATCH_BYTES = 1 << 20,   /* a larger batch is submitted at once */
    JOURNAL_RETRY_MS = 1000, /* time between two looks at a full disk */
};

typedef struct DiskJob DiskJob;

typedef enum JournalEntryKind { ENTRY_JOB, ENTRY_MOVED, ENTRY_SETTLED } JournalEntryKind;

/* The change of one job in a batch. */
typedef struct JournalEntry {
    uint64_t ticket;    /* 0: no client waits for the change */
    bool shared;        /* this entry and the next one have one ticket, which is in the next one */
    DiskJob *job;       /* ENTRY_JOB, ENTRY_MOVED: the job that was written; NULL: it is gone
                         * already */
    DiskJob *ends;      /* ENTRY_JOB (forward), ENTRY_SETTLED: the job that ends, or NULL */
    uint32_t at, len;   /* place and length of the record in its part of the batch */
    uint32_t n_sharing; /* jobs that share this record, `job` included */
    JournalEntryKind kind;
} JournalEntry;

typedef struct JournalBatch {
    struct JournalBatch *next;
    Buffer pushes, releases;
    uint64_t flush_by_us; /* 0: flush at once */
    JournalEntry entries[BATCH_ENTRIES];
    size_t n;
    /* From the journal: the segments of the parts, or the reason why they were not written. */
    uint32_t pushes_segment, releases_segment;
    uint64_t pushes_at, releases_at;
    int pushes_result, releases_result;
    bool lost; /* the journal has failed: the state of the disk is unknown */
} JournalBatch;

void batch_free(JournalBatch *batch);

typedef struct Journal {
    Folder *folder;
    Waker *waker;
    pthread_t threads[2];
    size_t n_threads;

    pthread_mutex_t lock;
    pthread_cond_t cond;      /* there is work for a thread */
    pthread_cond_t idle_cond; /* no flush is under way */
    /* Shared by the threads; the lock protects it. */
    JournalBatch *written, **written_end; /* batches that wait for a flush */
    uint64_t sequence, flushed;           /* numbers of the last record that was written, and that
                                           * was flushed */
    uint64_t flush_by_us;                 /* UINT64_MAX: all records are flushed */
    bool writing, flushing;               /* a thread is writing, a thread is flushing */
    int fd; /* of the present segment; -1: the first record begins one */
    JournalBatch *todo, **todo_end, *done, **done_end;
    uint32_t to_load, to_remove; /* numbers of segments; 0: no segment */
    SegmentBytes loaded;         /* data NULL: no segment has been read */
    int load_result;
    int failed;    /* 0, or the negative errno of a write or flush */
    bool full;     /* the disk has no space for pushes */
    bool stopping; /* the threads end when all batches are written */
    bool ended;
    uint64_t last_job;
    uint64_t n_flushes, flush_us;
    Spin spin;           /* a wait begins when no thread has work, and ends with the next work */
    bool few;            /* the last flush was for a few changes */
    bool polling;        /* a thread polls n_calls and does not wait for cond */
    atomic_uint n_calls; /* grows whenever there is new work */

    /* Used by the thread that writes. */
    uint32_t number;
    uint64_t at, size, seed;
    Reserve reserve;
} Journal;

/* Starts the threads, which write behind the last segment `number` and the last record `sequence`.
 * They call the waker when they have finished something. -ENOSPC: the disk has too little space
 * to start. */
int journal_open(Journal *journal, Folder *folder, uint32_t number, uint64_t sequence,
                 Waker *waker);
/* Writes and flushes all submitted batches, and a last record that proves it. */
void journal_close(Journal *journal, uint64_t last_job);

void journal_submit(Journal *journal, JournalBatch *batch);
/* Takes the batches that are done, in the order of submission: a list linked by next, or NULL. */
JournalBatch *journal_take_done(Journal *journal);

/* Lets the thread read a segment, one at a time. journal_take_loaded() returns 1 when it has been
 * read, 0 before, or a negative errno. */
void journal_load(Journal *journal, uint32_t number);
int journal_take_loaded(Journal *journal, SegmentBytes *ret);
/* Lets the thread remove a segment after it has flushed all that was submitted before. */
void journal_remove(Journal *journal, uint32_t number);

int journal_failed(Journal *journal); /* 0, or a negative errno */
bool journal_is_full(Journal *journal);
