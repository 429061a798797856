/* SPDX-License-Identifier: Apache-2.0 */

/* Make, queue and free jobs. See queues-private.h. */

#include <assert.h>
#include <utlist.h>

#include "broker/queues/jobs-private.h"
#include "broker/queues/queues-private.h"
#include "broker/queues/shards-private.h"
#include "broker/sessions/quota.h"

static_assert(offsetof(Job, stored) == 0, "a StoredJob is a Job");
static_assert(offsetof(Queue, stored) == 0, "a StoredQueue is a Queue");

enum { FRONT_LOOKS = 256 };

/* ---- making ---- */

/* Bytes of a body that has a block of its own; slabs count all other bytes. */
static size_t body_bytes(const Job *job) {
    return job->pageable ? 0 : stored_message_body(&job->content).len; /* paging.c counts pageable
                                                                        * contents */
}

static size_t size_of(bool pageable, size_t cap) {
    return offsetof(Job, content) + (pageable ? sizeof(Paging) : sizeof(StoredMessage) + cap);
}

/* Bytes of a content whose allocation has `cap` bytes: see stored_message_size(). */
static size_t content_bytes(const Message *content, size_t cap) {
    return content->passed.data || content->body.len < cap ? cap : cap + content->body.len;
}

/* Puts the content into the job's record or beside it. A content that the store can read back may
 * be left out. */
static int put_content(Job *job, size_t cap, const JobParts *parts, const Message *content) {
    Queues *queues = queue_of(job)->queues;

    if (!job->pageable)
        return stored_message_put(&job->content, cap, content, parts->block, STORE_FIELDS);
    job->paging = (Paging){.size = content_bytes(content, cap)};
    if (!parts->may_page_out || queues->paged_bytes < queues->broker->limits.max_queue_memory)
        return paging_keep(job, content, parts->block);
    queue_of(job)->n_paged_out++;
    return 0;
}

/* Frees the record and the content. */
static void record_free(Job *job) {
    Queues *queues = queue_of(job)->queues;

    if (job_is_paged_out(job))
        queue_of(job)->n_paged_out--;
    if (job->pageable)
        paging_drop(job);
    else
        stored_message_drop(&job->content);
    slabs_free(&queues->slabs, job, size_of(job->pageable, job->pageable ? 0 : job->content.cap));
}

Job *job_new(Queue *queue, const JobParts *parts) {
    Queues *queues = queue->queues;
    const Message *content = parts->content;
    Message plain;
    bool pageable;
    size_t cap;
    Job *job;

    if (!content->passed.data) {
        plain = message_forward(OP_JOB, 0, content);
        content = &plain;
    }
    cap = stored_message_cap(content, parts->block, STORE_FIELDS);
    pageable = queue->settings.store->ops->load && content_bytes(content, cap) >= PAGEABLE_MIN;
    job = slabs_alloc(&queues->slabs, size_of(pageable, cap));
    if (!job)
        return NULL;
    memset(job, 0, offsetof(Job, content));
    job->pageable = pageable;
    job->stored.queue = &queue->stored;
    if (put_content(job, cap, parts, content) < 0) {
        slabs_free(&queues->slabs, job, size_of(pageable, cap));
        return NULL;
    }
    job->stored.pushed_ms = queues->broker->now_ms;
    job->stored.priority = parts->priority;
    if (parts->delay_ms)
        job->stored.due_ms = queues->broker->now_ms + parts->delay_ms;
    if (parts->ttl_ms)
        job->stored.expires_ms = queues->broker->now_ms + parts->ttl_ms;
    job->state = JOB_STORING;
    job->stored.id = parts->id ? parts->id : shard_next_job(queues, queue->settings.store);
    if (job_table_put(queues, job) < 0) {
        record_free(job);
        return NULL;
    }
    if (queues->last_job < job->stored.id)
        queues->last_job = job->stored.id;
    if (order_join(job, parts->order) < 0) {
        job_table_take(queues, job);
        record_free(job);
        return NULL;
    }
    queues->broker->budget.bytes[BUDGET_QUEUES] += body_bytes(job);
    queue->n_jobs++;
    queue->settings.store->n_jobs++;
    queue->bytes += job_bytes(job);
    return job;
}

void job_set_pusher(Job *job, uint32_t quota) {
    job->pusher = quota;
    quota_charge_job(queue_of(job)->queues->broker, quota, job_bytes(job));
}

void job_undrop(Job *job) {
    if (!job->dropped)
        return;
    job->dropped = false;
    queue_of(job)->n_dropping--;
    queue_of(job)->dropping_bytes -= job_bytes(job);
}

void job_free(Job *job) {
    Queue *queue = queue_of(job);
    Queues *queues = queue->queues;

    job_undrop(job);
    queue->n_jobs--;
    queue->settings.store->n_jobs--;
    queue->bytes -= job_bytes(job);
    quota_refund_job(queues->broker, job->pusher, job_bytes(job));
    queues->broker->budget.bytes[BUDGET_QUEUES] -= body_bytes(job);
    job_table_take(queues, job);
    ties_end(job);
    if (queue->keeps_store && queue->n_jobs == 0)
        queue_touch(queue);
    if (timer_armed(&job->timer))
        timer_disarm(&queues->timers, &job->timer);
    if (job->reason)
        slabs_free(&queues->slabs, job->reason, job->n_reason);
    if (job->loading)
        paging_load_ended(job);
    record_free(job);
}

const void *stored_job_content(const StoredJob *stored, Message *to) {
    const Job *job = (const Job *)stored;

    if (!job->pageable)
        return stored_message_forward(&job->content, OP_JOB, 0, to);
    if (job->paging.content)
        return stored_message_forward(&job->paging.content->message, OP_JOB, 0, to);
    message_forward_head(to, OP_JOB, 0, &(Message){.op = OP_JOB});
    return NULL;
}

bool stored_job_is_paged_out(const StoredJob *stored) {
    return job_is_paged_out((const Job *)stored);
}

Span stored_job_reason(const StoredJob *stored) {
    const Job *job = (const Job *)stored;

    return (Span){(const uint8_t *)job->reason, job->n_reason};
}

void job_set_reason(Job *job, Span reason) {
    Slabs *slabs = &queue_of(job)->queues->slabs;
    size_t len = reason.len < QUEUE_REASON_MAX ? reason.len : QUEUE_REASON_MAX;

    if (job->reason)
        slabs_free(slabs, job->reason, job->n_reason);
    job->reason = NULL;
    job->n_reason = 0;
    /* Cut the reason before a character, not within it. */
    while (len < reason.len && len > 0 && (reason.data[len] & 0xC0) == 0x80)
        len--;
    /* The reason is for people: if memory runs out, the job has no reason. */
    if (len > 0 && (job->reason = slabs_alloc(slabs, len)) != NULL) {
        memcpy(job->reason, reason.data, len);
        job->n_reason = (uint8_t)len;
    }
}

/* ---- lists ---- */

void job_arm(Job *job, uint64_t at_ms) {
    Queues *queues = queue_of(job)->queues;

    timer_arm(&queues->timers, &job->timer, at_ms, queues->on_job_due);
}

void job_enter_ready(Queue *queue, Job *before, Job *job) {
    unsigned priority = job->stored.priority;

    if (!order_takes_turn(job)) {
        order_park(job);
        return;
    }
    job->state = JOB_READY;
    DL_PREPEND_ELEM(queue->ready[priority], before, job);
    queue->ready_bits |= 1u << priority;
    queue->n_ready++;
    paging_job_waits(job);
    if (job->stored.expires_ms)
        job_arm(job, job->stored.expires_ms);
}

void job_enter(Job *job) {
    Queue *queue = queue_of(job);

    if (job->stored.due_ms > queue->queues->broker->now_ms)
        job_enter_delayed(job, job->stored.due_ms);
    else
        job_enter_ready(queue, NULL, job);
}

static bool must_quarantine(const Queue *queue, const Job *job) {
    uint64_t max = queue->settings.max_attempts;

    return job->n_lost >= QUEUE_LOSSES_MAX || (max > 1 && job->n_lost + 1u >= max);
}

/*
 * Finds the job in front of which a returned job belongs: returned jobs stand at the front, in the
 * order of their ids. A worker's jobs come back from the last to the first, so the search begins at
 * the job that was returned before. FRONT_LOOKS bounds it: a worker may return thousands of jobs in
 * another order.
 */
static Job *place_of(Queue *queue, const Job *job) {
    Job *first = queue->ready[job->stored.priority];
    Job *at = queue->last_returned[job->stored.priority];
    int looks = 0;

    if (!at)
        at = first;
    while (at && at->returned && at->stored.id < job->stored.id && looks++ < FRONT_LOOKS)
        at = at->next;
    while (at && at->prev && at->prev->stored.id > job->stored.id && looks++ < FRONT_LOOKS)
        at = at->prev;
    return looks > FRONT_LOOKS ? first : at;
}

void job_enter_front(Job *job) {
    Queue *queue = queue_of(job);
    Job *before;

    if (must_quarantine(queue, job)) {
        job->state = JOB_READY;
        job->quarantined = true;
        DL_APPEND(queue->quarantined, job);
        queue->n_ready++;
        paging_job_waits(job);
        if (job->stored.expires_ms)
            job_arm(job, job->stored.expires_ms);
        return;
    }
    before = place_of(queue, job);
    job->returned = true;
    job_enter_ready(queue, before, job);
    if (!job->parked)
        queue->last_returned[job->stored.priority] = job;
}

void job_enter_delayed(Job *job, uint64_t due_ms) {
    Queue *queue = queue_of(job);
    uint64_t expires_ms = job->stored.expires_ms;

    job->stored.due_ms = due_ms;
    job->state = JOB_DELAYED;
    DL_APPEND(queue->delayed, job);
    queue->n_delayed++;
    paging_job_waits(job);
    job_arm(job,
            expires_ms && expires_ms < due_ms && !job->awaits_dead_letter ? expires_ms : due_ms);
}

uint64_t job_back_off_ms(const Job *job, unsigned times) {
    const QueueSettings *settings = &queue_of(job)->settings;
    uint64_t ms = settings->retry_ms;

    for (; times > 0 && ms < settings->retry_max_ms; times--)
        ms *= 2;
    return ms < settings->retry_max_ms ? ms : settings->retry_max_ms;
}

void job_leave(Job *job) {
    Queue *queue = queue_of(job);
    unsigned priority = job->stored.priority;

    if (timer_armed(&job->timer))
        timer_disarm(&queue->queues->timers, &job->timer);
    paging_job_leaves(job);
    switch ((JobState)job->state) {
    case JOB_READY:
        if (job->parked) {
            order_unpark(job);
        } else if (job->quarantined) {
            DL_DELETE(queue->quarantined, job);
        } else {
            DL_DELETE(queue->ready[priority], job);
            if (!queue->ready[priority])
                queue->ready_bits &= ~(1u << priority);
        }
        queue->n_ready--;
        if (queue->last_returned[priority] == job)
            queue->last_returned[priority] = NULL;
        job->quarantined = false;
        job->returned = false;
        break;
    case JOB_DELAYED:
        DL_DELETE(queue->delayed, job);
        queue->n_delayed--;
        job->awaits_dead_letter = false;
        break;
    case JOB_IN_FLIGHT:
    case JOB_STORING:
    case JOB_SETTLING:
        assert(false && "the job is in no list that it could leave");
        break;
    }
}
