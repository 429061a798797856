/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The ids of pushes that belong to no client of this broker: pushes that a store had when the
 * broker started, and forwards of jobs of shards. A push that is sent again is found here until its
 * client is back and takes the ids into its dedup window. See queues-private.h.
 */

#include <assert.h>

#include "base/container.h"
#include "broker/queues/queues-private.h"
#include "broker/queues/restored-private.h"
#include "broker/queues/shards-private.h"

enum {
    FORWARD_MEMORY_MS = 3600000, /* an attempt of a job that is redelivered may take this long */
    FORWARD_TRIM = 1024,         /* stores forget the oldest forwards after this many new ones */
};

/* The first bytes of names of forwards. Random ids of clients do not begin like this. */
static const uint8_t forward_mark[] = {0, 'f', 'w', 'd', 0};

/* The pushes of one client that an earlier process stored, or the forwards of a queue. */
typedef struct RestoredPushes {
    UT_hash_handle hh;
    uint8_t client[WIRE_TOKEN]; /* or the name of forwards */
    DedupWindow *ids;
    unsigned n_pending; /* forwards that are being stored: it must stay */
    unsigned n_added;
    uint64_t until_ms; /* then it is forgotten, if the client has not come back */
    bool is_origin; /* the origin of moved jobs instead of a client: see queue_name_as_client() */
} RestoredPushes;

void queue_name_as_client(const Queue *queue, uint8_t name[WIRE_TOKEN]) {
    XXH128_hash_t hash = XXH3_128bits(queue->name, queue->stored.name_len);

    static_assert(sizeof(hash) == WIRE_TOKEN, "as long as the id of a client");
    memcpy(name, &hash, sizeof(hash));
}

bool forwards_have_name(const uint8_t *name) {
    return memcmp(name, forward_mark, sizeof(forward_mark)) == 0;
}

void forwards_name(const User *user, Span queue, uint8_t name[WIRE_TOKEN]) {
    XXH64_hash_t seed = user ? XXH3_64bits(user->name, strlen(user->name)) : 0;
    XXH128_canonical_t hash;

    /* The name is stored, and must be the same at each broker of the cluster. */
    XXH128_canonicalFromHash(&hash, XXH3_128bits_withSeed(queue.data, queue.len, seed));
    memcpy(name, hash.digest, WIRE_TOKEN);
    memcpy(name, forward_mark, sizeof(forward_mark));
}

static RestoredPushes *restored_find(const Queues *queues, const uint8_t *client) {
    RestoredPushes *found;

    HASH_FIND(hh, queues->restored_pushes, client, WIRE_TOKEN, found);
    return found;
}

static void restored_free(Queues *queues, RestoredPushes *restored) {
    HASH_DEL(queues->restored_pushes, restored);
    queues->broker->budget.bytes[BUDGET_QUEUES] -= sizeof(*restored);
    dedup_window_free(restored->ids);
    free(restored);
}

static uint64_t memory_ms(const Queues *queues, const uint8_t *client) {
    return forwards_have_name(client) ? FORWARD_MEMORY_MS : queues->broker->limits.client_memory_ms;
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
        if (restored->until_ms > now_ms || restored->n_pending > 0) {
            if (restored->until_ms <= now_ms)
                restored->until_ms = now_ms + FORWARD_MEMORY_MS;
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

/* Finds or makes the pushes of this name, and remembers them from now on. */
static RestoredPushes *restored_get(Queues *queues, const uint8_t *client) {
    RestoredPushes *restored = restored_find(queues, client);
    Broker *broker = queues->broker;

    if (!restored) {
        restored = calloc(1, sizeof(*restored));
        if (!restored)
            return NULL;
        memcpy(restored->client, client, WIRE_TOKEN);
        restored->ids = dedup_window_new(&broker->budget.bytes[BUDGET_QUEUES]);
        if (restored->ids)
            HASH_ADD(hh, queues->restored_pushes, client, WIRE_TOKEN, restored);
        if (!restored->ids || !hash_added(restored)) {
            dedup_window_free(restored->ids);
            free(restored);
            return NULL;
        }
        broker->budget.bytes[BUDGET_QUEUES] += sizeof(*restored);
        if (!timer_armed(&queues->restored_timer))
            timer_arm(&broker->timers, &queues->restored_timer,
                      broker->now_ms + broker->limits.client_memory_ms, on_restored_timer);
    }
    restored->until_ms = broker->now_ms + memory_ms(queues, client);
    return restored;
}

int queues_restore_push(Queues *queues, const uint8_t *client, uint64_t id) {
    RestoredPushes *restored;
    Client *known;

    HASH_FIND(hh, queues->broker->clients.by_id, client, WIRE_TOKEN, known);
    if (known && !forwards_have_name(client))
        return add_to_client(queues, known, id);
    restored = restored_get(queues, client);
    return restored ? dedup_window_add(restored->ids, id, SIZE_MAX) : -ENOMEM;
}

/* ---- forwards ---- */

RestoredPushes *forwards_reserve(Queues *queues, const uint8_t name[WIRE_TOKEN]) {
    RestoredPushes *forwards;

    if (!restored_find(queues, name) &&
        !budget_allows(&queues->broker->budget, sizeof(RestoredPushes)))
        return NULL;
    forwards = restored_get(queues, name);
    if (!forwards ||
        dedup_window_reserve(forwards->ids, queues->broker->limits.max_unconfirmed) < 0)
        return NULL;
    return forwards;
}

const uint8_t *forwards_client(const RestoredPushes *forwards) {
    return forwards->client;
}

void forwards_hold(RestoredPushes *forwards) {
    forwards->n_pending++;
}

void forwards_let_go(RestoredPushes *forwards) {
    forwards->n_pending--;
}

void forwards_add(Queues *queues, RestoredPushes *forwards, uint64_t job) {
    size_t max = queues->broker->limits.max_unconfirmed;

    dedup_window_add(forwards->ids, job, max);
    if (++forwards->n_added % FORWARD_TRIM == 0 && dedup_window_count(forwards->ids) == max)
        stores_forget_pushes(queues, forwards->client, dedup_window_first(forwards->ids));
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

    if (!restored || client->dedup_window || forwards_have_name(client->id))
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
