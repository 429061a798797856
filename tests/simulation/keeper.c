/* SPDX-License-Identifier: Apache-2.0 */
/* A shared store in virtual time. See keeper.h. */

#include "keeper.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/hash.h"
#include "broker/queues/queues.h"
#include "rpc/wire/stored-message.h"

typedef struct KeptJob {
    UT_hash_handle hh;
    uint64_t id;
    StoredJob job; /* its queue is queue_name */
    char queue_name[64];
    uint8_t body[16];
    uint32_t body_len;
} KeptJob;

typedef struct Space {
    KeptJob *jobs; /* uthash by id */
    uint64_t token, lease_until_us, delay_us, last_job;
} Space;

struct Keeper {
    Space *spaces;
    unsigned n_spaces, n_clients, pushes_of_client;
    uint8_t *stored; /* by client and push id: the push was stored */
    KeeperCounts counts;
};

typedef struct Change {
    struct Change *next;
    uint64_t ticket;
    KeptJob *append; /* owned; NULL: the change has no new job */
    uint64_t settle; /* the id of a job; 0: none is settled */
    uint32_t client, push;
    bool is_push, is_refused;
} Change;

/* The changes of one flush. */
typedef struct Batch {
    struct Batch *next;
    Change *changes;
    bool has_arrived;
} Batch;

struct KeeperStore {
    Store store;
    Keeper *keeper;
    Space *space;
    unsigned number; /* of the space */
    uint64_t token;
    struct Queues *queues;
    Change *open; /* of this turn */
    Batch *sent;
    void (*on_flush)(void *ctx);
    void *ctx;
};

static void *get(size_t n, size_t size) {
    void *memory = calloc(n, size);

    if (!memory)
        abort();
    return memory;
}

/* ---- clients ---- */

void client_token(uint32_t client, uint8_t token[WIRE_TOKEN]) {
    memset(token, 0, WIRE_TOKEN);
    memcpy(token, &client, sizeof(client));
    token[WIRE_TOKEN - 1] = 1;
}

uint32_t client_of_token(const uint8_t *token) {
    uint32_t client;

    memcpy(&client, token, sizeof(client));
    return client;
}

/* ---- the keeper ---- */

Keeper *keeper_new(unsigned n_spaces, unsigned n_clients, unsigned pushes_of_client) {
    Keeper *keeper = get(1, sizeof(*keeper));

    keeper->spaces = get(n_spaces, sizeof(*keeper->spaces));
    keeper->stored = get(n_clients, pushes_of_client + 1);
    keeper->n_spaces = n_spaces;
    keeper->n_clients = n_clients;
    keeper->pushes_of_client = pushes_of_client;
    return keeper;
}

const KeeperCounts *keeper_counts(const Keeper *keeper) {
    return &keeper->counts;
}

size_t keeper_n_jobs(const Keeper *keeper) {
    size_t n = 0;

    for (unsigned i = 0; i < keeper->n_spaces; i++)
        n += HASH_COUNT(keeper->spaces[i].jobs);
    return n;
}

void keeper_set_delay(Keeper *keeper, unsigned space, uint64_t us) {
    keeper->spaces[space].delay_us = us;
}

uint64_t keeper_delay(const Keeper *keeper, unsigned space) {
    return keeper->spaces[space].delay_us;
}

uint64_t keeper_lease(Keeper *keeper, unsigned number, uint64_t now_us, uint64_t for_us) {
    Space *space = &keeper->spaces[number];

    if (space->lease_until_us > now_us)
        return 0;
    space->lease_until_us = now_us + for_us;
    keeper->counts.leases++;
    return ++space->token;
}

bool keeper_renew(Keeper *keeper, unsigned number, uint64_t token, uint64_t until_us) {
    Space *space = &keeper->spaces[number];

    if (space->token != token)
        return false;
    space->lease_until_us = until_us;
    return true;
}

bool keeper_is_owner(const Keeper *keeper, unsigned number, uint64_t token) {
    return keeper->spaces[number].token == token;
}

static uint8_t *stored_at(const Keeper *keeper, uint32_t client, uint64_t push) {
    if (client >= keeper->n_clients || push > keeper->pushes_of_client)
        abort();
    return &keeper->stored[(size_t)client * (keeper->pushes_of_client + 1) + push];
}

static void remove_job(Space *space, uint64_t id) {
    KeptJob *kept;

    HASH_FIND(hh, space->jobs, &id, sizeof(id), kept);
    if (!kept)
        return;
    HASH_DEL(space->jobs, kept);
    free(kept);
}

static void apply(KeeperStore *store, Change *change) {
    Keeper *keeper = store->keeper;
    Space *space = store->space;

    keeper->counts.changes++;
    if (space->token != store->token) {
        change->is_refused = true;
        keeper->counts.refused++;
        return;
    }
    if (change->is_push) {
        uint8_t *stored = stored_at(keeper, change->client, change->push);

        keeper->counts.stored_twice += *stored;
        *stored = 1;
    }
    if (change->settle)
        remove_job(space, change->settle);
    if (change->append) {
        space->last_job =
            change->append->id > space->last_job ? change->append->id : space->last_job;
        HASH_ADD(hh, space->jobs, id, sizeof(change->append->id), change->append);
        change->append = NULL;
    }
}

void keeper_arrived(KeeperStore *store) {
    Batch *batch = store->sent;

    while (batch->has_arrived)
        batch = batch->next;
    for (Change *change = batch->changes; change; change = change->next)
        apply(store, change);
    batch->has_arrived = true;
}

/* ---- the ops of the store ---- */

static KeptJob *copy_of(const StoredJob *job) {
    KeptJob *kept = get(1, sizeof(*kept));
    Message content = {.op = OP_PUSH};
    Span body;

    stored_job_content(job, &content);
    body = message_body(&content);
    if (body.len > sizeof(kept->body))
        abort();
    kept->id = job->id;
    kept->job = *job;
    kept->body_len = (uint32_t)body.len;
    memcpy(kept->body, body.data, body.len);
    snprintf(kept->queue_name, sizeof(kept->queue_name), "%s", job->queue->name);
    return kept;
}

static Change *begin(Store *base, uint64_t ticket) {
    KeeperStore *store = (KeeperStore *)base;
    Change *change = get(1, sizeof(*change));

    change->ticket = ticket;
    LL_APPEND(store->open, change);
    return change;
}

static int append(Store *base, uint64_t ticket, StoredJob *job, const StoredPush *by) {
    Change *change = begin(base, ticket);

    change->append = copy_of(job);
    if (by && by->client && by->id) {
        change->is_push = true;
        change->client = client_of_token(by->client);
        change->push = (uint32_t)by->id;
    }
    return STORE_LATER;
}

static int settle(Store *base, uint64_t ticket, StoredJob *job) {
    begin(base, ticket)->settle = job->id;
    return STORE_LATER;
}

static int forward(Store *base, uint64_t ticket, StoredJob *old, StoredJob *job,
                   const StoredPush *by) {
    append(base, ticket, job, by);
    ((KeeperStore *)base)->open->settle = old->id;
    return STORE_LATER;
}

static void flush(Store *base) {
    KeeperStore *store = (KeeperStore *)base;
    Batch *batch;

    if (!store->open)
        return;
    batch = get(1, sizeof(*batch));
    batch->changes = store->open;
    store->open = NULL;
    LL_APPEND(store->sent, batch);
    store->on_flush(store->ctx);
}

/* Jobs are restored in the order of their ids. */
static int by_id(const KeptJob *one, const KeptJob *two) {
    return one->id < two->id ? -1 : one->id > two->id;
}

static int restore(Store *base, size_t max, ferry_error *reterr) {
    KeeperStore *store = (KeeperStore *)base;
    Keeper *keeper = store->keeper;
    uint8_t token[WIRE_TOKEN];

    (void)max;
    (void)reterr;
    HASH_SORT(store->space->jobs, by_id);
    for (KeptJob *kept = store->space->jobs; kept; kept = kept->hh.next) {
        Message content = {.body = span_of(kept->body, kept->body_len)};
        StoredJob *job;

        if (queues_restore_job(store->queues, base, span_text(kept->queue_name), &kept->job,
                               (Span){NULL, 0}, &content, &job) < 0)
            abort();
    }
    /* Client i belongs to the space i % n_spaces. */
    for (uint32_t i = store->number; i < keeper->n_clients; i += keeper->n_spaces) {
        client_token(i, token);
        for (uint64_t push = 1; push <= keeper->pushes_of_client; push++)
            if (*stored_at(keeper, i, push) && queues_restore_push(store->queues, token, push) < 0)
                abort();
    }
    queues_restore_last(store->queues, store->space->last_job);
    return 0;
}

static const StoreOps ops = {
    .durability = "keeper",
    .confirms = DURABILITY_REDIS,
    .later = true,
    .restore = restore,
    .append = append,
    .settle = settle,
    .forward = forward,
    .flush = flush,
};

/* ---- its life ---- */

KeeperStore *keeper_store_new(Keeper *keeper, unsigned space, uint64_t token,
                              void (*on_flush)(void *ctx), void *ctx) {
    KeeperStore *store = get(1, sizeof(*store));

    store->store.ops = &ops;
    store->keeper = keeper;
    store->number = space;
    store->space = &keeper->spaces[space];
    store->token = token;
    store->on_flush = on_flush;
    store->ctx = ctx;
    return store;
}

static void free_changes(Change *changes) {
    Change *change, *next;

    LL_FOREACH_SAFE(changes, change, next) {
        free(change->append);
        free(change);
    }
}

void keeper_answered(KeeperStore *store) {
    Batch *batch = store->sent;

    if (!batch->has_arrived)
        abort();
    store->sent = batch->next;
    for (Change *change = batch->changes; change; change = change->next) {
        if (change->is_refused)
            store->store.lost = true; /* never confirmed */
        else
            store->store.done(change->ticket, 0, store->store.ctx);
    }
    free_changes(batch->changes);
    free(batch);
}

void keeper_store_free(KeeperStore *store) {
    Batch *batch, *next;

    LL_FOREACH_SAFE(store->sent, batch, next) {
        free_changes(batch->changes);
        free(batch);
    }
    free_changes(store->open);
    free(store);
}

void keeper_store_open(KeeperStore *store, struct Queues *queues) {
    ferry_error error = FERRY_ERROR_INIT;

    store->queues = queues;
    if (queues_add_store(queues, &store->store) < 0)
        abort();
    queues_set_default_store(queues, &store->store);
    if (queues_open_stores(queues, NULL, &error) < 0)
        abort();
    while (queues_restore(queues, &error) > 0)
        continue;
}

bool keeper_store_is_lost(const KeeperStore *store) {
    return store->store.lost;
}
