/* SPDX-License-Identifier: Apache-2.0 */
/* Pushes of the broker itself, for broker/schedules/. See queues.h. */

#include <utlist.h>

#include "broker/queues/changes-private.h"
#include "broker/queues/jobs-private.h"
#include "broker/queues/queues-private.h"
#include "broker/queues/shards-private.h"

/* A push that the store has not finished. */
typedef struct OwnPush {
    Waiter waiter; /* first: a Waiter is an OwnPush */
    struct OwnPush *prev, *next;
    Job *job;
    OwnPushFn fn; /* NULL: the schedule is gone */
    void *ctx;
} OwnPush;

static void own_push_free(Queues *queues, OwnPush *push) {
    DL_DELETE(queues->own_pushes, push);
    free(push);
}

static void finish(Job *job, int result) {
    Queue *queue = queue_of(job);

    if (result < 0) {
        job_free(job);
        queue_maybe_idle(queue);
        return;
    }
    queue->n_pushed++;
    queue->queues->broker->stats.pushed++;
    job_enter_new(job);
    queue_touch(queue);
}

static void on_stored(Queues *queues, Waiter *waiter, int result) {
    OwnPush *push = (OwnPush *)waiter;

    finish(push->job, result);
    if (push->fn)
        push->fn(result, push->ctx);
    own_push_free(queues, push);
}

static int submit(Job *job, const StoredPush *by, OwnPushFn fn, void *ctx) {
    Queues *queues = queue_of(job)->queues;
    Store *store = queue_of(job)->settings.store;
    OwnPush *push = calloc(1, sizeof(*push));
    int r = -ENOMEM;

    if (!push)
        return r;
    *push = (OwnPush){.waiter = {.fn = on_stored}, .job = job, .fn = fn, .ctx = ctx};
    DL_APPEND(queues->own_pushes, push);
    if (waiter_begin(queues, &push->waiter, store) == 0)
        r = store_append(store, push->waiter.ticket, &job->stored, by);
    if (r == STORE_LATER)
        return r;
    waiter_take(queues, push->waiter.ticket);
    own_push_free(queues, push);
    return r;
}

int queues_push_own(Queues *queues, const Message *message, const uint8_t *origin, OwnPushFn fn,
                    void *ctx, Problem *problem) {
    StoredPush by = {.client = origin, .id = message->id};
    const Store *away = shard_away(queues, message->name);
    Queue *queue;
    Job *job = NULL;
    int r;

    problem_set(problem, "ferry.OutOfMemory", "the broker is out of memory");
    queue = away ? NULL : queue_get(queues, message->name, problem);
    if (away)
        problem_set_moved(problem, message->name, away);
    else if (queue && *queue->settings.store->degraded)
        problem_set(problem, "ferry.Internal", "%s", queue->settings.store->degraded);
    else if (queue && queue_make_room(queue, message->headers.len + message->body.len + 3, NULL,
                                      problem) == 0)
        job = job_new(queue, &(JobParts){.content = message, .ttl_ms = queue->settings.ttl_ms});
    if (!job) {
        if (queue)
            queue_maybe_idle(queue);
        return -ENOSPC;
    }
    r = submit(job, &by, fn, ctx);
    if (r == STORE_LATER)
        return QUEUES_LATER;
    if (r < 0)
        problem_set(problem, "ferry.Internal", "the store failed: %s", strerror(-r));
    finish(job, r);
    return r;
}

void queues_push_own_forget(Queues *queues, const void *ctx) {
    OwnPush *push;

    DL_FOREACH(queues->own_pushes, push) {
        if (push->ctx == ctx)
            push->fn = NULL;
    }
}

void own_pushes_free(Queues *queues) {
    OwnPush *push, *next;

    DL_FOREACH_SAFE(queues->own_pushes, push, next) {
        waiter_take(queues, push->waiter.ticket);
        job_free(push->job);
        own_push_free(queues, push);
    }
}
