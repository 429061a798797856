/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The segments of a space, and the places of jobs in them. A segment is one value in Redis: the
 * records of the jobs that were appended in one call, one behind the other. When a job ends, its
 * record stays in the segment, and a bit beside the segment says that it has ended. The segment is
 * deleted with its last job. When most of its bytes belong to jobs that have ended, it is written
 * again without them. So a job costs Redis a part of a few commands.
 */

#include "base/buffer.h"
#include "broker/stores/job-record.h"
#include "broker/stores/store.h"

enum {
    SEGMENT_JOBS = 1024,
    SEGMENT_REWRITE_MIN = 4096, /* a smaller segment is not written again */
    SEGMENT_REWRITE_SHARE = 4,  /* jobs that have not ended have less than this part of the bytes */
};

/* The seed of the checksums of records in Redis. */
#define REDIS_RECORD_SEED UINT64_C(0x7265646973)

/* A job in a segment; StoredJob.place points to it. */
typedef struct SegmentJob {
    StoredJob *job; /* NULL: the job has ended */
    uint32_t bytes; /* of its record */
    uint16_t index; /* in the segment */
    bool note_due;  /* its note is written with the next changes of the segment */
    bool has_note;  /* Redis has a note of it */
} SegmentJob;

typedef struct RedisSegment {
    struct RedisSegment *prev, *next;                 /* utlist, in RedisSegments.all */
    struct RedisSegment *changed_prev, *changed_next; /* utlist, in RedisSegments.changed */
    uint64_t number;
    uint32_t n, cap, n_live; /* n_live: jobs that have not ended */
    size_t bytes, live_bytes;
    bool is_stored, is_changed;
    bool has_ended; /* a job has ended since the last changes */
    SegmentJob jobs[];
} RedisSegment;

typedef struct RedisSegments {
    RedisSegment *all;     /* segments in Redis, or on the way there */
    RedisSegment *changed; /* segments whose jobs have ended, or have a note that is due */
    uint64_t last;         /* the highest number of a segment */
    Buffer scratch;
} RedisSegments;

static inline SegmentJob *segment_job(const StoredJob *job) {
    return job->place;
}

/* Adds a job, whose record has `bytes` bytes, to the segment that is being filled. *segment NULL:
 * begins a new one. *segment may change. -ENOMEM. */
int segment_add(RedisSegments *segments, RedisSegment **segment, StoredJob *job, size_t bytes);
/* Removes the job that was added last. */
void segment_take_back(RedisSegment *segment);
/* Adds the next job of a segment that was read from Redis. job NULL: the job has ended. -ENOMEM. */
int segment_restore(RedisSegments *segments, RedisSegment **segment, uint64_t number,
                    StoredJob *job, size_t bytes);
/* Call this when Redis has stored the segment. */
void segment_stored(RedisSegments *segments, RedisSegment *segment);
/* Call this when Redis has refused the segment. Its jobs have no place any more. */
void segment_refused(RedisSegments *segments, RedisSegment *segment);

/* Call these when a job has ended, so that it has no place any more, or when its note is due. */
void segments_job_ended(RedisSegments *segments, StoredJob *job);
void segments_job_noted(RedisSegments *segments, StoredJob *job);
/* Appends the changes of all changed segments, and the notes that are due. Rewrites
 * segments only while `to` has less than max bytes. False: out of memory; some segments keep their
 * changes. */
bool segments_put_changes(RedisSegments *segments, WallClock wall, Buffer *to, size_t max);

void segments_deinit(RedisSegments *segments);

/* Appends the record of a job, or its note. 0: out of memory; otherwise the bytes. */
size_t segment_put_record(Buffer *to, const StoredJob *job, WallClock wall);
size_t segment_put_note(Buffer *to, const StoredJob *job, WallClock wall);
