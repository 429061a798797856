/* SPDX-License-Identifier: Apache-2.0 */

/* Shards that come to this broker, or leave it. See store.h and queues-private.h. */

#include <assert.h>
#include <errno.h>
#include <utlist.h>

#include "broker/queues/changes-private.h"
#include "broker/queues/facts-private.h"
#include "broker/queues/jobs-private.h"
#include "broker/queues/pulls-private.h"
#include "broker/queues/queues-private.h"
#include "broker/queues/shards-private.h"

static StoreShard *shard_with(Queues *queues, const Store *store) {
    return &queues->shards[store->shard - 1];
}

/* ---- here ---- */

int queues_adopt_begin(Queues *queues, Store *store) {
    assert(store->away && !store->adopting);
    if (shard_with(queues, store)->is_leaving)
        return -EBUSY;
    store->adopting = true;
    return 0;
}

void queues_adopt_end(Queues *queues, Store *store) {
    StoreShard *shard = shard_with(queues, store);
    Queue *queue;

    assert(store->adopting);
    store->adopting = store->away = false;
    store->owner = (StoreOwner){0};
    in_flight_shard_here(queues, shard);
    facts_shard_here(queues, store);
    DL_FOREACH2(shard->queues, queue, shard_next) {
        queue->told_away = false;
        if (queue->n_pulls > 0 && queue->n_ready > 0)
            queue_touch(queue);
        queue_maybe_idle(queue);
    }
}

void queues_owner_changed(Queues *queues, const Store *store) {
    Queue *queue;

    if (!store->away)
        return;
    DL_FOREACH2(shard_with(queues, store)->queues, queue, shard_next) {
        if (queue->n_pulls == 0)
            continue;
        queue->told_away = false;
        queue_touch(queue);
    }
}

/* ---- away ---- */

bool queues_close_shard(Queues *queues, Store *store) {
    if (!store->closing)
        sweeps_shard_left(queues, store);
    store->closing = true;
    return store->n_open == 0;
}

void queues_release_shard(Queues *queues, Store *store) {
    StoreShard *shard = shard_with(queues, store);
    Queue *queue;

    assert(!store->away || store->adopting);
    store->away = true;
    store->adopting = store->closing = store->has_changes = store->broken = store->lost = false;
    *store->degraded = '\0';
    sweeps_shard_left(queues, store);
    pendings_shard_left(queues, store);
    waiters_shard_left(queues, store);
    facts_shard_left(queues, store);
    assert(store->n_open == 0);
    DL_FOREACH2(shard->queues, queue, shard_next) {
        queue->leaving = true;
    }
    shard->leaving = shard->queues;
    shard->queues = NULL;
    job_table_walk(queues, &shard->pages);
    shard->is_leaving = true;
    DL_APPEND(queues->leaving, shard);
}

/* ---- one slice in each turn ---- */

static void job_leaves(Job *job) {
    Queue *queue = queue_of(job);

    if (job->state == JOB_IN_FLIGHT)
        lease_tell_lost(job, LOST_AWAY);
    lease_end(job);
    job_free(job);
    if (queue->n_jobs == 0)
        queue_maybe_idle(queue);
}

/* Handles up to max queues and keys; returns the number that is left. */
static unsigned queues_leave(StoreShard *shard, unsigned max) {
    while (shard->leaving && max > 0) {
        Queue *queue = shard->leaving;

        max -= (unsigned)keys_free(queue, max);
        if (max == 0)
            break;
        max--;
        DL_DELETE2(shard->leaving, queue, shard_prev, shard_next);
        DL_APPEND2(shard->queues, queue, shard_prev, shard_next);
        queue->leaving = queue->paused = queue->told_away = false;
        queue_touch(queue); /* tells its pulls */
        queue_maybe_idle(queue);
    }
    return max;
}

void shards_go_on(Queues *queues) {
    StoreShard *shard = queues->leaving;
    unsigned left;

    if (!shard)
        return;
    left = queues_leave(shard, QUEUE_SLICE);
    if (left == 0 || job_table_walk_on(queues, &shard->pages, shard->store, left, job_leaves))
        return;
    if (shard->held) /* its adoption has failed */
        in_flight_free(shard->held);
    shard->held = NULL;
    shard->is_leaving = false;
    DL_DELETE(queues->leaving, shard);
}

void shards_free(Queues *queues) {
    while (queues->leaving) {
        StoreShard *shard = queues->leaving;

        DL_DELETE(queues->broker->walks, &shard->pages);
        DL_DELETE(queues->leaving, shard);
        shard->is_leaving = false;
    }
}
