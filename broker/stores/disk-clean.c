/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Empty and remove old segments, the oldest one first: no other record may refer to a record of the
 * oldest segment. Its jobs that are not settled are written again, with the push ids, keys and
 * paused queues that the router still knows. See disk-private.h.
 */

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "broker/stores/disk-private.h"

enum {
    SLICE_BYTES = 256 * 1024, /* bytes that one turn moves */
    ROOM_SEGMENTS = 4, /* the journal may always have this many segments of settled records */
};

static const Live *oldest(const DiskStore *disk) {
    return disk->n_segments > 1 ? &disk->segments[0] : NULL;
}

/* True: the journal takes more than twice the bytes of the jobs in it plus ROOM_SEGMENTS, or the
 * oldest segment has little to move. */
static bool is_worth_it(const DiskStore *disk) {
    const Live *first = oldest(disk);

    if (!first || disk->to_restore)
        return false;
    return first->live == 0 ||
           disk->total >
               2 * disk->live + ROOM_SEGMENTS * (uint64_t)disk->journal.reserve.segment_bytes ||
           (*disk->store.degraded && first->live < first->size / 2);
}

/* Writes a record of the segment again. No client waits until it is on the disk. */
static bool again(DiskStore *disk, const DiskRecord *record) {
    JournalBatch *batch = disk_batch(disk);

    if (!batch)
        return false;
    record_append(&batch->releases, record);
    if (!batch->releases.failed)
        return true;
    batch->releases.failed = false;
    return false;
}

static bool move_push(DiskStore *disk, Span client, uint64_t id) {
    if (client.len != WIRE_TOKEN || id == 0 || !queues_knows_push(disk->store.ctx, client.data, id))
        return true;
    return again(disk, &(DiskRecord){.type = RECORD_PUSH, .id = id, .client = client});
}

static bool move_key(DiskStore *disk, Span queue, Span key) {
    uint64_t until_ms = key.len > 0 ? queues_key_until(disk->store.ctx, queue, key) : 0;

    if (until_ms == 0)
        return true;
    return again(disk, &(DiskRecord){.type = RECORD_KEY,
                                     .queue = queue,
                                     .key = key,
                                     .key_until_ms = wall_clock_to(disk->wall, until_ms)});
}

static bool move_fact(DiskStore *disk, Span name) {
    Span value = queues_fact(disk->store.ctx, name);

    return value.len == 0 ||
           again(disk, &(DiskRecord){.type = RECORD_FACT, .key = name, .body = value});
}

/* Moves a record that is not of a job. */
static bool move_record(DiskStore *disk, const DiskRecord *record) {
    switch (record->type) {
    case RECORD_JOB:
    case RECORD_TIED:
        return move_push(disk, record->client, record->push) &&
               move_key(disk, record->queue, record->key);
    case RECORD_PUSH:
        return move_push(disk, record->client, record->id);
    case RECORD_KEY:
        return move_key(disk, record->queue, record->key);
    case RECORD_PAUSED:
        return !queues_is_paused(disk->store.ctx, record->queue) ||
               again(disk,
                     &(DiskRecord){.type = RECORD_PAUSED, .queue = record->queue, .paused = true});
    case RECORD_FACT:
        return move_fact(disk, record->key);
    case RECORD_SHARED:
    case RECORD_SETTLED: /* records of jobs in this segment */
    case RECORD_NOTE:
    case RECORD_FORGET:
    case RECORD_HOLE:
    case RECORD_LAST:
        return true;
    }
    return true;
}

/* Reads the content of a job that is paged out from its record in the segment. */
static bool take_content(DiskStore *disk, const DiskJob *of, DiskRecord *record) {
    const SegmentBytes *bytes = &disk->cleaning.bytes;
    DiskRecord old;

    if (of->at > bytes->size ||
        !record_check(bytes->data + of->at, bytes->size - of->at, bytes->seed) ||
        record_read(bytes->data + of->at, &old) < 0) {
        log_error("a record cannot be read any more, keeping its segment: "
                  "segment=journal-%08u at=%" PRIu64,
                  of->segment, of->at);
        disk->no_cleaning = true;
        return false;
    }
    record->headers = old.headers;
    record->body = old.body;
    record->passed = old.passed;
    return true;
}

/* Moves a job that is not settled, with its present state. */
static bool move_job(DiskStore *disk, DiskJob *of) {
    JournalBatch *batch = disk_batch(disk);
    DiskRecord record;
    JournalEntry *entry;
    uint32_t len;

    if (!batch)
        return false;
    job_record_of(of->job, disk->wall, &record);
    if (stored_job_is_paged_out(of->job) && !take_content(disk, of, &record))
        return false;
    len = record_append(&batch->releases, &record);
    if (batch->releases.failed) {
        batch->releases.failed = false;
        return false;
    }
    entry = disk_entry(batch, &batch->releases, ENTRY_MOVED, len, 0);
    entry->job = of;
    of->entry = entry;
    return true;
}

/* ---- jobs that share a record ---- */

/* Writes one record for these jobs, and a note for each job that has been delivered or delayed. The
 * notes follow the record: without the old segment, they alone have the job's state. */
static bool write_shared(const DiskStore *disk, Buffer *to, DiskJob *const *jobs, size_t n,
                         DiskRecord *record, uint32_t *ret_len) {
    CLEANUP(buffer_deinit) Buffer list = {0};
    DiskRecord state;

    record->type = RECORD_SHARED;
    record->id = jobs[0]->job->id;
    record->n_jobs = (uint32_t)n;
    for (size_t i = 1; i < n; i++)
        if (jobs[i]->job->id < record->id)
            record->id = jobs[i]->job->id;
    for (size_t i = 0; i < n; i++) {
        const StoredJob *job = jobs[i]->job;

        record_shared_put(&list, job->id - record->id, wall_clock_to(disk->wall, job->expires_ms),
                          span_of(job->queue->name, job->queue->name_len));
    }
    record->jobs = span_of(list.data, list.len);
    *ret_len = list.failed ? 0 : record_append(to, record);
    for (size_t i = 0; i<n && * ret_len> 0; i++) {
        job_record_note(jobs[i]->job, disk->wall, &state);
        if (record_has_state(&state))
            record_append(to, &state);
    }
    return *ret_len > 0 && !to->failed;
}

/* Moves jobs of one record that are not settled: the new record has their content once, too. */
static bool move_shared(DiskStore *disk, DiskJob *const *jobs, size_t n) {
    JournalBatch *batch = disk_batch_for(disk, n);
    DiskRecord record;
    uint32_t len;
    size_t at, in_memory = 0;

    if (!batch)
        return false;
    for (size_t i = 0; i < n; i++)
        if (!stored_job_is_paged_out(jobs[i]->job))
            in_memory = i;
    job_record_of(jobs[in_memory]->job, disk->wall, &record);
    if (stored_job_is_paged_out(jobs[in_memory]->job) && !take_content(disk, jobs[0], &record))
        return false;
    at = batch->releases.len;
    if (!write_shared(disk, &batch->releases, jobs, n, &record, &len)) {
        batch->releases.len = at;
        batch->releases.failed = false;
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        JournalEntry *entry = disk_entry(batch, &batch->releases, ENTRY_MOVED, len, 0);

        entry->at = (uint32_t)at;
        entry->n_sharing = (uint32_t)n;
        entry->job = jobs[i];
        jobs[i]->entry = entry;
    }
    return true;
}

/* Finds the jobs that share the record of this job and have to be moved; they stand behind it in
 * the list of the segment. *ret_next is the job behind them. */
static size_t sharing(DiskJob *of, DiskJob **jobs, DiskJob **ret_next) {
    const DiskJob *first = of;
    size_t n = 0;

    for (; of && of->at == first->at && n < STORE_SHARED_MAX; of = of->next)
        if (!of->settling && !of->entry)
            jobs[n++] = of;
    *ret_next = of;
    return n;
}

/* ---- a slice of the work ---- */

/* False: out of memory, or the slice is full. */
static bool move_records(DiskStore *disk, size_t *left) {
    Cleaning *cleaning = &disk->cleaning;
    const uint8_t *data;
    uint64_t skipped;
    DiskRecord record;

    while (*left > 0) {
        uint64_t from = cleaning->at;

        data = segment_next(&cleaning->bytes, &cleaning->at, &skipped);
        if (!data)
            return true;
        if (record_read(data, &record) == 0 && !move_record(disk, &record)) {
            cleaning->at = from;
            return false;
        }
        *left -= *left < cleaning->at - from ? *left : cleaning->at - from;
    }
    return false;
}

static bool move_jobs(DiskStore *disk, size_t *left) {
    DiskJob *of = disk->segments[0].first, *next, *jobs[STORE_SHARED_MAX];

    for (; of; of = next) {
        size_t n = sharing(of, jobs, &next);

        if (n == 0)
            continue;
        if (*left == 0 || !(n == 1 ? move_job(disk, jobs[0]) : move_shared(disk, jobs, n)))
            return false;
        *left -= *left < of->len ? *left : of->len;
    }
    return true;
}

static void end(DiskStore *disk) {
    segment_unload(&disk->cleaning.bytes);
    disk->cleaning = (Cleaning){0};
}

static void begin(DiskStore *disk) {
    disk->cleaning.state = CLEAN_LOADING;
    journal_load(&disk->journal, disk->segments[0].number);
}

static void take_loaded(DiskStore *disk) {
    Cleaning *cleaning = &disk->cleaning;
    int r = journal_take_loaded(&disk->journal, &cleaning->bytes);

    if (r == 0)
        return;
    if (r < 0 && r != -ENOENT) {
        log_error("an old segment of the journal cannot be read, keeping it: "
                  "segment=journal-%08u problem='%s'",
                  disk->segments[0].number, strerror(-r));
        cleaning->state = CLEAN_IDLE;
        disk->no_cleaning = true;
        return;
    }
    cleaning->state = CLEAN_MOVING;
    cleaning->at = SEGMENT_HEAD;
}

/* Moves a slice. After the last one, the batch with the moved records has to be flushed. */
static void move(DiskStore *disk) {
    Cleaning *cleaning = &disk->cleaning;
    size_t left = SLICE_BYTES;
    JournalBatch *batch;

    if (!move_records(disk, &left) || !move_jobs(disk, &left)) {
        if (disk->no_cleaning) {
            end(disk);
            return;
        }
        waker_call(disk->waker); /* to go on in the next turn */
        return;
    }
    if (!again(disk, &(DiskRecord){.type = RECORD_LAST, .id = queues_last_job(disk->store.ctx)}))
        return;
    batch = disk->open; /* the batch with the last moved record */
    batch->flush_by_us = 0;
    cleaning->waits_for = batch;
    cleaning->state = CLEAN_FLUSHING;
}

void disk_clean_done(DiskStore *disk, const JournalBatch *batch) {
    Cleaning *cleaning = &disk->cleaning;
    const Live *first = &disk->segments[0];

    if (cleaning->state != CLEAN_FLUSHING || cleaning->waits_for != batch)
        return;
    if (batch->releases_result < 0 || first->first) {
        /* Some jobs are still being settled: they end, or another round moves them. */
        cleaning->state = CLEAN_MOVING;
        return;
    }
    journal_remove(&disk->journal, first->number);
    disk->total -= first->size;
    disk->n_segments--;
    memmove(disk->segments, disk->segments + 1, disk->n_segments * sizeof(*disk->segments));
    end(disk);
}

void disk_clean(DiskStore *disk) {
    Cleaning *cleaning = &disk->cleaning;

    if (cleaning->state == CLEAN_IDLE && !disk->no_cleaning && is_worth_it(disk))
        begin(disk);
    if (cleaning->state == CLEAN_LOADING)
        take_loaded(disk);
    if (cleaning->state == CLEAN_MOVING)
        move(disk);
}

void disk_clean_end(DiskStore *disk) {
    end(disk);
}
