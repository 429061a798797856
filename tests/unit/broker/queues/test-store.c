/* SPDX-License-Identifier: Apache-2.0 */
/* Queues on a store that finishes changes later, in any order, or fails, as a store on a disk can.
 */

#include "broker/queues/restored-private.h"
#include "unit/broker/queues/slow-store.h"

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
    expect_nothing(s); /* the broker does not know yet whether this is a duplicate */
    finish(1, -EIO);
    expect_error(s, 1, "ferry.Internal");
    expect_error(s, 2, "ferry.Internal");
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

/* Two programs push at the same time. */
static void a_duplicate_is_confirmed_when_its_job_is_stored(void) {
    Session *s = set_up(), *t = fake_connect(&broker, 't'), *u = fake_connect(&broker, 'u');

    push(s, 1, "disk.q", "x", "key", "k", NULL);
    push(t, 2, "disk.q", "x", "key", "k", NULL);
    push(t, 0, "disk.q", "x", "key", "k", NULL);
    push(u, 3, "disk.q", "x", "key", "k", NULL);
    push(s, 4, "disk.q", "x", "key", "k", "unique", (uint64_t)1, NULL);
    CU_ASSERT_EQUAL(slow.n_append, 1);
    expect_nothing(t);
    say_bye(u);
    end_session(t);
    t = fake_connect(&broker, 't');
    push(t, 2, "disk.q", "x", "key", "k", NULL);
    finish(1, 0);
    CU_ASSERT_NOT_EQUAL(expect_ok(s, 1), 0);
    expect_outcome(s, 4, PUSH_DUPLICATE);
    expect_outcome(t, 2, PUSH_DUPLICATE);
    push(t, 2, "disk.q", "x", "key", "k", NULL);
    expect_outcome(t, 2, PUSH_STORED_BEFORE);
    CU_ASSERT_EQUAL(count_of("disk.q", "ready"), 1);
    /* The broker ends meanwhile. */
    push(s, 5, "disk.q", "y", "key", "l", NULL);
    push(t, 6, "disk.q", "y", "key", "l", NULL);
    teardown();
}

/* A store that hangs must not let a client fill the memory. */
static void what_waits_for_the_store_has_a_limit(void) {
    Session *s = set_up();

    broker.limits.max_unconfirmed = 3;
    push(s, 1, "disk.q", "x", "key", "k", NULL);
    for (uint64_t id = 2; id <= 5; id++)
        push(s, id, "disk.q", "x", "key", "k", NULL);
    expect_error(s, 5, "ferry.Overloaded");
    finish(1, 0);
    expect_ok(s, 1);
    for (uint64_t id = 2; id <= 4; id++)
        expect_outcome(s, id, PUSH_DUPLICATE);
    configure("disk.q", "max_jobs", "2");
    configure("disk.q", "overflow", "drop-oldest");
    for (uint64_t id = 6; id <= 10; id++)
        push(s, id, "disk.q", "y", NULL);
    expect_error(s, 10, "ferry.Full");
    finish(4, 0);
    for (uint64_t id = 6; id <= 9; id++)
        expect_ok(s, id);
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

/* Otherwise a push that is not stored would cost another job, and pushes that come together would
 * be refused. */
static void the_oldest_job_is_dropped_when_the_new_one_is_stored(void) {
    Session *s = set_up();

    configure("disk.q", "max_jobs", "2");
    configure("disk.q", "overflow", "drop-oldest");
    push(s, 0, "disk.q", "a", NULL);
    push(s, 0, "disk.q", "b", NULL);
    finish(2, 0);
    push(s, 1, "disk.q", "lost", NULL);
    finish(1, -EIO);
    expect_error(s, 1, "ferry.Internal");
    CU_ASSERT_EQUAL(count_of("disk.q", "ready"), 2);
    for (uint64_t id = 2; id <= 5; id++)
        push(s, id, "disk.q", id < 4 ? "between" : id == 4 ? "c" : "d", NULL);
    CU_ASSERT_EQUAL(slow.n_settle, 0);
    finish(4, 0);
    for (uint64_t id = 2; id <= 5; id++)
        expect_ok(s, id);
    CU_ASSERT_EQUAL(slow.n_settle, 4);
    CU_ASSERT_EQUAL(count_of("disk.q", "ready"), 2);
    CU_ASSERT_EQUAL(count_of("disk.q", "dropped"), 4);
    finish(3, 0);
    finish(1, -EIO); /* this one is not lost */
    CU_ASSERT_EQUAL(count_of("disk.q", "ready"), 3);
    push(s, 6, "disk.q", "e", NULL);
    finish(1, 0);
    expect_ok(s, 6);
    CU_ASSERT_EQUAL(count_of("disk.q", "ready"), 2);
    finish(slow.n, 0);
    pull(s, 7, "disk.q", 9);
    expect_ok(s, 7);
    expect_job(s, 7, "d", 1);
    expect_job(s, 7, "e", 1);
    push(s, 8, "disk.q", "f", NULL); /* jobs in flight are not dropped */
    expect_error(s, 8, "ferry.Full");
    teardown();
}

static void purging_waits_for_the_store(void) {
    uint64_t n;
    Session *s = set_up();

    for (int i = 0; i < 2; i++)
        push(s, 0, "disk.q", "x", NULL);
    finish(2, 0);
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

static bool list_has(const char *queue, const char *text) {
    CLEANUP(buffer_deinit) Buffer list = {0};

    list_of_queues.write(queue_find(queues, span_text(queue)), &broker, &list);
    CU_ASSERT_PTR_NULL(wire_check(list.data, list.len));
    return memmem(list.data, list.len, text, strlen(text)) != NULL;
}

/* Otherwise a crash could let workers begin jobs of a queue that was paused. */
static void pausing_is_confirmed_when_it_is_stored(void) {
    Session *s = set_up();

    push(s, 1, "disk.q", "x", NULL);
    finish(1, 0);
    expect_ok(s, 1);
    CU_ASSERT_EQUAL(queues_pause(queues, span_text("disk.q"), true, s, 2), QUEUES_LATER);
    pull(s, 3, "disk.q", 1);
    expect_ok(s, 3); /* and no job: it is paused already */
    expect_nothing(s);
    finish(1, 0);
    expect_ok(s, 2);
    CU_ASSERT_EQUAL(queues_pause(queues, span_text("disk.q"), false, s, 4), QUEUES_LATER);
    expect_job(s, 3, "x", 1);
    expect_nothing(s);
    finish(1, -EIO);
    expect_error(s, 4, "ferry.Internal");
    slow.refuse = -ENOMEM;
    CU_ASSERT_EQUAL(queues_pause(queues, span_text("disk.q"), true, s, 5), -ENOMEM);
    CU_ASSERT_FALSE(queues_is_paused(queues, span_text("disk.q")));
    CU_ASSERT_EQUAL(queues_pause(queues, span_text("disk.q"), true, s, 6), QUEUES_LATER);
    end_session(s);
    finish(1, 0);
    CU_ASSERT_EQUAL(queues_pause(queues, span_text("nosuch"), true, NULL, 0), -ENOENT);
    teardown();
}

/* Jobs never change their store. */
static void a_queue_gets_another_durability_when_its_jobs_are_gone(void) {
    Session *s = set_up();

    log_level = (LogLevel)-1;
    push(s, 1, "plain", "in memory", NULL);
    expect_ok(s, 1);
    CU_ASSERT_FALSE(list_has("plain", "next_durability"));
    configure("plain", "durability", "disk");
    CU_ASSERT_TRUE(list_has("plain", "next_durability"));
    push(s, 2, "plain", "in memory, too", NULL);
    expect_ok(s, 2);
    CU_ASSERT_EQUAL(slow.n_append, 0);
    CU_ASSERT_EQUAL(queues_pause(queues, span_text("plain"), true, NULL, 0), QUEUES_LATER);
    CU_ASSERT_EQUAL(slow.n_pause, 0);
    pull(s, 3, "plain", 5);
    expect_ok(s, 3);
    CU_ASSERT_EQUAL(queues_pause(queues, span_text("plain"), false, NULL, 0), QUEUES_LATER);
    ack(s, 4, expect_job(s, 3, "in memory", 1), 1);
    ack(s, 5, expect_job(s, 3, "in memory, too", 1), 1);
    CU_ASSERT_EQUAL(queues_pause(queues, span_text("plain"), true, NULL, 0), QUEUES_LATER);
    expect_ok(s, 4);
    expect_ok(s, 5);
    rooms_turn_end(&broker);
    CU_ASSERT_FALSE(list_has("plain", "next_durability"));
    CU_ASSERT_EQUAL(slow.n_pause, 1);
    push(s, 6, "plain", "on disk", NULL);
    CU_ASSERT_EQUAL(slow.n_append, 1);
    finish(1, 0);
    expect_ok(s, 6);
    teardown();
}

/* The configuration was changed while the broker was down. */
static void a_restored_queue_gets_its_durability_when_its_jobs_are_gone(void) {
    Session *s = set_up();
    ferry_error error;

    log_level = (LogLevel)-1;
    configure("disk.q", "durability", "memory");
    for (int i = 0; i < 3; i++)
        slow.store.ops->restore(&slow.store, 1, &error);
    CU_ASSERT_TRUE(list_has("disk.q", "next_durability"));
    pull(s, 1, "disk.q", 5);
    expect_ok(s, 1);
    for (uint64_t job = 11; job < 14; job++) {
        CU_ASSERT_EQUAL(expect_job(s, 1, "x", 1), job);
        ack(s, job, job, 1);
    }
    finish(3, 0);
    for (uint64_t job = 11; job < 14; job++)
        expect_ok(s, job);
    push(s, 20, "disk.q", "in memory", NULL);
    expect_ok(s, 20);
    CU_ASSERT_EQUAL(slow.n_append, 0);
    teardown();
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_push_is_confirmed_and_delivered_when_it_is_stored),
        TEST(a_push_that_was_not_stored_is_an_error),
        TEST(a_duplicate_is_confirmed_when_its_job_is_stored),
        TEST(what_waits_for_the_store_has_a_limit),
        TEST(a_key_may_end_before_its_job_is_stored),
        TEST(an_ack_is_confirmed_when_the_job_is_forgotten),
        TEST(a_push_sent_again_meanwhile_is_answered_once),
        TEST(sessions_and_clients_may_go_meanwhile),
        TEST(a_push_of_an_earlier_life_is_known),
        TEST(forward_is_one_change),
        TEST(a_store_that_fails_makes_no_dead_letters_of_forwarded_jobs),
        TEST(between_stores_a_job_is_pushed_first_and_then_forgotten),
        TEST(a_dead_letter_that_is_not_stored_is_tried_again),
        TEST(the_oldest_job_is_dropped_when_the_new_one_is_stored),
        TEST(purging_waits_for_the_store),
        TEST(a_failed_move_between_stores_keeps_the_job),
        TEST(a_job_that_was_moved_before_a_restart_is_not_stored_twice),
        TEST(changes_of_different_jobs_end_in_any_order),
        TEST(processing_ends_the_changes),
        TEST(a_turn_with_changes_is_flushed_once),
        TEST(every_unconfirmed_push_that_is_sent_again_is_found),
        TEST(a_store_forgets_the_pushes_that_no_client_asks_about),
        TEST(a_degraded_store_shows_its_reason),
        TEST(pausing_is_confirmed_when_it_is_stored),
        TEST(a_queue_gets_another_durability_when_its_jobs_are_gone),
        TEST(a_restored_queue_gets_its_durability_when_its_jobs_are_gone),
        TESTS_END,
    };

    return run_suite("broker queues: stores", tests);
}
