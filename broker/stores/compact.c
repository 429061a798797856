/* SPDX-License-Identifier: Apache-2.0 */
/* Walks over the jobs of a data folder, and rewrites it. See compact.h. */

#include "broker/stores/compact.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "broker/stores/file.h"
#include "broker/stores/journal.h"

/* ---- the jobs ---- */

/* True: the record at this place is the newest record of the job. Adds later notes to *record. */
static bool is_current(const Contents *contents, uint32_t segment, uint64_t at,
                       DiskRecord *record) {
    const FoundJob *job = record_is_job(record) ? id_map_get(&contents->jobs, record->id) : NULL;

    if (!job || job->segment != segment || job->at != at)
        return false;
    record->attempt = job->attempt;
    record->due_ms = job->due_ms;
    record->worker = job->worker;
    record->held = job->held;
    record->reason = (Span){(const uint8_t *)job->reason, job->n_reason};
    return true;
}

/* A walk over the jobs that are still stored. */
typedef struct JobWalk {
    const Contents *contents;
    CompactJobFn fn;
    /* Called with the jobs that share a record: n of them, at least 2. NULL: fn gets each one. */
    int (*on_shared)(const DiskRecord *jobs, size_t n, void *ctx);
    void *ctx;
} JobWalk;

static int each_shared(const JobWalk *walk, const SegmentBytes *bytes, uint64_t at,
                       DiskRecord record) {
    DiskRecord jobs[STORE_SHARED_MAX];
    size_t n = 0;
    int r = 0;

    while (n < STORE_SHARED_MAX && record_shared_next(&record, &jobs[n]))
        n += is_current(walk->contents, bytes->number, at, &jobs[n]);
    if (n > 1 && walk->on_shared)
        return walk->on_shared(jobs, n, walk->ctx);
    for (size_t i = 0; i < n && r == 0; i++)
        r = walk->fn(&jobs[i], walk->ctx);
    return r;
}

static int each_in_segment(const JobWalk *walk, const SegmentBytes *bytes) {
    uint64_t at = SEGMENT_HEAD, skipped;
    const uint8_t *data;
    DiskRecord record;
    int r = 0;

    while (r == 0 && (data = segment_next(bytes, &at, &skipped))) {
        uint64_t begins = (uint64_t)(data - bytes->data);

        if (record_read(data, &record) < 0)
            continue;
        if (record.type == RECORD_SHARED)
            r = each_shared(walk, bytes, begins, record);
        else if (is_current(walk->contents, bytes->number, begins, &record))
            r = walk->fn(&record, walk->ctx);
    }
    return r;
}

static int each_job(const Folder *folder, const JobWalk *walk) {
    int r = 0;

    for (size_t i = 0; i < walk->contents->n_segments && r == 0; i++) {
        SegmentBytes bytes;

        r = segment_load(folder, walk->contents->segments[i].number, &bytes);
        if (r == 0)
            r = each_in_segment(walk, &bytes);
        segment_unload(&bytes);
    }
    return r;
}

int store_each_job(const Folder *folder, const Contents *contents, CompactJobFn fn, void *ctx) {
    return each_job(folder, &(JobWalk){contents, fn, NULL, ctx});
}

/* ---- rewriting ---- */

typedef struct Rewriting {
    Journal journal;
    JournalBatch *batch;
    Waker waker;
} Rewriting;

static int submit(Rewriting *rewriting) {
    if (!rewriting->batch)
        return 0;
    journal_submit(&rewriting->journal, rewriting->batch);
    rewriting->batch = NULL;
    do
        poll(&(struct pollfd){.fd = rewriting->waker.fd, .events = POLLIN}, 1, -1);
    while (!waker_take(&rewriting->waker, true));
    for (JournalBatch *done = journal_take_done(&rewriting->journal), *next; done; done = next) {
        int r = done->lost ? journal_failed(&rewriting->journal) : done->releases_result;

        next = done->next;
        batch_free(done);
        if (r < 0)
            return r;
    }
    return 0;
}

static int write_record(Rewriting *rewriting, const DiskRecord *record) {
    JournalBatch *batch = rewriting->batch ? rewriting->batch : calloc(1, sizeof(*batch));

    if (!batch)
        return -ENOMEM;
    rewriting->batch = batch;
    record_append(&batch->releases, record);
    if (batch->releases.failed)
        return -ENOMEM;
    return batch->releases.len > BATCH_BYTES ? submit(rewriting) : 0;
}

static int write_job(const DiskRecord *record, void *ctx) {
    DiskRecord job = *record;

    job.old = job.push = 0; /* the record of the other job or of the push is written by itself */
    job.client = job.key = (Span){NULL, 0};
    return write_record(ctx, &job);
}

/* One record for all these jobs, and a note for each job that has been delivered or delayed. */
static int write_shared(const DiskRecord *jobs, size_t n, void *ctx) {
    CLEANUP(buffer_deinit) Buffer list = {0};
    DiskRecord record = jobs[0], note;
    int r;

    for (size_t i = 1; i < n; i++)
        if (jobs[i].id < record.id)
            record.id = jobs[i].id;
    for (size_t i = 0; i < n; i++)
        record_shared_put(&list, jobs[i].id - record.id, jobs[i].expires_ms, jobs[i].queue);
    if (list.failed)
        return -ENOMEM;
    record.type = RECORD_SHARED;
    record.n_jobs = (uint32_t)n;
    record.jobs = span_of(list.data, list.len);
    r = write_record(ctx, &record);
    for (size_t i = 0; i < n && r == 0; i++) {
        note = jobs[i];
        note.type = RECORD_NOTE;
        if (record_has_state(&note))
            r = write_record(ctx, &note);
    }
    return r;
}

static int write_rest(Rewriting *rewriting, const Contents *contents) {
    int r = 0;

    for (const FoundKey *key = contents->keys; key && r == 0; key = key->next)
        r = write_record(rewriting,
                         &(DiskRecord){.type = RECORD_KEY,
                                       .key_until_ms = key->until_ms,
                                       .queue = span_of(key->data, key->n_queue),
                                       .key = span_of(key->data + key->n_queue, key->n_key)});
    for (const FoundClient *client = contents->clients; client && r == 0; client = client->hh.next)
        for (size_t i = 0; i < client->n && r == 0; i++)
            r = write_record(rewriting, &(DiskRecord){.type = RECORD_PUSH,
                                                      .id = client->pushes[i],
                                                      .client = span_of(client->id, WIRE_TOKEN)});
    for (const FoundQueue *queue = contents->queues; queue && r == 0; queue = queue->hh.next)
        if (queue->paused)
            r = write_record(rewriting, &(DiskRecord){.type = RECORD_PAUSED,
                                                      .paused = true,
                                                      .queue = span_text(queue->name)});
    for (const FoundFact *fact = contents->facts; fact && r == 0; fact = fact->hh.next)
        r = write_record(rewriting,
                         &(DiskRecord){.type = RECORD_FACT,
                                       .key = span_of(fact->data, fact->n_name),
                                       .body = span_of(fact->data + fact->n_name, fact->n_value)});
    if (r == 0)
        r = write_record(rewriting, &(DiskRecord){.type = RECORD_LAST, .id = contents->last_job});
    return r == 0 ? submit(rewriting) : r;
}

/* Removes old segments after all new ones are flushed. */
static int remove_old(const Folder *folder, const Contents *contents) {
    char path[FOLDER_FILE_MAX];
    int r = 0;

    for (size_t i = 0; i < contents->n_segments && r == 0; i++) {
        segment_path(folder, contents->segments[i].number, path);
        r = file_ops->remove(path);
    }
    return r == 0 ? file_ops->flush_folder(folder->path) : r;
}

int store_compact(Folder *folder, const Contents *contents, ferry_error *reterr) {
    Rewriting rewriting = {.waker.fd = -1};
    uint32_t last =
        contents->n_segments > 0 ? contents->segments[contents->n_segments - 1].number : 0;
    int r = 0, failed;

    if (contents->n_unknown > 0)
        return error_set_code(reterr, -EBADMSG,
                              "cannot compact %s: it has %zu records that this version cannot read",
                              folder->path, contents->n_unknown);
    r = waker_open(&rewriting.waker);
    if (r == 0)
        r = journal_open(&rewriting.journal, folder, last, contents->sequence, &rewriting.waker);
    if (r == 0)
        r = each_job(folder, &(JobWalk){contents, write_job, write_shared, &rewriting});
    if (r == 0)
        r = write_rest(&rewriting, contents);
    journal_close(&rewriting.journal, contents->last_job);
    failed = rewriting.journal.failed;
    batch_free(rewriting.batch);
    waker_close(&rewriting.waker);
    if (r == 0)
        r = failed;
    if (r == 0)
        r = remove_old(folder, contents);
    return r < 0 ? error_set_code(reterr, r, "cannot compact %s: %s", folder->path, strerror(-r))
                 : 0;
}
