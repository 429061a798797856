/* SPDX-License-Identifier: Apache-2.0 */

/* Restores the jobs of a store when the broker starts. See store.h. */

#include <assert.h>
#include <errno.h>
#include <utlist.h>

#include "base/log.h"
#include "broker/queues/changes-private.h"
#include "broker/queues/jobs-private.h"
#include "broker/queues/pulls-private.h"
#include "broker/queues/queues-private.h"
#include "broker/queues/restored-private.h"
#include "broker/queues/shards-private.h"

int queues_add_store(Queues *queues, Store *store) {
    if (queues->n_stores == QUEUE_STORES_MAX || store->shard > STORE_SHARDS_MAX)
        return -ENOSPC;
    if (store->shard) {
        assert(store->shard == queues->n_shards + 1 && store->away);
        assert(!queues->pages && "the number of a job names its shard");
        queues->shards[queues->n_shards++].store = store;
    }
    store->done = queues_store_done;
    store->ctx = queues;
    queues->stores[queues->n_stores++] = store;
    return 0;
}

/* Puts the job in flight, as if its worker's session had just been lost. */
static int restore_held(Queues *queues, Job *job) {
    const Store *store = queue_of(job)->settings.store;
    InFlight *in_flight = store->away
                              ? in_flight_of_shard(queues, &queues->shards[store->shard - 1])
                              : in_flight_restored(queues);

    if (!in_flight)
        return -ENOMEM;
    job->state = JOB_IN_FLIGHT;
    job->in_flight = in_flight;
    job->u.lost_ms = queues->broker->now_ms;
    DL_APPEND(in_flight->lost, job);
    queue_of(job)->n_in_flight++;
    return 0;
}

/* The queue has its jobs in this store from now on, even if the configuration names another one. */
static int queue_of_store(Queues *queues, Store *store, Span name, Queue **ret) {
    Problem problem;
    Queue *queue = queue_get(queues, name, &problem);

    if (!queue)
        return -EINVAL;
    if (queue->settings.store != store && queue->n_jobs > 0 && store->shard) {
        log_error("queue '%s' has jobs in two stores: store='%s' store='%s': give it the same "
                  "durability at all brokers",
                  queue->name, store_shown(queue->settings.store), store->ops->durability);
        return -EEXIST;
    }
    if (queue->settings.store != store && !store->shard)
        queue->keeps_store = true;
    queue_set_store(queue, store);
    *ret = queue;
    return 0;
}

int queues_restore_queue(Queues *queues, Store *store, Span name, bool is_paused) {
    Queue *queue = NULL;
    int r = queue_of_store(queues, store, name, &queue);

    if (r == 0)
        queue->paused = is_paused;
    return r;
}

int queues_restore_job(Queues *queues, Store *store, Span name, const StoredJob *as, Span reason,
                       const Message *content, StoredJob **ret) {
    JobParts parts = {.content = content,
                      .may_page_out = !as->held,
                      .id = as->id,
                      .priority = as->priority < PRIORITIES ? as->priority : PRIORITIES - 1};
    Queue *queue = NULL;
    Job *job;
    int r;

    if (as->id == 0 || job_table_get(queues, as->id))
        return -EEXIST;
    r = queue_of_store(queues, store, name, &queue);
    if (r < 0)
        return r;
    job = job_new(queue, &parts);
    if (!job)
        return -ENOMEM;
    job->stored = *as;
    job->stored.queue = &queue->stored;
    job->stored.priority = parts.priority;
    job_set_reason(job, reason);
    if (!as->held) {
        job_enter(job);
    } else if (restore_held(queues, job) < 0) {
        job_free(job);
        return -ENOMEM;
    }
    *ret = &job->stored;
    return 0;
}

void queues_restore_last(Queues *queues, uint64_t last_job) {
    if (queues->last_job < last_job)
        queues->last_job = last_job;
}

int queues_restore_key(Queues *queues, Span name, Span key, uint64_t until_ms) {
    Problem problem;
    Queue *queue;
    Key *before;

    if (key.len == 0 || key.len > QUEUE_KEY_MAX)
        return -EINVAL;
    if (until_ms <= queues->broker->now_ms)
        return 0;
    queue = queue_get(queues, name, &problem);
    if (!queue)
        return -EINVAL;
    /* A key that max_keys had ended was used again: the later job counts. */
    before = key_find(queue, key);
    if (before && before->until_ms >= until_ms)
        return 0;
    if (before)
        key_forget(queue, before);
    if (!key_add(queue, key, until_ms))
        return -ENOMEM;
    keys_trim(queue);
    return 0;
}

int queues_restore(Queues *queues, ferry_error *reterr) {
    for (; queues->n_restored < queues->n_stores; queues->n_restored++) {
        Store *store = queues->stores[queues->n_restored];
        int r = store->ops->restore && !store->away
                    ? store->ops->restore(store, QUEUE_SLICE, reterr)
                    : 0;

        if (r != 0)
            return r;
    }
    return 0;
}

/* ---- push ids, keys and queues that a store may forget ---- */

bool queues_knows_push(const Queues *queues, const uint8_t *id_of_client, uint64_t id) {
    const Client *client;

    HASH_FIND(hh, queues->broker->clients.by_id, id_of_client, WIRE_TOKEN, client);
    if (client && client->dedup_window && dedup_window_has(client->dedup_window, id))
        return true;
    return restored_pushes_have(queues, id_of_client, id);
}

uint64_t queues_key_until(Queues *queues, Span name, Span text) {
    Queue *queue = queue_find(queues, name);
    const Key *key = queue && queue->keys ? key_find(queue, text) : NULL;

    return key ? key->until_ms : 0;
}

bool queues_is_paused(Queues *queues, Span name) {
    const Queue *queue = queue_find(queues, name);

    return queue && queue->paused;
}

uint64_t queues_last_job(const Queues *queues) {
    return queues->last_job;
}
