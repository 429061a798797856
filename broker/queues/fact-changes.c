/* SPDX-License-Identifier: Apache-2.0 */
/* Commands change facts, and pause queues: the store of a fact, and the answer to the command. See
 * queues.h. */

#include <errno.h>
#include <utlist.h>

#include "broker/queues/changes-private.h"
#include "broker/queues/facts-private.h"
#include "broker/queues/pulls-private.h"
#include "broker/queues/queues-private.h"
#include "broker/queues/shards-private.h"

/* A change that the store has not finished. */
typedef struct FactChange {
    Waiter waiter; /* first: a Waiter is a FactChange */
    struct FactChange *prev, *next;
    uint64_t id;
    Session *session; /* gets the answer; NULL: the session is gone */
    Fact *before;     /* owned: the fact that this change replaces; NULL: the name had no fact */
    uint32_t n_name;  /* 0: a queue is paused or resumed */
    uint8_t shard;
    uint8_t name[];
} FactChange;

static void answer(Session *session, uint64_t id, const Store *store, int result) {
    static const uint8_t nil = 0xC0;

    if (!session || !id)
        return;
    if (result < 0)
        store_error(session, id, store, result);
    else
        session_send(session, LANE_CALLS,
                     &(Message){.op = OP_OK, .id = id, .body = span_of(&nil, 1)}, NULL);
}

static void change_free(Queues *queues, FactChange *change) {
    DL_DELETE(queues->fact_changes, change);
    free(change->before);
    free(change);
}

static void on_kept(Queues *queues, Waiter *waiter, int result) {
    FactChange *change = (FactChange *)waiter;
    Span name = span_of(change->name, change->n_name);
    Fact *failed = NULL;

    /* No memory to restore the old value: the name has no fact from now on. */
    if (result < 0 && name.len > 0 &&
        fact_replace(queues, change->shard, name, change->before, &failed) == 0)
        change->before = failed;
    answer(change->session, change->id, change->waiter.store, result);
    change_free(queues, change);
}

/* The store, beside shards, that outlives the process; NULL: there is no such store. */
static Store *lasting_store(const Queues *queues) {
    for (size_t i = 0; i < queues->n_stores; i++)
        if (queues->stores[i]->ops->keep && !queues->stores[i]->shard)
            return queues->stores[i];
    return NULL;
}

/* The store of this fact of a queue; NULL: it is in memory only. If the settings of the queue
 * change, the fact stays where it is. */
static Store *store_of_fact(Queues *queues, Span queue, Span name) {
    Store *shard = queues->n_shards > 0 ? shard_of(queues, queue) : NULL;
    const Queue *found = shard ? queue_find(queues, queue) : NULL;

    if (!shard || (!fact_find(queues, shard->shard, name) && fact_find(queues, 0, name)))
        return lasting_store(queues);
    if (fact_find(queues, shard->shard, name))
        return shard;
    return (found ? found->settings.store : settings_store(queues, queue)) == shard
               ? shard
               : lasting_store(queues);
}

unsigned queues_shard_of_fact(Queues *queues, Span queue, Span name) {
    const Store *store = store_of_fact(queues, queue, name);

    return store ? store->shard : 0;
}

static FactChange *change_new(Queues *queues, const Store *store, Span name, Session *session,
                              uint64_t id) {
    FactChange *change = calloc(1, sizeof(*change) + name.len);

    if (!change)
        return NULL;
    change->waiter.fn = on_kept;
    change->id = id;
    change->session = session;
    change->shard = (uint8_t)(store ? store->shard : 0);
    change->n_name = (uint32_t)name.len;
    memcpy(change->name, name.data, name.len);
    DL_APPEND(queues->fact_changes, change);
    return change;
}

/* Begins the change in the store. 0: no store has to make it. */
static int keep(Queues *queues, Store *store, FactChange *change, Span name, Span value) {
    int r;

    if (!store)
        return 0;
    r = waiter_begin(queues, &change->waiter, store);
    return r < 0 ? r : store_keep(store, change->waiter.ticket, name, value);
}

int queues_not_kept(int r, ferry_error *reterr) {
    if (r != -ENOSPC)
        return r;
    return error_set(reterr, "ferry.Full",
                     "the broker cannot keep the change: its disk is full, or it has max_names "
                     "settings, binds and schedules");
}

int queues_keep_fact(Queues *queues, Span queue, Span name, Span value, Session *session,
                     uint64_t id) {
    unsigned shard = queues_shard_of_fact(queues, queue, name);
    Store *store = shard ? queues->shards[shard - 1].store : lasting_store(queues);
    Fact *fact = NULL;
    FactChange *change;
    int r;

    if (name.len > FACT_NAME_MAX || value.len > FACT_VALUE_MAX)
        return -E2BIG;
    if (store && store_is_away(store))
        return -EREMCHG;
    if (value.len > 0 && !fact_find(queues, shard, name) &&
        HASH_COUNT(queues->facts) >= queues->broker->limits.max_names)
        return -ENOSPC;
    change = change_new(queues, store, name, session, id);
    if (!change)
        return -ENOMEM;
    if (value.len > 0)
        fact = fact_new(shard, name, value);
    r = value.len > 0 && !fact ? -ENOMEM : keep(queues, store, change, name, value);
    if (r >= 0 && fact_replace(queues, shard, name, fact, &change->before) < 0)
        r = -ENOMEM; /* the store has made the change, so the next start finds it */
    if (r == STORE_LATER)
        return QUEUES_LATER;
    waiter_take(queues, change->waiter.ticket);
    if (r < 0)
        free(fact);
    else
        answer(session, id, store, 0);
    change_free(queues, change);
    return r < 0 ? r : QUEUES_LATER;
}

static void pause(Queue *queue, bool paused) {
    queue->paused = paused;
    if (paused)
        return;
    queue_dispatch(queue);
    queue_maybe_idle(queue);
}

int queues_pause(Queues *queues, Span name, bool paused, Session *session, uint64_t id) {
    Queue *queue = queue_find(queues, name);
    Store *store = queue ? queue->settings.store : NULL;
    FactChange *change = queue ? change_new(queues, store, span_of("", 0), session, id) : NULL;
    int r;

    if (!change)
        return queue ? -ENOMEM : -ENOENT;
    r = waiter_begin(queues, &change->waiter, store);
    if (r == 0)
        r = store_pause(store, change->waiter.ticket, &queue->stored, paused);
    if (r >= 0)
        pause(queue, paused);
    if (r == STORE_LATER)
        return QUEUES_LATER;
    waiter_take(queues, change->waiter.ticket);
    if (r == 0)
        answer(session, id, store, 0);
    change_free(queues, change);
    return r < 0 ? r : QUEUES_LATER;
}

int queues_set(Queues *queues, Span name, const char *key, const char *value, Session *session,
               uint64_t id, ferry_error *reterr) {
    CLEANUP(buffer_deinit) Buffer fact = {0};
    const char *wrong = setting_problem(queues, key, value);
    Problem problem;
    Queue *queue;

    if (wrong)
        return error_set(reterr, "ferry.InvalidArgument", "%s = %s: %s", key, value, wrong);
    queue = queue_get(queues, name, &problem);
    if (!queue)
        return error_set(reterr, problem.type, "%s", problem.text);
    queue_maybe_idle(queue);
    setting_fact(&fact, name, key);
    if (fact.failed)
        return -ENOMEM;
    return queues_not_kept(
        queues_keep_fact(queues, name, span_of(fact.data, fact.len), span_text(value), session, id),
        reterr);
}

void fact_changes_session_gone(Queues *queues, const Session *session) {
    FactChange *change;

    DL_FOREACH(queues->fact_changes, change) {
        if (change->session == session)
            change->session = NULL;
    }
}

void fact_changes_free(Queues *queues) {
    FactChange *change, *next;

    DL_FOREACH_SAFE(queues->fact_changes, change, next) {
        change_free(queues, change);
    }
}
