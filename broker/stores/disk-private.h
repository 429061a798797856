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
#include "broker/stores/journal.h"
#include "broker/stores/loader.h"
#include "broker/stores/scan.h"

/* Where a job is in the journal. */
struct DiskJob {
    StoredJob *job;       /* valid unless settling */
    DiskJob *prev, *next; /* of its segment's jobs, or of disk->unplaced */
    LoadRequest *load;    /* reads its content; NULL: none does */
    JournalEntry *entry;  /* that writes its record, now; NULL: it is written */
    uint32_t segment;     /* 0: not written yet */
    uint32_t len;         /* of its record */
    uint32_t n_sharing;   /* jobs of that record, this one included */
    uint64_t at;
    bool settling; /* its end is being written */
};

/* A segment, in memory. */
typedef struct Live {
    uint32_t number;
    uint64_t size; /* up to its last record */
    uint64_t live; /* bytes of jobs that are not settled */
    DiskJob *first;
} Live;

typedef enum CleanState {
    CLEAN_IDLE,
    CLEAN_LOADING, /* the journal reads the oldest segment */
    CLEAN_MOVING,  /* its records that still count are written again */
    CLEAN_FLUSHING /* until they are on the disk */
} CleanState;

typedef struct Cleaning {
    CleanState state;
    SegmentBytes bytes; /* of the oldest segment */
    uint64_t at;
    const JournalBatch *waits_for; /* CLEAN_FLUSHING: the batch with the last record */
} Cleaning;

typedef struct DiskStore {
    Store store; /* first: a DiskStore is a Store */
    char *path;
    Folder folder;
    Journal journal;
    Loader loader;
    LoadRequest *to_load, **to_load_end; /* of this turn */
    int wake_fd;
    JournalBatch *open, *spare; /* the batch in the making; one to use again */
    Slabs slabs;
    uint64_t bytes;         /* of slabs */
    int64_t wall_offset_ms; /* of the wall clock, from the monotonic clock */
    Live *segments;         /* by number, without gaps */
    size_t n_segments;
    DiskJob *unplaced;    /* jobs that are not written yet */
    uint64_t total, live; /* bytes, over all segments */
    Cleaning cleaning;
    Contents found;
    FoundJob **to_restore; /* of found */
    size_t n_restored;
    /* The stretch of a segment that was read last: jobs come in the order of the journal. */
    struct {
        int fd; /* -1: none */
        uint32_t segment;
        uint64_t at;
        size_t len;
        uint8_t *data; /* owned */
    } window;
    bool stuck;       /* the journal has failed */
    bool no_cleaning; /* a segment has records that cannot be read: all segments are kept */
} DiskStore;

static inline DiskStore *disk_of(Store *store) {
    return (DiskStore *)store;
}

/* ---- disk-jobs.c ---- */

/* The times of records are of the wall clock, which goes on while the broker is off. 0 stays 0. */
uint64_t disk_to_wall(const DiskStore *disk, uint64_t ms);
uint64_t disk_from_wall(const DiskStore *disk, uint64_t ms);

/* NULL: the segment is gone, or out of memory. */
Live *disk_segment(DiskStore *disk, uint32_t number);
/* The segment (0: none) has records up to this position. */
void disk_segment_fills(DiskStore *disk, uint32_t number, uint64_t up_to);

DiskJob *disk_job_new(DiskStore *disk, StoredJob *job); /* NULL: out of memory */
/* The job's record, which it shares with n_sharing - 1 others, is there from now on. */
void disk_place(DiskStore *disk, DiskJob *of, uint32_t segment, uint64_t at, uint32_t len,
                uint32_t n_sharing);
void disk_job_free(DiskStore *disk, DiskJob *of);

/* The batch in the making, with room for one more entry. NULL: out of memory. */
JournalBatch *disk_batch(DiskStore *disk);
/* The same, with room for n entries, at most STORE_SHARED_MAX. */
JournalBatch *disk_batch_for(DiskStore *disk, size_t n);
/* Adds an entry; the record of length len was appended to *part last. */
JournalEntry *disk_entry(JournalBatch *batch, const Buffer *part, JournalEntryKind kind,
                         uint32_t len, uint64_t ticket);
/* Gives the batch to the journal, if it has a record. */
void disk_submit(DiskStore *disk);
/* Keeps the batch for use, or frees it. */
void disk_batch_free(DiskStore *disk, JournalBatch *batch);
/* The fields of a RECORD_JOB, without its push and key. headers and body are lent. */
void disk_describe(const DiskStore *disk, const StoredJob *job, DiskRecord *record);
/* The fields of a RECORD_NOTE. */
void disk_describe_note(const DiskStore *disk, const StoredJob *job, DiskRecord *record);
void disk_state_free(DiskStore *disk);

/* ---- disk-restore.c ---- */

int disk_open(Store *store, int wake_fd, ferry_error *reterr);
int disk_restore(Store *store, size_t max, ferry_error *reterr);

/* ---- disk-load.c ---- */

bool disk_has_content(const Store *store, const StoredJob *job);
int disk_load(Store *store, StoredJob *job);
/* Gives the requests of this turn to the loader. */
void disk_load_submit(DiskStore *disk);
/* Takes over what the loader has read. */
void disk_load_done(DiskStore *disk);
void disk_load_end(DiskStore *disk);

/* ---- disk-clean.c ---- */

/* A slice of the work, when there is some. */
void disk_clean(DiskStore *disk);
/* This batch is done. */
void disk_clean_done(DiskStore *disk, const JournalBatch *batch);
void disk_clean_end(DiskStore *disk);
