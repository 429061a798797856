/* SPDX-License-Identifier: Apache-2.0 */
/* Takes the content of a job that a store has read, or its failure to read it. See paging.c. */

#include <errno.h>
#include <inttypes.h>

#include "base/log.h"
#include "broker/queues/changes-private.h"
#include "broker/queues/jobs-private.h"
#include "broker/queues/queues-private.h"

/* Keeps a job that cannot be read in its queue, and delivers other jobs before it. The next start
 * of the broker copies the damaged bytes to quarantine/. */
static void postpone(Job *job, int result, const char *place) {
    Queue *queue = queue_of(job);

    log_error("a stored job cannot be read, keeping it for a later attempt: queue='%s' "
              "job=%" PRIu64 " place=%s problem='%s'",
              shown(span_of(queue->name, queue->stored.name_len)), job->stored.id, place,
              strerror(-result));
    job->unreadable = true;
    if (job->state != JOB_READY)
        return;
    job_leave(job);
    job_enter_delayed(job, queue->queues->broker->now_ms + queue->settings.retry_max_ms);
}

void queues_loaded(Queues *queues, StoredJob *stored, int result, const char *place,
                   const Message *content) {
    Job *job = job_of(stored);
    Queue *queue = queue_of(job);
    Message plain;

    paging_load_ended(job);
    if (result == 0 && job_is_paged_out(job)) {
        if (!content->passed.data) {
            plain = message_forward(OP_JOB, 0, content);
            content = &plain;
        }
        if (paging_keep(job, content, NULL) == 0) {
            queue->n_paged_out--;
            job->unreadable = false;
            if (job->state == JOB_READY || job->state == JOB_DELAYED)
                paging_job_waits(job);
        }
    } else if (result < 0) {
        postpone(job, result, place);
    }
    if (job->state == JOB_DELAYED && job->awaits_dead_letter && !job_is_paged_out(job)) {
        Span reason = {(const uint8_t *)job->reason, job->n_reason};

        job_leave(job);
        job_dead_letter(job, reason, NULL, 0);
    }
    queue_touch(queue);
    (void)queues;
}
