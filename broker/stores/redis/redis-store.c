/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The ops of the store in Redis: a change is appended to the batch in the making, the thread writes
 * the batch, and process() reports its end. While a batch is under way, the next one grows. See
 * redis-store.h.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/random.h"
#include "broker/stores/redis/redis-private.h"

/* ---- the batch in the making ---- */

static size_t bytes_of(const WriterBatch *batch) {
    return batch->parts[PART_PUSHES].changes.len + batch->parts[PART_RELEASES].changes.len;
}

static void submit(RedisQueues *redis) {
    WriterBatch *batch = redis->open;

    if (!batch || bytes_of(batch) == 0)
        return;
    redis->open = NULL;
    redis->backlog += bytes_of(batch);
    redis->n_submitted++;
    redis_writer_submit(&redis->writer, batch);
}

static bool is_over(const WriterBatch *batch) {
    for (int kind = 0; kind < N_PARTS; kind++)
        if (batch->parts[kind].n == REDIS_BATCH_TICKETS ||
            batch->parts[kind].changes.len > REDIS_BATCH_BYTES)
            return true;
    return false;
}

/* NULL: out of memory. */
static WriterPart *part_of(RedisQueues *redis, WriterPartKind kind) {
    if (redis->open && is_over(redis->open))
        submit(redis);
    if (!redis->open) {
        redis->open = redis->spare ? redis->spare : calloc(1, sizeof(WriterBatch));
        redis->spare = NULL;
        redis->n_batches++;
    }
    return redis->open ? &redis->open->parts[kind] : NULL;
}

/* Takes back a change that is not whole. */
static int end_change(WriterPart *part, size_t before, uint64_t ticket) {
    if (part->changes.failed) {
        part->changes.failed = false;
        part->changes.len = before;
        return -ENOMEM;
    }
    if (ticket)
        part->tickets[part->n++] = ticket;
    return ticket ? STORE_LATER : 0;
}

static void batch_free_or_keep(RedisQueues *redis, WriterBatch *batch) {
    for (int kind = 0; kind < N_PARTS; kind++) {
        if (batch->parts[kind].changes.cap > (size_t)2 * REDIS_BATCH_BYTES)
            buffer_deinit(&batch->parts[kind].changes);
        buffer_reset(&batch->parts[kind].changes);
        batch->parts[kind].n = 0;
    }
    if (redis->spare)
        writer_batch_free(batch);
    else
        redis->spare = batch;
}

/* Checks that the store has room for one more push. */
static int admit(const RedisQueues *redis) {
    if (redis->store.broken)
        return -EIO;
    if (redis->state == WRITER_FULL)
        return -ENOBUFS;
    if (redis->state == WRITER_WAITS || redis->backlog > REDIS_BACKLOG)
        return -EBUSY;
    return 0;
}

/* ---- records ---- */

/* The bytes of the record, lent until the next call; empty: out of memory. */
static Span encode(RedisQueues *redis, const DiskRecord *record) {
    uint32_t len;

    buffer_reset(&redis->record);
    len = record_append(&redis->record, record);
    if (len == 0)
        return (Span){NULL, 0};
    record_seal(redis->record.data, REDIS_RECORD_SEED, record->id, 0);
    return span_of(redis->record.data, len);
}

/* ---- notes ---- */

/* A note that is still in the batch in the making is dropped when the job is settled or gets
 * another note: most jobs are settled before the note of their delivery is written. A note in an
 * earlier batch is in Redis, or will be. */
static void drop_note(RedisQueues *redis, StoredJob *job) {
    uint64_t place = redis_place(job), at = place >> 2 & (PLACE_NOTE_MAX + 1);

    if (at == 0)
        return;
    if (place >> 32 != redis->n_batches || !redis->open ||
        !change_drop_note(&redis->open->parts[PART_RELEASES].changes, at - 1, job->id))
        place |= PLACE_HAS_NOTE;
    redis_set_place(job, place & PLACE_FLAGS);
}

static void put_note_place(const RedisQueues *redis, StoredJob *job, size_t at) {
    uint64_t place = redis_place(job);

    if (sizeof(uintptr_t) < sizeof(uint64_t) || at >= PLACE_NOTE_MAX)
        place |= PLACE_HAS_NOTE;
    else
        place |= (uint64_t)redis->n_batches << 32 | (uint64_t)(at + 1) << 2;
    redis_set_place(job, place);
}

/* ---- changes ---- */

static int add(RedisQueues *redis, uint64_t ticket, StoredJob *old, StoredJob *job,
               const StoredPush *by) {
    uint8_t push[REDIS_PUSH_SIZE], key[2 * UINT8_MAX];
    WriterPart *part = part_of(redis, PART_PUSHES);
    bool is_known = by->client && by->id;
    DiskRecord record;
    size_t before, n_key = 0;
    Span bytes;
    int r;

    /* Redis keeps jobs in the order of their numbers. */
    if (job->id <= redis->last_job)
        return -EINVAL;
    job_record_of(job, redis->wall, &record);
    bytes = encode(redis, &record);
    if (!part || bytes.len == 0)
        return -ENOMEM;
    if (is_known)
        redis_push_member(push, by->client, by->id);
    if (by->key.len > 0 && 1 + job->queue->name_len + by->key.len <= sizeof(key)) {
        key[0] = (uint8_t)job->queue->name_len;
        memcpy(key + 1, job->queue->name, job->queue->name_len);
        memcpy(key + 1 + job->queue->name_len, by->key.data, by->key.len);
        n_key = 1 + job->queue->name_len + by->key.len;
    }
    before = part->changes.len;
    change_put_job(&part->changes, job->id, old && redis_place(old) ? old->id : 0, bytes,
                   span_of(push, is_known ? sizeof(push) : 0), span_of(key, n_key),
                   wall_clock_to(redis->wall, by->key_until_ms));
    r = end_change(part, before, ticket);
    if (r < 0)
        return r;
    if (old)
        drop_note(redis, old); /* it would stay in Redis without its job */
    redis->last_job = job->id;
    redis_set_place(job, PLACE_STORED);
    return r;
}

static int redis_append(Store *store, uint64_t ticket, StoredJob *job, const StoredPush *by) {
    RedisQueues *redis = redis_of(store);
    int r = admit(redis);

    return r < 0 ? r : add(redis, ticket, NULL, job, by);
}

/* After a failure nobody knows whether a settled job will come back: there is no answer, and the
 * job is not delivered by this process again. */
static int redis_forward(Store *store, uint64_t ticket, StoredJob *old, StoredJob *job,
                         const StoredPush *by) {
    RedisQueues *redis = redis_of(store);

    if (store->broken)
        return STORE_LATER;
    /* While Redis does not confirm, a forwarded job waits for it like an acknowledgement. */
    if (redis->state == WRITER_FULL)
        return -ENOBUFS;
    return redis->backlog > REDIS_BACKLOG ? -EBUSY : add(redis, ticket, old, job, by);
}

static int redis_settle(Store *store, uint64_t ticket, StoredJob *job) {
    RedisQueues *redis = redis_of(store);
    WriterPart *part;
    size_t before;

    if (store->broken)
        return STORE_LATER;
    if (!redis_place(job))
        return 0;
    part = part_of(redis, PART_RELEASES);
    if (!part)
        return -ENOMEM;
    drop_note(redis, job);
    before = part->changes.len;
    change_put_settled(&part->changes, job->id, redis_place(job) & PLACE_HAS_NOTE);
    return end_change(part, before, ticket);
}

static int redis_keep(Store *store, uint64_t ticket, Span name, Span value) {
    RedisQueues *redis = redis_of(store);
    int r = admit(redis);
    WriterPart *part = r == 0 ? part_of(redis, PART_PUSHES) : NULL;
    size_t before;

    if (r < 0)
        return r;
    if (!part)
        return -ENOMEM;
    before = part->changes.len;
    change_put_fact(&part->changes, name, value);
    return end_change(part, before, ticket);
}

/* The part for a change without a ticket. NULL: the change is dropped. */
static WriterPart *part_for_note(RedisQueues *redis) {
    return redis->store.broken || redis->backlog > REDIS_BACKLOG ? NULL
                                                                 : part_of(redis, PART_RELEASES);
}

static void redis_note(Store *store, StoredJob *job) {
    RedisQueues *redis = redis_of(store);
    WriterPart *part = redis_place(job) ? part_for_note(redis) : NULL;
    DiskRecord record;
    size_t before;
    Span bytes;

    if (!part)
        return;
    job_record_note(job, redis->wall, &record);
    bytes = encode(redis, &record);
    if (bytes.len == 0)
        return; /* out of memory: an old note is as good */
    drop_note(redis, job);
    before = part->changes.len;
    change_put_note(&part->changes, job->id, bytes);
    if (end_change(part, before, 0) == 0)
        put_note_place(redis, job, before);
}

static void redis_forget_pushes(Store *store, const uint8_t *client, uint64_t floor) {
    WriterPart *part = part_for_note(redis_of(store));
    size_t before = part ? part->changes.len : 0;

    if (!part)
        return;
    change_put_forget(&part->changes, client, floor);
    end_change(part, before, 0);
}

static void redis_pause(Store *store, StoredQueue *queue, bool paused) {
    RedisQueues *redis = redis_of(store);
    WriterPart *part = store->broken ? NULL : part_of(redis, PART_RELEASES);
    size_t before = part ? part->changes.len : 0;

    if (!part)
        return;
    change_put_paused(&part->changes, span_of(queue->name, queue->name_len), paused);
    end_change(part, before, 0);
}

/* A batch is submitted when the thread has none: meanwhile it grows. */
static void redis_flush(Store *store) {
    RedisQueues *redis = redis_of(store);

    if (redis->n_submitted == 0)
        submit(redis);
}

/* ---- the ends of changes ---- */

static void take_report(RedisQueues *redis, const WriterReport *report) {
    Store *store = &redis->store;

    if (strcmp(store->setting, report->setting) != 0)
        log_info("the setting of Redis has changed: key=%s %s", redis->link.key, report->setting);
    memcpy(store->setting, report->setting, sizeof(store->setting));
    redis->wall = report->wall;
    redis->state = report->state;
    store_set_degraded(store, report->state == WRITER_WORKS ? NULL : report->reason);
    store->broken = report->state >= WRITER_BROKEN;
    store->lost = report->state == WRITER_LOST;
}

static void finish_batch(RedisQueues *redis, const WriterBatch *batch) {
    for (int kind = 0; kind < N_PARTS; kind++) {
        const WriterPart *part = &batch->parts[kind];

        for (size_t i = 0; i < part->n && part->ended; i++)
            redis->store.done(part->tickets[i], part->result, redis->store.ctx);
    }
}

static void redis_process(Store *store) {
    RedisQueues *redis = redis_of(store);
    WriterBatch *batch, *next;
    WriterReport report;

    if (!redis->writer.running)
        return;
    batch = redis_writer_take(&redis->writer, &report);
    take_report(redis, &report);
    for (; batch; batch = next) {
        next = batch->next;
        redis->backlog -= bytes_of(batch);
        redis->n_submitted--;
        finish_batch(redis, batch);
        batch_free_or_keep(redis, batch);
    }
    if (redis->n_submitted == 0)
        submit(redis);
}

/* ---- the store ---- */

static int redis_open(Store *store, Waker *waker, ferry_error *reterr) {
    RedisQueues *redis = redis_of(store);
    char host[64] = "";

    gethostname(host, sizeof(host) - 1);
    snprintf(redis->holder, sizeof(redis->holder), "%s, process %ld, %016llx", host, (long)getpid(),
             (unsigned long long)random_u64());
    redis->waker = waker;
    redis->restoring.began_ms = clock_ms();
    return redis_link_open(&redis->link, &redis->options, reterr);
}

static void redis_close(Store *store) {
    RedisQueues *redis = redis_of(store);
    WriterPart *part;

    if (redis->writer.running) {
        part = store->broken ? NULL : part_of(redis, PART_RELEASES);
        if (part) {
            change_put_end(&part->changes, queues_last_job(store->ctx));
            submit(redis);
        }
        redis_writer_stop(&redis->writer);
    }
    redis_link_close(&redis->link);
}

static const StoreOps ops = {
    .durability = "redis",
    .confirms = DURABILITY_REDIS,
    .later = true,
    .open = redis_open,
    .restore = redis_restore,
    .process = redis_process,
    .close = redis_close,
    .append = redis_append,
    .settle = redis_settle,
    .forward = redis_forward,
    .keep = redis_keep,
    .flush = redis_flush,
    .note = redis_note,
    .forget_pushes = redis_forget_pushes,
    .pause = redis_pause,
};

int store_redis_new(const char *url, Store **ret, ferry_error *reterr) {
    CLEANUP(redis_options_deinit) RedisStoreOptions options = {0};
    int r = redis_options_parse(url, &options, reterr);
    RedisQueues *redis = r == 0 ? calloc(1, sizeof(*redis)) : NULL;

    if (r < 0)
        return r;
    if (!redis)
        return error_set_code(reterr, -ENOMEM, NULL);
    redis->store.ops = &ops;
    redis->options = options;
    options.url = (CacheUrl){0};
    redis->restoring.take.text = script_take;
    redis->restoring.read.text = script_read;
    redis->restoring.list.text = script_list;
    *ret = &redis->store;
    return 0;
}

Store *store_redis_free(Store *store) {
    RedisQueues *redis = store ? redis_of(store) : NULL;

    if (!redis)
        return NULL;
    writer_batch_free(redis->open);
    writer_batch_free(redis->spare);
    buffer_deinit(&redis->record);
    redis_options_deinit(&redis->options);
    free(redis);
    return NULL;
}
