/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The records of the journal, as bytes. All numbers are little-endian; times are of the wall clock,
 * in milliseconds. A record begins at a multiple of 8:
 *
 *     0   magic      4    RECORD_MAGIC, mixed with the seed: no client can guess it
 *     4   length     4    of head and fields, without padding
 *     8   checksum   8    XXH3 of the bytes from 16 on; seeded with the segment and the length
 *     16  sequence   8    counts records, in the order of writing
 *     24  flushed    8    all records up to this one were on the disk when this one was written
 *     32  type       1    RecordType
 *     40  the fields of the type
 *
 * If a record cannot be read, `flushed` of a later record tells the reason. If it includes the
 * record, the record was on the disk, and the disk has damaged it. If not, the record was being
 * written when the machine stopped.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "rpc/wire/message.h"

#define RECORD_MAGIC UINT32_C(0x52593146)

enum { RECORD_HEAD = 40, RECORD_ALIGN = 8 };

typedef enum RecordType {
    RECORD_JOB = 1, /* a job; if `old` is set, also the end of that job */
    RECORD_SETTLED, /* the end of a job */
    RECORD_NOTE,    /* a job's attempt, due time, worker, reason */
    RECORD_PAUSED,  /* a queue is paused, or resumed */
    RECORD_FORGET,  /* push ids of a client that are lower than a floor are forgotten */
    RECORD_PUSH,    /* a push id that is remembered after its job has left the segment */
    RECORD_KEY,     /* a deduplication key that is remembered after its job has left the segment */
    RECORD_HOLE,    /* the records from `id` to `old` - 1 are missing; the log has reported it */
    RECORD_LAST,    /* job numbers up to this one are used up */
    RECORD_SHARED,  /* n_jobs jobs with the same content; `id` is the smallest of their numbers */
    RECORD_TIED,    /* a RECORD_JOB with an ordering key or a unique key */
    RECORD_FACT,    /* a fact with the name `key`; without a body the fact is forgotten */
} RecordType;

/* The fields that a record of its type has; the others are empty. Spans point into the record. */
typedef struct DiskRecord {
    uint64_t sequence, flushed;
    RecordType type;
    uint8_t priority;
    bool held, paused;
    uint32_t attempt, n_jobs;
    uint64_t id;  /* of the job; RECORD_PUSH: id of the push; RECORD_FORGET: the floor */
    uint64_t old; /* the job that ends with this record; 0: no job ends */
    uint64_t pushed_ms, due_ms, expires_ms, key_until_ms;
    uint64_t worker;
    uint64_t push; /* the id of the push that made the job; 0: not remembered */
    Span client;   /* WIRE_TOKEN bytes, or empty */
    Span queue, reason, key;
    Span order, unique;         /* RECORD_TIED; either may be empty */
    Span jobs;                  /* RECORD_SHARED: written by record_shared_put() */
    Span headers, body, passed; /* see Message; body.data NULL: the job has no body */
} DiskRecord;

/* A record of one job. */
static inline bool record_is_job(const DiskRecord *record) {
    return record->type == RECORD_JOB || record->type == RECORD_TIED;
}

/* True: the RECORD_NOTE has more state than a job that was just pushed. */
static inline bool record_has_state(const DiskRecord *note) {
    return note->attempt || note->due_ms || note->worker || note->held || note->reason.len > 0;
}

/* Appends a record without its checksum; record_seal() adds it. Returns its length without padding.
 * A buffer that ran out of memory has failed. */
uint32_t record_append(Buffer *to, const DiskRecord *record);

static inline uint32_t record_padded(uint32_t len) {
    return (len + RECORD_ALIGN - 1) & ~(uint32_t)(RECORD_ALIGN - 1);
}

/* The length of a record that record_append() or record_check() accepts. */
uint32_t record_len(const uint8_t *record);
/* Sets sequence and flushed, and then the checksum. */
void record_seal(uint8_t *record, uint64_t seed, uint64_t sequence, uint64_t flushed);
/* True: this is a whole record with the right checksum. left: bytes up to the end of the
 * segment. */
bool record_check(const uint8_t *record, uint64_t left, uint64_t seed);
/* Adds a job to the list DiskRecord.jobs: its number, counted from the record's id, and the fields
 * that it does not share with the other jobs. */
void record_shared_put(Buffer *to, uint64_t number, uint64_t expires_ms, Span queue);
/* Takes the next job from the list of a RECORD_SHARED, as a RECORD_JOB. False: the list has no more
 * jobs. */
bool record_shared_next(DiskRecord *record, DiskRecord *ret);

/* Reads a record that record_check() accepts. -EBADMSG: its fields do not fit its type. */
int record_read(const uint8_t *record, DiskRecord *ret);
