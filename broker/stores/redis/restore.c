/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Restores the slices that the thread of a space has read, in pieces, on the broker's thread. At
 * the start of a store without shards, the broker waits for the thread. See redis-private.h.
 */

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "broker/stores/redis/redis-private.h"

enum {
    WAIT_MS = 100,         /* wait for the thread between two looks at signals */
    TELL_MS = 30000,       /* time between two lines of the log about waiting */
    DIFFERENCE_MS = 30000, /* difference of two clocks above which the log has a line */
};

/* ---- the lease ---- */

static void take_clock(RedisQueues *redis) {
    WallClock here = {0};
    int64_t difference_ms;

    redis->wall = redis->writer.reader.wall;
    wall_clock_look(&here);
    difference_ms = redis->wall.offset_ms - here.offset_ms;
    if (difference_ms > DIFFERENCE_MS || difference_ms < -DIFFERENCE_MS)
        log_warning("the clock of Redis differs from the clock of this machine: seconds=%lld; "
                    "delays and times to live in Redis follow the clock of Redis",
                    (long long)(difference_ms / 1000));
}

static void take_lease(RedisQueues *redis) {
    const RedisReader *reader = &redis->writer.reader;

    redis->restoring.has_lease = true;
    redis->last_job = reader->last_job;
    memcpy(redis->store.setting, reader->setting, sizeof(redis->store.setting));
    take_clock(redis);
    log_info("the queues in Redis belong to this broker: key=%s id=%s token=%s %s", redis->link.key,
             reader->found_id, reader->token, redis->store.setting);
}

/* ---- jobs ---- */

static int damaged(RedisQueues *redis, Span number, ferry_error *reterr) {
    char shown[TEXT_ESCAPED_MAX];

    return error_set_code(reterr, -EBADMSG,
                          "segment %s of %s:segments in Redis is damaged: ferry did not write it "
                          "so; the broker changes nothing until the segment is removed",
                          text_escape(shown, (const char *)number.data, number.len),
                          redis->link.key);
}

/* A segment, while its jobs are restored. Its records lie in bytes that are not aligned. */
typedef struct ReadSegment {
    uint64_t key;
    Span number, ended, records;
    const Reply *notes, *passed; /* of each job, or empty */
    RedisSegment *segment;
    uint32_t n; /* jobs that were restored */
    bool has_passed;
} ReadSegment;

static bool has_bit(Span bits, uint32_t i) {
    return i / 8 < bits.len && bits.data[i / 8] >> i % 8 & 1;
}

static int read_note(Span bytes, uint64_t id, DiskRecord *ret) {
    return record_check(bytes.data, bytes.len, REDIS_RECORD_SEED) &&
                   record_read(bytes.data, ret) == 0 && ret->id == id && ret->type == RECORD_NOTE
               ? 0
               : -EBADMSG;
}

static int restore_live_job(RedisQueues *redis, const DiskRecord *record, const DiskRecord *note,
                            StoredJob **ret, ferry_error *reterr) {
    Message content = {.headers = record->headers, .body = record->body, .passed = record->passed};
    struct Queues *queues = redis->store.ctx;
    StoredJob as = {.id = record->id,
                    .pushed_ms = wall_clock_from(redis->wall, record->pushed_ms),
                    .due_ms = wall_clock_from(redis->wall, note->due_ms),
                    .expires_ms = wall_clock_from(redis->wall, record->expires_ms),
                    .worker = note->worker,
                    .attempt = note->attempt,
                    .priority = record->priority,
                    .held = note->held};
    int r =
        queues_restore_job(queues, &redis->store, record->queue, &as, note->reason, &content, ret);

    if (r == 0)
        r = queues_restore_ties(queues, *ret, record->order, record->unique);
    if (r < 0)
        return error_set_code(reterr, r, "cannot restore job %" PRIu64 " of queue '%.*s': %s",
                              record->id, (int)record->queue.len, (const char *)record->queue.data,
                              strerror(-r));
    redis->restoring.n_jobs++;
    return 0;
}

static int restore_job(RedisQueues *redis, ReadSegment *from, const DiskRecord *record,
                       size_t bytes, ferry_error *reterr) {
    Span note_bytes = reply_word(from->notes, from->n);
    bool has_passed = reply_word(from->passed, from->n).len > 0;
    DiskRecord note = *record;
    StoredJob *job = NULL;
    int r = 0;

    if (!has_bit(from->ended, from->n) && !has_passed) {
        if (note_bytes.len > 0 && read_note(note_bytes, record->id, &note) < 0)
            return damaged(redis, from->number, reterr);
        r = restore_live_job(redis, record, &note, &job, reterr);
    }
    if (r == 0 && segment_restore(&redis->segments, &from->segment, from->key, job, bytes) < 0)
        r = error_set_code(reterr, -ENOMEM, NULL);
    if (r < 0)
        return r;
    if (job)
        segment_job(job)->has_note = note_bytes.len > 0;
    if (has_passed)
        redis_job_passed(redis, record->id);
    from->has_passed |= has_passed;
    if (redis->last_job < record->id)
        redis->last_job = record->id;
    from->n++;
    return 0;
}

static int restore_segment(RedisQueues *redis, ReadSegment *from, ferry_error *reterr) {
    Span left = from->records;
    int r = left.len > 0 ? 0 : damaged(redis, from->number, reterr);

    while (r == 0 && left.len > 0) {
        DiskRecord record;
        size_t bytes;

        if (from->n == SEGMENT_JOBS || !record_check(left.data, left.len, REDIS_RECORD_SEED) ||
            record_read(left.data, &record) < 0 || !record_is_job(&record))
            return damaged(redis, from->number, reterr);
        bytes = record_padded(record_len(left.data));
        if (bytes > left.len)
            return damaged(redis, from->number, reterr);
        r = restore_job(redis, from, &record, bytes, reterr);
        left.data += bytes;
        left.len -= bytes;
    }
    /* The broker ended before it wrote that these jobs had ended. */
    assert(r < 0 || from->segment);
    if (r == 0 && (from->has_passed || from->segment->n_live == 0))
        segment_stored(&redis->segments, from->segment);
    return r;
}

static int take_segment(RedisQueues *redis, const Reply *reply, size_t i, ferry_error *reterr) {
    ReadSegment segment = {.key = reply_number(reply, i),
                           .number = reply_word(reply, i),
                           .ended = reply_word(reply, i + 1),
                           .records = reply_word(reply, i + 2),
                           .notes = reply->elements[i + 3],
                           .passed = reply->elements[i + 4]};
    int r = restore_segment(redis, &segment, reterr);

    redis->restoring.n_values += segment.n;
    return r;
}

/* ---- the other keys ---- */

static int take_key(RedisQueues *redis, const Reply *reply, size_t i) {
    Span member = reply_word(reply, i);
    uint64_t until_ms = reply_number(reply, i + 1);
    size_t n = member.len > 0 ? member.data[0] : 0;

    if (member.len < 1 + n)
        return -EBADMSG;
    return queues_restore_key(redis->store.ctx, (Span){member.data + 1, n},
                              (Span){member.data + 1 + n, member.len - 1 - n},
                              wall_clock_from(redis->wall, until_ms));
}

static int take_push(RedisQueues *redis, const Reply *reply, size_t i) {
    RedisPushes pushes;
    int r = redis_pushes_read(reply_word(reply, i), &pushes);

    redis->restoring.n_values += r == 0 ? pushes.n : 0;
    for (uint32_t n = pushes.n; r == 0 && n > 0; n--)
        r = queues_restore_push(redis->store.ctx, pushes.client, pushes.last - n + 1);
    return r;
}

static int take_paused(RedisQueues *redis, const Reply *reply, size_t i) {
    return queues_restore_queue(redis->store.ctx, &redis->store, reply_word(reply, i), true);
}

static int take_fact(RedisQueues *redis, const Reply *reply, size_t i) {
    return queues_restore_fact(redis->store.ctx, &redis->store, reply_word(reply, i),
                               reply_word(reply, i + 1));
}

static const struct {
    const char *suffix;
    size_t size; /* elements of the reply for one value */
    int (*take)(RedisQueues *redis, const Reply *reply, size_t i);
} keys[] = {
    [READ_PAUSED] = {":paused", 1, take_paused}, [READ_SEGMENTS] = {":segments", 5, NULL},
    [READ_KEYS] = {":keys", 2, take_key},        [READ_PUSHES] = {":pushes", 1, take_push},
    [READ_FACTS] = {":facts", 2, take_fact},
};

static int take_value(RedisQueues *redis, const ReadSlice *slice, size_t i, ferry_error *reterr) {
    int r;

    if (slice->step == READ_SEGMENTS)
        return take_segment(redis, slice->reply, i, reterr);
    redis->restoring.n_values++;
    r = keys[slice->step].take(redis, slice->reply, i);
    return r == 0 ? 0
                  : error_set_code(reterr, r, "cannot restore %s%s from Redis: %s", redis->link.key,
                                   keys[slice->step].suffix, strerror(-r));
}

/* ---- slices ---- */

/* Restores about max values of the slice. */
static int restore_values(RedisQueues *redis, size_t max, ferry_error *reterr) {
    Restoring *restoring = &redis->restoring;
    uint64_t until = restoring->n_values + max;
    const ReadSlice *slice = restoring->slice;
    size_t size = keys[slice->step].size;
    int r = slice->reply->n % size == 0
                ? 0
                : error_set_code(reterr, -EBADMSG, "cannot restore %s%s from Redis",
                                 redis->link.key, keys[slice->step].suffix);

    while (r == 0 && restoring->n_values < until && restoring->at < slice->reply->n) {
        r = take_value(redis, slice, restoring->at, reterr);
        restoring->at += size;
    }
    return r;
}

static int finish(RedisQueues *redis) {
    redis->writes = true;
    queues_restore_last(redis->store.ctx, redis->last_job);
    log_info("the queues in Redis were read: key=%s jobs=%" PRIu64 " ms=%" PRIu64, redis->link.key,
             redis->restoring.n_jobs, clock_ms() - redis->restoring.began_ms);
    return 0;
}

static void end_slice(Restoring *restoring) {
    restoring->slice = read_slice_free(restoring->slice);
    restoring->at = 0;
}

int redis_restore_some(RedisQueues *redis, size_t max, ferry_error *reterr) {
    Restoring *restoring = &redis->restoring;
    const ReadSlice *slice = restoring->slice;
    int r;

    switch (slice->step) {
    case READ_FAILED:
        return error_set_code(reterr, slice->error.code, "%s", slice->error.message);
    case READ_LEASE:
        take_lease(redis);
        break;
    case READ_END:
        end_slice(restoring);
        return finish(redis);
    default:
        r = restore_values(redis, max, reterr);
        if (r < 0 || restoring->at < slice->reply->n)
            return r < 0 ? r : STORE_HAS_MORE;
    }
    end_slice(restoring);
    return STORE_HAS_MORE;
}

/* Logs each TELL_MS the reason why the broker waits. */
void redis_restore_tell(RedisQueues *redis) {
    Restoring *restoring = &redis->restoring;
    char why[STORE_REASON_MAX];

    if (restoring->told_ms != 0 && clock_ms() < restoring->told_ms + TELL_MS)
        return;
    redis_writer_why(&redis->writer, why);
    if (!*why)
        return;
    restoring->told_ms = clock_ms();
    log_warning("the queues in Redis cannot be read yet, waiting: key=%s reason='%s'",
                redis->link.key, why);
}

int redis_restore(Store *store, size_t max, ferry_error *reterr) {
    RedisQueues *redis = redis_of(store);

    if (!redis->restoring.slice)
        redis->restoring.slice = redis_writer_take_slice(&redis->writer, WAIT_MS);
    if (redis->restoring.slice)
        return redis_restore_some(redis, max, reterr);
    redis_restore_tell(redis);
    return STORE_HAS_MORE;
}
