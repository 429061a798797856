/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a data folder. See scan.h. */

#include "broker/stores/scan.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "broker/stores/file.h"

/* ---- jobs ---- */

static void set_reason(Contents *contents, FoundJob *job, Span reason) {
    size_t len = reason.len < UINT8_MAX ? reason.len : UINT8_MAX;

    slabs_free(&contents->slabs, job->reason, job->n_reason);
    job->reason = len > 0 ? slabs_alloc(&contents->slabs, len) : NULL;
    job->n_reason = job->reason ? (uint8_t)len : 0;
    if (job->reason)
        memcpy(job->reason, reason.data, len);
}

static void settle(Contents *contents, uint64_t id) {
    FoundJob *job = id ? id_map_take(&contents->jobs, id) : NULL;

    if (!job)
        return;
    set_reason(contents, job, (Span){NULL, 0});
    slabs_free(&contents->slabs, job, sizeof(*job));
}

static int note(Contents *contents, FoundJob *job, const DiskRecord *record) {
    job->attempt = record->attempt;
    job->due_ms = record->due_ms;
    job->worker = record->worker;
    job->held = record->held;
    set_reason(contents, job, record->reason);
    return 0;
}

/* Notes the place of the job's record. NULL: out of memory. */
static FoundJob *place(Contents *contents, uint64_t id, uint32_t segment, uint64_t at,
                       uint32_t len) {
    FoundJob *job = id_map_get(&contents->jobs, id);

    if (!job) {
        job = slabs_alloc(&contents->slabs, sizeof(*job));
        if (!job)
            return NULL;
        *job = (FoundJob){.id = id};
        if (id_map_put(&contents->jobs, id, job) < 0) {
            slabs_free(&contents->slabs, job, sizeof(*job));
            return NULL;
        }
    }
    if (contents->last_job < id)
        contents->last_job = id;
    job->segment = segment;
    job->at = (uint32_t)at;
    job->len = len;
    return job;
}

static int add_job(Contents *contents, const DiskRecord *record, uint32_t segment, uint64_t at,
                   uint32_t len) {
    FoundJob *job;

    settle(contents, record->old);
    job = place(contents, record->id, segment, at, len);
    return job ? note(contents, job, record) : -ENOMEM;
}

/* The record has no state of its jobs: a job whose record was moved here keeps its state. */
static int add_shared(Contents *contents, DiskRecord record, uint32_t segment, uint64_t at,
                      uint32_t len) {
    DiskRecord job;

    while (record_shared_next(&record, &job))
        if (!place(contents, job.id, segment, at, len))
            return -ENOMEM;
    return 0;
}

static int compare_jobs(const void *a, const void *b) {
    const FoundJob *x = *(FoundJob *const *)a, *y = *(FoundJob *const *)b;

    return x->id < y->id ? -1 : x->id > y->id;
}

FoundJob **contents_jobs(const Contents *contents) {
    FoundJob **jobs = malloc((contents->jobs.n + 1) * sizeof(*jobs)), *job;
    size_t pos = 0, n = 0;

    if (!jobs)
        return NULL;
    while ((job = id_map_next(&contents->jobs, &pos)))
        jobs[n++] = job;
    qsort(jobs, n, sizeof(*jobs), compare_jobs);
    return jobs;
}

/* ---- queues, pushes, keys ---- */

static int set_paused(Contents *contents, Span name, bool paused) {
    FoundQueue *queue;

    HASH_FIND(hh, contents->queues, name.data, name.len, queue);
    if (!queue) {
        queue = calloc(1, sizeof(*queue) + name.len + 1);
        if (!queue)
            return -ENOMEM;
        memcpy(queue->name, name.data, name.len);
        HASH_ADD_KEYPTR(hh, contents->queues, queue->name, name.len, queue);
        if (!hash_added(queue)) {
            free(queue);
            return -ENOMEM;
        }
    }
    queue->paused = paused;
    return 0;
}

static int add_push(Contents *contents, Span client, uint64_t id) {
    FoundClient *found;

    if (client.len != WIRE_TOKEN || id == 0)
        return 0;
    HASH_FIND(hh, contents->clients, client.data, WIRE_TOKEN, found);
    if (!found) {
        found = calloc(1, sizeof(*found));
        if (!found)
            return -ENOMEM;
        memcpy(found->id, client.data, WIRE_TOKEN);
        HASH_ADD(hh, contents->clients, id, WIRE_TOKEN, found);
        if (!hash_added(found)) {
            free(found);
            return -ENOMEM;
        }
    }
    if (found->n == found->cap) {
        size_t cap = found->cap ? found->cap * 2 : 16;
        uint64_t *pushes = realloc(found->pushes, cap * sizeof(*pushes));

        if (!pushes)
            return -ENOMEM;
        found->pushes = pushes;
        found->cap = cap;
    }
    found->pushes[found->n++] = id;
    return 0;
}

static void forget_pushes(Contents *contents, Span client, uint64_t floor) {
    FoundClient *found = NULL;
    size_t n = 0;

    if (client.len == WIRE_TOKEN)
        HASH_FIND(hh, contents->clients, client.data, WIRE_TOKEN, found);
    if (!found)
        return;
    for (size_t i = 0; i < found->n; i++)
        if (found->pushes[i] >= floor)
            found->pushes[n++] = found->pushes[i];
    found->n = n;
}

static int add_key(Contents *contents, Span queue, Span key, uint64_t until_ms) {
    FoundKey *found;

    if (key.len == 0 || key.len > UINT8_MAX || queue.len > UINT8_MAX)
        return 0;
    found = malloc(sizeof(*found) + queue.len + key.len);
    if (!found)
        return -ENOMEM;
    *found =
        (FoundKey){.until_ms = until_ms, .n_queue = (uint8_t)queue.len, .n_key = (uint8_t)key.len};
    memcpy(found->data, queue.data, queue.len);
    memcpy(found->data + queue.len, key.data, key.len);
    *contents->keys_end = found;
    contents->keys_end = &found->next;
    return 0;
}

/* The last value of a fact is the valid one. */
static int set_fact(Contents *contents, Span name, Span value) {
    FoundFact *fact;

    HASH_FIND(hh, contents->facts, name.data, name.len, fact);
    if (fact) {
        HASH_DEL(contents->facts, fact);
        free(fact);
    }
    if (value.len == 0)
        return 0;
    fact = malloc(sizeof(*fact) + name.len + value.len);
    if (!fact)
        return -ENOMEM;
    *fact = (FoundFact){.n_name = name.len, .n_value = value.len};
    memcpy(fact->data, name.data, name.len);
    memcpy(fact->data + name.len, value.data, value.len);
    HASH_ADD_KEYPTR(hh, contents->facts, fact->data, fact->n_name, fact);
    if (!hash_added(fact)) {
        free(fact);
        return -ENOMEM;
    }
    return 0;
}

/* ---- holes ---- */

static int add_hole(FoundHole **list, size_t *n, const FoundHole *hole) {
    FoundHole *grown = *n % 16 == 0 ? realloc(*list, (*n + 16) * sizeof(**list)) : *list;

    if (!grown)
        return -ENOMEM;
    *list = grown;
    grown[(*n)++] = *hole;
    return 0;
}

static bool is_known(const Contents *contents, const FoundHole *hole) {
    for (size_t i = 0; i < contents->n_known; i++)
        if (contents->known[i].sequence == hole->sequence)
            return true;
    return false;
}

bool hole_is_damage(const Contents *contents, const FoundHole *hole) {
    return contents->flushed >= hole->sequence;
}

void hole_text(const FoundHole *hole, char *to, size_t size) {
    if (hole->len > 0)
        snprintf(to, size, "journal-%08u at %" PRIu64 ": %" PRIu64 " bytes", hole->segment,
                 hole->at, hole->len);
    else
        snprintf(to, size,
                 "journal-%08u at %" PRIu64 ": the records %" PRIu64 " to %" PRIu64 " are missing",
                 hole->segment, hole->at, hole->sequence, hole->before - 1);
}

/* ---- reading ---- */

static int take(Contents *contents, const DiskRecord *record, uint32_t segment, uint64_t at,
                uint32_t len) {
    FoundJob *job;
    int r = 0;

    if (record->type != RECORD_PUSH && record->type != RECORD_FORGET &&
        record->type != RECORD_HOLE && contents->last_job < record->id)
        contents->last_job = record->id;
    switch (record->type) {
    case RECORD_JOB:
    case RECORD_TIED:
        r = add_job(contents, record, segment, at, len);
        if (r == 0 && record->push)
            r = add_push(contents, record->client, record->push);
        if (r == 0 && record->key.len > 0)
            r = add_key(contents, record->queue, record->key, record->key_until_ms);
        return r;
    case RECORD_SETTLED:
        settle(contents, record->id);
        return 0;
    case RECORD_NOTE:
        job = id_map_get(&contents->jobs, record->id);
        return job ? note(contents, job, record) : 0;
    case RECORD_PAUSED:
        return set_paused(contents, record->queue, record->paused);
    case RECORD_FORGET:
        forget_pushes(contents, record->client, record->id);
        return 0;
    case RECORD_PUSH:
        return add_push(contents, record->client, record->id);
    case RECORD_KEY:
        return add_key(contents, record->queue, record->key, record->key_until_ms);
    case RECORD_HOLE:
        return add_hole(&contents->known, &contents->n_known,
                        &(FoundHole){.sequence = record->id, .before = record->old});
    case RECORD_SHARED:
        return add_shared(contents, *record, segment, at, len);
    case RECORD_FACT:
        return set_fact(contents, record->key, record->body);
    case RECORD_LAST:
        return 0;
    }
    return 0;
}

/* Looks for a hole in front of this record: bytes that cannot be read, or a jump in the sequence
 * numbers. */
static int look_for_hole(Contents *contents, uint32_t segment, uint64_t at, uint64_t skipped,
                         const DiskRecord *record) {
    bool jumps = record && contents->sequence > 0 && record->sequence > contents->sequence + 1;

    if (skipped == 0 && !jumps)
        return 0;
    return add_hole(&contents->holes, &contents->n_holes,
                    &(FoundHole){.segment = segment,
                                 .at = at - skipped,
                                 .len = skipped,
                                 .sequence = contents->sequence + 1,
                                 .before = record ? record->sequence : contents->sequence + 2,
                                 .at_end = record == NULL});
}

static int scan_segment(Contents *contents, const SegmentBytes *bytes, uint64_t *ret_size) {
    uint64_t at = SEGMENT_HEAD, skipped;
    const uint8_t *data;
    DiskRecord record;
    int r = 0;

    *ret_size = SEGMENT_HEAD;
    while (r == 0 && (data = segment_next(bytes, &at, &skipped))) {
        uint64_t begins = (uint64_t)(data - bytes->data);

        r = record_read(data, &record);
        if (r == -EBADMSG) { /* the checksum is right: a newer version of ferry has written the
                              * record */
            log_error("a record has a type or fields that this version does not know: "
                      "segment=journal-%08u at=%" PRIu64,
                      bytes->number, begins);
            contents->n_unknown++;
            r = 0;
            continue;
        }
        r = look_for_hole(contents, bytes->number, begins, skipped, &record);
        if (r == 0)
            r = take(contents, &record, bytes->number, begins, record_len(data));
        contents->n_records++;
        contents->sequence = record.sequence;
        if (contents->flushed < record.flushed)
            contents->flushed = record.flushed;
        *ret_size = at;
    }
    if (r == 0 && skipped > 0)
        r = look_for_hole(contents, bytes->number, *ret_size + skipped, skipped, NULL);
    return r;
}

/* Separates new holes from holes that an earlier start has reported. */
static void sort_holes(Contents *contents) {
    size_t n = 0;

    for (size_t i = 0; i < contents->n_holes; i++) {
        const FoundHole *hole = &contents->holes[i];

        if (is_known(contents, hole))
            continue;
        if (hole_is_damage(contents, hole))
            contents->n_damaged++;
        else
            contents->n_torn++;
        contents->holes[n++] = *hole;
    }
    contents->n_holes = n;
}

static int scan_one(const Folder *folder, Contents *contents, SegmentBytes *bytes,
                    uint32_t number) {
    FoundSegment *segment = &contents->segments[contents->n_segments];
    int r = segment_load_again(folder, number, bytes);

    if (r < 0)
        return r;
    if (!segment_head_is_right(folder, bytes))
        log_error("the head of a segment is damaged, reading its records nevertheless: "
                  "segment=journal-%08u",
                  number);
    segment->number = number;
    r = scan_segment(contents, bytes, &segment->size);
    contents->n_segments++;
    return r;
}

int scan_folder(const Folder *folder, Contents *ret, ferry_error *reterr) {
    SegmentBytes bytes = {0};
    uint32_t *numbers = NULL;
    char path[FOLDER_FILE_MAX];
    size_t n, i;
    int r;

    *ret = (Contents){0};
    ret->keys_end = &ret->keys;
    slabs_init(&ret->slabs, &ret->bytes);
    r = folder_segments(folder, &numbers, &n, reterr);
    if (r < 0)
        return r;
    ret->segments = calloc(n + 1, sizeof(*ret->segments));
    r = ret->segments ? 0 : -ENOMEM;
    for (i = 0; i < n && r == 0; i++) {
        r = scan_one(folder, ret, &bytes, numbers[i]);
        if (r < 0) {
            segment_path(folder, numbers[i], path);
            error_set_code(reterr, r, "cannot read %s: %s", path, strerror(-r));
        }
    }
    segment_unload(&bytes);
    free(numbers);
    if (r < 0 && !ret->segments)
        error_set_code(reterr, r, NULL);
    sort_holes(ret);
    return r;
}

void contents_deinit(Contents *contents) {
    FoundQueue *queue, *next_queue;
    FoundClient *client, *next_client;
    FoundFact *fact, *next_fact;
    FoundJob *job;
    size_t pos = 0;

    while ((job = id_map_next(&contents->jobs, &pos))) {
        set_reason(contents, job, (Span){NULL, 0});
        slabs_free(&contents->slabs, job, sizeof(*job));
    }
    id_map_deinit(&contents->jobs);
    HASH_ITER(hh, contents->queues, queue, next_queue) {
        HASH_DEL(contents->queues, queue);
        free(queue);
    }
    HASH_ITER(hh, contents->clients, client, next_client) {
        HASH_DEL(contents->clients, client);
        free(client->pushes);
        free(client);
    }
    while (contents->keys) {
        FoundKey *next = contents->keys->next;

        free(contents->keys);
        contents->keys = next;
    }
    HASH_ITER(hh, contents->facts, fact, next_fact) {
        HASH_DEL(contents->facts, fact);
        free(fact);
    }
    free(contents->segments);
    free(contents->holes);
    free(contents->known);
    slabs_deinit(&contents->slabs);
    *contents = (Contents){0};
}

/* ---- repair ---- */

static int quarantine(const Folder *folder, const FoundHole *hole, bool damage) {
    SegmentBytes bytes;
    char name[64];
    int r = segment_load(folder, hole->segment, &bytes);

    if (r < 0)
        return r;
    snprintf(name, sizeof(name), "%s-%08u-%" PRIu64, damage ? "damaged" : "torn", hole->segment,
             hole->at);
    r = folder_quarantine(folder, name, bytes.data + hole->at, hole->len);
    segment_unload(&bytes);
    return r == -EEXIST ? 0 : r;
}

static int cut(const Folder *folder, const FoundHole *hole) {
    char path[FOLDER_FILE_MAX];
    int fd, r;

    segment_path(folder, hole->segment, path);
    fd = file_ops->open(path, O_RDWR);
    if (fd < 0)
        return fd;
    r = file_ops->cut(fd, hole->at);
    if (r == 0)
        r = file_ops->flush(fd);
    close(fd);
    return r;
}

/* If the process that wrote the last segment was killed, the space behind its records is unused:
 * free it. */
static void cut_last(const Folder *folder, const Contents *contents) {
    const FoundSegment *last = &contents->segments[contents->n_segments - 1];

    for (size_t i = 0; i < contents->n_holes; i++)
        if (contents->holes[i].segment == last->number)
            return;
    cut(folder, &(FoundHole){.segment = last->number, .at = last->size});
}

int scan_repair(const Folder *folder, const Contents *contents, ferry_error *reterr) {
    if (contents->n_segments > 0)
        cut_last(folder, contents);
    for (size_t i = 0; i < contents->n_holes; i++) {
        const FoundHole *hole = &contents->holes[i];
        bool damage = hole_is_damage(contents, hole);
        char text[200];
        int r = 0;

        hole_text(hole, text, sizeof(text));
        if (damage)
            log_error("stored records are damaged, going on without them: %s/%s%s", folder->path,
                      text, hole->len > 0 ? ", copied to quarantine/" : "");
        else
            log_info("records were being written when the broker stopped, and were not confirmed: "
                     "%s/%s%s",
                     folder->path, text, hole->len > 0 ? ", copied to quarantine/" : "");
        if (hole->len > 0)
            r = quarantine(folder, hole, damage);
        if (r == 0 && !damage && hole->at_end)
            r = cut(folder, hole);
        if (r < 0)
            return error_set_code(reterr, r, "cannot repair %s/%s: %s", folder->path, text,
                                  strerror(-r));
    }
    return 0;
}
