/* SPDX-License-Identifier: Apache-2.0 */
/* ACK, RETRY, REJECT, RELEASE, EXTEND and FORWARD: a worker settles a job, or keeps it for a longer
 * time. See queues-private.h. */

#include "broker/queues/changes-private.h"
#include "broker/queues/jobs-private.h"
#include "broker/queues/pulls-private.h"
#include "broker/queues/queues-private.h"
#include "broker/queues/shards-private.h"
#include "broker/sessions/quota.h"
#include "broker/sessions/user.h"

static bool is_spent(const Job *job) {
    const Queue *queue = queue_of(job);

    return !queue->is_dead && queue->settings.max_attempts &&
           job->stored.attempt >= queue->settings.max_attempts;
}

/* Puts the job in front again. From its second failure on it waits first, so that the workers have
 * time for other jobs: it may kill its workers, or never be finished in time. */
static void enter_again(Job *job, unsigned n_failed) {
    const Queue *queue = queue_of(job);
    uint64_t wait_ms = n_failed > 1 ? job_back_off_ms(job, n_failed - 2) : 0;

    if (wait_ms > 0)
        job_enter_delayed(job, queue->queues->broker->now_ms + wait_ms);
    else
        job_enter_front(job);
}

void lease_fail(Job *job, const char *reason) {
    if (is_spent(job)) {
        lease_end(job);
        job_dead_letter(job, span_text(reason), NULL, 0);
        return;
    }
    /* The worker may still settle the job until its next delivery, so the job keeps its worker. */
    lease_let_go(job);
    job_set_reason(job, span_text(reason));
    enter_again(job, job->n_lost);
    store_note(queue_of(job)->settings.store, &job->stored);
    queue_touch(queue_of(job));
}

void lease_expire(Job *job) {
    static const char reason[] = "the time limit passed";

    lease_tell_lost(job, LOST_TIME_LIMIT);
    lease_end(job);
    queue_touch(queue_of(job));
    if (is_spent(job)) {
        job_dead_letter(job, span_text(reason), NULL, 0); /* this may free the job */
        return;
    }
    job_set_reason(job, span_text(reason));
    enter_again(job, job->stored.attempt);
    store_note(queue_of(job)->settings.store, &job->stored);
}

/* Finds the job of this delivery. NULL: the session may not settle it, and has got an error. */
static Job *find(Queues *queues, Session *session, const Message *message) {
    Job *job = job_table_get(queues, message->settle.job);
    const Store *store =
        job ? queue_of(job)->settings.store : shard_of_job(queues, message->settle.job);
    Problem problem;

    if (job && !store_is_away(store) && job->stored.attempt == message->settle.attempt &&
        job->state != JOB_SETTLING && job->stored.worker == worker_key(session)) {
        queue_tap(queue_of(job), false, (Op)message->op, session, message->settle.job,
                  message->op == OP_FORWARD ? message->body : (Span){NULL, 0});
        if (message->op != OP_EXTEND)
            in_flight_settled(session->client->in_flight, message);
        return job;
    }
    /* The client repeats a settlement whose answer it did not get. */
    if (in_flight_was_settled(session->client->in_flight, message)) {
        if (!pending_settle_again(queues, session, message))
            session_ok(session, LANE_CALLS, message->id, 0);
        return NULL;
    }
    if (store && store_is_away(store)) {
        problem_set(&problem, "ferry.Moved", "the queue of job %llu is at another broker",
                    (unsigned long long)message->settle.job);
        problem.away = store;
        problem_answer(session, message->id, &problem);
        return NULL;
    }
    session_error(session, message->id, "ferry.LeaseLost",
                  "attempt %llu of job %llu is settled already, or another worker has the job",
                  (unsigned long long)message->settle.attempt,
                  (unsigned long long)message->settle.job);
    return NULL;
}

void queues_ack(Queues *queues, Session *session, const Message *message) {
    Job *job = find(queues, session, message);
    Queue *queue;

    if (!job)
        return;
    queue = queue_of(job);
    lease_end(job);
    queue->n_acked++;
    queues->broker->stats.acked++;
    change_remove(job, session, message->id);
    queue_dispatch(queue);
}

/* Delays the job for its next attempt. True: the job had its last attempt and becomes a dead
 * letter; session gets the answer to id when that is done. */
static bool retry(Job *job, uint64_t delay_ms, Span reason, Session *session, uint64_t id) {
    Queue *queue = queue_of(job);
    char text[64];

    job->n_lost = 0; /* the job did not kill its worker */
    if (is_spent(job)) {
        snprintf(text, sizeof(text), "failed %u times", job->stored.attempt);
        lease_end(job);
        job_dead_letter(job, reason.len > 0 ? reason : span_text(text), session, id);
        return true;
    }
    if (delay_ms == 0)
        delay_ms = job_back_off_ms(job, job_retries(job));
    if (delay_ms > QUEUE_TIME_MAX)
        delay_ms = QUEUE_TIME_MAX;
    lease_end(job);
    job_set_reason(job, reason);
    job->stored.due_ms = queue->queues->broker->now_ms + delay_ms;
    job_enter(job);
    store_note(queue->settings.store, &job->stored);
    return false;
}

void queues_retry(Queues *queues, Session *session, const Message *message) {
    Job *job = find(queues, session, message);
    Queue *queue;

    if (!job)
        return;
    queue = queue_of(job);
    if (!retry(job, message->settle.delay_ms, message->settle.text, session, message->id))
        session_ok(session, LANE_CALLS, message->id, 0);
    queue_dispatch(queue);
}

void queues_reject(Queues *queues, Session *session, const Message *message) {
    Job *job = find(queues, session, message);
    Queue *queue;

    if (!job)
        return;
    queue = queue_of(job);
    lease_end(job);
    job_dead_letter(job,
                    message->settle.text.len > 0 ? message->settle.text : span_text("rejected"),
                    session, message->id);
    queue_dispatch(queue);
}

void queues_release(Queues *queues, Session *session, const Message *message) {
    Job *job = find(queues, session, message);
    Queue *queue;

    if (!job)
        return;
    queue = queue_of(job);
    lease_end(job);
    job->stored.attempt--;
    job_enter_front(job);
    store_note(queue->settings.store, &job->stored);
    session_ok(session, LANE_CALLS, message->id, 0);
    queue_dispatch(queue);
}

void queues_extend(Queues *queues, Session *session, const Message *message) {
    Job *job = find(queues, session, message);
    uint64_t delay_ms = message->settle.delay_ms;

    if (!job)
        return;
    if (delay_ms > QUEUE_TIME_MAX) {
        session_error(session, message->id, "ferry.InvalidArgument",
                      "EXTEND: delay_ms must be at most ten years");
        return;
    }
    lease_take_back(job, session);
    if (delay_ms > 0 && queue_of(job)->settings.time_limit_ms > 0) {
        job->stored.due_ms = queues->broker->now_ms + delay_ms;
        job_arm(job, job->stored.due_ms);
    }
    session_ok(session, LANE_CALLS, message->id, 0);
}

static void retry_unforwarded(Job *job, Span to, const char *problem) {
    char reason[1200];

    snprintf(reason, sizeof(reason), "forwarding the job to '%s' failed: %s", shown(to), problem);
    retry(job, 0, span_text(reason), NULL, 0);
}

void queues_forward_denied(Queues *queues, Session *session, const Message *message) {
    Job *job = find(queues, session, message);
    Queue *queue;

    if (!job)
        return;
    queue = queue_of(job);
    retry_unforwarded(job, message->name, "permission denied");
    in_flight_unsettled(session->client->in_flight, message->id);
    session_deny(session, message->id, ACTION_PUSH, message->name);
    queue_dispatch(queue);
}

/* The queue is at another broker. The worker pushes the job's result there, and settles it then. */
static void keep(Job *job, Session *session, const Message *message) {
    Problem problem;

    problem_set_moved(&problem, message->name, shard_away(queue_of(job)->queues, message->name));
    problem.is_kept = true;
    in_flight_unsettled(session->client->in_flight, message->id);
    problem_answer(session, message->id, &problem);
}

void queues_forward(Queues *queues, Session *session, const Message *message, const void *block) {
    Job *old = find(queues, session, message);
    Admission admitted;
    Problem problem;
    Queue *queue;
    int r;

    if (!old)
        return;
    if (forward_is_kept(queues, message) && lease_take_back(old, session)) {
        keep(old, session, message);
        return;
    }
    queue = queue_of(old);
    r = queue_admit(queues, session, message, block, old, &admitted, &problem);
    if (r < 0) {
        retry_unforwarded(old, message->name, problem.text);
        in_flight_unsettled(session->client->in_flight, message->id);
        problem_answer(session, message->id, &problem);
    } else {
        lease_end(old);
        queue->n_acked++;
        queues->broker->stats.acked++;
        queue_count_forward(queue, message->name);
        if (r == PUSH_IS_DUPLICATE)
            change_remove(old, session, message->id);
        else {
            job_set_pusher(admitted.job, quota_number(session));
            change_forward(old, admitted.job, admitted.key, session, message->id);
        }
    }
    queue_dispatch(queue);
}
