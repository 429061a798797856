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
    return batch->parts[PART_PUSHES].changes.len + batch->parts[PART_RELEASES].changes.len +
           batch->records.len;
}

static WriterBatch *open_batch(RedisQueues *redis) {
    if (!redis->open) {
        redis->open = redis->spare ? redis->spare : calloc(1, sizeof(WriterBatch));
        redis->spare = NULL;
    }
    return redis->open;
}

/* Ends of jobs and notes wait in the segments until the batch leaves: most jobs end before the note
 * of their delivery is written. False: out of memory; the batch cannot leave yet. */
static bool put_changes_of_segments(RedisQueues *redis) {
    return !redis->segments.changed ||
           (open_batch(redis) &&
            segments_put_changes(&redis->segments, redis->wall,
                                 &redis->open->parts[PART_RELEASES].changes, REDIS_BATCH_BYTES));
}

/* Without memory, the next start takes the highest number of the jobs. */
static void put_last(RedisQueues *redis, WriterBatch *batch) {
    Buffer *changes = &batch->parts[PART_PUSHES].changes;
    size_t before = changes->len;

    change_put_last(changes, redis->last_job);
    if (changes->failed)
        changes->len = before;
    changes->failed = false;
}

static void submit(RedisQueues *redis) {
    WriterBatch *batch;

    if (!put_changes_of_segments(redis)) {
        waker_call(redis->writer.waker); /* process() tries again */
        return;
    }
    batch = redis->open;
    if (!batch || bytes_of(batch) == 0)
        return;
    if (batch->segment)
        put_last(redis, batch);
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
    return batch->records.len > REDIS_BATCH_BYTES ||
           (batch->segment && batch->segment->n == SEGMENT_JOBS);
}

/* NULL: out of memory. */
static WriterPart *part_of(RedisQueues *redis, WriterPartKind kind) {
    if (redis->open && is_over(redis->open))
        submit(redis);
    return open_batch(redis) && !is_over(redis->open) ? &redis->open->parts[kind] : NULL;
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
    if (batch->records.cap > (size_t)2 * REDIS_BATCH_BYTES)
        buffer_deinit(&batch->records);
    buffer_reset(&batch->records);
    batch->segment = NULL;
    batch->n_passed = batch->n_runs = batch->n_items = 0;
    batch->is_last = false;
    if (redis->spare)
        writer_batch_free(batch);
    else
        redis->spare = batch;
}

/* Too many bytes wait for Redis; shards share the limit. */
static bool is_behind(const RedisQueues *redis) {
    unsigned n_shards = redis->options.n_shards;

    return redis->backlog > (size_t)REDIS_BACKLOG / (n_shards > 0 ? n_shards : 1);
}

/* Checks that the store has room for one more push. */
static int admit(const RedisQueues *redis) {
    if (redis->store.broken || !redis->writes)
        return -EIO;
    if (redis->state == WRITER_FULL)
        return -ENOBUFS;
    if (redis->state == WRITER_WAITS || is_behind(redis))
        return -EBUSY;
    return 0;
}

/* ---- appending ---- */

/* The newest run of the client. A new one replaces the oldest run. */
static WriterRun *find_run(WriterBatch *batch, const uint8_t *client) {
    size_t n = batch->n_runs < WRITER_RUNS ? batch->n_runs : WRITER_RUNS;
    WriterRun *run;

    for (size_t i = 0; i < n; i++)
        if (memcmp(batch->runs[i].pushes.client, client, WIRE_TOKEN) == 0)
            return &batch->runs[i];
    run = &batch->runs[batch->n_runs++ % WRITER_RUNS];
    memcpy(run->pushes.client, client, WIRE_TOKEN);
    run->pushes.n = 0;
    return run;
}

/* Consecutive pushes of a client are one change. */
static void put_push(WriterBatch *batch, const StoredPush *by) {
    Buffer *changes = &batch->parts[PART_PUSHES].changes;
    WriterRun *run = find_run(batch, by->client);

    if (run->pushes.n > 0 && run->pushes.last + 1 == by->id) {
        run->pushes.last++;
        run->pushes.n++;
        change_add_push(changes, run->at, &run->pushes);
        return;
    }
    run->pushes.last = by->id;
    run->pushes.n = 1;
    run->at = changes->len;
    change_put_push(changes, &run->pushes);
    if (changes->failed)
        run->pushes.n = 0; /* no push follows it */
}

static void put_key(Buffer *changes, const StoredQueue *queue, Span text, uint64_t until_ms) {
    uint8_t key[2 * UINT8_MAX];
    size_t n = 1 + queue->name_len + text.len;

    if (text.len == 0 || n > sizeof(key))
        return;
    key[0] = (uint8_t)queue->name_len;
    memcpy(key + 1, queue->name, queue->name_len);
    memcpy(key + 1 + queue->name_len, text.data, text.len);
    change_put_key(changes, span_of(key, n), until_ms);
}

/* The changes of an append, besides the record. The push comes last: it may change one that is
 * there. */
static int put_append(RedisQueues *redis, WriterPart *part, uint64_t ticket, StoredJob *old,
                      const StoredJob *job, const StoredPush *by) {
    WriterBatch *batch = redis->open;
    size_t before = part->changes.len;
    int r;

    put_key(&part->changes, job->queue, by->key, wall_clock_to(redis->wall, by->key_until_ms));
    if (old && segment_job(old))
        change_put_passed(&part->changes, old->id);
    if (by->client && by->id && !part->changes.failed)
        put_push(batch, by);
    r = end_change(part, before, ticket);
    if (r < 0 || !old || !segment_job(old))
        return r;
    segment_job(old)->note_due = false;
    batch->passed[batch->n_passed++] = old;
    return r;
}

static int add(RedisQueues *redis, uint64_t ticket, StoredJob *old, StoredJob *job,
               const StoredPush *by) {
    WriterPart *part = part_of(redis, PART_PUSHES);
    WriterBatch *batch = redis->open;
    size_t before, bytes;
    int r;

    /* The jobs of a queue are read in the order of their numbers. */
    if (job->id <= redis->last_job)
        return -EINVAL;
    if (!part)
        return -ENOMEM;
    before = batch->records.len;
    bytes = segment_put_record(&batch->records, job, redis->wall);
    r = batch->records.failed ? -ENOMEM
                              : segment_add(&redis->segments, &batch->segment, job, bytes);
    if (r == 0) {
        r = put_append(redis, part, ticket, old, job, by);
        if (r < 0)
            segment_take_back(batch->segment);
    }
    if (r < 0) {
        batch->records.len = before;
        batch->records.failed = false;
        return r;
    }
    redis->last_job = job->id;
    return r;
}

/* The records of jobs, and their places. -EINVAL, -ENOMEM: nothing was added. */
static int add_records(RedisQueues *redis, StoredJob *const *jobs, size_t n) {
    WriterBatch *batch = redis->open;
    size_t before = batch->records.len, done = 0;
    uint64_t last_job = redis->last_job;
    int r = 0;

    for (; done < n && r == 0; done++) {
        size_t bytes = segment_put_record(&batch->records, jobs[done], redis->wall);

        r = jobs[done]->id <= last_job ? -EINVAL
            : batch->records.failed
                ? -ENOMEM
                : segment_add(&redis->segments, &batch->segment, jobs[done], bytes);
        if (r < 0)
            break;
        last_job = jobs[done]->id;
    }
    if (r == 0)
        return 0;
    while (done-- > 0)
        segment_take_back(batch->segment);
    batch->records.len = before;
    batch->records.failed = false;
    return r;
}

/* All jobs are in one batch with the end of the entry. */
static int redis_append_entry(Store *store, uint64_t ticket, StoredJob *const *jobs, size_t n,
                              const StoredPush *by, void *entry) {
    RedisQueues *redis = redis_of(store);
    InboxItem *item = entry;
    WriterPart *part;
    size_t before, records;
    int r = admit(redis);

    if (r < 0)
        return r;
    if (redis->open && redis->open->segment && redis->open->segment->n + n > SEGMENT_JOBS)
        submit(redis);
    part = part_of(redis, PART_PUSHES);
    if (!part)
        return -ENOMEM;
    before = part->changes.len;
    records = redis->open->records.len;
    r = add_records(redis, jobs, n);
    if (r < 0)
        return r;
    change_put_taken(&part->changes, item->id, item->len);
    if (by->client && !part->changes.failed)
        put_push(redis->open, by);
    r = end_change(part, before, ticket);
    if (r < 0) {
        for (size_t i = 0; i < n; i++)
            segment_take_back(redis->open->segment);
        redis->open->records.len = records;
        return r;
    }
    redis->open->items[redis->open->n_items++] = item;
    if (n > 0)
        redis->last_job = jobs[n - 1]->id;
    return r;
}

static int redis_append(Store *store, uint64_t ticket, StoredJob *job, const StoredPush *by) {
    RedisQueues *redis = redis_of(store);
    int r = admit(redis);

    return r < 0 ? r : add(redis, ticket, NULL, job, by);
}

/* After a failure it is unknown whether a settled job will come back: the settlement has no answer,
 * and this process does not deliver the job again. */
static int redis_forward(Store *store, uint64_t ticket, StoredJob *old, StoredJob *job,
                         const StoredPush *by) {
    RedisQueues *redis = redis_of(store);

    if (store->broken)
        return STORE_LATER;
    /* While Redis does not confirm, a forwarded job waits for it like an acknowledgement. */
    if (redis->state == WRITER_FULL)
        return -ENOBUFS;
    return is_behind(redis) ? -EBUSY : add(redis, ticket, old, job, by);
}

static int redis_settle(Store *store, uint64_t ticket, StoredJob *job) {
    RedisQueues *redis = redis_of(store);
    WriterPart *part;
    size_t before;
    int r;

    if (store->broken)
        return STORE_LATER;
    if (!segment_job(job))
        return 0;
    part = part_of(redis, PART_RELEASES);
    if (!part)
        return -ENOMEM;
    before = part->changes.len;
    if (segment_job(job)->has_note)
        change_drop_note(&part->changes, job->id);
    r = end_change(part, before, ticket);
    if (r >= 0)
        segments_job_ended(&redis->segments, job);
    return r;
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
    return redis->store.broken || !redis->writes || is_behind(redis)
               ? NULL
               : part_of(redis, PART_RELEASES);
}

static void redis_note(Store *store, StoredJob *job) {
    RedisQueues *redis = redis_of(store);

    if (segment_job(job) && !store->broken && redis->writes && !is_behind(redis))
        segments_job_noted(&redis->segments, job);
}

static void redis_forget_pushes(Store *store, const uint8_t *client, uint64_t floor) {
    WriterPart *part = part_for_note(redis_of(store));
    size_t before = part ? part->changes.len : 0;

    if (!part)
        return;
    change_put_forget(&part->changes, client, floor);
    end_change(part, before, 0);
}

static int redis_pause(Store *store, uint64_t ticket, StoredQueue *queue, bool paused) {
    RedisQueues *redis = redis_of(store);
    WriterPart *part = store->broken || !redis->writes ? NULL : part_of(redis, PART_RELEASES);
    size_t before = part ? part->changes.len : 0;

    (void)ticket; /* no client waits: Redis may be away for a long time */
    if (!part)
        return 0;
    change_put_paused(&part->changes, span_of(queue->name, queue->name_len), paused);
    return end_change(part, before, 0);
}

/* The batch is submitted when the thread has finished the last one; until then it grows. */
static void redis_flush(Store *store) {
    RedisQueues *redis = redis_of(store);

    if (redis->n_submitted == 0)
        submit(redis);
}

/* ---- the ends of changes ---- */

void redis_job_passed(RedisQueues *redis, uint64_t id) {
    WriterPart *part = part_of(redis, PART_RELEASES);
    size_t before = part ? part->changes.len : 0;

    /* Without memory its number stays in Redis, which the next start mends. */
    if (!part)
        return;
    change_drop_passed(&part->changes, id);
    end_change(part, before, 0);
}

static void job_has_passed(RedisQueues *redis, StoredJob *job) {
    redis_job_passed(redis, job->id);
    segments_job_ended(&redis->segments, job);
}

static void take_report(RedisQueues *redis, const WriterReport *report) {
    Store *store = &redis->store;

    if (strcmp(store->setting, report->setting) != 0)
        log_info("the setting of Redis has changed: key=%s %s", redis->link.key, report->setting);
    memcpy(store->setting, report->setting, sizeof(store->setting));
    redis->wall = report->wall;
    redis->state = report->state;
    if (redis->writer.is_strict && report->state >= WRITER_BROKEN)
        return; /* the broker continues without this shard */
    store_set_degraded(store, report->state == WRITER_WORKS ? NULL : report->reason);
    store->broken = report->state >= WRITER_BROKEN;
    store->lost = report->state == WRITER_LOST;
}

/* Redis has the new jobs, and the ends of forwarded jobs; or it has refused all of them. */
static void finish_pushes(RedisQueues *redis, WriterBatch *batch) {
    const WriterPart *part = &batch->parts[PART_PUSHES];

    if (!part->ended)
        return;
    if (batch->segment && (part->result < 0 || batch->segment->n == 0))
        segment_refused(&redis->segments, batch->segment);
    else if (batch->segment)
        segment_stored(&redis->segments, batch->segment);
    for (size_t i = 0; i < batch->n_passed && part->result == 0; i++)
        job_has_passed(redis, batch->passed[i]);
    for (size_t i = 0; i < batch->n_items; i++)
        shard_inbox_stored(&redis->inbox, batch->items[i], part->result == 0);
}

static void finish_batch(RedisQueues *redis, WriterBatch *batch) {
    finish_pushes(redis, batch);
    for (int kind = 0; kind < N_PARTS; kind++) {
        const WriterPart *part = &batch->parts[kind];

        for (size_t i = 0; i < part->n && part->ended; i++)
            redis->store.done(part->tickets[i], part->result, redis->store.ctx);
    }
}

void redis_take_done(RedisQueues *redis) {
    WriterBatch *batch, *next;
    WriterReport report;

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

static void redis_process(Store *store) {
    RedisQueues *redis = redis_of(store);

    if (redis->writes)
        redis_take_done(redis);
}

/* ---- the store ---- */

void redis_set_reader(RedisQueues *redis, RedisReader *reader) {
    char host[64] = "";

    gethostname(host, sizeof(host) - 1);
    snprintf(reader->holder, sizeof(reader->holder), "%s, process %ld, %016llx", host,
             (long)getpid(), (unsigned long long)random_u64());
    reader->link = &redis->link;
    reader->lease_ms = redis->options.lease_ms;
}

static int redis_open(Store *store, Waker *waker, ferry_error *reterr) {
    RedisQueues *redis = redis_of(store);
    RedisReader reader = {.id_rule = *redis->options.id ? ID_MUST : ID_ANY};
    int r = redis_link_open(&redis->link, &redis->options, LINK_SPACE, reterr);

    if (r < 0)
        return r;
    redis_set_reader(redis, &reader);
    if (*redis->options.id)
        memcpy(reader.id, redis->options.id, sizeof(reader.id));
    else
        redis_new_id(reader.id);
    redis->restoring.began_ms = clock_ms();
    r = redis_writer_start(&redis->writer, &reader, false, waker);
    return r == 0 ? 0
                  : error_set_code(reterr, r, "cannot start the thread of the queues in Redis: %s",
                                   strerror(-r));
}

void redis_give_lease_back(RedisQueues *redis, uint64_t served_ms) {
    WriterPart *part = redis->store.broken || !redis->writes ? NULL : part_of(redis, PART_RELEASES);

    if (!part)
        return;
    change_put_end(&part->changes, queues_last_job(redis->store.ctx), served_ms);
    redis->open->is_last = true;
    submit(redis);
    redis->writes = false;
}

static void redis_close(Store *store) {
    RedisQueues *redis = redis_of(store);

    redis_give_lease_back(redis, wall_clock_to(redis->wall, clock_ms()));
    redis_writer_stop(&redis->writer);
    redis_link_close(&redis->link);
}

const StoreOps redis_ops = {
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
    .append_entry = redis_append_entry,
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
    redis->store.ops = &redis_ops;
    redis->options = options;
    options.url = (CacheUrl){0};
    *ret = &redis->store;
    return 0;
}

Store *store_redis_free(Store *store) {
    RedisQueues *redis = store ? redis_of(store) : NULL;

    if (!redis)
        return NULL;
    read_slice_free(redis->restoring.slice);
    writer_batch_free(redis->open);
    writer_batch_free(redis->spare);
    segments_deinit(&redis->segments);
    shard_inbox_clear(&redis->inbox);
    redis_options_deinit(&redis->options);
    free(redis);
    return NULL;
}
