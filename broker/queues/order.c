/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ordering keys: among the jobs of a queue with the same key, one job has the turn, and the others
 * are parked behind it in the order of their pushes. The turn passes on when the job leaves the
 * queue. A job that waits for its next attempt keeps the turn.
 *
 * This file also has the unique keys: a unique key lives as long as its job. See queues-private.h.
 */

#include <errno.h>
#include <utlist.h>

#include "broker/queues/jobs-private.h"
#include "broker/queues/queues-private.h"

enum { PLACE_LOOKS = 256 };

struct Order {
    UT_hash_handle hh; /* in queue->orders */
    Job *turn;         /* NULL: all jobs with this key are delayed, stored or settled */
    JobTies *parked;   /* utlist */
    size_t n;          /* number of jobs with this key */
    uint8_t len;
    uint8_t key[];
};

static Order *order_get(Queue *queue, Span key) {
    Slabs *slabs = &queue->queues->slabs;
    Order *order;

    HASH_FIND(hh, queue->orders, key.data, key.len, order);
    if (order)
        return order;
    order = slabs_alloc(slabs, sizeof(*order) + key.len);
    if (!order)
        return NULL;
    *order = (Order){.len = (uint8_t)key.len};
    memcpy(order->key, key.data, key.len);
    HASH_ADD_KEYPTR(hh, queue->orders, order->key, order->len, order);
    if (hash_added(order))
        return order;
    slabs_free(slabs, order, sizeof(*order) + key.len);
    return NULL;
}

static JobTies *ties_get(Job *job) {
    if (!job->ties) {
        job->ties = slabs_alloc(&queue_of(job)->queues->slabs, sizeof(*job->ties));
        if (job->ties)
            *job->ties = (JobTies){.job = job};
    }
    return job->ties;
}

static void ties_free_if_unused(Job *job) {
    if (!job->ties || job->ties->order || job->ties->unique)
        return;
    slabs_free(&queue_of(job)->queues->slabs, job->ties, sizeof(*job->ties));
    job->ties = NULL;
}

int order_join(Job *job, Span key) {
    Order *order;

    if (key.len == 0)
        return 0;
    order = ties_get(job) ? order_get(queue_of(job), key) : NULL;
    if (!order) {
        ties_free_if_unused(job);
        return -ENOMEM;
    }
    job->ties->order = order;
    order->n++;
    return 0;
}

Span stored_job_order(const StoredJob *stored) {
    const Job *job = (const Job *)stored;
    const Order *order = job->ties ? job->ties->order : NULL;

    return order ? span_of(order->key, order->len) : (Span){NULL, 0};
}

/* ---- turns ---- */

bool order_takes_turn(Job *job) {
    Order *order = job->ties ? job->ties->order : NULL;

    if (!order || order->turn == job)
        return true;
    if (order->turn)
        return false;
    order->turn = job;
    return true;
}

static void enter_parked(Job *job) {
    Queue *queue = queue_of(job);

    job->state = JOB_READY;
    job->parked = true;
    DL_APPEND(queue->parked, job);
    queue->n_ready++;
    paging_job_waits(job);
    if (job->stored.expires_ms)
        job_arm(job, job->stored.expires_ms);
}

void order_park(Job *job) {
    DL_APPEND(job->ties->order->parked, job->ties);
    enter_parked(job);
}

void order_unpark(Job *job) {
    DL_DELETE(job->ties->order->parked, job->ties);
    DL_DELETE(queue_of(job)->parked, job);
    job->parked = false;
}

/* Puts a parked job among the ready jobs by its number, as if it had been ready all the time. The
 * search is bounded, so the job may stand too far in front. */
static void enter_in_place(Job *job) {
    Queue *queue = queue_of(job);
    Job *before = queue->ready[job->stored.priority];

    for (int looks = 0; before && before->stored.id < job->stored.id && looks < PLACE_LOOKS;
         looks++)
        before = before->next;
    job_enter_ready(queue, before, job);
    queue_touch(queue);
}

void order_pass_on(Job *job) {
    Order *order = job->ties ? job->ties->order : NULL;
    Job *next;

    if (!order || order->turn != job)
        return;
    order->turn = NULL;
    next = order->parked ? order->parked->job : NULL;
    if (!next)
        return;
    job_leave(next);
    enter_in_place(next);
}

void order_claim(Job *job) {
    Order *order = job->ties ? job->ties->order : NULL;
    Job *other = order ? order->turn : NULL;

    if (!order || other == job)
        return;
    if (other && other->state == JOB_READY && !other->quarantined) {
        job_leave(other);
        DL_PREPEND(order->parked, other->ties);
        enter_parked(other);
        other = NULL;
    }
    if (!other)
        order->turn = job;
}

/* ---- unique keys ---- */

int unique_tie(Job *job, Key *key) {
    if (!ties_get(job))
        return -ENOMEM;
    job->ties->unique = key;
    key->holder = job;
    return 0;
}

Span stored_job_unique(const StoredJob *stored) {
    const Job *job = (const Job *)stored;
    const Key *key = job->ties ? job->ties->unique : NULL;

    return key ? span_of(key->data, key->len) : (Span){NULL, 0};
}

/* ---- the end of a job ---- */

void ties_end(Job *job) {
    Queue *queue = queue_of(job);
    Order *order;

    if (!job->ties)
        return;
    if (job->ties->unique)
        key_forget(queue, job->ties->unique);
    order_pass_on(job);
    order = job->ties->order;
    if (order && --order->n == 0) {
        HASH_DEL(queue->orders, order);
        slabs_free(&queue->queues->slabs, order, sizeof(*order) + order->len);
    }
    slabs_free(&queue->queues->slabs, job->ties, sizeof(*job->ties));
    job->ties = NULL;
}

/* ---- after a restart ---- */

int queues_restore_ties(Queues *queues, StoredJob *stored, Span order, Span unique) {
    Job *job = job_of(stored);
    bool waits = job->state != JOB_IN_FLIGHT;
    int r = 0;
    Key *key;

    (void)queues;
    if (waits)
        job_leave(job);
    if (unique.len > 0 && !key_find(queue_of(job), unique)) {
        key = key_add(queue_of(job), unique, UINT64_MAX);
        if (key)
            key->job = stored->id;
        r = key ? unique_tie(job, key) : -ENOMEM;
    }
    if (r == 0)
        r = order_join(job, order);
    if (r == 0 && (!waits || stored->attempt > 0))
        order_claim(job);
    if (waits)
        job_enter(job);
    return r;
}
