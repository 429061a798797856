/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The records that the files of the disk store share:
 *
 *   disk-jobs.c     where jobs are in the journal, the batch in the making
 *   disk-restore.c  the folder is read when the broker starts
 *   disk-clean.c    old segments are emptied and removed
 *   disk-load.c     contents of jobs are read back
 *   disk.c          the ops of the store: changes, and their ends
 */

#include "base/slab.h"
#include "broker/stores/disk.h"
#include "broker/stores/job-record.h"
#include "broker/stores/journal.h"
#include "broker/stores/loader.h"
#include "broker/stores/scan.h"

/* The place of a job in the journal. */
struct DiskJob {
    StoredJob *job;       /* valid if settling is false */
    DiskJob *prev, *next; /* in the list of its segment's jobs, or in disk->unplaced */
    LoadRequest *load;    /* the request that reads its content, or NULL */
    JournalEntry *entry;  /* the entry of the batch that is writing its record; NULL: the record is
                           * written */
    uint32_t segment;     /* 0: the record is not written yet */
    uint32_t len;         /* length of its record */
    uint32_t n_sharing;   /* number of jobs that share its record, this job included */
    uint64_t at;
    bool settling; /* its end is being written */
};

/* A segment of the journal, as the store knows it. */
typedef struct Live {
    uint32_t number;
    uint64_t size; /* bytes up to the end of its last record */
    uint64_t live; /* bytes of its jobs that are not settled */
    DiskJob *first;
} Live;

typedef enum CleanState {
    CLEAN_IDLE,
    CLEAN_LOADING, /* the journal reads the oldest segment */
    CLEAN_MOVING,  /* its records that are still valid are written again */
    CLEAN_FLUSHING /* the moved records are flushed */
} CleanState;

typedef struct Cleaning {
    CleanState state;
    SegmentBytes bytes; /* the bytes of the oldest segment */
    uint64_t at;
    const JournalBatch *waits_for; /* CLEAN_FLUSHING: the batch with the last moved record */
} Cleaning;

typedef struct DiskStore {
    Store store; /* first: a DiskStore is a Store */
    char *path;
    Folder folder;
    Journal journal;
    Loader loader;
    LoadRequest *to_load, **to_load_end; /* requests of this turn */
    Waker *waker;
    JournalBatch *open, *spare; /* open: the batch for the next records; spare: a batch to use
                                 * again */
    Slabs slabs;
    uint64_t bytes; /* bytes of all slabs */
    WallClock wall;
    Live *segments; /* ascending by number, without gaps */
    size_t n_segments;
    DiskJob *unplaced;    /* jobs that are not written yet */
    uint64_t total, live; /* bytes of all segments */
    Cleaning cleaning;
    Contents found;
    FoundJob **to_restore; /* the next of the found jobs to restore */
    size_t n_restored;
    /* The stretch of a segment that was read last: jobs are restored in the order of the
     * journal. */
    struct {
        int fd; /* -1: no segment is open */
        uint32_t segment;
        uint64_t at;
        size_t len;
        uint8_t *data; /* owned */
    } window;
    bool stuck;       /* the journal has failed */
    bool no_cleaning; /* a segment has records that cannot be read: no segment is removed */
} DiskStore;

static inline DiskStore *disk_of(Store *store) {
    return (DiskStore *)store;
}

/* ---- disk-jobs.c ---- */

/* The segment with this number. NULL: the segment is gone, or out of memory. */
Live *disk_segment(DiskStore *disk, uint32_t number);
/* The segment (0: no segment) has records up to this position. */
void disk_segment_fills(DiskStore *disk, uint32_t number, uint64_t up_to);

DiskJob *disk_job_new(DiskStore *disk, StoredJob *job); /* NULL: out of memory */
/* From now on the job has its record, which it shares with n_sharing - 1 other jobs, at this
 * place. */
void disk_place(DiskStore *disk, DiskJob *of, uint32_t segment, uint64_t at, uint32_t len,
                uint32_t n_sharing);
void disk_job_free(DiskStore *disk, DiskJob *of);

/* The batch for the next records, with room for one more entry. NULL: out of memory. */
JournalBatch *disk_batch(DiskStore *disk);
/* Like disk_batch(), with room for n entries, at most STORE_SHARED_MAX. */
JournalBatch *disk_batch_for(DiskStore *disk, size_t n);
/* Adds an entry for the record of length len that was appended to *part last. */
JournalEntry *disk_entry(JournalBatch *batch, const Buffer *part, JournalEntryKind kind,
                         uint32_t len, uint64_t ticket);
/* Gives the batch to the journal, if it has a record. */
void disk_submit(DiskStore *disk);
/* Keeps the batch for later use, or frees it. */
void disk_batch_free(DiskStore *disk, JournalBatch *batch);
void disk_state_free(DiskStore *disk);

/* ---- disk-restore.c ---- */

int disk_open(Store *store, Waker *waker, ferry_error *reterr);
int disk_restore(Store *store, size_t max, ferry_error *reterr);

/* ---- disk-load.c ---- */

bool disk_has_content(const Store *store, const StoredJob *job);
int disk_load(Store *store, StoredJob *job);
/* Gives the requests of this turn to the loader. */
void disk_load_submit(DiskStore *disk);
/* Receives the contents that the loader has read. */
void disk_load_done(DiskStore *disk);
void disk_load_end(DiskStore *disk);

/* ---- disk-clean.c ---- */

/* Does a slice of cleaning, if there is cleaning to do. */
void disk_clean(DiskStore *disk);
/* The journal has finished this batch. */
void disk_clean_done(DiskStore *disk, const JournalBatch *batch);
void disk_clean_end(DiskStore *disk);
