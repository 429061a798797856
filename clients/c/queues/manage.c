/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of ferry.Broker for single jobs, for queues that are bound to topics, and for schedules. */

#include <ferry/queue.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/block.h"
#include "base/error.h"
#include "clients/c/core/core.h"

static inline void ferry_freep(void *pointer) {
    ferry_free(*(void **)pointer);
}

/* ---- one job ---- */

enum { READ_TRIES = 100, READ_PAUSE_MS = 20 }; /* wait while the broker reads a job from its disk */

typedef struct Found {
    uint64_t attempt, priority;
    Span queue, state, reason, order, waits_for, body;
    bool reading;
} Found;

static void read_text(Reader *reader, Span *to) {
    *to = reader_nil(reader) ? (Span){NULL, 0} : reader_str(reader);
}

static void read_status(Reader *pairs, Span key, ferry_job_status *to, Found *found) {
    const struct {
        const char *name;
        uint64_t *to;
    } numbers[] = {
        {"job", &to->job},         {"attempt", &found->attempt}, {"priority", &found->priority},
        {"age_ms", &to->age_ms},   {"due_ms", &to->due_ms},      {"expires_ms", &to->expires_ms},
        {"session", &to->session}, {"bytes", &to->n_body},
    };

    for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
        if (span_is(key, numbers[i].name)) {
            *numbers[i].to = reader_uint(pairs);
            return;
        }
    if (span_is(key, "queue"))
        read_text(pairs, &found->queue);
    else if (span_is(key, "state"))
        read_text(pairs, &found->state);
    else if (span_is(key, "reason"))
        read_text(pairs, &found->reason);
    else if (span_is(key, "order"))
        read_text(pairs, &found->order);
    else if (span_is(key, "waits_for"))
        read_text(pairs, &found->waits_for);
    else if (span_is(key, "body"))
        found->body = reader_nil(pairs) ? (Span){NULL, 0} : reader_bin(pairs);
    else if (span_is(key, "reading"))
        found->reading = reader_bool(pairs);
    else
        reader_value(pairs);
}

static const char *copy_text(char **at, Span text) {
    char *start = *at;

    if (text.len > 0)
        memcpy(start, text.data, text.len);
    start[text.len] = '\0';
    *at = start + text.len + 1;
    return start;
}

/* *ret_reading: the status has no body, because the broker is reading it. */
static int status_of(Span map, ferry_job_status **ret, bool *ret_reading, ferry_error *reterr) {
    ferry_job_status status = {0}, *made;
    Found found = {0};
    uint32_t left;
    Reader pairs = pairs_of(map, &left);
    Span key;
    char *at;

    while (pairs_next(&pairs, &left, &key))
        read_status(&pairs, key, &status, &found);
    if (pairs.problem)
        return error_set(reterr, "ferry.Internal", "the broker's answer is malformed: %s",
                         pairs.problem);
    made = ferry_alloc(sizeof(*made) + found.queue.len + found.state.len + found.reason.len +
                       found.order.len + found.waits_for.len + 5 + found.body.len);
    if (!made)
        return error_set_code(reterr, -ENOMEM, NULL);
    *made = status;
    made->attempt = (uint32_t)found.attempt;
    made->priority = (uint32_t)found.priority;
    at = (char *)(made + 1);
    made->queue = copy_text(&at, found.queue);
    made->state = copy_text(&at, found.state);
    made->reason = copy_text(&at, found.reason);
    made->ordering_key = copy_text(&at, found.order);
    made->waits_for = copy_text(&at, found.waits_for);
    if (found.body.len > 0)
        memcpy(at, found.body.data, found.body.len);
    made->body = ferry_bytes_of(at, found.body.len);
    *ret_reading = found.reading;
    *ret = made;
    return 0;
}

int ferry_queue_job(ferry_client *client, uint64_t job, ferry_job_status **ret,
                    ferry_error *reterr) {
    CLEANUP(ferry_free) ferry_job_status *status = NULL;
    bool is_reading = true;

    if (!ret)
        return error_set(reterr, "ferry.Misuse", "ret is NULL");
    for (int i = 0; is_reading && i < READ_TRIES; i++) {
        CLEANUP(ferry_free) ferry_reply *reply = NULL;
        int r;

        if (i > 0)
            nanosleep(&(struct timespec){0, READ_PAUSE_MS * 1000000L}, NULL);
        r = ferry_callf(client, "ferry.Broker.job", &reply, reterr, "u", job);
        if (r < 0)
            return r;
        ferry_free(status);
        status = NULL;
        r = status_of(span_bytes(reply->body), &status, &is_reading, reterr);
        if (r < 0)
            return r;
    }
    *ret = steal(&status);
    return 0;
}

int ferry_queue_cancel(ferry_client *client, uint64_t job, ferry_error *reterr) {
    return ferry_callf(client, "ferry.Broker.cancel", NULL, reterr, "u", job);
}

int ferry_queue_run_now(ferry_client *client, uint64_t job, ferry_error *reterr) {
    return ferry_callf(client, "ferry.Broker.run_now", NULL, reterr, "u", job);
}

int ferry_queue_move_job(ferry_client *client, uint64_t job, const char *queue, uint64_t *ret_job,
                         ferry_error *reterr) {
    CLEANUP(ferry_free) ferry_reply *reply = NULL;
    Reader reader;
    int r;

    if (!queue)
        return error_set(reterr, "ferry.Misuse", "the name of the queue is NULL");
    r = ferry_callf(client, "ferry.Broker.move_job", &reply, reterr, "us", job, queue);
    if (r < 0 || !ret_job)
        return r;
    reader = reader_of(reply->body.data, reply->body.len);
    *ret_job = reader_uint(&reader);
    return 0;
}

/* ---- durable subscriptions ---- */

static int change_bind(ferry_client *client, const char *method, const char *queue,
                       const char *pattern, ferry_error *reterr) {
    if (!queue || !pattern)
        return error_set(reterr, "ferry.Misuse", "the queue or the pattern is NULL");
    return ferry_callf(client, method, NULL, reterr, "ss", queue, pattern);
}

int ferry_queue_bind(ferry_client *client, const char *queue, const char *pattern,
                     ferry_error *reterr) {
    return change_bind(client, "ferry.Broker.bind", queue, pattern, reterr);
}

int ferry_queue_unbind(ferry_client *client, const char *queue, const char *pattern,
                       ferry_error *reterr) {
    return change_bind(client, "ferry.Broker.unbind", queue, pattern, reterr);
}

/* ---- recurring jobs ---- */

static const char *or_empty(const char *text) {
    return text ? text : "";
}

int ferry_schedule_add(ferry_client *client, const char *name, const char *queue, ferry_bytes body,
                       const ferry_schedule_options *options, ferry_error *reterr) {
    if (!name || !queue || !options)
        return error_set(reterr, "ferry.Misuse", "the name, the queue or the options are NULL");
    return ferry_callf(client, "ferry.Broker.add_schedule", NULL, reterr, "sssussy", queue, name,
                       or_empty(options->cron), options->every_ms, or_empty(options->tz),
                       or_empty(options->missed), body);
}

int ferry_schedule_remove(ferry_client *client, const char *name, ferry_error *reterr) {
    if (!name)
        return error_set(reterr, "ferry.Misuse", "the name of the schedule is NULL");
    return ferry_callf(client, "ferry.Broker.remove_schedule", NULL, reterr, "s", name);
}

enum { SCHEDULE_TEXTS = 8 };

/* One schedule of the answer. Its texts, in the order of `texts` below, are borrowed from the
 * answer. */
typedef struct FoundSchedule {
    ferry_schedule_status status;
    Span texts[SCHEDULE_TEXTS];
} FoundSchedule;

/* First the texts of a ferry_schedule_status, then its two times, which arrive as texts. */
static const char *const texts[SCHEDULE_TEXTS] = {"name",   "queue",   "cron", "tz",
                                                  "missed", "problem", "next", "last"};
enum { TEXT_NEXT = SCHEDULE_TEXTS - 2, TEXT_LAST };

/* "2026-11-30T06:00:00Z" */
static uint64_t ms_of(Span text) {
    struct tm tm = {0};
    char copy[32];

    if (text.len == 0 || text.len >= sizeof(copy))
        return 0;
    memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    if (sscanf(copy, "%d-%d-%dT%d:%d:%dZ", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour,
               &tm.tm_min, &tm.tm_sec) != 6)
        return 0;
    tm.tm_year -= 1900;
    tm.tm_mon--;
    return (uint64_t)timegm(&tm) * 1000;
}

static void read_field(Reader *pairs, Span key, FoundSchedule *to) {
    for (size_t i = 0; i < SCHEDULE_TEXTS; i++)
        if (span_is(key, texts[i])) {
            read_text(pairs, &to->texts[i]);
            return;
        }
    if (span_is(key, "every_ms"))
        to->status.every_ms = reader_uint(pairs);
    else if (span_is(key, "runs"))
        to->status.n_jobs = reader_uint(pairs);
    else if (span_is(key, "bytes"))
        to->status.n_body = reader_uint(pairs);
    else
        reader_value(pairs);
}

/* Reads the next schedule of the list. Returns the bytes of its texts. */
static size_t read_schedule(Reader *list, FoundSchedule *to) {
    Reader pairs;
    uint32_t left;
    size_t size = 0;
    Span key;

    *to = (FoundSchedule){.status.every_ms = 0};
    pairs = pairs_of(reader_value(list), &left);
    while (pairs_next(&pairs, &left, &key))
        read_field(&pairs, key, to);
    if (pairs.problem && !list->problem)
        list->problem = pairs.problem;
    for (size_t i = 0; i < TEXT_NEXT; i++)
        size += to->texts[i].len + 1;
    return size;
}

static void fill_schedule(ferry_schedule_status *to, const FoundSchedule *from, char **at) {
    *to = from->status;
    to->name = copy_text(at, from->texts[0]);
    to->queue = copy_text(at, from->texts[1]);
    to->cron = copy_text(at, from->texts[2]);
    to->tz = copy_text(at, from->texts[3]);
    to->missed = copy_text(at, from->texts[4]);
    to->problem = copy_text(at, from->texts[5]);
    to->next_ms = ms_of(from->texts[TEXT_NEXT]);
    to->last_ms = ms_of(from->texts[TEXT_LAST]);
}

int ferry_schedule_list(ferry_client *client, ferry_schedule_status **ret, size_t *ret_n,
                        ferry_error *reterr) {
    CLEANUP(ferry_free) ferry_reply *reply = NULL;
    ferry_schedule_status *made = NULL;
    FoundSchedule found;
    Reader list, again;
    size_t size = 0;
    uint32_t n;
    char *at;
    int r;

    if (!ret || !ret_n)
        return error_set(reterr, "ferry.Misuse", "ret or ret_n is NULL");
    r = ferry_callf(client, "ferry.Broker.schedules", &reply, reterr, "");
    if (r < 0)
        return r;
    list = reader_of(reply->body.data, reply->body.len);
    n = reader_array(&list);
    again = list;
    for (uint32_t i = 0; i < n && !list.problem; i++)
        size += sizeof(*made) + read_schedule(&list, &found);
    if (list.problem)
        return error_set(reterr, "ferry.Internal", "the broker's answer is malformed: %s",
                         list.problem);
    if (n > 0 && !(made = ferry_alloc(size)))
        return error_set_code(reterr, -ENOMEM, NULL);
    at = (char *)(made + n);
    for (uint32_t i = 0; i < n; i++) {
        read_schedule(&again, &found);
        fill_schedule(&made[i], &found, &at);
    }
    *ret = made;
    *ret_n = n;
    return 0;
}
