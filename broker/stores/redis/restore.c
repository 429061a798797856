/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The start of a store in Redis: the lease is taken, after another broker's has ended, and the
 * contents of the space are read in slices. Until Redis answers, the broker waits. See
 * redis-private.h.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/random.h"
#include "base/text.h"
#include "broker/stores/redis/redis-private.h"

enum {
    CALL_MS = 2000,
    SLICE_BYTES = 4 << 20, /* of one reply, and one job more */
    WAIT_MS = 100,         /* between two looks at a lease, or at Redis */
    TELL_MS = 30000,       /* between two lines in the log about waiting */
    DIFFERENCE_MS = 30000, /* of two clocks, that the log tells */
};

static uint64_t deadline(void) {
    return clock_ns() + CALL_MS * UINT64_C(1000000);
}

static Span word_of(const Reply *reply, size_t i) {
    return i < reply->n && reply->elements[i]->bytes.data ? reply_span(reply->elements[i])
                                                          : (Span){NULL, 0};
}

/* A copy of a word from Redis that is safe to show. Returns to. */
static const char *shown_word(const Reply *reply, size_t i, char to[TEXT_ESCAPED_MAX]) {
    Span word = word_of(reply, i);

    return text_escape(to, word.data ? (const void *)word.data : "", word.len);
}

static uint64_t number_of(Span text) {
    char digits[24];

    if (!text.data || text.len >= sizeof(digits))
        return 0;
    memcpy(digits, text.data, text.len);
    digits[text.len] = '\0';
    return strtoull(digits, NULL, 10);
}

/* ---- waiting ---- */

/* The log says each TELL_MS what the broker waits for. */
static int wait_for(RedisQueues *redis, const char *what) {
    Restoring *restoring = &redis->restoring;

    if (restoring->told_ms == 0 || clock_ms() >= restoring->told_ms + TELL_MS) {
        restoring->told_ms = clock_ms();
        log_warning("the queues in Redis cannot be read yet, waiting: key=%s reason='%s'",
                    redis->link.key, what);
    }
    nanosleep(&(struct timespec){.tv_nsec = WAIT_MS * 1000000L}, NULL);
    return STORE_HAS_MORE;
}

/* A call that failed: STORE_HAS_MORE, or a negative errno. */
static int failed(RedisQueues *redis, LinkOutcome outcome, ferry_error *reterr) {
    if (outcome == LINK_WRONG)
        return error_set_code(reterr, -EIO, "cannot read the queues in Redis: %s", redis->link.why);
    return wait_for(redis, outcome == LINK_FULL ? "the memory of Redis is full (maxmemory)"
                                                : redis->link.why);
}

static int lost(RedisQueues *redis, Span word, ferry_error *reterr) {
    return error_set_code(reterr, -EIO, "%s: %s",
                          span_begins(word, "LOST")
                              ? "another broker has taken over the queues while they were read"
                              : "the queues have gone from Redis while they were read",
                          redis->link.key);
}

/* ---- the lease ---- */

static void take_clock(RedisQueues *redis, uint64_t redis_ms) {
    WallClock here = {0};
    int64_t difference_ms;

    redis->wall.offset_ms = (int64_t)redis_ms - (int64_t)clock_ms();
    wall_clock_look(&here);
    difference_ms = redis->wall.offset_ms - here.offset_ms;
    if (difference_ms > DIFFERENCE_MS || difference_ms < -DIFFERENCE_MS)
        log_warning("the clock of Redis differs from the clock of this machine: seconds=%lld; "
                    "delays and times to live in Redis follow the clock of Redis",
                    (long long)(difference_ms / 1000));
}

static int taken(RedisQueues *redis, const Reply *reply, ferry_error *reterr) {
    char id[TEXT_ESCAPED_MAX];
    Span token = word_of(reply, 1);

    if (token.len == 0 || token.len >= sizeof(redis->token))
        return error_set_code(reterr, -EPROTO, "%s: Redis named no token of the lease",
                              redis->link.key);
    memcpy(redis->token, token.data, token.len);
    redis->token[token.len] = '\0';
    redis->last_job = number_of(word_of(reply, 3));
    take_clock(redis, number_of(word_of(reply, 4)));
    redis_link_setting(&redis->link, redis->store.setting);
    log_info("the queues in Redis belong to this broker: key=%s id=%s token=%s %s", redis->link.key,
             shown_word(reply, 2, id), redis->token, redis->store.setting);
    redis->restoring.step = RESTORE_PAUSED;
    return STORE_HAS_MORE;
}

/* Another broker has the lease. Its end, by the clock of Redis, is far away if that clock was set
 * back, or if the new master's clock is behind. So the lease is also over when nobody has prolonged
 * it for its whole time, by the clock of this process. */
static void look_at_lease(Restoring *restoring, Span until) {
    uint64_t now_ms = clock_ms();

    if (span_is(until, restoring->seen_until) || until.len >= sizeof(restoring->seen_until))
        return;
    memcpy(restoring->seen_until, until.data, until.len);
    restoring->seen_until[until.len] = '\0';
    restoring->seen_ms = now_ms;
}

static bool is_lease_over(const Restoring *restoring) {
    return *restoring->seen_until && clock_ms() > restoring->seen_ms + restoring->seen_lease_ms;
}

static int take_word(RedisQueues *redis, const Reply *reply, ferry_error *reterr) {
    char text[TEXT_ESCAPED_MAX], what[400];
    const char *key = redis->link.key;
    Span word = word_of(reply, 0);

    if (span_begins(word, "TAKEN"))
        return taken(redis, reply, reterr);
    if (span_begins(word, "HELD")) {
        look_at_lease(&redis->restoring, word_of(reply, 2));
        redis->restoring.seen_lease_ms = number_of(word_of(reply, 3));
        snprintf(what, sizeof(what), "another broker has them: %.100s", shown_word(reply, 1, text));
        return wait_for(redis, what);
    }
    if (span_begins(word, "EMPTY"))
        return error_set_code(reterr, -ENOENT,
                              "there is no %s in Redis: it was emptied, or is another Redis than "
                              "that of id=%s; without id= in the URL the broker begins anew",
                              key, redis->options.id);
    if (span_begins(word, "OTHER"))
        return error_set_code(reterr, -EINVAL,
                              "%s in Redis belongs to other data: its id is %s, and the URL of the "
                              "store says id=%s",
                              key, shown_word(reply, 1, text), redis->options.id);
    if (span_begins(word, "FORMAT"))
        return error_set_code(reterr, -EINVAL,
                              "%s in Redis has format %s, and this ferry reads format %d", key,
                              shown_word(reply, 1, text), REDIS_FORMAT);
    return error_set_code(reterr, -EIO,
                          "%s is missing in Redis, but keys beside it are there (%s:*): a part of "
                          "the data was deleted or restored; nothing was changed",
                          key, key);
}

static int restore_lease(RedisQueues *redis, ferry_error *reterr) {
    char lease[12], id[REDIS_ID_SIZE + 1], nonce[20];
    const Restoring *restoring = &redis->restoring;
    LinkCall call = {.script = &redis->restoring.take, .n_args = 6};
    int r;

    snprintf(lease, sizeof(lease), "%u", redis->options.lease_ms);
    snprintf(nonce, sizeof(nonce), "%016" PRIx64, random_u64());
    snprintf(id, sizeof(id), "%016" PRIx64 "%016" PRIx64, random_u64(), random_u64());
    call.args[0] = span_text(redis->holder);
    call.args[1] = span_text(lease);
    call.args[2] = span_text(id);
    call.args[3] = span_text(redis->options.id);
    call.args[4] = span_text(nonce);
    call.args[5] = span_text(is_lease_over(restoring) ? restoring->seen_until : "");
    redis_link_call(&redis->link, &call, 1, true, deadline());
    if (call.outcome != LINK_DONE)
        return failed(redis, call.outcome, reterr);
    r = take_word(redis, call.reply, reterr);
    reply_free(call.reply);
    return r;
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
    Span note_bytes = word_of(from->notes, from->n);
    bool has_passed = word_of(from->passed, from->n).len > 0;
    DiskRecord note = *record;
    StoredJob *job = NULL;
    int r = 0;

    if (!has_bit(from->ended, from->n) && !has_passed) {
        if (note_bytes.len > 0 && read_note(note_bytes, record->id, &note) < 0)
            return damaged(redis, from->number, reterr);
        r = restore_live_job(redis, record, &note, &job, reterr);
    }
    if (r == 0 &&
        segment_restore(&redis->segments, &from->segment, number_of(from->number), job, bytes) < 0)
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
    if (r == 0 && (from->has_passed || from->segment->n_live == 0))
        segment_stored(&redis->segments, from->segment);
    return r;
}

static int restore_segments(RedisQueues *redis, ferry_error *reterr) {
    char lease[12], rank[24], bytes[12];
    LinkCall call = {.script = &redis->restoring.read, .n_args = 4};
    const Reply *reply;
    int r = 0;

    snprintf(lease, sizeof(lease), "%u", redis->options.lease_ms);
    snprintf(rank, sizeof(rank), "%" PRIu64, redis->restoring.cursor);
    snprintf(bytes, sizeof(bytes), "%d", SLICE_BYTES);
    call.args[0] = span_text(redis->token);
    call.args[1] = span_text(lease);
    call.args[2] = span_text(rank);
    call.args[3] = span_text(bytes);
    redis_link_call(&redis->link, &call, 1, false, deadline());
    if (call.outcome != LINK_DONE)
        return failed(redis, call.outcome, reterr);
    reply = call.reply;
    if (reply->type != REPLY_ARRAY)
        r = lost(redis, reply_span(reply), reterr);
    for (size_t i = 0; r == 0 && i + 4 < reply->n; i += 5, redis->restoring.cursor++) {
        ReadSegment segment = {.number = word_of(reply, i),
                               .ended = word_of(reply, i + 1),
                               .records = word_of(reply, i + 2),
                               .notes = reply->elements[i + 3],
                               .passed = reply->elements[i + 4]};

        r = restore_segment(redis, &segment, reterr);
    }
    if (r == 0 && reply->n == 0) {
        redis->restoring.step = RESTORE_KEYS;
        redis->restoring.cursor = 0;
    }
    reply_free(call.reply);
    return r < 0 ? r : STORE_HAS_MORE;
}

/* ---- the other keys ---- */

static int take_key(RedisQueues *redis, const Reply *reply, size_t i) {
    Span member = word_of(reply, i);
    uint64_t until_ms = number_of(word_of(reply, i + 1));
    size_t n = member.len > 0 ? member.data[0] : 0;

    if (member.len < 1 + n)
        return -EBADMSG;
    return queues_restore_key(redis->store.ctx, (Span){member.data + 1, n},
                              (Span){member.data + 1 + n, member.len - 1 - n},
                              wall_clock_from(redis->wall, until_ms));
}

static int take_push(RedisQueues *redis, const Reply *reply, size_t i) {
    RedisPushes pushes;
    int r = redis_pushes_read(word_of(reply, i), &pushes);

    for (uint32_t n = pushes.n; r == 0 && n > 0; n--)
        r = queues_restore_push(redis->store.ctx, pushes.client, pushes.last - n + 1);
    return r;
}

static int take_paused(RedisQueues *redis, const Reply *reply, size_t i) {
    return queues_restore_queue(redis->store.ctx, &redis->store, word_of(reply, i), true);
}

static int take_fact(RedisQueues *redis, const Reply *reply, size_t i) {
    return queues_restore_fact(redis->store.ctx, word_of(reply, i), word_of(reply, i + 1));
}

/* The keys that are read after the lease, besides the jobs. */
static const struct {
    const char *suffix;
    size_t size; /* elements of the reply for one value */
    int (*take)(RedisQueues *redis, const Reply *reply, size_t i);
    RestoreStep next;
    bool in_slices;
} lists[] = {
    [RESTORE_PAUSED] = {":paused", 1, take_paused, RESTORE_SEGMENTS, false},
    [RESTORE_KEYS] = {":keys", 2, take_key, RESTORE_PUSHES, true},
    [RESTORE_PUSHES] = {":pushes", 1, take_push, RESTORE_FACTS, true},
    [RESTORE_FACTS] = {":facts", 2, take_fact, RESTORE_DONE, false},
};

static int take_list(RedisQueues *redis, const Reply *reply, ferry_error *reterr) {
    RestoreStep step = redis->restoring.step;
    size_t size = lists[step].size;
    int r = 0;

    if (reply->type != REPLY_ARRAY)
        return lost(redis, reply_span(reply), reterr);
    if (reply->n % size != 0)
        r = -EBADMSG;
    for (size_t i = 0; r == 0 && i < reply->n; i += size)
        r = lists[step].take(redis, reply, i);
    return r == 0 ? 0
                  : error_set_code(reterr, r, "cannot restore %s%s from Redis: %s", redis->link.key,
                                   lists[step].suffix, strerror(-r));
}

static int restore_list(RedisQueues *redis, size_t max, ferry_error *reterr) {
    Restoring *restoring = &redis->restoring;
    RestoreStep step = restoring->step;
    LinkCall call = {.script = &restoring->list, .n_args = 5};
    char lease[12], first[24], last[24];
    int r;

    snprintf(lease, sizeof(lease), "%u", redis->options.lease_ms);
    snprintf(first, sizeof(first), "%" PRIu64, restoring->cursor);
    snprintf(last, sizeof(last), "%" PRIu64, restoring->cursor + max - 1);
    call.args[0] = span_text(redis->token);
    call.args[1] = span_text(lease);
    call.args[2] = span_text(lists[step].suffix);
    call.args[3] = span_text(first);
    call.args[4] = span_text(last);
    redis_link_call(&redis->link, &call, 1, false, deadline());
    if (call.outcome != LINK_DONE)
        return failed(redis, call.outcome, reterr);
    r = take_list(redis, call.reply, reterr);
    restoring->cursor += max;
    if (!lists[step].in_slices || call.reply->n == 0) {
        restoring->step = lists[step].next;
        restoring->cursor = 0;
    }
    reply_free(call.reply);
    return r < 0 ? r : STORE_HAS_MORE;
}

static int finish(RedisQueues *redis, ferry_error *reterr) {
    WriterReport report = {.wall = redis->wall};
    int r;

    memcpy(report.setting, redis->store.setting, sizeof(report.setting));
    r = redis_writer_start(&redis->writer, &redis->link, redis->token, &report,
                           redis->options.lease_ms, redis->waker);
    if (r < 0)
        return error_set_code(reterr, r, "cannot start the thread that writes to Redis: %s",
                              strerror(-r));
    queues_restore_last(redis->store.ctx, redis->last_job);
    log_info("the queues in Redis were read: key=%s jobs=%" PRIu64 " ms=%" PRIu64, redis->link.key,
             redis->restoring.n_jobs, clock_ms() - redis->restoring.began_ms);
    return 0;
}

int redis_restore(Store *store, size_t max, ferry_error *reterr) {
    RedisQueues *redis = redis_of(store);

    switch (redis->restoring.step) {
    case RESTORE_LEASE:
        return restore_lease(redis, reterr);
    case RESTORE_SEGMENTS:
        return restore_segments(redis, reterr);
    case RESTORE_DONE:
        return finish(redis, reterr);
    default:
        return restore_list(redis, max, reterr);
    }
}
