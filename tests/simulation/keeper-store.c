/* SPDX-License-Identifier: Apache-2.0 */
/* The store of a broker, or one shard of it, with a space of the keeper behind it. See keeper.h. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "broker/queues/queues.h"
#include "keeper-private.h"
#include "rpc/wire/stored-message.h"

/* The changes of one flush. */
typedef struct Batch {
    struct Batch *next;
    Change *changes;
    uint64_t token;
    bool has_arrived;
} Batch;

struct KeeperStore {
    Store store;
    Keeper *keeper;
    Space *space;
    unsigned number, broker; /* of the space, and of the broker */
    uint64_t token;
    struct Queues *queues;
    Change *open; /* of this turn */
    Batch *sent;
    KeptJob *to_restore;
    size_t n_restored_pushes;
    bool is_restoring;
    KeeperFlushFn on_flush;
    void *ctx;
};

/* ---- the ops of the store ---- */

static KeptJob *copy_of(const StoredJob *job) {
    KeptJob *kept = keeper_get(1, sizeof(*kept));
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
    Change *change = keeper_get(1, sizeof(*change));

    change->ticket = ticket;
    LL_APPEND(store->open, change);
    return change;
}

static Change *begin_append(Store *base, uint64_t ticket, const StoredJob *job,
                            const StoredPush *by) {
    Change *change = begin(base, ticket);

    change->append = copy_of(job);
    if (by && by->client && by->id) {
        change->is_push = true;
        change->push = (KeptPush){client_of_token(by->client), (uint32_t)by->id};
    }
    return change;
}

static int append(Store *base, uint64_t ticket, StoredJob *job, const StoredPush *by) {
    begin_append(base, ticket, job, by);
    return STORE_LATER;
}

static int settle(Store *base, uint64_t ticket, StoredJob *job) {
    begin(base, ticket)->settle = job->id;
    return STORE_LATER;
}

static int forward(Store *base, uint64_t ticket, StoredJob *old, StoredJob *job,
                   const StoredPush *by) {
    begin_append(base, ticket, job, by)->settle = old->id;
    return STORE_LATER;
}

static void flush(Store *base) {
    KeeperStore *store = (KeeperStore *)base;
    Batch *batch;

    if (!store->open)
        return;
    batch = keeper_get(1, sizeof(*batch));
    batch->changes = store->open;
    batch->token = store->token;
    store->open = NULL;
    LL_APPEND(store->sent, batch);
    store->on_flush(store->ctx, store);
}

/* ---- restoring ---- */

/* Jobs are restored in the order of their ids. */
static int by_id(const KeptJob *one, const KeptJob *two) {
    return one->id < two->id ? -1 : one->id > two->id;
}

static void restore_job(KeeperStore *store, KeptJob *kept) {
    Message content = {.body = span_of(kept->body, kept->body_len)};
    StoredJob *job;

    if (queues_restore_job(store->queues, &store->store, span_text(kept->queue_name), &kept->job,
                           (Span){NULL, 0}, &content, &job) < 0)
        abort();
}

static void restore_push(KeeperStore *store, const KeptPush *push) {
    uint8_t token[WIRE_TOKEN];

    client_token(push->client, 0, token);
    if (queues_restore_push(store->queues, token, push->push) < 0)
        abort();
}

int keeper_store_restore(KeeperStore *store, size_t max) {
    Space *space = store->space;

    if (space->token != store->token)
        return -ESTALE;
    if (!store->is_restoring) {
        HASH_SORT(space->jobs, by_id);
        store->to_restore = space->jobs;
        store->n_restored_pushes = 0;
        store->is_restoring = true;
    }
    for (; max > 0 && store->to_restore; max--) {
        restore_job(store, store->to_restore);
        store->to_restore = store->to_restore->hh.next;
    }
    for (; max > 0 && store->n_restored_pushes < space->n_pushes; max--)
        restore_push(store, &space->pushes[store->n_restored_pushes++]);
    if (max == 0)
        return STORE_HAS_MORE;
    queues_restore_last(store->queues, space->last_job);
    store->is_restoring = false;
    return 0;
}

static int restore(Store *base, size_t max, ferry_error *reterr) {
    (void)reterr;
    return keeper_store_restore((KeeperStore *)base, max);
}

static const StoreOps ops = {
    .durability = "redis",
    .confirms = DURABILITY_REDIS,
    .later = true,
    .restore = restore,
    .append = append,
    .settle = settle,
    .forward = forward,
    .flush = flush,
};

/* ---- its life ---- */

KeeperStore *keeper_store_new(Keeper *keeper, unsigned space, unsigned shard, unsigned broker,
                              KeeperFlushFn on_flush, void *ctx) {
    KeeperStore *store = keeper_get(1, sizeof(*store));

    store->store.ops = &ops;
    store->store.shard = shard;
    store->store.away = shard > 0;
    store->keeper = keeper;
    store->number = space;
    store->space = keeper_space(keeper, space);
    store->broker = broker;
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

void keeper_store_free(KeeperStore *store) {
    Batch *batch, *next;

    LL_FOREACH_SAFE(store->sent, batch, next) {
        free_changes(batch->changes);
        free(batch);
    }
    free_changes(store->open);
    free(store);
}

Store *keeper_store_base(KeeperStore *store) {
    return &store->store;
}

uint64_t keeper_store_delay(const KeeperStore *store) {
    return store->space->delay_us;
}

bool keeper_store_is_lost(const KeeperStore *store) {
    return store->store.lost;
}

void keeper_store_take(KeeperStore *store, uint64_t token, struct Queues *queues) {
    store->token = token;
    store->queues = queues;
    store->is_restoring = false;
}

void keeper_store_leave(KeeperStore *store) {
    free_changes(store->open);
    store->open = NULL;
    store->store.lost = false;
    store->token = 0;
}

void keeper_store_open(KeeperStore *store) {
    ferry_error error = FERRY_ERROR_INIT;

    if (queues_add_store(store->queues, &store->store) < 0)
        abort();
    queues_set_default_store(store->queues, &store->store);
    if (queues_open_stores(store->queues, NULL, &error) < 0)
        abort();
    while (queues_restore(store->queues, &error) > 0)
        continue;
}

/* ---- changes under way ---- */

void keeper_arrived(KeeperStore *store) {
    Batch *batch = store->sent;

    while (batch->has_arrived)
        batch = batch->next;
    for (Change *change = batch->changes; change; change = change->next)
        keeper_apply(store->keeper, store->number, batch->token, store->broker, change);
    batch->has_arrived = true;
}

/* An answer under an earlier token comes after the shard has left: the router ignores it. */
void keeper_answered(KeeperStore *store) {
    Batch *batch = store->sent;

    if (!batch->has_arrived)
        abort();
    store->sent = batch->next;
    for (Change *change = batch->changes; change; change = change->next) {
        if (!change->is_refused)
            store->store.done(change->ticket, 0, store->store.ctx);
        else if (batch->token == store->token)
            store->store.lost = true; /* never confirmed */
    }
    free_changes(batch->changes);
    free(batch);
}
