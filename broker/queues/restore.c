/* SPDX-License-Identifier: Apache-2.0 */

/* Restores the jobs of a store when the broker starts. See store.h. */

#include <assert.h>
#include <errno.h>

#include "base/container.h"
#include "base/log.h"
#include "broker/queues/internal.h"

/* The pushes of a client that an earlier process stored, until the client comes back. */
typedef struct RestoredPushes {
    UT_hash_handle hh;
    uint8_t client[WIRE_TOKEN];
    DedupWindow *ids;
    bool is_origin; /* the origin of moved jobs, not a client: see queue_name_as_client() */
} RestoredPushes;

int queues_add_store(Queues *queues, Store *store) {
    if (queues->n_stores == sizeof(queues->stores) / sizeof(*queues->stores))
        return -ENOSPC;
    store->done = queues_store_done;
    store->ctx = queues;
    queues->stores[queues->n_stores++] = store;
    return 0;
}

/* Holds the job as if its worker's session had just been lost. */
static int restore_held(Queues *queues, Job *job) {
    InFlight *in_flight = in_flight_restored(queues);

    if (!in_flight || id_map_put(&queues->leased, job->stored.id, job) < 0)
        return -ENOMEM;
    job->leased = true;
    job->state = JOB_IN_FLIGHT;
    job->in_flight = in_flight;
    job->u.lost_ms = queues->broker->now_ms;
    jobs_append(&in_flight->lost, job);
    queue_of(job)->n_in_flight++;
    return 0;
}

int queues_restore_queue(Queues *queues, Store *store, Span name, bool is_paused) {
    Problem problem;
    Queue *queue = queue_get(queues, name, &problem);

    if (!queue)
        return -EINVAL;
    /* The jobs stay in their store, even if the configuration names another one. */
    queue->settings.store = store;
    queue->paused = is_paused;
    return 0;
}

int queues_restore_job(Queues *queues, Store *store, Span name, const StoredJob *as, Span reason,
                       const Message *content, const void *block, StoredJob **ret) {
    JobParts parts = {.headers = content->headers,
                      .body = content->body,
                      .passed = content->passed,
                      .block = block,
                      .priority = as->priority < PRIORITIES ? as->priority : PRIORITIES - 1};
    Problem problem;
    Queue *queue;
    Job *job;

    if (as->id == 0 || id_map_get(&queues->leased, as->id))
        return -EEXIST;
    queue = queue_get(queues, name, &problem);
    if (!queue)
        return -EINVAL;
    job = job_new(queue, &parts);
    if (!job)
        return -ENOMEM;
    /* The job stays in its store, even if the configuration names another one. */
    queue->settings.store = store;
    job->stored = *as;
    job->stored.queue = &queue->stored;
    job->stored.priority = parts.priority;
    job_set_reason(job, reason);
    if (queues->last_job < as->id)
        queues->last_job = as->id;
    if (!as->held) {
        job_enter(job);
    } else if (restore_held(queues, job) < 0) {
        job_free(job);
        return -ENOMEM;
    }
    *ret = &job->stored;
    return 0;
}

int queues_restore_key(Queues *queues, Span name, Span key, uint64_t until_ms) {
    Problem problem;
    Queue *queue;

    if (key.len == 0 || key.len > QUEUE_KEY_MAX)
        return -EINVAL;
    if (until_ms <= queues->broker->now_ms)
        return 0;
    queue = queue_get(queues, name, &problem);
    if (!queue)
        return -EINVAL;
    return key_find(queue, key) || key_add(queue, key, until_ms) ? 0 : -ENOMEM;
}

/* ---- pushes ---- */

void queue_name_as_client(const Queue *queue, uint8_t name[WIRE_TOKEN]) {
    XXH128_hash_t hash = XXH3_128bits(queue->name, queue->stored.name_len);

    static_assert(sizeof(hash) == WIRE_TOKEN, "as long as the id of a client");
    memcpy(name, &hash, sizeof(hash));
}

void stores_forget_pushes(Queues *queues, const uint8_t *client, uint64_t floor) {
    for (size_t i = 0; i < queues->n_stores; i++)
        store_forget_pushes(queues->stores[i], client, floor);
}

static RestoredPushes *restored_find(const Queues *queues, const uint8_t *client) {
    RestoredPushes *found;

    HASH_FIND(hh, queues->restored_pushes, client, WIRE_TOKEN, found);
    return found;
}

static void restored_free(Queues *queues, RestoredPushes *restored) {
    HASH_DEL(queues->restored_pushes, restored);
    dedup_window_free(restored->ids);
    free(restored);
}

/* Forgets the clients that have not come back, in the same way as lost clients. */
static void on_restored_timer(Timer *timer, void *ctx) {
    Queues *queues = container_of(timer, Queues, restored_timer);
    RestoredPushes *restored, *next;
    uint8_t name[WIRE_TOKEN];

    (void)ctx;
    /* Pushes that moved jobs here from another store are kept as long as that queue exists. */
    for (Queue *queue = queues->table; queue; queue = queue->hh.next) {
        queue_name_as_client(queue, name);
        restored = restored_find(queues, name);
        if (restored)
            restored->is_origin = true;
    }
    HASH_ITER(hh, queues->restored_pushes, restored, next) {
        if (restored->is_origin)
            continue;
        stores_forget_pushes(queues, restored->client, UINT64_MAX);
        restored_free(queues, restored);
    }
}

int queues_restore_push(Queues *queues, const uint8_t *client, uint64_t id) {
    Broker *broker = queues->broker;
    RestoredPushes *restored = restored_find(queues, client);

    if (!restored) {
        restored = calloc(1, sizeof(*restored));
        if (!restored)
            return -ENOMEM;
        memcpy(restored->client, client, WIRE_TOKEN);
        restored->ids = dedup_window_new(&broker->stored_bytes);
        HASH_ADD(hh, queues->restored_pushes, client, WIRE_TOKEN, restored);
        if (!hash_added(restored)) {
            dedup_window_free(restored->ids);
            free(restored);
            return -ENOMEM;
        }
        if (!timer_armed(&queues->restored_timer))
            timer_arm(&broker->timers, &queues->restored_timer,
                      broker->now_ms + broker->limits.client_memory_ms, on_restored_timer);
    }
    return restored->ids ? dedup_window_add(restored->ids, id, SIZE_MAX) : -ENOMEM;
}

bool restored_pushes_have(const Queues *queues, const uint8_t *client, uint64_t id) {
    const RestoredPushes *restored = restored_find(queues, client);

    return restored && dedup_window_has(restored->ids, id);
}

void restored_pushes_adopt(Queues *queues, Client *client) {
    RestoredPushes *restored = restored_find(queues, client->id);

    if (!restored || client->dedup_window)
        return;
    client->dedup_window = restored->ids;
    restored->ids = NULL;
    restored_free(queues, restored);
}

void restored_pushes_queue_gone(Queue *queue) {
    Queues *queues = queue->queues;
    uint8_t name[WIRE_TOKEN];
    RestoredPushes *restored;

    if (queues->n_stores < 2)
        return;
    queue_name_as_client(queue, name);
    restored = restored_find(queues, name);
    if (restored)
        restored_free(queues, restored);
    stores_forget_pushes(queues, name, UINT64_MAX);
}

void restored_pushes_free(Queues *queues) {
    RestoredPushes *restored, *next;

    timer_disarm(&queues->broker->timers, &queues->restored_timer);
    HASH_ITER(hh, queues->restored_pushes, restored, next) {
        restored_free(queues, restored);
    }
}

/* ---- stores ---- */

int queues_open_stores(Queues *queues, int wake_fd) {
    int r = 0;

    for (size_t i = 0; i < queues->n_stores && r == 0; i++)
        if (queues->stores[i]->ops->open)
            r = queues->stores[i]->ops->open(queues->stores[i], wake_fd);
    return r;
}

int queues_restore(Queues *queues) {
    for (; queues->n_restored < queues->n_stores; queues->n_restored++) {
        Store *store = queues->stores[queues->n_restored];
        int r = store->ops->restore ? store->ops->restore(store, QUEUE_SLICE) : 0;

        if (r != 0)
            return r;
    }
    return 0;
}

void queues_process_stores(Queues *queues) {
    for (size_t i = 0; i < queues->n_stores; i++)
        if (queues->stores[i]->ops->process)
            queues->stores[i]->ops->process(queues->stores[i]);
}

void stores_flush(Queues *queues) {
    for (size_t i = 0; i < queues->n_stores; i++)
        store_flush(queues->stores[i]);
}

void store_set_degraded(Store *store, const char *reason) {
    bool was = *store->degraded != '\0';

    if (reason && !was)
        log_error("store '%s' cannot write, pushes are not confirmed: %s", store->ops->durability,
                  reason);
    else if (!reason && was)
        log_info("store '%s' can write again", store->ops->durability);
    snprintf(store->degraded, sizeof(store->degraded), "%s", reason ? reason : "");
}

const char *queues_degraded(const Queues *queues) {
    for (size_t i = 0; i < queues->n_stores; i++)
        if (*queues->stores[i]->degraded)
            return queues->stores[i]->degraded;
    return NULL;
}
