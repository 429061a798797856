/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A store that finishes changes when the test says so, in any order, or fails. There are two: one
 * for the queues "disk.>", one for the queue "shared".
 */

#include "broker/stores/store.h"
#include "unit/broker/queues/verbs.h"

enum { CHANGES_MAX = 64 };

typedef struct Begun {
    uint64_t ticket;
    StoredJob *job;
} Begun;

typedef struct SlowStore {
    Store store;
    Begun changes[CHANGES_MAX]; /* under way, in the order in which they began */
    size_t n;
    size_t n_append, n_settle, n_forward, n_note, n_flush, n_gone, n_pause, n_restore;
    int refuse; /* the result that the next change returns at once; 0: it is finished later */
    StoredPush last_push;
    uint8_t forgotten[WIRE_TOKEN]; /* the client of the last forget_pushes() */
    uint64_t forgotten_below;
    const Waker *waker;
} SlowStore;

static SlowStore slow, shared;

static int begin(Store *store, uint64_t ticket, StoredJob *job) {
    SlowStore *mine = (SlowStore *)store;
    int r = mine->refuse;

    mine->refuse = 0;
    if (r < 0)
        return r;
    CU_ASSERT_FATAL(mine->n < CHANGES_MAX);
    mine->changes[mine->n++] = (Begun){ticket, job};
    return STORE_LATER;
}

static int slow_open(Store *store, Waker *waker, ferry_error *reterr) {
    (void)reterr;
    ((SlowStore *)store)->waker = waker;
    return 0;
}

static int slow_append(Store *store, uint64_t ticket, StoredJob *job, const StoredPush *by) {
    SlowStore *mine = (SlowStore *)store;

    mine->n_append++;
    mine->last_push = *by;
    return begin(store, ticket, job);
}

static int slow_settle(Store *store, uint64_t ticket, StoredJob *job) {
    ((SlowStore *)store)->n_settle++;
    return begin(store, ticket, job);
}

static int slow_forward(Store *store, uint64_t ticket, StoredJob *old, StoredJob *job,
                        const StoredPush *by) {
    (void)old, (void)by;
    ((SlowStore *)store)->n_forward++;
    return begin(store, ticket, job);
}

static void slow_flush(Store *store) {
    ((SlowStore *)store)->n_flush++;
}

static void slow_note(Store *store, StoredJob *job) {
    (void)job;
    ((SlowStore *)store)->n_note++;
}

static void slow_forget_pushes(Store *store, const uint8_t *client, uint64_t floor) {
    SlowStore *mine = (SlowStore *)store;

    memcpy(mine->forgotten, client, WIRE_TOKEN);
    mine->forgotten_below = floor;
}

static int slow_pause(Store *store, uint64_t ticket, StoredQueue *queue, bool paused) {
    (void)queue, (void)paused;
    ((SlowStore *)store)->n_pause++;
    return ticket ? begin(store, ticket, NULL) : 0;
}

static void slow_queue_gone(Store *store, StoredQueue *queue) {
    (void)queue;
    ((SlowStore *)store)->n_gone++;
}

/* Finishes a change that is not the oldest: changes of different jobs may end in any order. */
static void finish_at(SlowStore *store, size_t i, int result) {
    uint64_t ticket = store->changes[i].ticket;

    CU_ASSERT_FATAL(i < store->n);
    memmove(store->changes + i, store->changes + i + 1, (--store->n - i) * sizeof(*store->changes));
    store->store.done(ticket, result, store->store.ctx);
}

/* Finishes all changes that have begun. */
static void slow_process(Store *store) {
    while (slow.n > 0)
        finish_at((SlowStore *)store, 0, 0);
}

/* Restores one job in each of three slices. */
static int slow_restore(Store *store, size_t max, ferry_error *reterr) {
    SlowStore *mine = (SlowStore *)store;
    Message content = {.body = span_text("x")};
    StoredJob as = {.id = 11 + mine->n_restore}, *job;

    (void)reterr;
    CU_ASSERT(max > 0);
    CU_ASSERT_EQUAL(queues_restore_job(queues, store, span_text("disk.q"), &as, span_text("why"),
                                       &content, &job),
                    0);
    CU_ASSERT_TRUE(span_is(stored_job_reason(job), "why"));
    return ++mine->n_restore < 3 ? STORE_HAS_MORE : 0;
}

static const StoreOps slow_ops = {
    .durability = "disk",
    .later = true,
    .open = slow_open,
    .restore = slow_restore,
    .process = slow_process,
    .append = slow_append,
    .settle = slow_settle,
    .forward = slow_forward,
    .flush = slow_flush,
    .note = slow_note,
    .forget_pushes = slow_forget_pushes,
    .pause = slow_pause,
    .queue_gone = slow_queue_gone,
};

static const StoreOps shared_ops = {
    .durability = "shared",
    .later = true,
    .restore = slow_restore,
    .append = slow_append,
    .settle = slow_settle,
    .forward = slow_forward,
};

/* Finishes the oldest n changes with this result. */
static void finish(size_t n, int result) {
    for (; n > 0; n--)
        finish_at(&slow, 0, result);
    rooms_turn_end(&broker);
}

static Session *set_up(void) {
    setup();
    slow = (SlowStore){.store = {.ops = &slow_ops}};
    shared = (SlowStore){.store = {.ops = &shared_ops}};
    CU_ASSERT_EQUAL(queues_add_store(queues, &slow.store), 0);
    CU_ASSERT_EQUAL(queues_add_store(queues, &shared.store), 0);
    configure("shared", "durability", "shared");
    configure("disk.>", "durability", "disk");
    configure("disk.*.dead", "durability", "disk");
    return fake_connect(&broker, 's');
}
