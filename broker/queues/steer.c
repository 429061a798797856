/* SPDX-License-Identifier: Apache-2.0 */
/* Change one job, found by its number: cancel it, deliver it at once, or move it to another queue.
 * See queues.h. */

#include <errno.h>

#include "broker/queues/changes-private.h"
#include "broker/queues/jobs-private.h"
#include "broker/queues/pulls-private.h"
#include "broker/queues/queues-private.h"
#include "broker/queues/shards-private.h"

/* Finds a job that can be changed: a job that is being stored is not confirmed yet, and a job that
 * is being settled has ended. */
static Job *find(Queues *queues, uint64_t id) {
    Job *job = id ? job_table_get(queues, id) : NULL;

    return job && job->state != JOB_STORING && job->state != JOB_SETTLING ? job : NULL;
}

Span queues_queue_of_job(Queues *queues, uint64_t id) {
    const Job *job = find(queues, id);

    return job ? span_of(queue_of(job)->name, queue_of(job)->stored.name_len) : (Span){NULL, 0};
}

/* Takes the job from its worker, which gets LOST, or out of its list. */
static void take_away(Job *job, uint64_t reason) {
    if (job->state == JOB_IN_FLIGHT)
        lease_tell_lost(job, reason);
    lease_end(job);
    queue_touch(queue_of(job));
}

int queues_cancel(Queues *queues, uint64_t id, Session *session, uint64_t answer) {
    Job *job = find(queues, id);

    if (!job)
        return -ENOENT;
    take_away(job, LOST_CANCELLED);
    queue_of(job)->n_cancelled++;
    change_cancel(job, session, answer);
    return QUEUES_LATER;
}

int queues_run_now(Queues *queues, uint64_t id, ferry_error *reterr) {
    Job *job = find(queues, id);
    const char *why;
    Queue *queue;

    if (!job)
        return -ENOENT;
    why = job->state == JOB_IN_FLIGHT ? "a worker has it already"
          : job->awaits_dead_letter ? "it becomes a dead letter when its dead-letter queue has room"
          : job->parked             ? "an earlier job with its ordering key comes first"
                                    : NULL;
    if (why)
        return error_set(reterr, "ferry.InvalidArgument", "job %llu cannot run now: %s",
                         (unsigned long long)id, why);
    if (job->quarantined)
        return 0;
    queue = queue_of(job);
    job_leave(job);
    job->stored.due_ms = 0;
    job_enter_ready(queue, queue->ready[job->stored.priority], job);
    store_note(queue->settings.store, &job->stored);
    queue_touch(queue);
    return 0;
}

/* To a queue at another broker. */
static int move_far(Job *job, Span to, Session *session, uint64_t answer) {
    int r;

    if (job_is_paged_out(job)) {
        paging_load_to_move(job);
        return -EAGAIN;
    }
    r = far_move_begin(job, to, session, answer, NULL);
    if (r < 0)
        return r;
    take_away(job, LOST_MOVED);
    job_settle(job);
    return QUEUES_LATER;
}

int queues_move_job(Queues *queues, uint64_t id, Span to_name, Session *session, uint64_t answer) {
    Job *old = find(queues, id), *job;
    Problem problem;
    Queue *to;

    if (!old)
        return -ENOENT;
    if (shard_away(queues, to_name))
        return move_far(old, to_name, session, answer);
    to = queue_get(queues, to_name, &problem);
    if (!to || to == queue_of(old))
        return -EINVAL;
    if (job_is_paged_out(old)) {
        paging_load_to_move(old);
        queue_maybe_idle(to);
        return -EAGAIN;
    }
    if (queue_make_room(to, job_bytes(old), old, &problem) < 0) {
        queue_maybe_idle(to);
        return -ENOSPC;
    }
    job = job_remake(old, to, false);
    if (!job) {
        queue_maybe_idle(to);
        return -ENOMEM;
    }
    take_away(old, LOST_MOVED);
    change_move(old, job, session, answer);
    return QUEUES_LATER;
}
