/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The ops of the disk store. A change becomes a record in the batch of this turn; the journal
 * writes the batch; process() reports the end of the change. See disk.h.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "broker/stores/disk-private.h"

/* A note is flushed at most this much later: no client waits for it. */
enum { NOTE_FLUSH_US = 1000000 };

static void flush_by(JournalBatch *batch, uint64_t at_us) {
    if (at_us < batch->flush_by_us)
        batch->flush_by_us = at_us;
}

/* Appends a record that no client waits for. */
static void release(Store *store, const DiskRecord *record, uint64_t flush_by_us) {
    DiskStore *disk = disk_of(store);
    JournalBatch *batch = disk->stuck ? NULL : disk_batch(disk);

    if (!batch)
        return;
    record_append(&batch->releases, record);
    batch->releases.failed = false; /* out of memory: the record is left out, and an older one is
                                     * valid */
    flush_by(batch, flush_by_us);
}

/* ---- changes ---- */

/* For a queue that is flushed at intervals, the change is done at once. */
static int wait_or_not(JournalBatch *batch, JournalEntry *entry, const StoredQueue *queue) {
    if (queue->interval_ms == 0) {
        flush_by(batch, 0);
        return STORE_LATER;
    }
    entry->ticket = 0;
    flush_by(batch, clock_us() + queue->interval_ms * 1000);
    return 0;
}

static int add(DiskStore *disk, uint64_t ticket, StoredJob *old, StoredJob *job,
               const StoredPush *by) {
    DiskJob *ends = old ? old->place : NULL, *made;
    JournalBatch *batch = disk_batch(disk);
    DiskRecord record;
    JournalEntry *entry;
    uint32_t len;

    made = batch ? disk_job_new(disk, job) : NULL;
    if (!made)
        return -ENOMEM;
    job_record_of(job, disk->wall, &record);
    record.old = old ? old->id : 0;
    record.key = by->key;
    record.key_until_ms = wall_clock_to(disk->wall, by->key_until_ms);
    if (by->client && by->id) {
        record.client = span_of(by->client, WIRE_TOKEN);
        record.push = by->id;
    }
    len = record_append(&batch->pushes, &record);
    if (batch->pushes.failed) {
        batch->pushes.failed = false;
        disk_job_free(disk, made);
        return -ENOMEM;
    }
    entry = disk_entry(batch, &batch->pushes, ENTRY_JOB, len, ticket);
    entry->job = made;
    made->entry = entry;
    entry->ends = ends;
    if (ends)
        ends->settling = true;
    return wait_or_not(batch, entry, job->queue);
}

static int disk_append(Store *store, uint64_t ticket, StoredJob *job, const StoredPush *by) {
    DiskStore *disk = disk_of(store);

    if (disk->stuck)
        return -EIO;
    if (journal_is_full(&disk->journal))
        return -ENOSPC;
    return add(disk, ticket, NULL, job, by);
}

/* Makes the DiskJobs of the jobs, and writes the list of jobs for their record. */
static int begin_shared(DiskStore *disk, StoredJob *const *jobs, size_t n, Buffer *list) {
    for (size_t i = 0; i < n; i++) {
        DiskJob *made = disk_job_new(disk, jobs[i]);

        record_shared_put(list, jobs[i]->id - jobs[0]->id,
                          wall_clock_to(disk->wall, jobs[i]->expires_ms),
                          span_of(jobs[i]->queue->name, jobs[i]->queue->name_len));
        if (made)
            continue;
        while (i-- > 0)
            disk_job_free(disk, jobs[i]->place);
        return -ENOMEM;
    }
    return 0;
}

/* One record, with an entry for each job. The last entry has the ticket. */
static int disk_append_shared(Store *store, uint64_t ticket, StoredJob *const *jobs, size_t n) {
    CLEANUP(buffer_deinit) Buffer list = {0};
    DiskStore *disk = disk_of(store);
    JournalBatch *batch;
    JournalEntry *entry = NULL;
    DiskRecord record;
    uint32_t len;

    if (disk->stuck)
        return -EIO;
    if (journal_is_full(&disk->journal))
        return -ENOSPC;
    batch = disk_batch_for(disk, n);
    if (!batch || begin_shared(disk, jobs, n, &list) < 0)
        return -ENOMEM;
    job_record_of(jobs[0], disk->wall, &record);
    record.type = RECORD_SHARED;
    record.n_jobs = (uint32_t)n;
    record.jobs = span_of(list.data, list.len);
    len = list.failed ? 0 : record_append(&batch->pushes, &record);
    if (len == 0) {
        batch->pushes.failed = false;
        for (size_t i = 0; i < n; i++)
            disk_job_free(disk, jobs[i]->place);
        return -ENOMEM;
    }
    for (size_t i = 0; i < n; i++) {
        DiskJob *made = jobs[i]->place;

        entry = disk_entry(batch, &batch->pushes, ENTRY_JOB, len, 0);
        entry->shared = true;
        entry->n_sharing = (uint32_t)n;
        entry->job = made;
        made->entry = entry;
    }
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): there is at least one job */
    entry->shared = false;
    entry->ticket = ticket;
    flush_by(batch, 0);
    return STORE_LATER;
}

static int disk_keep(Store *store, uint64_t ticket, Span name, Span value) {
    DiskStore *disk = disk_of(store);
    JournalBatch *batch = disk->stuck ? NULL : disk_batch(disk);
    uint32_t len;

    if (disk->stuck)
        return -EIO;
    if (journal_is_full(&disk->journal))
        return -ENOSPC;
    len = batch ? record_append(&batch->pushes,
                                &(DiskRecord){.type = RECORD_FACT, .key = name, .body = value})
                : 0;
    if (len == 0) {
        if (batch)
            batch->pushes.failed = false;
        return -ENOMEM;
    }
    disk_entry(batch, &batch->pushes, ENTRY_JOB, len, ticket);
    flush_by(batch, 0);
    return STORE_LATER;
}

/* If the disk fails, it is unknown whether a settled job will come back. The change then has no
 * answer, and this process does not deliver the job again. */
static int disk_forward(Store *store, uint64_t ticket, StoredJob *old, StoredJob *job,
                        const StoredPush *by) {
    DiskStore *disk = disk_of(store);

    if (disk->stuck)
        return STORE_LATER;
    if (journal_is_full(&disk->journal))
        return -ENOSPC;
    return add(disk, ticket, old, job, by);
}

static int disk_settle(Store *store, uint64_t ticket, StoredJob *job) {
    DiskStore *disk = disk_of(store);
    DiskJob *of = job->place;
    JournalEntry *entry;
    JournalBatch *batch;
    uint32_t len;

    if (!of)
        return 0;
    if (disk->stuck)
        return STORE_LATER;
    if (!of->segment && !of->entry) { /* the job could not be stored */
        disk_job_free(disk, of);
        return 0;
    }
    batch = disk_batch(disk);
    if (!batch)
        return -ENOMEM;
    len = record_append(&batch->releases, &(DiskRecord){.type = RECORD_SETTLED, .id = job->id});
    if (batch->releases.failed) {
        batch->releases.failed = false;
        return -ENOMEM;
    }
    entry = disk_entry(batch, &batch->releases, ENTRY_SETTLED, len, ticket);
    entry->ends = of;
    of->settling = true;
    return wait_or_not(batch, entry, job->queue);
}

static void disk_flush(Store *store) {
    disk_submit(disk_of(store));
    disk_load_submit(disk_of(store));
}

static void disk_note(Store *store, StoredJob *job) {
    DiskRecord record;

    if (!job->place)
        return;
    job_record_note(job, disk_of(store)->wall, &record);
    release(store, &record, clock_us() + NOTE_FLUSH_US);
}

static void disk_forget_pushes(Store *store, const uint8_t *client, uint64_t floor) {
    release(
        store,
        &(DiskRecord){.type = RECORD_FORGET, .id = floor, .client = span_of(client, WIRE_TOKEN)},
        clock_us() + NOTE_FLUSH_US);
}

static int disk_pause(Store *store, uint64_t ticket, StoredQueue *queue, bool paused) {
    DiskStore *disk = disk_of(store);
    JournalBatch *batch = disk->stuck ? NULL : disk_batch(disk);
    uint32_t len;

    if (!batch)
        return disk->stuck ? -EIO : -ENOMEM;
    len = record_append(&batch->releases,
                        &(DiskRecord){.type = RECORD_PAUSED,
                                      .paused = paused,
                                      .queue = {(const uint8_t *)queue->name, queue->name_len}});
    if (batch->releases.failed) {
        batch->releases.failed = false;
        return -ENOMEM;
    }
    if (ticket)
        disk_entry(batch, &batch->releases, ENTRY_SETTLED, len, ticket);
    flush_by(batch, 0);
    return ticket ? STORE_LATER : 0;
}

/* ---- the ends of changes ---- */

static void finish_entry(DiskStore *disk, const JournalBatch *batch, const JournalEntry *entry) {
    bool is_push = entry->kind == ENTRY_JOB;
    uint32_t segment = is_push ? batch->pushes_segment : batch->releases_segment;
    uint64_t at = (is_push ? batch->pushes_at : batch->releases_at) + entry->at;
    int result = is_push ? batch->pushes_result : batch->releases_result;
    bool waits = entry->ticket || entry->shared;
    bool has_ended = result == 0 || !waits;

    if (entry->job && result == 0)
        disk_place(disk, entry->job, segment, at, entry->len, entry->n_sharing);
    else if (entry->job && entry->job->entry == entry)
        entry->job->entry = NULL;
    if (entry->ends && has_ended)
        disk_job_free(disk, entry->ends);
    else if (entry->ends)
        entry->ends->settling = false;
    if (entry->job && is_push && result < 0 && waits)
        disk_job_free(disk, entry->job);
    if (entry->ticket)
        disk->store.done(entry->ticket, result, disk->store.ctx);
}

static void finish_batch(DiskStore *disk, JournalBatch *batch) {
    if (batch->pushes_result == 0)
        disk_segment_fills(disk, batch->pushes_segment, batch->pushes_at + batch->pushes.len);
    if (batch->releases_result == 0)
        disk_segment_fills(disk, batch->releases_segment, batch->releases_at + batch->releases.len);
    for (size_t i = 0; i < batch->n; i++)
        finish_entry(disk, batch, &batch->entries[i]);
    disk_clean_done(disk, batch);
}

static void look_at_journal(DiskStore *disk) {
    char reason[STORE_REASON_MAX];
    int failed = journal_failed(&disk->journal);

    if (failed && !disk->stuck) {
        disk->stuck = disk->store.broken = true;
        snprintf(reason, sizeof(reason), "%s (the broker must be started again): %.100s",
                 strerror(-failed), disk->path);
        store_set_degraded(&disk->store, reason);
    }
    if (disk->stuck)
        return;
    snprintf(reason, sizeof(reason), "the disk is full: %.150s", disk->path);
    store_set_degraded(&disk->store, journal_is_full(&disk->journal) ? reason : NULL);
}

static void disk_process(Store *store) {
    DiskStore *disk = disk_of(store);
    JournalBatch *batch = journal_take_done(&disk->journal);

    look_at_journal(disk);
    while (batch) {
        JournalBatch *next = batch->next;

        if (!batch->lost)
            finish_batch(disk, batch);
        disk_batch_free(disk, batch);
        batch = next;
    }
    disk_load_done(disk);
    if (!disk->stuck)
        disk_clean(disk);
    disk_submit(disk);
}

/* ---- the store ---- */

static void disk_close(Store *store) {
    DiskStore *disk = disk_of(store);

    if (disk->journal.n_threads > 0) {
        disk_submit(disk);
        journal_close(&disk->journal, queues_last_job(store->ctx));
    }
    disk_load_end(disk);
    disk_clean_end(disk);
    folder_close(&disk->folder);
}

static const StoreOps ops = {
    .durability = "disk",
    .confirms = DURABILITY_DISK,
    .has_intervals = true,
    .later = true,
    .open = disk_open,
    .restore = disk_restore,
    .process = disk_process,
    .close = disk_close,
    .append = disk_append,
    .settle = disk_settle,
    .forward = disk_forward,
    .append_shared = disk_append_shared,
    .keep = disk_keep,
    .flush = disk_flush,
    .has_content = disk_has_content,
    .load = disk_load,
    .note = disk_note,
    .forget_pushes = disk_forget_pushes,
    .pause = disk_pause,
};

Store *store_disk_new(const char *path) {
    DiskStore *disk = calloc(1, sizeof(*disk));

    if (!disk)
        return NULL;
    disk->store.ops = &ops;
    disk->folder.lock = -1;
    disk->window.fd = -1;
    disk->to_load_end = &disk->to_load;
    disk->path = strdup(path);
    slabs_init(&disk->slabs, &disk->bytes);
    if (!disk->path)
        return store_disk_free(&disk->store);
    return &disk->store;
}

Store *store_disk_free(Store *store) {
    DiskStore *disk = store ? disk_of(store) : NULL;

    if (!disk)
        return NULL;
    contents_deinit(&disk->found);
    free(disk->to_restore);
    if (disk->window.fd >= 0)
        close(disk->window.fd);
    free(disk->window.data);
    disk_state_free(disk);
    free(disk->path);
    free(disk);
    return NULL;
}
