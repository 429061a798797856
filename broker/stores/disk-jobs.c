/* SPDX-License-Identifier: Apache-2.0 */
/* The places of jobs in the journal, and the batch for the next records. See disk-private.h. */

#include <stdlib.h>
#include <utlist.h>

#include "broker/stores/disk-private.h"

/* ---- segments and jobs ---- */

Live *disk_segment(DiskStore *disk, uint32_t number) {
    size_t n = disk->n_segments;
    uint32_t first = n > 0 ? disk->segments[0].number : number, i = number - first;
    Live *grown;

    if (number < first)
        return NULL;
    if (i >= n) {
        grown = realloc(disk->segments, (i + 1) * sizeof(*grown));
        if (!grown)
            return NULL;
        disk->segments = grown;
        for (; n <= i; n++)
            grown[n] = (Live){.number = first + (uint32_t)n};
        disk->n_segments = n;
    }
    return &disk->segments[i];
}

void disk_segment_fills(DiskStore *disk, uint32_t number, uint64_t up_to) {
    Live *segment = number ? disk_segment(disk, number) : NULL;

    if (!segment || segment->size >= up_to)
        return;
    disk->total += up_to - segment->size;
    segment->size = up_to;
}

static DiskJob **list_of(DiskStore *disk, const DiskJob *of) {
    return of->segment ? &disk_segment(disk, of->segment)->first : &disk->unplaced;
}

static void link_job(DiskStore *disk, DiskJob *of) {
    DiskJob **list = list_of(disk, of);

    DL_PREPEND(*list, of);
}

/* The job's part of the bytes of its record. */
static uint64_t share_of(const DiskJob *of) {
    return of->len / of->n_sharing;
}

static void unlink_job(DiskStore *disk, DiskJob *of) {
    DiskJob **list = list_of(disk, of);

    DL_DELETE(*list, of);
    if (!of->segment)
        return;
    disk_segment(disk, of->segment)->live -= share_of(of);
    disk->live -= share_of(of);
}

DiskJob *disk_job_new(DiskStore *disk, StoredJob *job) {
    DiskJob *made = slabs_alloc(&disk->slabs, sizeof(*made));

    if (!made)
        return NULL;
    *made = (DiskJob){.job = job, .n_sharing = 1};
    link_job(disk, made);
    job->place = made;
    return made;
}

void disk_place(DiskStore *disk, DiskJob *of, uint32_t number, uint64_t at, uint32_t len,
                uint32_t n_sharing) {
    Live *segment = disk_segment(disk, number);

    of->entry = NULL;
    if (!segment)
        return;
    unlink_job(disk, of);
    of->segment = number;
    of->at = at;
    of->len = len;
    of->n_sharing = n_sharing;
    link_job(disk, of);
    segment->live += share_of(of);
    disk->live += share_of(of);
}

void disk_job_free(DiskStore *disk, DiskJob *of) {
    if (of->load)
        of->load->of = NULL;
    unlink_job(disk, of);
    slabs_free(&disk->slabs, of, sizeof(*of));
}

/* ---- batches ---- */

void disk_batch_free(DiskStore *disk, JournalBatch *batch) {
    if (disk->spare || batch->pushes.cap > BATCH_BYTES || batch->releases.cap > BATCH_BYTES) {
        batch_free(batch);
        return;
    }
    buffer_reset(&batch->pushes);
    buffer_reset(&batch->releases);
    disk->spare = batch;
}

void disk_submit(DiskStore *disk) {
    JournalBatch *batch = disk->open;

    if (!batch || (batch->pushes.len == 0 && batch->releases.len == 0))
        return;
    disk->open = NULL;
    journal_submit(&disk->journal, batch);
}

static bool is_over(const JournalBatch *batch) {
    return batch->n == BATCH_ENTRIES || batch->pushes.len > BATCH_BYTES ||
           batch->releases.len > BATCH_BYTES;
}

JournalBatch *disk_batch(DiskStore *disk) {
    if (disk->open && is_over(disk->open))
        disk_submit(disk);
    if (disk->open)
        return disk->open;
    disk->open = disk->spare ? disk->spare : calloc(1, sizeof(JournalBatch));
    disk->spare = NULL;
    if (!disk->open)
        return NULL;
    disk->open->n = 0;
    disk->open->lost = false;
    disk->open->flush_by_us = UINT64_MAX;
    wall_clock_look(&disk->wall);
    return disk->open;
}

JournalBatch *disk_batch_for(DiskStore *disk, size_t n) {
    if (disk->open && BATCH_ENTRIES - disk->open->n < n)
        disk_submit(disk);
    return disk_batch(disk);
}

JournalEntry *disk_entry(JournalBatch *batch, const Buffer *part, JournalEntryKind kind,
                         uint32_t len, uint64_t ticket) {
    JournalEntry *entry = &batch->entries[batch->n++];

    *entry = (JournalEntry){.ticket = ticket,
                            .kind = kind,
                            .at = (uint32_t)(part->len - record_padded(len)),
                            .len = len,
                            .n_sharing = 1};
    return entry;
}

/* ---- the end ---- */

static void jobs_free(DiskStore *disk, DiskJob *list) {
    while (list) {
        DiskJob *next = list->next;

        slabs_free(&disk->slabs, list, sizeof(*list));
        list = next;
    }
}

void disk_state_free(DiskStore *disk) {
    for (size_t i = 0; i < disk->n_segments; i++)
        jobs_free(disk, disk->segments[i].first);
    jobs_free(disk, disk->unplaced);
    free(disk->segments);
    batch_free(disk->open);
    batch_free(disk->spare);
    slabs_deinit(&disk->slabs);
}
