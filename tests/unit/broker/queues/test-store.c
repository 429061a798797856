/* SPDX-License-Identifier: Apache-2.0 */
/* A store that finishes changes later, in any order, or fails, as a store on a disk can. */

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

static void slow_pause(Store *store, StoredQueue *queue, bool paused) {
    (void)queue, (void)paused;
    ((SlowStore *)store)->n_pause++;
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

static void a_push_is_confirmed_and_delivered_when_it_is_stored(void) {
    Session *s;

    setup();
    teardown();
    s = set_up();
    pull(s, 1, "disk.q", 5);
    expect_ok(s, 1);
    push(s, 2, "disk.q", "one", NULL);
    push(s, 3, "disk.q", "two", NULL);
    expect_nothing(s);
    finish(2, 0);
    expect_ok(s, 2);
    expect_job(s, 1, "one", 1);
    expect_ok(s, 3);
    expect_job(s, 1, "two", 1);
    CU_ASSERT_EQUAL(slow.n_note, 2);
    teardown();
}

static void a_push_that_was_not_stored_is_an_error(void) {
    Session *s = set_up();

    push(s, 1, "disk.q", "x", "key", "k", NULL);
    push(s, 2, "disk.q", "x", "key", "k", NULL);
    expect_error(s, 2, "ferry.Overloaded"); /* the broker does not know yet whether this is a
                                             * duplicate */
    finish(1, -EIO);
    expect_error(s, 1, "ferry.Internal");
    slow.refuse = -EIO;
    push(s, 3, "disk.q", "x", "key", "k", NULL);
    expect_error(s, 3, "ferry.Internal");
    CU_ASSERT_EQUAL(count_of("disk.q", "ready"), 0);
    CU_ASSERT_EQUAL(count_of("disk.q", "bytes"), 0);
    /* The failed push has not used up the key. */
    push(s, 4, "disk.q", "x", "key", "k", NULL);
    CU_ASSERT_TRUE(span_is(slow.last_push.key, "k"));
    finish(1, 0);
    CU_ASSERT_NOT_EQUAL(expect_ok(s, 4), 0);
    push(s, 5, "disk.q", "x", "key", "k", NULL);
    expect_outcome(s, 5, PUSH_DUPLICATE);
    /* Nor is its id remembered. */
    queues_push(queues, s, &(Message){.op = OP_PUSH, .id = 3, .name = span_text("disk.q")}, NULL);
    finish(1, 0);
    CU_ASSERT_NOT_EQUAL(expect_ok(s, 3), 0);
    teardown();
}

static void a_key_may_end_before_its_job_is_stored(void) {
    Session *s = set_up();

    configure("disk.q", "dedup", "10ms");
    push(s, 1, "disk.q", "x", "key", "k", NULL);
    wait_ms(20);
    finish(1, -EIO);
    expect_error(s, 1, "ferry.Internal");
    teardown();
}

static void an_ack_is_confirmed_when_the_job_is_forgotten(void) {
    Session *s = set_up();

    push(s, 0, "disk.q", "one", NULL);
    push(s, 0, "disk.q", "two", NULL);
    finish(2, 0);
    pull(s, 1, "disk.q", 1);
    expect_ok(s, 1);
    expect_job(s, 1, "one", 1);
    ack(s, 2, 1, 1);
    expect_job(s, 1, "two", 1); /* the slot is free before the disk has finished */
    expect_nothing(s);
    ack(s, 3, 1, 1);
    expect_error(s, 3, "ferry.Overloaded");
    finish(1, 0);
    expect_ok(s, 2);
    ack(s, 4, 1, 1);
    expect_ok(s, 4);
    ack(s, 4, 2, 1);
    finish(1, -EIO);
    expect_error(s, 4, "ferry.Internal");
    expect_job(s, 1, "two", 2);
    teardown();
}

static void a_push_sent_again_meanwhile_is_answered_once(void) {
    Message again = {.op = OP_PUSH, .id = 7, .name = span_text("disk.q")};
    Session *s = set_up();

    push(s, 7, "disk.q", "x", NULL);
    end_session(s);
    s = fake_connect(&broker, 's');
    queues_push(queues, s, &again, NULL);
    expect_nothing(s);
    finish(1, 0);
    expect_ok(s, 7);
    expect_nothing(s);
    queues_push(queues, s, &again, NULL);
    CU_ASSERT_EQUAL(expect_ok(s, 7), 0);
    CU_ASSERT_EQUAL(count_of("disk.q", "ready"), 1);
    teardown();
}

static void sessions_and_clients_may_go_meanwhile(void) {
    Session *s = set_up(), *t = fake_connect(&broker, 't');

    push(s, 1, "disk.q", "x", NULL);
    push(t, 1, "disk.q", "y", NULL);
    end_session(s);
    say_bye(t);
    finish(2, 0);
    CU_ASSERT_EQUAL(count_of("disk.q", "ready"), 2);
    s = fake_connect(&broker, 's');
    queues_push(queues, s, &(Message){.op = OP_PUSH, .id = 1, .name = span_text("disk.q")}, NULL);
    CU_ASSERT_EQUAL(expect_ok(s, 1), 0);
    /* The broker may end, too. */
    push(s, 2, "disk.q", "z", "key", "k", NULL);
    pull(s, 3, "disk.q", 5);
    ack(s, 4, 1, 1);
    forward(s, 5, 2, 1, "disk.r", "zz");
    CU_ASSERT_EQUAL(slow.n, 3);
    teardown();
}

static void a_push_of_an_earlier_life_is_known(void) {
    Message again = {.op = OP_PUSH, .id = 7, .name = span_text("disk.q")};
    Session *s = set_up();

    CU_ASSERT_EQUAL(queues_restore_push(queues, s->client->id, 7), 0);
    restored_pushes_adopt(queues, s->client);
    queues_push(queues, s, &again, NULL);
    CU_ASSERT_EQUAL(expect_ok(s, 7), 0);
    again.id = 8;
    queues_push(queues, s, &again, NULL);
    CU_ASSERT_EQUAL(slow.n_append, 1);
    teardown();
}

static void forward_is_one_change(void) {
    Session *s = set_up();
    size_t n_notes;

    push(s, 0, "disk.q", "x", NULL);
    finish(1, 0);
    pull(s, 1, "disk.q", 1);
    pull(s, 2, "disk.r", 1);
    fake_drop(s);
    forward(s, 3, 1, 1, "disk.r", "y");
    CU_ASSERT_EQUAL(slow.n_forward, 1);
    CU_ASSERT_EQUAL(slow.n_settle, 0);
    expect_nothing(s);
    n_notes = slow.n_note;
    finish(1, -EIO);
    expect_error(s, 3, "ferry.Internal");
    /* The worker does not get it again at once: that would go round as long as the store fails. */
    expect_nothing(s);
    CU_ASSERT_EQUAL(count_of("disk.q", "delayed"), 1);
    CU_ASSERT_EQUAL(slow.n_note, n_notes + 1);
    wait_ms(60000);
    expect_job(s, 1, "x", 2);
    forward(s, 4, 1, 2, "disk.r", "y");
    finish(1, 0);
    expect_ok(s, 4);
    expect_job(s, 2, "y", 1);
    CU_ASSERT_EQUAL(count_of("disk.q", "held"), 0);
    CU_ASSERT_EQUAL(slow.n, 0);
    teardown();
}

static void a_store_that_fails_makes_no_dead_letters_of_forwarded_jobs(void) {
    Session *s = set_up();

    configure("disk.q", "max_attempts", "2");
    configure("disk.q", "retry", "1s");
    push(s, 0, "disk.q", "x", NULL);
    finish(1, 0);
    pull(s, 1, "disk.q", 1);
    expect_ok(s, 1);
    for (unsigned attempt = 1; attempt <= 3; attempt++) {
        expect_job(s, 1, "x", attempt);
        slow.refuse = -EBUSY;
        forward(s, 2 + attempt, 1, attempt, "disk.r", "y");
        expect_error(s, 2 + attempt, "ferry.Overloaded");
        expect_nothing(s);
        wait_ms(5000);
    }
    CU_ASSERT_EQUAL(count_of("disk.q", "dead"), 0);
    teardown();
}

static void between_stores_a_job_is_pushed_first_and_then_forgotten(void) {
    Session *s = set_up();

    push(s, 0, "disk.q", "x", NULL);
    push(s, 0, "memory", "m", NULL);
    finish(1, 0);
    pull(s, 1, "disk.q", 1);
    pull(s, 2, "memory", 1);
    fake_drop(s);
    /* From memory to disk: the job is pushed under a name made of its origin. */
    forward(s, 3, 2, 1, "disk.r", "y");
    CU_ASSERT_EQUAL(slow.n_append, 2);
    CU_ASSERT_EQUAL(slow.last_push.id, 2);
    CU_ASSERT_PTR_NOT_NULL(slow.last_push.client);
    expect_nothing(s);
    finish(1, 0);
    expect_ok(s, 3);
    CU_ASSERT_EQUAL(count_of("memory", "held"), 0);
    /* From disk to memory. */
    forward(s, 4, 1, 1, "memory", "z");
    expect_ok(s, 4);
    expect_job(s, 2, "z", 1);
    CU_ASSERT_EQUAL(slow.n_settle, 1);
    finish(1, 0);
    CU_ASSERT_EQUAL(slow.n, 0);
    teardown();
}

static void a_dead_letter_that_is_not_stored_is_tried_again(void) {
    Session *s = set_up();

    push(s, 0, "disk.q", "x", NULL);
    finish(1, 0);
    pull(s, 1, "disk.q", 1);
    fake_drop(s);
    reject(s, 2, 1, 1, "no");
    CU_ASSERT_EQUAL(slow.n_forward, 1);
    finish(1, -EIO);
    expect_error(s, 2, "ferry.Internal");
    wait_ms(60000);
    expect_nothing(s);
    CU_ASSERT_EQUAL(slow.n_forward, 2);
    finish(1, 0);
    CU_ASSERT_EQUAL(count_of("disk.q", "dead"), 1);
    teardown();
}

static void dropping_and_purging_wait_for_the_store(void) {
    uint64_t n;
    Session *s = set_up();

    configure("disk.q", "max_jobs", "2");
    configure("disk.q", "overflow", "drop-oldest");
    for (int i = 0; i < 2; i++)
        push(s, 0, "disk.q", "x", NULL);
    finish(2, 0);
    push(s, 1, "disk.q", "y", NULL); /* a job is being dropped: there is no room yet */
    expect_error(s, 1, "ferry.Full");
    finish(1, 0);
    push(s, 2, "disk.q", "y", NULL);
    finish(1, 0);
    expect_ok(s, 2);
    CU_ASSERT_EQUAL(queues_purge(queues, span_text("disk.q"), NULL, 0, &n), 0);
    CU_ASSERT_EQUAL(n, 2);
    finish(1, 0);
    finish(1, -EIO);
    CU_ASSERT_EQUAL(count_of("disk.q", "ready"), 1);
    teardown();
}

static void a_failed_move_between_stores_keeps_the_job(void) {
    uint64_t n;
    Session *s = set_up();

    push(s, 0, "memory", "a", NULL);
    push(s, 0, "memory", "b", NULL);
    CU_ASSERT_EQUAL(queues_move(queues, span_text("memory"), span_text("disk.q"), 0, NULL, 0, &n),
                    0);
    CU_ASSERT_EQUAL(n, 2);
    finish(1, 0);
    finish(1, -EIO);
    CU_ASSERT_EQUAL(count_of("memory", "ready"), 1);
    CU_ASSERT_EQUAL(count_of("disk.q", "ready"), 1);
    teardown();
}

/* The broker stored the job in the other store, and ended before it settled the old job. */
static void a_job_that_was_moved_before_a_restart_is_not_stored_twice(void) {
    uint8_t origin[WIRE_TOKEN];
    Session *s = set_up();

    push(s, 0, "disk.q", "x", NULL);
    finish(1, 0);
    queue_name_as_client(queue_find(queues, span_text("disk.q")), origin);
    CU_ASSERT_EQUAL(queues_restore_push(queues, origin, 1), 0);
    /* The queue exists, so the id outlives the time in which clients come back. */
    wait_ms(broker.limits.client_memory_ms + 1);
    pull(s, 1, "disk.q", 1);
    fake_drop(s);
    forward(s, 2, 1, 1, "shared", "x");
    CU_ASSERT_EQUAL(shared.n_append, 0);
    CU_ASSERT_EQUAL(slow.n_settle, 1);
    finish(1, 0);
    expect_ok(s, 2);
    teardown();
}

static void changes_of_different_jobs_end_in_any_order(void) {
    Session *s = set_up();

    for (uint64_t id = 1; id <= 3; id++)
        push(s, id, "disk.q", "x", NULL);
    finish_at(&slow, 2, 0);
    CU_ASSERT_EQUAL(expect_ok(s, 3), 3);
    finish_at(&slow, 0, -EIO);
    expect_error(s, 1, "ferry.Internal");
    finish(1, 0);
    CU_ASSERT_EQUAL(expect_ok(s, 2), 2);
    CU_ASSERT_EQUAL(count_of("disk.q", "ready"), 2);
    teardown();
}

/* The broker's loop calls queues_process_stores() after a store has written to the wake-up
 * descriptor. */
static void processing_ends_the_changes(void) {
    Session *s = set_up();

    push(s, 1, "disk.q", "x", NULL);
    push(s, 2, "disk.q", "x", NULL);
    queues_process_stores(queues);
    expect_ok(s, 1);
    expect_ok(s, 2);
    teardown();
}

/* The changes of a turn share one transaction (group commit). */
static void a_turn_with_changes_is_flushed_once(void) {
    Session *s = set_up();

    rooms_turn_end(&broker);
    slow.n_flush = 0;
    rooms_turn_end(&broker);
    CU_ASSERT_EQUAL(slow.n_flush, 0);
    for (uint64_t id = 1; id <= 20; id++)
        push(s, id, "disk.q", "x", NULL);
    rooms_turn_end(&broker);
    CU_ASSERT_EQUAL(slow.n_flush, 1);
    finish(20, 0);
    CU_ASSERT_EQUAL(slow.n_flush, 1);
    teardown();
}

static void every_unconfirmed_push_that_is_sent_again_is_found(void) {
    Message again = {.op = OP_PUSH, .name = span_text("disk.q")};
    Session *s = set_up(), *t = fake_connect(&broker, 't');

    for (uint64_t id = 1; id <= CHANGES_MAX; id++)
        push(s, id, "disk.q", "x", NULL);
    end_session(s);
    s = fake_connect(&broker, 's');
    for (again.id = 1; again.id <= CHANGES_MAX; again.id++)
        queues_push(queues, s, &again, NULL);
    CU_ASSERT_EQUAL(slow.n_append, CHANGES_MAX);
    expect_nothing(s);
    finish(CHANGES_MAX, 0);
    for (uint64_t id = 1; id <= CHANGES_MAX; id++)
        expect_ok(s, id);
    /* The same id of another client means another push. */
    again.id = 1;
    queues_push(queues, t, &again, NULL);
    CU_ASSERT_EQUAL(slow.n_append, CHANGES_MAX + 1);
    teardown();
}

static void a_store_forgets_the_pushes_that_no_client_asks_about(void) {
    Session *s = set_up();
    Client *client = s->client;

    queues_floor(queues, client, 5);
    CU_ASSERT_EQUAL(memcmp(slow.forgotten, client->id, WIRE_TOKEN), 0);
    CU_ASSERT_EQUAL(slow.forgotten_below, 5);
    slow.forgotten_below = 0;
    queues_floor(queues, client, 4);
    CU_ASSERT_EQUAL(slow.forgotten_below, 0);
    say_bye(s);
    CU_ASSERT_EQUAL(slow.forgotten_below, UINT64_MAX);
    /* A client of an earlier process that does not come back. */
    CU_ASSERT_EQUAL(queues_restore_push(queues, (const uint8_t *)"sixteen bytes id", 9), 0);
    CU_ASSERT_TRUE(restored_pushes_have(queues, (const uint8_t *)"sixteen bytes id", 9));
    wait_ms(broker.limits.client_memory_ms + 1);
    CU_ASSERT_FALSE(restored_pushes_have(queues, (const uint8_t *)"sixteen bytes id", 9));
    CU_ASSERT_EQUAL(memcmp(slow.forgotten, "sixteen bytes id", WIRE_TOKEN), 0);
    teardown();
}

/* The store confirms no pushes, and the jobs in memory are delivered. */
static void a_degraded_store_shows_its_reason(void) {
    CLEANUP(buffer_deinit) Buffer list = {0};
    Session *s = set_up();

    log_level = (LogLevel)-1;
    push(s, 1, "disk.q", "x", NULL);
    finish(1, 0);
    expect_ok(s, 1);
    CU_ASSERT_PTR_NULL(queues_degraded(queues));
    store_set_degraded(&slow.store, "the disk is full");
    CU_ASSERT_STRING_EQUAL(queues_degraded(queues), "the disk is full");
    list_of_queues.write(queue_find(queues, span_text("disk.q")), &broker, &list);
    CU_ASSERT_PTR_NULL(wire_check(list.data, list.len));
    CU_ASSERT_PTR_NOT_NULL(memmem(list.data, list.len, "the disk is full", 16));
    push(s, 2, "disk.q", "y", NULL);
    pull(s, 3, "disk.q", 5);
    expect_ok(s, 3);
    expect_job(s, 3, "x", 1);
    expect_nothing(s);
    store_set_degraded(&slow.store, NULL);
    CU_ASSERT_PTR_NULL(queues_degraded(queues));
    finish(1, 0);
    expect_ok(s, 2);
    teardown();
}

/* ---- after a restart ---- */

static void stores_are_opened_and_restored_in_slices(void) {
    Waker waker;
    int n = 0, r;

    set_up();
    shared.n_restore = 5; /* one slice has restored job 16 */
    CU_ASSERT_EQUAL(queues_open_stores(queues, &waker, NULL), 0);
    CU_ASSERT_PTR_EQUAL(slow.waker, &waker);
    while ((r = queues_restore(queues, NULL)) > 0 && n < 10)
        n++;
    CU_ASSERT_EQUAL(r, 0);
    CU_ASSERT_EQUAL(n, 2);
    CU_ASSERT_EQUAL(slow.n_restore, 3);
    CU_ASSERT_EQUAL(slow.n, 0);
    CU_ASSERT_EQUAL(queues_restore_queue(queues, &slow.store, span_text("disk.p"), true), 0);
    CU_ASSERT_TRUE(queue_find(queues, span_text("disk.p"))->paused);
    CU_ASSERT_EQUAL(queues_pause(queues, span_text("disk.p"), false), 0);
    CU_ASSERT_EQUAL(slow.n_pause, 1);
    teardown();
}

static void jobs_come_back_as_they_were(void) {
    static const uint8_t held[] = {0x92, 0x92, 101, 3, 0x92, 102, 1};
    Message content = {.body = span_text("x")};
    StoredJob *job, as;
    Session *s = set_up();
    uint64_t key;

    memset(&key, 's', sizeof(key));
    key |= 1; /* the form in which the router itself identifies this client */
    as = (StoredJob){.id = 100, .pushed_ms = 5, .priority = 2};
    CU_ASSERT_EQUAL(queues_restore_job(queues, &slow.store, span_text("disk.q"), &as,
                                       (Span){NULL, 0}, &content, &job),
                    0);
    as = (StoredJob){.id = 101, .attempt = 3, .worker = key, .held = true};
    CU_ASSERT_EQUAL(queues_restore_job(queues, &slow.store, span_text("disk.q"), &as,
                                       (Span){NULL, 0}, &content, &job),
                    0);
    CU_ASSERT_EQUAL(queues_restore_job(queues, &slow.store, span_text("disk.q"), &as,
                                       (Span){NULL, 0}, &content, &job),
                    -EEXIST);
    as = (StoredJob){.id = 102, .attempt = 1, .worker = key + 2, .held = true};
    CU_ASSERT_EQUAL(queues_restore_job(queues, &slow.store, span_text("disk.q"), &as,
                                       (Span){NULL, 0}, &content, &job),
                    0);
    as = (StoredJob){.id = 103, .due_ms = broker.now_ms + 100};
    CU_ASSERT_EQUAL(queues_restore_job(queues, &slow.store, span_text("disk.q"), &as,
                                       (Span){NULL, 0}, &content, &job),
                    0);
    as.id = 104;
    CU_ASSERT_EQUAL(queues_restore_job(queues, &slow.store, span_text("a b"), &as, (Span){NULL, 0},
                                       &content, &job),
                    -EINVAL);
    as.id = 0;
    CU_ASSERT_EQUAL(queues_restore_job(queues, &slow.store, span_text("disk.q"), &as,
                                       (Span){NULL, 0}, &content, &job),
                    -EEXIST);
    CU_ASSERT_EQUAL(
        queues_restore_key(queues, span_text("disk.q"), span_text("k"), broker.now_ms + 50), 0);
    CU_ASSERT_EQUAL(queues_restore_key(queues, span_text("disk.q"), (Span){NULL, 0}, 9), -EINVAL);
    CU_ASSERT_EQUAL(slow.n, 0);

    {
        CLEANUP(buffer_deinit) Buffer kept = {0};

        queues_held(queues, s->client, span_of(held, sizeof(held)), &kept);
        CU_ASSERT_TRUE(kept.len > 0);
    }
    push(s, 1, "disk.q", "x", "key", "k", NULL);
    CU_ASSERT_EQUAL(expect_ok(s, 1), 0);
    wait_ms(1999);
    CU_ASSERT_EQUAL(count_of("disk.q", "held"), 2);
    wait_ms(1);
    CU_ASSERT_EQUAL(count_of("disk.q", "held"), 1); /* the job that its worker has listed */
    CU_ASSERT_EQUAL(count_of("disk.q", "ready"), 3);
    ack(s, 2, 101, 3);
    finish(1, 0);
    expect_ok(s, 2);
    push(s, 3, "disk.q", "x", NULL);
    finish(1, 0);
    CU_ASSERT_EQUAL(expect_ok(s, 3), 104); /* job the numbers continue */
    teardown();
}

static void a_store_is_told_of_a_forgotten_queue(void) {
    Session *s;

    setup();
    teardown();
    s = set_up();
    queues_reload(queues);
    queues_reloaded(queues, true);
    push(s, 0, "q", "x", NULL);
    teardown();
    CU_ASSERT_EQUAL(slow.n_gone, 0);
    s = set_up();
    push(s, 0, "disk.q", "x", NULL);
    finish(1, 0);
    teardown();
    CU_ASSERT_EQUAL(slow.n_gone, 0); /* a broker that ends does not forget its queues */
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_push_is_confirmed_and_delivered_when_it_is_stored),
        TEST(a_push_that_was_not_stored_is_an_error),
        TEST(a_key_may_end_before_its_job_is_stored),
        TEST(an_ack_is_confirmed_when_the_job_is_forgotten),
        TEST(a_push_sent_again_meanwhile_is_answered_once),
        TEST(sessions_and_clients_may_go_meanwhile),
        TEST(a_push_of_an_earlier_life_is_known),
        TEST(forward_is_one_change),
        TEST(a_store_that_fails_makes_no_dead_letters_of_forwarded_jobs),
        TEST(between_stores_a_job_is_pushed_first_and_then_forgotten),
        TEST(a_dead_letter_that_is_not_stored_is_tried_again),
        TEST(dropping_and_purging_wait_for_the_store),
        TEST(a_failed_move_between_stores_keeps_the_job),
        TEST(a_job_that_was_moved_before_a_restart_is_not_stored_twice),
        TEST(changes_of_different_jobs_end_in_any_order),
        TEST(processing_ends_the_changes),
        TEST(a_turn_with_changes_is_flushed_once),
        TEST(every_unconfirmed_push_that_is_sent_again_is_found),
        TEST(a_store_forgets_the_pushes_that_no_client_asks_about),
        TEST(a_degraded_store_shows_its_reason),
        TEST(stores_are_opened_and_restored_in_slices),
        TEST(jobs_come_back_as_they_were),
        TEST(a_store_is_told_of_a_forgotten_queue),
        TESTS_END,
    };

    return run_suite("broker queues: stores", tests);
}
