/* SPDX-License-Identifier: Apache-2.0 */

/* Dead letters: a failed job moves to the queue NAME.dead, with headers that say why. See
 * queues-private.h. */

#include <inttypes.h>
#include <stdio.h>

#include "base/log.h"
#include "broker/events/events.h"
#include "broker/queues/changes-private.h"
#include "broker/queues/jobs-private.h"
#include "broker/queues/pulls-private.h"
#include "broker/queues/queues-private.h"

enum {
    DEAD_HEADERS = 4,
    DEAD_HEADERS_BYTES = 1024,
    LOAD_AGAIN_MS = 100, /* while contents of many other jobs are being read: ask again after this
                          * time */
};

static const char *const dead_headers[DEAD_HEADERS] = {"ferry-queue", "ferry-reason",
                                                       "ferry-attempts", "ferry-job"};

static bool is_dead_header(Span name) {
    for (int i = 0; i < DEAD_HEADERS; i++)
        if (span_is(name, dead_headers[i]))
            return true;
    return false;
}

/* Copies the pairs that are not dead-letter headers, as many as fit. Returns their number. `to`
 * NULL: only counts them. */
static uint32_t copy_headers(Span headers, uint32_t max_pairs, size_t max_bytes, Buffer *to) {
    uint32_t left, n = 0;
    Reader pairs = pairs_of(headers, &left);
    size_t bytes = 0;
    Span name;

    for (;;) {
        const uint8_t *start = pairs.at;
        size_t len;

        if (!pairs_next(&pairs, &left, &name))
            return n;
        reader_value(&pairs);
        len = (size_t)(pairs.at - start);
        if (is_dead_header(name) || n == max_pairs || bytes + len > max_bytes)
            continue;
        n++;
        bytes += len;
        if (to)
            buffer_append(to, start, len);
    }
}

static void write_number(Buffer *to, uint64_t number) {
    char text[24];

    snprintf(text, sizeof(text), "%" PRIu64, number);
    write_text(to, text);
}

static void write_dead_headers(Buffer *to, const Job *job, Span headers) {
    size_t max_bytes = WIRE_HEADERS_BYTES - DEAD_HEADERS_BYTES;
    uint32_t max_pairs = WIRE_HEADERS_MAX - DEAD_HEADERS;

    write_map(to, DEAD_HEADERS + copy_headers(headers, max_pairs, max_bytes, NULL));
    write_text(to, dead_headers[0]);
    write_str(to, queue_of(job)->name, queue_of(job)->stored.name_len);
    write_text(to, dead_headers[1]);
    write_str(to, job->reason, job->n_reason);
    write_text(to, dead_headers[2]);
    write_number(to, job->stored.attempt);
    write_text(to, dead_headers[3]);
    write_number(to, job->stored.id);
    copy_headers(headers, max_pairs, max_bytes, to);
}

/* Writes the headers of a job that leaves a dead-letter queue. */
static void write_plain_headers(Buffer *to, Span headers) {
    uint32_t n = copy_headers(headers, WIRE_HEADERS_MAX, WIRE_HEADERS_BYTES, NULL);

    if (n == 0) {
        write_nil(to);
        return;
    }
    write_map(to, n);
    copy_headers(headers, WIRE_HEADERS_MAX, WIRE_HEADERS_BYTES, to);
}

bool job_remake_content(const Job *job, bool as_dead, JobParts *parts, Message *content) {
    Queues *queues = queue_of(job)->queues;
    Buffer *scratch = &queues->scratch;
    Span headers, rest = {NULL, 0};

    *parts = (JobParts){.content = content,
                        .block = stored_job_content(&job->stored, content),
                        .order = stored_job_order(&job->stored),
                        .priority = job->stored.priority};
    if (job_is_paged_out(job))
        return false;
    headers = content->headers;
    if (content->passed.data) {
        Reader reader = reader_of(content->passed.data, content->passed.len);

        headers = reader_nil(&reader) ? (Span){NULL, 0} : reader_value(&reader);
        rest = span_of(reader.at, reader_left(&reader));
    }
    buffer_reset(scratch);
    if (as_dead)
        write_dead_headers(scratch, job, headers);
    else if (queue_of(job)->is_dead || headers.len == 0)
        write_plain_headers(scratch, headers);
    else
        write_raw(scratch, headers);
    buffer_append(scratch, rest.data, rest.len);
    if (scratch->failed)
        return false;
    *(content->passed.data ? &content->passed : &content->headers) =
        span_of(scratch->data, scratch->len);
    if (!as_dead && job->stored.due_ms > queues->broker->now_ms)
        parts->delay_ms = job->stored.due_ms - queues->broker->now_ms;
    return true;
}

Job *job_remake(const Job *job, Queue *to, bool as_dead) {
    Message content;
    JobParts parts;
    Job *made;

    if (!job_remake_content(job, as_dead, &parts, &content))
        return NULL;
    parts.ttl_ms = to->settings.ttl_ms;
    made = job_new(to, &parts);
    if (made) {
        job_set_pusher(made, job->pusher);
        job_set_reason(made, span_of(job->reason, job->n_reason));
    }
    return made;
}

/* The dead-letter queue is full. The job stays in its queue, is not delivered again, and moves
 * later. */
static void wait_for_room(Job *job, const Problem *problem, Session *session, uint64_t id) {
    Queue *queue = queue_of(job);
    uint64_t wait_ms = queue->settings.retry_max_ms > 1000 ? queue->settings.retry_max_ms : 1000;

    if (!queue->warned)
        log_warning("queue '%s' keeps a job that should be a dead letter: %s",
                    shown(span_of(queue->name, queue->stored.name_len)), problem->text);
    queue->warned = true;
    job->awaits_dead_letter = true;
    job_enter_delayed(job, queue->queues->broker->now_ms + wait_ms);
    if (!session)
        return;
    in_flight_unsettled(session->client->in_flight, id);
    session_error(session, id, problem->type,
                  "the job stays until its dead-letter queue has room: %s", problem->text);
}

/* A dead letter is a copy of the job, so the job stays in its queue until its content is read. */
static void wait_for_content(Job *job, Session *session, uint64_t id) {
    const Queue *queue = queue_of(job);

    job->awaits_dead_letter = true;
    paging_load_to_move(job);
    job_enter_delayed(job, queue->queues->broker->now_ms +
                               (job->loading ? queue->settings.retry_max_ms : LOAD_AGAIN_MS));
    if (session)
        session_ok(session, LANE_CALLS, id, 0);
}

/* A job that fails in a dead-letter queue stays there, delayed. */
static void stay_dead(Job *job, Session *session, uint64_t id) {
    Queue *queue = queue_of(job);

    job_enter_delayed(job, queue->queues->broker->now_ms + queue->settings.retry_max_ms);
    store_note(queue->settings.store, &job->stored);
    if (session)
        session_ok(session, LANE_CALLS, id, 0);
}

static void tell_dead(const Queue *queue, const Job *job) {
    event_raise(queue->queues->broker, EVENT_QUEUE_DEAD,
                &(broker_events_dead_letter){.queue = queue->name,
                                             .job = (int64_t)job->stored.id,
                                             .attempts = (int32_t)job->stored.attempt,
                                             .reason = shown(span_of(job->reason, job->n_reason))});
}

void job_dead_letter(Job *job, Span reason, Session *session, uint64_t id) {
    Queue *queue = queue_of(job), *dead;
    Problem problem;
    Job *letter = NULL;

    if (reason.data != (const uint8_t *)job->reason)
        job_set_reason(job, reason);
    if (queue->is_dead) {
        stay_dead(job, session, id);
        return;
    }
    if (job_is_paged_out(job)) {
        wait_for_content(job, session, id);
        return;
    }
    problem_set(&problem, "ferry.OutOfMemory", "the broker is out of memory");
    dead = queue_dead_of(queue);
    if (dead && queue_make_room(dead, job_bytes(job), job, &problem) == 0)
        letter = job_remake(job, dead, true);
    if (!letter) {
        wait_for_room(job, &problem, session, id);
        return;
    }
    queue->warned = false;
    if (event_is_watched(queue->queues->broker, EVENT_QUEUE_DEAD))
        tell_dead(queue, job);
    change_dead_letter(job, letter, session, id);
}
