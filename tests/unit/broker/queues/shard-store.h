/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A store with shards that outlives its brokers, as Redis does: each shard keeps jobs, pushes,
 * keys, facts and paused queues, and a broker adopts and releases it. A change is kept when the
 * test says that it has ended.
 */

#include "broker/queues/shards-private.h"
#include "broker/stores/store.h"
#include "unit/broker/queues/verbs.h"

enum { N_SHARDS = 3, KEPT_JOBS = 3000, CHANGES = 600 };

typedef struct KeptJob {
    uint64_t id, due_ms, expires_ms, push, key_until_ms, worker;
    uint32_t attempt;
    uint8_t priority;
    bool held;
    uint8_t client[WIRE_TOKEN];
    char queue[64], body[64], order[16], unique[16], key[16];
} KeptJob;

typedef struct KeptFact {
    uint8_t name[200], value[400];
    size_t n_name, n_value;
} KeptFact;

typedef struct ShardChange {
    uint64_t ticket;
    uint64_t settled; /* the job that is removed; 0: no job */
    KeptJob job;      /* the job that is added; id 0: no job */
} ShardChange;

typedef struct TestShard {
    Store store; /* first: a Store is a TestShard */
    KeptJob jobs[KEPT_JOBS];
    size_t n;
    KeptJob settled[KEPT_JOBS]; /* pushes that are remembered without their jobs */
    size_t n_settled;
    KeptFact facts[8];
    size_t n_facts;
    char paused[64];
    uint64_t last_job;
    ShardChange changes[CHANGES];
    size_t n_changes;
} TestShard;

static TestShard shards[N_SHARDS];

static inline TestShard *shard_in(Store *store) {
    return (TestShard *)store;
}

static inline void copy_span(char *to, size_t size, Span from) {
    snprintf(to, size, "%.*s", (int)from.len, (const char *)from.data);
}

static inline KeptJob kept_of(const StoredJob *job, const StoredPush *by) {
    KeptJob kept = {.id = job->id,
                    .due_ms = job->due_ms,
                    .expires_ms = job->expires_ms,
                    .attempt = job->attempt,
                    .priority = job->priority,
                    .push = by->client ? by->id : 0,
                    .key_until_ms = by->key_until_ms};
    Message content;

    stored_job_content(job, &content);
    copy_span(kept.queue, sizeof(kept.queue), span_of(job->queue->name, job->queue->name_len));
    copy_span(kept.body, sizeof(kept.body), message_body(&content));
    copy_span(kept.order, sizeof(kept.order), stored_job_order(job));
    copy_span(kept.unique, sizeof(kept.unique), stored_job_unique(job));
    copy_span(kept.key, sizeof(kept.key), by->key);
    if (by->client)
        memcpy(kept.client, by->client, WIRE_TOKEN);
    return kept;
}

static inline int shard_begin(Store *store, const ShardChange *change) {
    TestShard *shard = shard_in(store);

    CU_ASSERT_FATAL(shard->n_changes < CHANGES);
    CU_ASSERT_FALSE(store->away);
    shard->changes[shard->n_changes++] = *change;
    return STORE_LATER;
}

static inline int shard_append(Store *store, uint64_t ticket, StoredJob *job,
                               const StoredPush *by) {
    CU_ASSERT_EQUAL(job->id % 64, store->shard);
    return shard_begin(store, &(ShardChange){.ticket = ticket, .job = kept_of(job, by)});
}

static inline int shard_settle(Store *store, uint64_t ticket, StoredJob *job) {
    return shard_begin(store, &(ShardChange){.ticket = ticket, .settled = job->id});
}

static inline int shard_forward(Store *store, uint64_t ticket, StoredJob *old, StoredJob *job,
                                const StoredPush *by) {
    return shard_begin(store, &(ShardChange){ticket, old->id, kept_of(job, by)});
}

static inline KeptJob *kept_find(TestShard *shard, uint64_t id) {
    for (size_t i = 0; i < shard->n; i++)
        if (shard->jobs[i].id == id)
            return &shard->jobs[i];
    return NULL;
}

static inline void shard_note(Store *store, StoredJob *job) {
    KeptJob *kept = kept_find(shard_in(store), job->id);

    CU_ASSERT_FALSE(store->away);
    if (!kept)
        return;
    kept->attempt = job->attempt;
    kept->due_ms = job->due_ms;
    kept->held = job->held;
    kept->worker = job->worker;
}

static inline int shard_keep(Store *store, uint64_t ticket, Span name, Span value) {
    TestShard *shard = shard_in(store);
    KeptFact *fact = shard->facts;

    (void)ticket;
    while (fact < shard->facts + shard->n_facts &&
           !(fact->n_name == name.len && memcmp(fact->name, name.data, name.len) == 0))
        fact++;
    CU_ASSERT_FATAL(fact < shard->facts + 8 && name.len < sizeof(fact->name) &&
                    value.len < sizeof(fact->value));
    if (fact == shard->facts + shard->n_facts)
        shard->n_facts++;
    fact->n_name = name.len;
    fact->n_value = value.len;
    memcpy(fact->name, name.data, name.len);
    if (value.len > 0)
        memcpy(fact->value, value.data, value.len);
    return 0;
}

static inline int shard_pause(Store *store, uint64_t ticket, StoredQueue *queue, bool paused) {
    (void)ticket;
    snprintf(shard_in(store)->paused, 64, "%s", paused ? queue->name : "");
    return 0;
}

static const StoreOps shard_ops = {
    .durability = "redis",
    .later = true,
    .append = shard_append,
    .settle = shard_settle,
    .forward = shard_forward,
    .note = shard_note,
    .keep = shard_keep,
    .pause = shard_pause,
};

/* Makes the change in the store, as far as the store knows it. */
static inline void shard_write(TestShard *shard, const ShardChange *change) {
    KeptJob *old = change->settled ? kept_find(shard, change->settled) : NULL;

    if (old) {
        shard->settled[shard->n_settled++ % KEPT_JOBS] = *old;
        memmove(old, old + 1, (size_t)(shard->jobs + shard->n - (old + 1)) * sizeof(*old));
        shard->n--;
    }
    if (change->job.id) {
        CU_ASSERT_FATAL(shard->n < KEPT_JOBS);
        shard->jobs[shard->n++] = change->job;
        if (change->job.id > shard->last_job)
            shard->last_job = change->job.id;
    }
}

/* Ends the changes under way, and the changes that they lead to. */
static inline void end_changes(TestShard *shard) {
    while (shard->n_changes > 0) {
        ShardChange change = shard->changes[0];

        shard->n_changes--;
        memmove(shard->changes, shard->changes + 1, shard->n_changes * sizeof(change));
        shard_write(shard, &change);
        shard->store.done(change.ticket, 0, shard->store.ctx);
    }
    rooms_turn_end(&broker);
}

/* ---- a broker with these shards ---- */

static inline void begin_broker(void) {
    setup();
    for (unsigned k = 0; k < N_SHARDS; k++) {
        shards[k].store = (Store){.ops = &shard_ops, .shard = k + 1, .away = true};
        shards[k].n_changes = 0;
        CU_ASSERT_EQUAL_FATAL(queues_add_store(queues, &shards[k].store), 0);
    }
    queues_set_default_store(queues, &shards[0].store);
}

static inline void empty_shards(void) {
    memset(shards, 0, sizeof(shards));
}

static inline void restore_push(const KeptJob *kept) {
    if (kept->push)
        CU_ASSERT_EQUAL(queues_restore_push(queues, kept->client, kept->push), 0);
}

/* Restores the jobs from the first one on, at most max of them. */
static inline void restore_jobs(TestShard *shard, size_t first, size_t max) {
    for (size_t i = first; i < shard->n && i < first + max; i++) {
        const KeptJob *kept = &shard->jobs[i];
        StoredJob as = {.id = kept->id,
                        .pushed_ms = broker.now_ms,
                        .due_ms = kept->due_ms,
                        .expires_ms = kept->expires_ms,
                        .worker = kept->worker,
                        .attempt = kept->attempt,
                        .priority = kept->priority,
                        .held = kept->held};
        Message content = {.body = span_text(kept->body)};
        StoredJob *job = NULL;

        CU_ASSERT_EQUAL_FATAL(queues_restore_job(queues, &shard->store, span_text(kept->queue), &as,
                                                 (Span){NULL, 0}, &content, &job),
                              0);
        if (*kept->order || *kept->unique)
            CU_ASSERT_EQUAL(
                queues_restore_ties(queues, job, span_text(kept->order), span_text(kept->unique)),
                0);
        if (*kept->key)
            CU_ASSERT_EQUAL(queues_restore_key(queues, span_text(kept->queue), span_text(kept->key),
                                               kept->key_until_ms),
                            0);
        restore_push(kept);
    }
}

static inline void restore_rest(TestShard *shard) {
    for (size_t i = 0; i < shard->n_settled; i++)
        restore_push(&shard->settled[i]);
    if (*shard->paused)
        CU_ASSERT_EQUAL(queues_restore_queue(queues, &shard->store, span_text(shard->paused), true),
                        0);
    for (size_t i = 0; i < shard->n_facts; i++) {
        const KeptFact *fact = &shard->facts[i];

        if (fact->n_value > 0)
            CU_ASSERT_EQUAL(queues_restore_fact(queues, &shard->store,
                                                span_of(fact->name, fact->n_name),
                                                span_of(fact->value, fact->n_value)),
                            0);
    }
    queues_restore_last(queues, shard->last_job);
}

static inline void adopt(unsigned k) {
    CU_ASSERT_EQUAL_FATAL(queues_adopt_begin(queues, &shards[k].store), 0);
    restore_jobs(&shards[k], 0, SIZE_MAX / 2);
    restore_rest(&shards[k]);
    queues_adopt_end(queues, &shards[k].store);
    rooms_turn_end(&broker);
}

/* Lets the shard go; the store has written the changes under way, or not. */
static inline void let_go(unsigned k, bool writes) {
    TestShard *shard = &shards[k];

    queues_release_shard(queues, &shard->store);
    for (size_t i = 0; i < shard->n_changes; i++) {
        if (writes)
            shard_write(shard, &shard->changes[i]);
        shard->store.done(shard->changes[i].ticket, 0, shard->store.ctx);
    }
    shard->n_changes = 0;
}

/* Runs turns until all jobs of shards that were let go have left memory; returns how many. */
static inline int turns_until_gone(void) {
    int turns = 0;

    do {
        rooms_turn_end(&broker);
        turns++;
    } while (queues->leaving && turns < 1000);
    return turns;
}

static inline void set_owner(unsigned k, const char *url) {
    StoreOwner *owner = &shards[k].store.owner;

    *owner = (StoreOwner){.is_known = url != NULL};
    memset(owner->broker, 'B', WIRE_TOKEN);
    snprintf(owner->url, sizeof(owner->url), "%s", url ? url : "");
    queues_owner_changed(queues, &shards[k].store);
}

/* The n-th name of a queue in this shard. Four names can be used at the same time. */
static inline const char *queue_in(unsigned k, unsigned n) {
    static char names[4][32];
    static unsigned next;
    char *name = names[next++ % 4];

    for (unsigned i = 0;; i++) {
        snprintf(name, sizeof(names[0]), "queue-%u", i);
        if (shard_of(queues, span_text(name)) == &shards[k].store && n-- == 0)
            return name;
    }
}

/* A broker that has shard 0; shard 1 is at tcp://b, and shard 2 is nowhere. */
static inline Session *set_up(void) {
    empty_shards();
    begin_broker();
    adopt(0);
    set_owner(1, "tcp://b:5877");
    return fake_connect(&broker, 's');
}

/* All that clients made the broker hold is gone. */
static inline void tear_down(void) {
    while (broker.sessions.first)
        end_session(broker.sessions.first);
    wait_ms(QUEUE_IDLE_MS + 1);
    for (unsigned k = 0; k < N_SHARDS; k++)
        CU_ASSERT_EQUAL(shards[k].store.n_open, shards[k].n_changes);
    teardown();
}

/* ---- messages to workers and pushers ---- */

/* ferry.Moved to id; url NULL: without the owner. */
static inline void expect_moved_error(Session *session, uint64_t id, const char *url) {
    const FakeSent *sent = fake_peek(session);

    CU_ASSERT_PTR_NOT_NULL_FATAL(sent);
    CU_ASSERT_STRING_EQUAL(sent->url, url ? url : "");
    expect_error(session, id, "ferry.Moved");
}

static inline void expect_moved(Session *session, const char *queue, const char *url) {
    const FakeSent *sent = fake_take(session);

    CU_ASSERT_PTR_NOT_NULL_FATAL(sent);
    CU_ASSERT_EQUAL(sent->message.op, OP_MOVED);
    CU_ASSERT_TRUE(span_is(sent->message.name, queue));
    CU_ASSERT_TRUE(url ? span_is(sent->message.moved.url, url) : sent->message.moved.url.len == 0);
    CU_ASSERT_EQUAL(sent->message.moved.broker.len, url ? WIRE_TOKEN : 0);
}

static inline void pull_and_wait(Session *session, uint64_t id, const char *queue, uint64_t slots) {
    queues_pull(queues, session,
                &(Message){.op = OP_PULL,
                           .id = id,
                           .name = span_text(queue),
                           .pull = {.slots = slots, .wait = 1}});
}
