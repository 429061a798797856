/* SPDX-License-Identifier: Apache-2.0 */
/* Reads and repairs the folder when the broker starts, and restores its jobs. See disk-private.h.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "broker/stores/disk-private.h"
#include "broker/stores/file.h"

enum { WINDOW_BYTES = 1 << 20 };

/* ---- opening ---- */

static int take_segments(DiskStore *disk) {
    const Contents *found = &disk->found;

    for (size_t i = 0; i < found->n_segments; i++) {
        Live *segment = disk_segment(disk, found->segments[i].number);

        if (!segment)
            return -ENOMEM;
        segment->size = found->segments[i].size;
        disk->total += segment->size;
    }
    disk->no_cleaning = found->n_unknown > 0;
    return 0;
}

/* Writes a record for each hole that stays in the files, so that later starts do not report it
 * again. */
static void record_holes(DiskStore *disk) {
    for (size_t i = 0; i < disk->found.n_holes; i++) {
        const FoundHole *hole = &disk->found.holes[i];
        JournalBatch *batch = disk_batch(disk);

        if (!batch || (hole->at_end && !hole_is_damage(&disk->found, hole)))
            continue;
        record_append(
            &batch->releases,
            &(DiskRecord){.type = RECORD_HOLE, .id = hole->sequence, .old = hole->before});
        batch->flush_by_us = 0;
    }
    disk_submit(disk);
}

int disk_open(Store *store, Waker *waker, ferry_error *reterr) {
    DiskStore *disk = disk_of(store);
    uint64_t began_ms = clock_ms();
    uint32_t last;
    int r = folder_open(&disk->folder, disk->path, true, reterr);

    if (r == 0)
        r = scan_folder(&disk->folder, &disk->found, reterr);
    if (r == 0)
        r = scan_repair(&disk->folder, &disk->found, reterr);
    if (r < 0)
        return r;
    disk->waker = waker;
    disk->to_restore = contents_jobs(&disk->found);
    last = disk->found.n_segments > 0 ? disk->found.segments[disk->found.n_segments - 1].number : 0;
    r = disk->to_restore ? take_segments(disk) : -ENOMEM;
    if (r == 0)
        r = journal_open(&disk->journal, &disk->folder, last, disk->found.sequence, waker);
    if (r == 0)
        r = loader_open(&disk->loader, &disk->folder, waker);
    if (r < 0)
        return error_set_code(reterr, r, "cannot begin to write to %s: %s", disk->path,
                              strerror(-r));
    record_holes(disk);
    log_info("the data folder was read: data=%s jobs=%zu segments=%zu records=%" PRIu64
             " damaged=%zu ms=%" PRIu64,
             disk->path, disk->found.jobs.n, disk->found.n_segments, disk->found.n_records,
             disk->found.n_damaged, clock_ms() - began_ms);
    return 0;
}

/* ---- restoring ---- */

/* The bytes of a record; valid until the next call. NULL: *reterr says why. */
static const uint8_t *bytes_of(DiskStore *disk, const FoundJob *found, ferry_error *reterr) {
    size_t size = found->len > WINDOW_BYTES ? found->len : WINDOW_BYTES;
    char path[FOLDER_FILE_MAX];
    uint8_t *data;
    long n = 0;

    if (disk->window.segment == found->segment && found->at >= disk->window.at &&
        found->at + (uint64_t)found->len <= disk->window.at + disk->window.len)
        return disk->window.data + (found->at - disk->window.at);
    segment_path(&disk->folder, found->segment, path);
    if (disk->window.segment != found->segment) {
        if (disk->window.fd >= 0)
            close(disk->window.fd);
        disk->window.segment = 0;
        disk->window.fd = open(path, O_RDONLY | O_CLOEXEC);
        if (disk->window.fd < 0)
            n = -errno;
    }
    data = n == 0 ? realloc(disk->window.data, size) : NULL;
    if (n == 0 && !data)
        n = -ENOMEM;
    if (data) {
        disk->window.data = data;
        n = file_read(disk->window.fd, data, size, found->at);
    }
    if (n >= 0 && n < (long)found->len)
        n = -EIO;
    if (n < 0) {
        error_set_code(reterr, (int)n, "cannot read %s: %s", path, strerror((int)-n));
        return NULL;
    }
    disk->window.segment = found->segment;
    disk->window.at = found->at;
    disk->window.len = (size_t)n;
    return data;
}

/* Finds the job's part of a record that it shares with other jobs. */
static bool find_shared(DiskRecord record, uint64_t id, DiskRecord *ret) {
    while (record_shared_next(&record, ret))
        if (ret->id == id)
            return true;
    return false;
}

static int restore_job(DiskStore *disk, const FoundJob *found, ferry_error *reterr) {
    struct Queues *queues = disk->store.ctx;
    const uint8_t *bytes = bytes_of(disk, found, reterr);
    Message content = {0};
    StoredJob as, *job;
    uint32_t n_sharing = 1;
    DiskJob *of;
    DiskRecord record;
    int r;

    if (!bytes)
        return -EIO;
    r = record_read(bytes, &record);
    if (r == 0 && record.type == RECORD_SHARED) {
        n_sharing = record.n_jobs;
        r = find_shared(record, found->id, &record) ? 0 : -EBADMSG;
    }
    if (r < 0)
        return error_set_code(reterr, r, "journal-%08u changed while it was read", found->segment);
    content.headers = record.headers;
    content.body = record.body;
    content.passed = record.passed;
    as = (StoredJob){.id = found->id,
                     .pushed_ms = wall_clock_from(disk->wall, record.pushed_ms),
                     .due_ms = wall_clock_from(disk->wall, found->due_ms),
                     .expires_ms = wall_clock_from(disk->wall, record.expires_ms),
                     .worker = found->worker,
                     .attempt = found->attempt,
                     .priority = record.priority,
                     .held = found->held};
    r = queues_restore_job(queues, &disk->store, record.queue, &as,
                           (Span){(const uint8_t *)found->reason, found->n_reason}, &content, &job);
    if (r == 0 && record.type == RECORD_TIED)
        r = queues_restore_ties(queues, job, record.order, record.unique);
    if (r < 0)
        return error_set_code(reterr, r, "cannot restore job %" PRIu64 " of queue '%.*s': %s",
                              found->id, (int)record.queue.len, (const char *)record.queue.data,
                              strerror(-r));
    of = disk_job_new(disk, job);
    if (!of)
        return error_set_code(reterr, -ENOMEM, NULL);
    disk_place(disk, of, found->segment, found->at, found->len, n_sharing);
    return 0;
}

static int restore_rest(DiskStore *disk) {
    struct Queues *queues = disk->store.ctx;
    Contents *found = &disk->found;
    int r = 0;

    for (const FoundKey *key = found->keys; key && r == 0; key = key->next)
        r = queues_restore_key(queues, span_of(key->data, key->n_queue),
                               span_of(key->data + key->n_queue, key->n_key),
                               wall_clock_from(disk->wall, key->until_ms));
    for (const FoundClient *client = found->clients; client && r == 0; client = client->hh.next)
        for (size_t i = 0; i < client->n && r == 0; i++)
            r = queues_restore_push(queues, client->id, client->pushes[i]);
    for (const FoundQueue *queue = found->queues; queue && r == 0; queue = queue->hh.next)
        if (queue->paused)
            r = queues_restore_queue(queues, &disk->store, span_text(queue->name), true);
    for (const FoundFact *fact = found->facts; fact && r == 0; fact = fact->hh.next)
        r = queues_restore_fact(queues, &disk->store, span_of(fact->data, fact->n_name),
                                span_of(fact->data + fact->n_name, fact->n_value));
    return r;
}

static void forget_found(DiskStore *disk) {
    contents_deinit(&disk->found);
    free(disk->to_restore);
    disk->to_restore = NULL;
    if (disk->window.fd >= 0)
        close(disk->window.fd);
    disk->window.fd = -1;
    free(disk->window.data);
    disk->window.data = NULL;
}

int disk_restore(Store *store, size_t max, ferry_error *reterr) {
    DiskStore *disk = disk_of(store);
    int r = 0;

    if (!disk->to_restore)
        return 0;
    disk_batch(disk); /* this also reads the clocks */
    for (; max > 0 && disk->n_restored < disk->found.jobs.n && r == 0; max--)
        r = restore_job(disk, disk->to_restore[disk->n_restored++], reterr);
    if (r < 0)
        return r;
    if (disk->n_restored < disk->found.jobs.n)
        return STORE_HAS_MORE;
    r = restore_rest(disk);
    if (r < 0)
        return error_set_code(reterr, r, "cannot restore %s: %s", disk->path, strerror(-r));
    queues_restore_last(store->ctx, disk->found.last_job);
    forget_found(disk);
    return 0;
}
