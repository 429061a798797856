/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The ids of the pushes that a store had when the broker started. A push that is sent again is
 * found here until its client is back and takes the ids into its dedup window. See
 * queues-private.h.
 */

#include <assert.h>

#include "base/container.h"
#include "broker/queues/queues-private.h"

/* The pushes of one client that an earlier process stored. */
typedef struct RestoredPushes {
    UT_hash_handle hh;
    uint8_t client[WIRE_TOKEN];
    DedupWindow *ids;
    uint64_t until_ms; /* then it is forgotten, if the client has not come back */
    bool is_origin; /* the origin of moved jobs instead of a client: see queue_name_as_client() */
} RestoredPushes;

void queue_name_as_client(const Queue *queue, uint8_t name[WIRE_TOKEN]) {
    XXH128_hash_t hash = XXH3_128bits(queue->name, queue->stored.name_len);

    static_assert(sizeof(hash) == WIRE_TOKEN, "as long as the id of a client");
    memcpy(name, &hash, sizeof(hash));
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

/* Forgets clients that have not come back, as the broker forgets lost clients. */
static void on_restored_timer(Timer *timer, void *ctx) {
    Queues *queues = container_of(timer, Queues, restored_timer);
    uint64_t now_ms = queues->broker->now_ms, next_ms = UINT64_MAX;
    RestoredPushes *restored, *next;
    uint8_t name[WIRE_TOKEN];

    (void)ctx;
    /* Ids of pushes that moved jobs from a queue to another store are kept as long as that queue
     * exists. */
    for (Queue *queue = queues->table; queue; queue = queue->hh.next) {
        queue_name_as_client(queue, name);
        restored = restored_find(queues, name);
        if (restored)
            restored->is_origin = true;
    }
    HASH_ITER(hh, queues->restored_pushes, restored, next) {
        if (restored->is_origin)
            continue;
        if (restored->until_ms > now_ms) {
            next_ms = restored->until_ms < next_ms ? restored->until_ms : next_ms;
            continue;
        }
        stores_forget_pushes(queues, restored->client, UINT64_MAX);
        restored_free(queues, restored);
    }
    if (next_ms != UINT64_MAX)
        timer_arm(&queues->broker->timers, timer, next_ms, on_restored_timer);
}

/* A shard has come here, and its pushes are of a client that this broker knows already. */
static int add_to_client(Queues *queues, Client *client, uint64_t id) {
    if (!client->dedup_window)
        client->dedup_window = dedup_window_new(&queues->broker->budget.bytes[BUDGET_QUEUES]);
    return client->dedup_window
               ? dedup_window_add(client->dedup_window, id, queues->broker->limits.max_unconfirmed)
               : -ENOMEM;
}

int queues_restore_push(Queues *queues, const uint8_t *client, uint64_t id) {
    Broker *broker = queues->broker;
    RestoredPushes *restored = restored_find(queues, client);
    Client *known;

    HASH_FIND(hh, broker->clients, client, WIRE_TOKEN, known);
    if (known)
        return add_to_client(queues, known, id);
    if (!restored) {
        restored = calloc(1, sizeof(*restored));
        if (!restored)
            return -ENOMEM;
        memcpy(restored->client, client, WIRE_TOKEN);
        restored->ids = dedup_window_new(&broker->budget.bytes[BUDGET_QUEUES]);
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
    restored->until_ms = broker->now_ms + broker->limits.client_memory_ms;
    return restored->ids ? dedup_window_add(restored->ids, id, SIZE_MAX) : -ENOMEM;
}

bool restored_pushes_have(const Queues *queues, const uint8_t *client, uint64_t id) {
    const RestoredPushes *restored = restored_find(queues, client);

    return restored && dedup_window_has(restored->ids, id);
}

uint64_t queues_last_of_origin(const Queues *queues, const uint8_t *origin) {
    const RestoredPushes *restored = restored_find(queues, origin);

    return restored ? dedup_window_last(restored->ids) : 0;
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
