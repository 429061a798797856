/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The contents of a data folder. All segments are read in order, and the jobs that are not settled
 * are kept in memory, without their bodies.
 *
 * Bytes that cannot be read are of two kinds. If a later record says that they were flushed, the
 * disk has damaged them. Otherwise the broker was writing them when it stopped, and no client got a
 * confirmation: at the end of a segment they are cut off. Both kinds are reported, and copied to
 * quarantine/ first.
 */

#include "base/hash.h"
#include "base/id-map.h"
#include "base/slab.h"
#include "broker/stores/segment.h"

typedef struct FoundJob {
    uint64_t id;
    uint32_t segment, at, len; /* place and length of its record */
    uint32_t attempt;
    uint64_t due_ms, worker; /* due_ms: wall clock */
    bool held;
    uint8_t n_reason;
    char *reason; /* owned */
} FoundJob;

typedef struct FoundQueue {
    UT_hash_handle hh;
    bool paused;
    char name[];
} FoundQueue;

typedef struct FoundClient {
    UT_hash_handle hh;
    uint8_t id[WIRE_TOKEN];
    uint64_t *pushes; /* owned */
    size_t n, cap;
} FoundClient;

typedef struct FoundKey {
    struct FoundKey *next;
    uint64_t until_ms; /* wall clock */
    uint8_t n_queue, n_key;
    uint8_t data[]; /* the name of the queue, and the key */
} FoundKey;

typedef struct FoundFact {
    UT_hash_handle hh; /* by name */
    size_t n_name, n_value;
    uint8_t data[]; /* name and value */
} FoundFact;

typedef struct FoundSegment {
    uint32_t number;
    uint64_t size; /* bytes of the file, up to the end of its last record */
} FoundSegment;

/* A stretch of a segment, or of sequence numbers, that cannot be read. */
typedef struct FoundHole {
    uint32_t segment;
    uint64_t at, len;          /* len 0: the records are missing from the file */
    uint64_t sequence, before; /* the missing records: from sequence to before - 1 */
    bool at_end;               /* at the end of the segment */
} FoundHole;

typedef struct Contents {
    IdMap jobs; /* of FoundJob */
    Slabs slabs;
    uint64_t bytes; /* bytes of all slabs */
    FoundQueue *queues;
    FoundClient *clients;
    FoundKey *keys, **keys_end;
    FoundFact *facts;
    FoundSegment *segments;
    size_t n_segments;
    FoundHole *holes;
    size_t n_holes;
    FoundHole *known; /* holes that an earlier start has reported */
    size_t n_known;
    uint64_t last_job, sequence, flushed;
    uint64_t n_records;
    size_t n_damaged, n_torn; /* number of new holes of each kind */
    size_t n_unknown;         /* whole records that this version cannot read */
} Contents;

/* Reads all segments; changes nothing. */
int scan_folder(const Folder *folder, Contents *ret, ferry_error *reterr);
void contents_deinit(Contents *contents);

/* True: the hole is damage. False: it is the torn end of an earlier life. */
bool hole_is_damage(const Contents *contents, const FoundHole *hole);
/* For example "journal-00000003 at 4096: 200 bytes". */
void hole_text(const FoundHole *hole, char *to, size_t size);

/* Copies holes to quarantine/, cuts torn ends, and reports both to the log. */
int scan_repair(const Folder *folder, const Contents *contents, ferry_error *reterr);

/* The jobs in the order of their numbers, in an array that the caller owns. NULL: out of memory, or
 * there are no jobs. */
FoundJob **contents_jobs(const Contents *contents);
