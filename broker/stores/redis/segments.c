/* SPDX-License-Identifier: Apache-2.0 */
/* The segments of a space. See segments.h. */

#include "broker/stores/redis/segments.h"

#include <errno.h>
#include <stdlib.h>
#include <utlist.h>

#include "base/container.h"
#include "broker/stores/redis/script.h"

enum { FIRST_JOBS = 8 };

/* ---- records ---- */

static size_t put(Buffer *to, const DiskRecord *record) {
    size_t at = to->len;
    uint32_t len = record_append(to, record);

    if (to->failed)
        return 0;
    record_seal(to->data + at, REDIS_RECORD_SEED, record->id, 0);
    return len;
}

size_t segment_put_record(Buffer *to, const StoredJob *job, WallClock wall) {
    DiskRecord record;

    job_record_of(job, wall, &record);
    return record_padded((uint32_t)put(to, &record));
}

size_t segment_put_note(Buffer *to, const StoredJob *job, WallClock wall) {
    DiskRecord record;

    job_record_note(job, wall, &record);
    return put(to, &record);
}

/* ---- a segment ---- */

static RedisSegment *segment_of(const SegmentJob *at) {
    return container_of(at - at->index, RedisSegment, jobs);
}

static void place_jobs(RedisSegment *segment) {
    for (uint32_t i = 0; i < segment->n; i++) {
        segment->jobs[i].index = (uint16_t)i;
        if (segment->jobs[i].job)
            segment->jobs[i].job->place = &segment->jobs[i];
    }
}

/* Makes room for one more job. Only a segment that is in no list of changes may move. */
static int grow(RedisSegments *segments, RedisSegment **segment) {
    RedisSegment *old = *segment, *made;
    uint32_t cap = old ? 2 * old->cap : FIRST_JOBS;

    if (old && old->n < old->cap)
        return 0;
    if (old)
        DL_DELETE(segments->all, old);
    made = realloc(old, sizeof(*made) + cap * sizeof(SegmentJob));
    if (made && !old)
        *made = (RedisSegment){0};
    if (made)
        made->cap = cap;
    else
        made = old;
    if (made)
        DL_APPEND(segments->all, made);
    if (!made || made->cap != cap)
        return -ENOMEM;
    *segment = made;
    place_jobs(made);
    return 0;
}

static void add(RedisSegment *segment, StoredJob *job, size_t bytes) {
    SegmentJob *at = &segment->jobs[segment->n];

    *at = (SegmentJob){.job = job, .bytes = (uint32_t)bytes, .index = (uint16_t)segment->n};
    segment->n++;
    segment->bytes += bytes;
    if (!job) {
        segment->has_ended = true;
        return;
    }
    segment->n_live++;
    segment->live_bytes += bytes;
    job->place = at;
}

int segment_add(RedisSegments *segments, RedisSegment **segment, StoredJob *job, size_t bytes) {
    bool is_new = !*segment;

    if (grow(segments, segment) < 0)
        return -ENOMEM;
    if (is_new)
        (*segment)->number = ++segments->last;
    add(*segment, job, bytes);
    return 0;
}

void segment_take_back(RedisSegment *segment) {
    SegmentJob *at = &segment->jobs[--segment->n];

    segment->bytes -= at->bytes;
    segment->live_bytes -= at->bytes;
    segment->n_live--;
    at->job->place = NULL;
}

int segment_restore(RedisSegments *segments, RedisSegment **segment, uint64_t number,
                    StoredJob *job, size_t bytes) {
    if (grow(segments, segment) < 0)
        return -ENOMEM;
    (*segment)->number = number;
    (*segment)->is_stored = true;
    if (segments->last < number)
        segments->last = number;
    add(*segment, job, bytes);
    return 0;
}

static void changed(RedisSegments *segments, RedisSegment *segment) {
    if (segment->is_changed)
        return;
    segment->is_changed = true;
    DL_APPEND2(segments->changed, segment, changed_prev, changed_next);
}

static void unchanged(RedisSegments *segments, RedisSegment *segment) {
    if (!segment->is_changed)
        return;
    segment->is_changed = false;
    DL_DELETE2(segments->changed, segment, changed_prev, changed_next);
}

void segment_stored(RedisSegments *segments, RedisSegment *segment) {
    segment->is_stored = true;
    if (segment->has_ended)
        changed(segments, segment);
}

static void segment_free(RedisSegments *segments, RedisSegment *segment) {
    unchanged(segments, segment);
    DL_DELETE(segments->all, segment);
    free(segment);
}

void segment_refused(RedisSegments *segments, RedisSegment *segment) {
    for (uint32_t i = 0; i < segment->n; i++)
        if (segment->jobs[i].job)
            segment->jobs[i].job->place = NULL;
    segment_free(segments, segment);
}

/* ---- jobs ---- */

void segments_job_ended(RedisSegments *segments, StoredJob *job) {
    SegmentJob *at = segment_job(job);
    RedisSegment *segment = segment_of(at);

    at->job = NULL;
    at->note_due = false;
    job->place = NULL;
    segment->n_live--;
    segment->live_bytes -= at->bytes;
    segment->has_ended = true;
    if (segment->is_stored)
        changed(segments, segment);
}

void segments_job_noted(RedisSegments *segments, StoredJob *job) {
    SegmentJob *at = segment_job(job);

    at->note_due = true;
    if (segment_of(at)->is_stored)
        changed(segments, segment_of(at));
}

/* ---- changes ---- */

static void put_ended(const RedisSegment *segment, Buffer *to) {
    uint8_t bits[SEGMENT_JOBS / 8] = {0};

    for (uint32_t i = 0; i < segment->n; i++)
        if (!segment->jobs[i].job)
            bits[i / 8] |= (uint8_t)(1 << i % 8);
    change_put_ended(to, segment->number, span_of(bits, (segment->n + 7) / 8));
}

static bool is_mostly_ended(const RedisSegment *segment) {
    return segment->bytes >= SEGMENT_REWRITE_MIN &&
           segment->live_bytes < segment->bytes / SEGMENT_REWRITE_SHARE;
}

/* The segment without the jobs that have ended. */
static void rewrite(RedisSegments *segments, RedisSegment *segment, WallClock wall, Buffer *to) {
    Buffer *records = &segments->scratch;
    uint32_t n = 0;

    buffer_reset(records);
    for (uint32_t i = 0; i < segment->n; i++)
        if (segment->jobs[i].job)
            segment_put_record(records, segment->jobs[i].job, wall);
    to->failed |= records->failed;
    change_put_rewritten(to, segment->number, span_of(records->data, records->len));
    if (to->failed)
        return;
    for (uint32_t i = 0, at = 0; i < segment->n; i++) {
        if (!segment->jobs[i].job)
            continue;
        segment->jobs[n] = segment->jobs[i];
        segment->jobs[n].bytes = record_padded(record_len(records->data + at));
        at += segment->jobs[n++].bytes;
    }
    segment->n = n;
    segment->bytes = segment->live_bytes = records->len;
    place_jobs(segment);
}

static void put_notes(RedisSegments *segments, const RedisSegment *segment, WallClock wall,
                      Buffer *to) {
    Buffer *note = &segments->scratch;

    for (uint32_t i = 0; i < segment->n; i++) {
        const SegmentJob *at = &segment->jobs[i];

        if (!at->note_due)
            continue;
        buffer_reset(note);
        segment_put_note(note, at->job, wall);
        to->failed |= note->failed;
        change_put_note(to, at->job->id, span_of(note->data, note->len));
    }
}

static void notes_are_put(RedisSegment *segment) {
    for (uint32_t i = 0; i < segment->n; i++) {
        segment->jobs[i].has_note |= segment->jobs[i].note_due;
        segment->jobs[i].note_due = false;
    }
}

/* False: out of memory; the segment keeps its changes. */
static bool put_changes(RedisSegments *segments, RedisSegment *segment, WallClock wall, Buffer *to,
                        size_t max) {
    size_t before = to->len;

    put_notes(segments, segment, wall, to);
    if (segment->n_live == 0)
        change_put_deleted(to, segment->number);
    else if (segment->has_ended && is_mostly_ended(segment) && to->len < max)
        rewrite(segments, segment, wall, to);
    else if (segment->has_ended)
        put_ended(segment, to);
    if (to->failed) {
        to->failed = false;
        to->len = before;
        return false;
    }
    notes_are_put(segment);
    segment->has_ended = false;
    return true;
}

bool segments_put_changes(RedisSegments *segments, WallClock wall, Buffer *to, size_t max) {
    RedisSegment *segment, *next;

    DL_FOREACH_SAFE2(segments->changed, segment, next, changed_next) {
        if (!segment->is_stored)
            continue;
        if (!put_changes(segments, segment, wall, to, max))
            return false;
        unchanged(segments, segment);
        if (segment->n_live == 0)
            segment_free(segments, segment);
    }
    return true;
}

void segments_deinit(RedisSegments *segments) {
    RedisSegment *segment, *next;

    DL_FOREACH_SAFE(segments->all, segment, next) {
        free(segment);
    }
    buffer_deinit(&segments->scratch);
    *segments = (RedisSegments){0};
}
