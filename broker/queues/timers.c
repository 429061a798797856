/* SPDX-License-Identifier: Apache-2.0 */
/* The timers of jobs: delays, times to live, time limits. See queues-private.h. */

#include "base/container.h"
#include "broker/queues/changes-private.h"
#include "broker/queues/jobs-private.h"
#include "broker/queues/pulls-private.h"
#include "broker/queues/queues-private.h"

static void expire(Job *job) {
    Queue *queue = queue_of(job);

    queue->n_expired++;
    job_leave(job);
    if (queue->is_dead)
        change_remove(job, NULL, 0);
    else
        job_dead_letter(job, span_text("the time to live passed"), NULL, 0);
}

void job_due(Timer *timer, void *ctx) {
    Job *job = container_of(timer, Job, timer);
    Queue *queue = queue_of(job);

    (void)ctx;
    if (store_is_away(queue->settings.store)) {
        job_arm(job, queue->queues->broker->now_ms + QUEUE_AWAY_MS);
    } else if (job->state == JOB_IN_FLIGHT) {
        lease_expire(job);
    } else if (job->awaits_dead_letter) {
        Span reason = {(const uint8_t *)job->reason, job->n_reason};

        job_leave(job);
        job_dead_letter(job, reason, NULL, 0);
    } else if (job_is_over(job)) {
        expire(job);
    } else {
        job_leave(job);
        if (job->n_lost > 0)
            job_enter_front(job);
        else
            job_enter_ready(queue, NULL, job);
        queue_touch(queue);
    }
}
