/* SPDX-License-Identifier: Apache-2.0 */
/* The thread of a space in Redis. See writer.h. */

#include "broker/stores/redis/writer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/cond.h"
#include "base/error.h"

static const char *const part_names[N_PARTS] = {"pushes", "releases"};

void writer_batch_free(WriterBatch *batch) {
    if (!batch)
        return;
    for (int i = 0; i < N_PARTS; i++)
        buffer_deinit(&batch->parts[i].changes);
    buffer_deinit(&batch->records);
    free(batch);
}

/* ---- the state ---- */

static void report(RedisWriter *writer, WriterState state, const char *reason) {
    pthread_mutex_lock(&writer->lock);
    if (writer->report.state != state || strcmp(writer->report.reason, reason) != 0) {
        writer->report.state = state;
        snprintf(writer->report.reason, sizeof(writer->report.reason), "%s", reason);
        waker_call(writer->waker);
    }
    pthread_mutex_unlock(&writer->lock);
}

static bool has_ended(const RedisWriter *writer) {
    return writer->report.state >= WRITER_BROKEN;
}

/* Redis has another token. Tokens begin with a number that grows. */
static const char *why_lost(const RedisWriter *writer, Span word) {
    uint64_t found = 0;

    for (size_t i = strlen("LOST "); i < word.len && word.data[i] != '-'; i++)
        found = found * 10 + (uint64_t)(word.data[i] - '0');
    return found < strtoull(writer->reader.token, NULL, 10)
               ? "Redis has lost changes that it had confirmed, also the lease of this broker"
               : "another broker has taken over the queues";
}

/* The script changed nothing, and will not. */
static void refuse(RedisWriter *writer, Span word) {
    const char *advice = writer->is_strict ? "" : " (the broker must be started again)";
    char reason[STORE_REASON_MAX];

    if (span_begins(word, "LOST")) {
        report(writer, WRITER_LOST, why_lost(writer, word));
        return;
    }
    snprintf(reason, sizeof(reason),
             span_begins(word, "OLD")
                 ? "Redis has lost changes that it had confirmed: %s is older than this broker%s"
                 : "the data of the queues is gone from Redis: there is no %s%s",
             writer->reader.link->key, advice);
    report(writer, WRITER_BROKEN, reason);
}

/* ---- attempts ---- */

/* An answer "OK now" tells the clock of Redis, which has gone on since. So the latest estimate of
 * all answers is the best one, and each renewal of the lease makes it 1 ms older, for clocks that
 * drift. */
static void take_clock(RedisWriter *writer, Span word, uint64_t began_ms) {
    uint64_t now_ms = clock_ms(), redis_ms = 0;
    int64_t offset_ms, known_ms;

    if (now_ms > began_ms + REDIS_CLOCK_MS)
        return;
    for (size_t i = strlen("OK "); i < word.len; i++)
        redis_ms = redis_ms * 10 + (uint64_t)(word.data[i] - '0');
    offset_ms = (int64_t)redis_ms - (int64_t)now_ms;
    pthread_mutex_lock(&writer->lock);
    known_ms = writer->report.wall.offset_ms;
    if (offset_ms > known_ms || offset_ms < known_ms - REDIS_STEP_MS)
        writer->report.wall.offset_ms = offset_ms;
    pthread_mutex_unlock(&writer->lock);
}

/* Redis has prolonged the lease in a call that began at this time. */
static void prolong(RedisWriter *writer, uint64_t began_ms) {
    pthread_mutex_lock(&writer->lock);
    writer->lease_ends_ms = began_ms + writer->reader.lease_ms;
    pthread_mutex_unlock(&writer->lock);
}

static bool is_lease_over(const RedisWriter *writer) {
    return writer->is_strict && writer->lease_ends_ms > 0 && clock_ms() >= writer->lease_ends_ms;
}

static void end_part(WriterPart *part, int result) {
    part->result = result;
    part->ended = true;
}

static void take_result(RedisWriter *writer, WriterPart *part, WriterPartKind kind, LinkCall *call,
                        uint64_t began_ms) {
    if (call->outcome == LINK_DONE) {
        Span word = reply_span(call->reply);

        if (span_begins(word, "OK ")) {
            end_part(part, 0);
            prolong(writer, began_ms);
            take_clock(writer, word, began_ms);
        } else {
            refuse(writer, word);
        }
    } else if (call->outcome == LINK_FULL && kind == PART_PUSHES && part->attempts == 1) {
        /* Redis has certainly not applied the call: the next one has its number. An earlier attempt
         * without an answer could still be applied. */
        writer->numbers[kind]--;
        end_part(part, -ENOBUFS);
    }
    call->reply = reply_free(call->reply);
}

static Span batch_records(const WriterBatch *batch) {
    return span_of(batch->records.data, batch->records.len);
}

/* One round trip for the parts of the batch that have not ended. */
static void attempt(RedisWriter *writer, WriterBatch *batch, uint64_t deadline_ns) {
    char numbers[N_PARTS][24], segment[24] = "", lease[12];
    WriterPartKind kinds[N_PARTS];
    uint64_t began_ms = clock_ms();
    LinkCall calls[N_PARTS];
    unsigned n = 0;

    snprintf(lease, sizeof(lease), "%u", writer->reader.lease_ms);
    if (batch->segment)
        snprintf(segment, sizeof(segment), "%" PRIu64, batch->segment->number);
    for (int kind = 0; kind < N_PARTS; kind++) {
        WriterPart *part = &batch->parts[kind];
        bool has_segment = kind == PART_PUSHES && batch->segment;

        if (part->ended)
            continue;
        if (part->attempts++ == 0)
            part->number = ++writer->numbers[kind];
        snprintf(numbers[n], sizeof(numbers[n]), "%" PRIu64, part->number);
        calls[n] = (LinkCall){.script = &writer->write,
                              .args = {span_text(writer->reader.token), span_text(part_names[kind]),
                                       span_text(numbers[n]), span_text(lease),
                                       span_of(part->changes.data, part->changes.len),
                                       span_text(has_segment ? segment : ""),
                                       has_segment ? batch_records(batch) : span_text("")},
                              .n_args = 7};
        kinds[n++] = (WriterPartKind)kind;
    }
    redis_link_call(writer->reader.link, calls, n, true, deadline_ns);
    for (unsigned i = 0; i < n; i++)
        take_result(writer, &batch->parts[kinds[i]], kinds[i], &calls[i], began_ms);
}

static bool all_ended(const WriterBatch *batch) {
    return batch->parts[PART_PUSHES].ended && batch->parts[PART_RELEASES].ended;
}

/* for_work: the pause ends when a batch comes, or the broker ends. */
static void pause_thread(RedisWriter *writer, uint64_t ms, bool for_work) {
    uint64_t until_ms = clock_ms() + ms;

    pthread_mutex_lock(&writer->lock);
    while (!(for_work && (writer->stopping || writer->todo)) &&
           cond_wait_until(&writer->cond, &writer->lock, until_ms))
        continue;
    pthread_mutex_unlock(&writer->lock);
}

/* The end of an attempt that begins now. */
static uint64_t deadline_of(RedisWriter *writer, uint64_t attempt_ms) {
    uint64_t deadline_ns = clock_ns() + attempt_ms * UINT64_C(1000000);

    pthread_mutex_lock(&writer->lock);
    if (writer->is_strict && deadline_ns > writer->lease_ends_ms * UINT64_C(1000000))
        deadline_ns = writer->lease_ends_ms * UINT64_C(1000000);
    if (writer->stopping && deadline_ns > writer->stop_by_ns)
        deadline_ns = writer->stop_by_ns;
    pthread_mutex_unlock(&writer->lock);
    return deadline_ns;
}

static void report_end(RedisWriter *writer, const WriterBatch *batch) {
    const WriterPart *pushes = &batch->parts[PART_PUSHES];

    if (pushes->result == -ENOBUFS)
        report(writer, WRITER_FULL, "the memory of Redis is full (maxmemory)");
    else if (pushes->changes.len > 0 || writer->report.state == WRITER_WAITS)
        report(writer, WRITER_WORKS, "");
}

/* Tries until the batch has ended, or cannot end any more. */
static void write_batch(RedisWriter *writer, WriterBatch *batch) {
    uint64_t attempt_ms = REDIS_ATTEMPT_MS;

    for (int kind = 0; kind < N_PARTS; kind++) {
        batch->parts[kind].ended =
            batch->parts[kind].changes.len == 0 && !(kind == PART_PUSHES && batch->segment);
        batch->parts[kind].attempts = 0;
        batch->parts[kind].result = 0;
    }
    while (!has_ended(writer)) {
        uint64_t deadline_ns = deadline_of(writer, attempt_ms);

        if (is_lease_over(writer)) {
            report(writer, WRITER_LOST, "the lease was not prolonged in time");
            return;
        }
        if (clock_ns() >= deadline_ns)
            return;
        attempt(writer, batch, deadline_ns);
        if (has_ended(writer))
            return;
        if (all_ended(batch)) {
            report_end(writer, batch);
            return;
        }
        report(writer, WRITER_WAITS, writer->reader.link->why);
        pause_thread(writer, REDIS_PAUSE_MS, false);
        if (attempt_ms < REDIS_ATTEMPT_MAX_MS)
            attempt_ms *= 2;
    }
}

/* ---- the thread ---- */

/* An administrator may change the setting, and another master may have another one. */
static void look_at_setting(RedisWriter *writer) {
    char setting[STORE_SETTING_MAX];

    if (writer->report.state >= WRITER_BROKEN || writer->report.state == WRITER_WAITS)
        return;
    snprintf(setting, sizeof(setting), "%s", writer->report.setting);
    redis_link_setting(writer->reader.link, setting);
    pthread_mutex_lock(&writer->lock);
    if (strcmp(setting, writer->report.setting) != 0) {
        memcpy(writer->report.setting, setting, sizeof(setting));
        waker_call(writer->waker);
    }
    pthread_mutex_unlock(&writer->lock);
}

/* Prolongs the lease. A call of pushes finds out whether the memory of Redis is still full. */
static void renew(RedisWriter *writer) {
    WriterBatch *batch = &writer->renewal;

    for (int kind = 0; kind < N_PARTS; kind++) {
        buffer_reset(&batch->parts[kind].changes);
        if (kind == PART_RELEASES || writer->report.state == WRITER_FULL)
            change_put_renewal(&batch->parts[kind].changes);
    }
    pthread_mutex_lock(&writer->lock);
    writer->report.wall.offset_ms--;
    pthread_mutex_unlock(&writer->lock);
    write_batch(writer, batch);
    look_at_setting(writer);
}

static WriterBatch *take_todo(RedisWriter *writer, bool *ret_stopping) {
    WriterBatch *batch;

    pthread_mutex_lock(&writer->lock);
    batch = writer->todo;
    if (batch && !(writer->todo = batch->next))
        writer->todo_end = &writer->todo;
    *ret_stopping = writer->stopping;
    pthread_mutex_unlock(&writer->lock);
    return batch;
}

static void put_done(RedisWriter *writer, WriterBatch *batch) {
    batch->next = NULL;
    pthread_mutex_lock(&writer->lock);
    *writer->done_end = batch;
    writer->done_end = &batch->next;
    pthread_mutex_unlock(&writer->lock);
    waker_call(writer->waker);
}

static uint64_t next_renewal(const RedisWriter *writer) {
    return has_ended(writer)
               ? UINT64_MAX
               : clock_ms() + (writer->report.state == WRITER_FULL ? (uint64_t)REDIS_FULL_MS
                                                                   : writer->reader.lease_ms / 3);
}

static void write_all(RedisWriter *writer) {
    uint64_t renew_ms = next_renewal(writer);
    bool stopping;

    for (;;) {
        WriterBatch *batch = take_todo(writer, &stopping);
        uint64_t now_ms = clock_ms();

        if (batch) {
            bool is_last = batch->is_last;

            write_batch(writer, batch);
            put_done(writer, batch);
            if (is_last)
                return;
        } else if (stopping) {
            return;
        } else if (now_ms < renew_ms) {
            pause_thread(writer, renew_ms - now_ms, true);
        }
        if (clock_ms() >= renew_ms) {
            renew(writer);
            renew_ms = next_renewal(writer);
        } else if (writer->report.state != WRITER_WORKS && renew_ms > next_renewal(writer)) {
            renew_ms = next_renewal(writer);
        }
    }
}

/* ---- reading ---- */

static bool is_stopping(RedisWriter *writer) {
    bool stopping;

    pthread_mutex_lock(&writer->lock);
    stopping = writer->stopping;
    pthread_mutex_unlock(&writer->lock);
    return stopping;
}

/* Waits until the broker's thread has taken a slice, or the lease must be prolonged. True: there is
 * room for one more slice. */
static bool wait_for_room(RedisWriter *writer) {
    uint64_t until_ms = clock_ms() + writer->reader.lease_ms / 3;
    bool has_room;

    pthread_mutex_lock(&writer->lock);
    while (writer->n_slices >= REDIS_SLICES_MAX && !writer->stopping &&
           cond_wait_until(&writer->cond, &writer->lock, until_ms))
        continue;
    has_room = writer->n_slices < REDIS_SLICES_MAX;
    pthread_mutex_unlock(&writer->lock);
    return has_room;
}

static void put_slice(RedisWriter *writer, ReadSlice *slice) {
    pthread_mutex_lock(&writer->lock);
    if (slice->step == READ_LEASE) {
        writer->report.wall = writer->reader.wall;
        memcpy(writer->report.setting, writer->reader.setting, sizeof(writer->report.setting));
    }
    slice->next = NULL;
    *writer->slices_end = slice;
    writer->slices_end = &slice->next;
    writer->n_slices++;
    *writer->why = '\0';
    pthread_cond_signal(&writer->slice);
    pthread_mutex_unlock(&writer->lock);
    waker_call(writer->waker);
}

static void tell_why(RedisWriter *writer) {
    pthread_mutex_lock(&writer->lock);
    memcpy(writer->why, writer->reader.why, sizeof(writer->why));
    pthread_mutex_unlock(&writer->lock);
}

/* The broker does not want the space any more, or cannot read it. */
static void give_back(RedisWriter *writer) {
    WriterBatch *batch = &writer->renewal;

    if (writer->reader.step == READ_LEASE)
        return;
    buffer_reset(&batch->parts[PART_PUSHES].changes);
    buffer_reset(&batch->parts[PART_RELEASES].changes);
    change_put_end(&batch->parts[PART_RELEASES].changes, writer->reader.last_job,
                   writer->reader.served_ms);
    write_batch(writer, batch);
}

/* The slice for an error: the space cannot be read. NULL: out of memory. */
static ReadSlice *slice_of_error(ferry_error *error) {
    ReadSlice *slice = calloc(1, sizeof(*slice));

    if (!slice)
        return NULL;
    slice->step = READ_FAILED;
    slice->error = *error;
    *error = (ferry_error)FERRY_ERROR_INIT;
    return slice;
}

/* True: all was read, and the thread may write. */
static bool read_all(RedisWriter *writer) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    ReadSlice *slice = NULL;

    while (!is_stopping(writer) && !has_ended(writer)) {
        uint64_t began_ms = clock_ms();
        int r;

        if (!wait_for_room(writer)) {
            renew(writer);
            continue;
        }
        r = redis_reader_call(&writer->reader, &slice, &error);
        if (r < 0)
            break;
        if (r == READER_WAITS) {
            tell_why(writer);
            pause_thread(writer, REDIS_PAUSE_MS, true);
            if (is_lease_over(writer))
                report(writer, WRITER_LOST, "the lease was not prolonged in time");
            continue;
        }
        prolong(writer, began_ms);
        if (slice->step == READ_END) {
            put_slice(writer, slice);
            return true;
        }
        put_slice(writer, slice);
    }
    give_back(writer);
    if (error.code != 0 && (slice = slice_of_error(&error)))
        put_slice(writer, slice);
    return false;
}

static void *run(void *ctx) {
    RedisWriter *writer = ctx;

    if (read_all(writer))
        write_all(writer);
    pthread_mutex_lock(&writer->lock);
    writer->is_over = true;
    pthread_mutex_unlock(&writer->lock);
    waker_call(writer->waker);
    return NULL;
}

/* ---- for the broker's thread ---- */

int redis_writer_start(RedisWriter *writer, const RedisReader *reader, bool is_strict,
                       Waker *waker) {
    int r;

    *writer = (RedisWriter){
        .waker = waker, .is_strict = is_strict, .reader = *reader, .write = {.text = script_write}};
    writer->todo_end = &writer->todo;
    writer->done_end = &writer->done;
    writer->slices_end = &writer->slices;
    pthread_mutex_init(&writer->lock, NULL);
    cond_init(&writer->cond);
    cond_init(&writer->slice);
    r = pthread_create(&writer->thread, NULL, run, writer);
    writer->running = r == 0;
    return -r;
}

void redis_writer_end(RedisWriter *writer, uint32_t ms) {
    uint64_t stop_by_ns = clock_ns() + ms * UINT64_C(1000000);

    pthread_mutex_lock(&writer->lock);
    if (!writer->stopping || writer->stop_by_ns > stop_by_ns)
        writer->stop_by_ns = stop_by_ns;
    writer->stopping = true;
    pthread_cond_signal(&writer->cond);
    pthread_mutex_unlock(&writer->lock);
}

bool redis_writer_is_over(RedisWriter *writer) {
    bool is_over;

    pthread_mutex_lock(&writer->lock);
    is_over = writer->is_over;
    pthread_mutex_unlock(&writer->lock);
    return is_over;
}

static void free_batches(WriterBatch *batch) {
    WriterBatch *next;

    for (; batch; batch = next) {
        next = batch->next;
        writer_batch_free(batch);
    }
}

void redis_writer_stop(RedisWriter *writer) {
    if (!writer->running)
        return;
    redis_writer_end(writer, REDIS_CLOSE_MS);
    pthread_join(writer->thread, NULL);
    writer->running = false;
    free_batches(writer->todo);
    free_batches(writer->done);
    for (ReadSlice *slice = writer->slices, *next; slice; slice = next) {
        next = slice->next;
        read_slice_free(slice);
    }
    for (int kind = 0; kind < N_PARTS; kind++)
        buffer_deinit(&writer->renewal.parts[kind].changes);
    pthread_cond_destroy(&writer->cond);
    pthread_cond_destroy(&writer->slice);
    pthread_mutex_destroy(&writer->lock);
}

ReadSlice *redis_writer_take_slice(RedisWriter *writer, uint32_t wait_ms) {
    uint64_t until_ms = clock_ms() + wait_ms;
    ReadSlice *slice;

    pthread_mutex_lock(&writer->lock);
    while (wait_ms > 0 && !writer->slices && !writer->is_over &&
           cond_wait_until(&writer->slice, &writer->lock, until_ms))
        continue;
    slice = writer->slices;
    if (slice) {
        writer->slices = slice->next;
        if (!writer->slices)
            writer->slices_end = &writer->slices;
        writer->n_slices--;
        pthread_cond_signal(&writer->cond);
    }
    pthread_mutex_unlock(&writer->lock);
    return slice;
}

void redis_writer_why(RedisWriter *writer, char to[STORE_REASON_MAX]) {
    pthread_mutex_lock(&writer->lock);
    memcpy(to, writer->why, sizeof(writer->why));
    pthread_mutex_unlock(&writer->lock);
}

void redis_writer_reason(RedisWriter *writer, char to[STORE_REASON_MAX]) {
    pthread_mutex_lock(&writer->lock);
    memcpy(to, writer->report.reason, sizeof(writer->report.reason));
    pthread_mutex_unlock(&writer->lock);
}

bool redis_writer_has_expired(RedisWriter *writer) {
    bool has_expired;

    pthread_mutex_lock(&writer->lock);
    has_expired = is_lease_over(writer);
    pthread_mutex_unlock(&writer->lock);
    return has_expired;
}

void redis_writer_submit(RedisWriter *writer, WriterBatch *batch) {
    batch->next = NULL;
    pthread_mutex_lock(&writer->lock);
    *writer->todo_end = batch;
    writer->todo_end = &batch->next;
    pthread_cond_signal(&writer->cond);
    pthread_mutex_unlock(&writer->lock);
}

WriterBatch *redis_writer_take(RedisWriter *writer, WriterReport *ret) {
    WriterBatch *done;

    pthread_mutex_lock(&writer->lock);
    done = writer->done;
    writer->done = NULL;
    writer->done_end = &writer->done;
    *ret = writer->report;
    pthread_mutex_unlock(&writer->lock);
    return done;
}
