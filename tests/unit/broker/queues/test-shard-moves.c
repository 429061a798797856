/* SPDX-License-Identifier: Apache-2.0 */
/* Shards come to a broker and leave it, while clients are connected. */

#include "unit/broker/queues/shard-store.h"

/* ---- adoption ---- */

/* While it is restored, the shard is away: its jobs are not delivered, and pushes are refused. */
static void a_shard_is_restored_in_slices_beside_the_turns(void) {
    Session *s = set_up();
    const char *queue = queue_in(1, 0);

    for (size_t i = 0; i < 3; i++) {
        shards[1].jobs[i] = (KeptJob){.id = (i + 1) * 64 + 2, .body = "x"};
        snprintf(shards[1].jobs[i].queue, sizeof(shards[1].jobs[i].queue), "%s", queue);
    }
    shards[1].jobs[1].due_ms = broker.now_ms + 5;
    shards[1].jobs[2].expires_ms = broker.now_ms + 5;
    shards[1].n = 3;
    pull_and_wait(s, 1, queue, 3);
    expect_ok(s, 1);
    expect_moved(s, queue, "tcp://b:5877");
    CU_ASSERT_EQUAL(queues_adopt_begin(queues, &shards[1].store), 0);
    for (size_t i = 0; i < 3; i++) {
        restore_jobs(&shards[1], i, 1);
        wait_ms(10);
        push(s, 10 + i, queue, "y", NULL);
        expect_moved_error(s, 10 + i, "tcp://b:5877");
    }
    expect_nothing(s);
    queues_adopt_end(queues, &shards[1].store);
    rooms_turn_end(&broker);
    expect_job(s, 1, "x", 1);
    wait_ms(QUEUE_AWAY_MS);
    expect_job(s, 1, "x", 1); /* its delay passed during the adoption */
    end_changes(&shards[1]);
    CU_ASSERT_EQUAL(count_of(queue, "dead"), 1); /* its time to live, too */
    tear_down();
}

/* Restores a half of the jobs, and then fails. Returns the bytes that are left in memory. */
static uint64_t adopt_a_half(unsigned k) {
    CU_ASSERT_EQUAL(queues_adopt_begin(queues, &shards[k].store), 0);
    restore_jobs(&shards[k], 0, shards[k].n / 2);
    wait_ms(QUEUE_RESTART_MS + 10);
    let_go(k, false);
    turns_until_gone();
    wait_ms(QUEUE_IDLE_MS + 1);
    return broker_stored(&broker);
}

static void a_failed_adoption_leaves_nothing(void) {
    const char *queue;
    uint64_t before;

    set_up();
    queue = queue_in(1, 0);
    for (size_t i = 0; i < 100; i++) {
        shards[1].jobs[i] = (KeptJob){.id = (i + 1) * 64 + 2, .body = "x", .held = i % 2};
        snprintf(shards[1].jobs[i].queue, sizeof(shards[1].jobs[i].queue), "%s", queue);
    }
    shards[1].n = 100;
    before = adopt_a_half(1); /* from now on an empty slab of each size stays */
    CU_ASSERT_EQUAL(adopt_a_half(1), before);
    adopt(1);
    CU_ASSERT_EQUAL(count_of(queue, "held"), 50);
    CU_ASSERT_EQUAL(count_of(queue, "ready"), 50);
    tear_down();
}

/* ---- leaving ---- */

static void workers_lose_their_jobs_with_the_shard(void) {
    Session *s = set_up(), *waiting = fake_connect(&broker, 'w');
    const char *queue = queue_in(0, 0), *other = queue_in(0, 1);
    const FakeSent *sent;
    uint64_t job;

    push(s, 1, queue, "x", NULL);
    push(s, 2, other, "y", NULL);
    end_changes(&shards[0]);
    expect_ok(s, 1);
    expect_ok(s, 2);
    pull(s, 3, queue, 2);
    expect_ok(s, 3);
    job = expect_job(s, 3, "x", 1);
    pull_and_wait(waiting, 1, other, 1);
    expect_ok(waiting, 1);
    expect_job(waiting, 1, "y", 1);

    let_go(0, true);
    push(s, 4, queue, "z", NULL);
    expect_moved_error(s, 4, NULL);
    ack(s, 5, job, 1); /* its LOST has not been sent yet */
    expect_moved_error(s, 5, NULL);
    turns_until_gone();
    sent = fake_take(s);
    CU_ASSERT_PTR_NOT_NULL_FATAL(sent);
    CU_ASSERT_EQUAL(sent->message.op, OP_LOST);
    CU_ASSERT_EQUAL(sent->message.lost.job, job);
    CU_ASSERT_EQUAL(sent->message.lost.reason, LOST_AWAY);
    expect_moved(s, queue, NULL);
    unpull(s, 6, 3);
    expect_error(s, 6, "ferry.NotFound"); /* the pull has ended */
    fake_drop(waiting);

    set_owner(0, "tcp://c:5877");
    rooms_turn_end(&broker);
    expect_nothing(s);
    expect_moved(waiting, other, "tcp://c:5877");
    wait_ms(1000);
    CU_ASSERT_EQUAL(shards[0].n, 2); /* no change of the store */
    CU_ASSERT_TRUE(shards[0].jobs[0].held);

    adopt(0);
    expect_nothing(waiting);
    wait_ms(QUEUE_RESTART_MS); /* the worker of the broker before may come back */
    expect_job(waiting, 1, "y", 2);
    tear_down();
}

/* A session of the client that has sessions with all brokers. */
static Session *connect_group(char c) {
    Session *session = fake_connect(&broker, c);

    session->has_group = true;
    memset(session->group, 'G', WIRE_TOKEN);
    return session;
}

/* A worker of this group gets a job of shard 0, and the shard leaves in order. Returns the job. */
static uint64_t leave_with_job(Session *s, const char *queue) {
    Session *worker = connect_group('w');
    uint64_t job;

    push(s, 1, queue, "x", NULL);
    end_changes(&shards[0]);
    expect_ok(s, 1);
    pull_and_wait(worker, 1, queue, 1);
    expect_ok(worker, 1);
    job = expect_job(worker, 1, "x", 1);
    let_go(0, true);
    turns_until_gone();
    end_session(worker);
    return job;
}

static void a_job_of_a_shard_that_was_handed_over_waits_for_its_worker(void) {
    Session *s = set_up(), *member;
    const char *queue = queue_in(0, 0);
    uint64_t job = leave_with_job(s, queue);

    pull_and_wait(s, 2, queue, 1);
    expect_ok(s, 2);
    shards[0].store.handed_over = true;
    adopt(0);
    wait_ms(QUEUE_HANDOVER_MS - 1);
    extend(s, 3, job, 1, 0);
    expect_error(s, 3, "ferry.LeaseLost"); /* a session of another client */
    member = connect_group('m');
    extend(member, 1, job, 1, 0);
    expect_ok(member, 1);
    wait_ms(QUEUE_HANDOVER_MS + 1);
    expect_nothing(s);
    CU_ASSERT_EQUAL(count_of(queue, "held"), 1);
    ack(member, 2, job, 1);
    end_changes(&shards[0]);
    expect_ok(member, 2);
    CU_ASSERT_EQUAL(shards[0].n, 0);
    tear_down();
}

static void a_job_that_no_worker_claims_is_delivered_again(void) {
    Session *s = set_up();
    const char *queue = queue_in(0, 0);

    leave_with_job(s, queue);
    pull_and_wait(s, 2, queue, 1);
    expect_ok(s, 2);
    shards[0].store.handed_over = true;
    adopt(0);
    wait_ms(QUEUE_HANDOVER_MS - 1);
    expect_nothing(s);
    wait_ms(1);
    expect_job(s, 2, "x", 2);
    tear_down();
}

static void push_in_each_state(Session *s, const char *queue) {
    push(s, 0, queue, "ready", "ttl", UINT64_C(100000000), NULL);
    push(s, 0, queue, "delayed", "delay", UINT64_C(100000000), NULL);
    push(s, 0, queue, "ordered", "order", "o", "priority", UINT64_C(3), NULL);
    push(s, 0, queue, "parked", "order", "o", NULL);
    push(s, 0, queue, "keyed", "key", "k", NULL);
    push(s, 0, queue, "unique", "key", "u", "unique", UINT64_C(1), NULL);
}

/* A worker is lost three times with the queue's first job. */
static void quarantine(const char *queue) {
    for (int i = 0; i < 3; i++) {
        Session *worker = fake_connect(&broker, 'w');

        pull(worker, 1, queue, 1);
        wait_ms(5000); /* the back-off of the job */
        CU_ASSERT_EQUAL(count_of(queue, "held"), 1);
        end_session(worker);
        wait_ms(broker.limits.lease_grace_ms + 1);
    }
}

/* The worker's client, too, is forgotten. */
static void forget_worker(void) {
    Client *client, *next;

    HASH_ITER(hh, broker.clients.by_id, client, next) {
        if (client->session)
            continue;
        rooms_client_gone(&broker, client);
        fake_forget(&broker, client);
    }
}

/* A shard with jobs in all states leaves. Returns the bytes that are left in memory. */
static uint64_t fill_and_leave(Session *s, const char *queue) {
    push_in_each_state(s, queue);
    end_changes(&shards[0]);
    quarantine(queue);
    CU_ASSERT_EQUAL(queues_pause(queues, span_text(queue), true, NULL, 0), QUEUES_LATER);
    push(s, 0, queue, "being stored", NULL);
    CU_ASSERT_EQUAL(shards[0].store.n_open, 1);
    CU_ASSERT_EQUAL(shards[0].store.n_jobs, 7);
    let_go(0, false);
    CU_ASSERT_EQUAL(shards[0].store.n_open, 0);
    turns_until_gone();
    CU_ASSERT_EQUAL(shards[0].store.n_jobs, 0);
    CU_ASSERT_PTR_NULL(queues->pages);
    CU_ASSERT_EQUAL(queues->timers.n, 0);
    forget_worker();
    wait_ms(QUEUE_IDLE_MS + 1);
    CU_ASSERT_EQUAL(queues_count(queues), 0);
    CU_ASSERT_EQUAL(shards[0].n, 6);
    return broker_stored(&broker);
}

static void jobs_in_all_states_leave_memory(void) {
    Session *s = set_up();
    const char *queue = queue_in(0, 0);
    uint64_t before = fill_and_leave(s, queue); /* from now on an empty slab of each size stays */

    shards[0].n = 0;
    *shards[0].paused = '\0';
    adopt(0);
    CU_ASSERT_EQUAL(fill_and_leave(s, queue), before);

    adopt(0);
    CU_ASSERT_EQUAL(shards[0].store.n_jobs, 6);
    CU_ASSERT_EQUAL(count_of(queue, "held"), 0);
    CU_ASSERT_EQUAL(count_of(queue, "delayed"), 1);
    CU_ASSERT_EQUAL(count_of(queue, "ready"), 5);
    CU_ASSERT_TRUE(queues_is_paused(queues, span_text(queue)));
    push(s, 9, queue, "again", "key", "k", NULL);
    expect_outcome(s, 9, PUSH_DUPLICATE);
    push(s, 10, queue, "again", "key", "u", "unique", UINT64_C(1), NULL);
    expect_outcome(s, 10, PUSH_DUPLICATE);
    tear_down();
}

static void many_jobs_leave_in_slices(void) {
    enum { MANY = 2000 };
    Session *s = set_up();
    const char *queue = queue_in(0, 0);
    size_t before;

    for (unsigned i = 0; i < MANY; i++) {
        push(s, 0, queue, "x", NULL);
        end_changes(&shards[0]);
    }
    let_go(0, true);
    for (int turn = 0; queues->leaving && turn < 100; turn++) {
        CU_ASSERT_EQUAL(queues_adopt_begin(queues, &shards[0].store), -EBUSY);
        before = shards[0].store.n_jobs;
        rooms_turn_end(&broker);
        CU_ASSERT(shards[0].store.n_jobs + QUEUE_SLICE >= before);
        CU_ASSERT(!queues->leaving || shards[0].store.n_jobs < before);
    }
    CU_ASSERT_EQUAL(shards[0].store.n_jobs, 0);
    adopt(0);
    CU_ASSERT_EQUAL(count_of(queue, "ready"), MANY);
    tear_down();
}

/* The broker ends before all jobs have left memory. */
static void a_broker_ends_while_jobs_leave(void) {
    Session *s = set_up();

    for (unsigned i = 0; i < 600; i++) {
        push(s, 0, queue_in(0, 0), "x", NULL);
        end_changes(&shards[0]);
    }
    let_go(0, true);
    rooms_turn_end(&broker);
    CU_ASSERT_PTR_NOT_NULL(queues->leaving);
    while (broker.sessions.first)
        end_session(broker.sessions.first);
    teardown();
}

static void changes_under_way_are_answered_with_moved(void) {
    Session *s = set_up();
    const char *queue = queue_in(0, 0);
    uint64_t job;

    push(s, 1, queue, "x", NULL);
    end_changes(&shards[0]);
    expect_ok(s, 1);
    pull_and_wait(s, 2, queue, 1);
    expect_ok(s, 2);
    job = expect_job(s, 2, "x", 1);
    push(s, 3, queue, "y", "key", "k", NULL);
    ack(s, 4, job, 1);
    expect_nothing(s);
    let_go(0, true); /* both were written, but the broker does not hear it */
    expect_moved_error(s, 3, NULL);
    expect_moved_error(s, 4, NULL);
    turns_until_gone();
    expect_moved(s, queue, NULL);

    adopt(0);
    expect_job(s, 2, "y", 1);
    push(s, 3, queue, "y", NULL); /* sent again */
    expect_outcome(s, 3, PUSH_STORED_BEFORE);
    ack(s, 5, job, 1);
    expect_error(s, 5, "ferry.LeaseLost");
    tear_down();
}

/* The change of the other store does not end with the shard. */
static void a_job_that_moves_between_stores_is_not_lost_with_one_of_them(void) {
    Session *s = set_up();
    const char *from = queue_in(0, 0), *to = queue_in(1, 0);
    uint64_t n = 0;

    adopt(1);
    push(s, 0, from, "x", NULL);
    push(s, 0, to, "y", NULL);
    end_changes(&shards[0]);
    end_changes(&shards[1]);
    CU_ASSERT_EQUAL(queues_move(queues, span_text(from), span_text(to), 0, NULL, 0, &n), 0);
    let_go(0, false); /* the old job leaves while the new one is being stored */
    turns_until_gone();
    end_changes(&shards[1]);
    CU_ASSERT_EQUAL(count_of(to, "ready"), 2);
    CU_ASSERT_EQUAL(shards[0].store.n_jobs, 0);
    CU_ASSERT_EQUAL(shards[0].n, 1); /* it may be done twice, but it is not lost */

    adopt(0);
    CU_ASSERT_EQUAL(queues_move(queues, span_text(to), span_text(from), 1, NULL, 0, &n), 0);
    let_go(0, false); /* the new job's shard leaves */
    turns_until_gone();
    CU_ASSERT_EQUAL(count_of(to, "ready"), 2);
    tear_down();
}

/* The shard of the old job closes during the move: the move ends first. */
static void a_move_to_another_store_ends_before_its_shard_closes(void) {
    Session *s = set_up();
    const char *from = queue_in(0, 0), *to = queue_in(1, 0);
    uint64_t n = 0;

    adopt(1);
    push(s, 0, from, "x", NULL);
    end_changes(&shards[0]);
    CU_ASSERT_EQUAL(queues_move(queues, span_text(from), span_text(to), 0, NULL, 0, &n), 0);
    CU_ASSERT_FALSE(queues_close_shard(queues, &shards[0].store));
    CU_ASSERT_EQUAL(shards[0].n_changes, 0);
    end_changes(&shards[1]);
    CU_ASSERT_EQUAL(count_of(to, "ready"), 1);
    CU_ASSERT_FALSE(queues_close_shard(queues, &shards[0].store));
    end_changes(&shards[0]);
    CU_ASSERT_TRUE(queues_close_shard(queues, &shards[0].store));
    let_go(0, true);
    turns_until_gone();
    CU_ASSERT_EQUAL(shards[0].n, 0);
    CU_ASSERT_EQUAL(shards[1].n, 1);
    tear_down();
}

/* A job that is spent while its shard closes is not copied to a dead-letter queue in memory. */
static void a_closing_shard_makes_no_dead_letters_elsewhere(void) {
    Session *s = set_up();
    const char *queue = queue_in(0, 0);
    char dead[40];

    snprintf(dead, sizeof(dead), "%s.dead", queue);
    configure(dead, "durability", "memory");
    configure(queue, "max_attempts", "1");
    push(s, 0, queue, "x", NULL);
    end_changes(&shards[0]);
    pull(s, 1, queue, 1);
    expect_ok(s, 1);
    expect_job(s, 1, "x", 1);
    CU_ASSERT_TRUE(queues_close_shard(queues, &shards[0].store));
    end_session(s);
    wait_ms(broker.limits.lease_grace_ms + 1);
    CU_ASSERT_EQUAL(count_of(queue, "dead"), 0);
    let_go(0, true);
    turns_until_gone();
    adopt(0);
    wait_ms(QUEUE_RESTART_MS + 1); /* the shard has still noted that a worker has it */
    CU_ASSERT_EQUAL(count_of(queue, "dead"), 1);
    end_changes(&shards[0]);
    tear_down();
}

static void a_purge_ends_with_its_shard(void) {
    Session *s = set_up();
    const char *queue = queue_in(0, 0);
    uint64_t n = 0;

    for (unsigned i = 0; i < QUEUE_SLICE + 100; i++) {
        push(s, 0, queue, "x", NULL);
        end_changes(&shards[0]);
    }
    CU_ASSERT_EQUAL(queues_purge(queues, span_text(queue), s, 7, &n), QUEUES_LATER);
    expect_nothing(s);
    let_go(0, true);
    expect_moved_error(s, 7, NULL);
    turns_until_gone();
    CU_ASSERT_EQUAL(shards[0].n, 100);
    adopt(0);
    CU_ASSERT_EQUAL(count_of(queue, "ready"), 100);
    tear_down();
}

/* ---- an orderly end ---- */

static void a_shard_closes_when_its_changes_have_ended(void) {
    Session *s = set_up();
    const char *queue = queue_in(0, 0);
    uint64_t job;

    push(s, 1, queue, "x", NULL);
    push(s, 2, queue, "y", NULL);
    end_changes(&shards[0]);
    expect_ok(s, 1);
    expect_ok(s, 2);
    pull_and_wait(s, 3, queue, 1);
    expect_ok(s, 3);
    job = expect_job(s, 3, "x", 1);
    push(s, 4, queue, "z", NULL);
    CU_ASSERT_FALSE(queues_close_shard(queues, &shards[0].store));
    push(s, 5, queue, "z", NULL);
    expect_moved_error(s, 5, NULL);
    ack(s, 6, job, 1);
    expect_moved_error(s, 6, NULL);
    CU_ASSERT_EQUAL(shards[0].n_changes, 1);
    end_changes(&shards[0]);
    expect_ok(s, 4);
    expect_nothing(s); /* no job is delivered any more */
    CU_ASSERT_TRUE(queues_close_shard(queues, &shards[0].store));
    let_go(0, true);
    turns_until_gone();
    CU_ASSERT_EQUAL(shards[0].n, 3);
    fake_drop(s);
    adopt(0);
    expect_job(s, 3, "y", 1);
    tear_down();
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_shard_is_restored_in_slices_beside_the_turns),
        TEST(a_failed_adoption_leaves_nothing),
        TEST(workers_lose_their_jobs_with_the_shard),
        TEST(a_job_of_a_shard_that_was_handed_over_waits_for_its_worker),
        TEST(a_job_that_no_worker_claims_is_delivered_again),
        TEST(jobs_in_all_states_leave_memory),
        TEST(many_jobs_leave_in_slices),
        TEST(a_broker_ends_while_jobs_leave),
        TEST(changes_under_way_are_answered_with_moved),
        TEST(a_job_that_moves_between_stores_is_not_lost_with_one_of_them),
        TEST(a_move_to_another_store_ends_before_its_shard_closes),
        TEST(a_closing_shard_makes_no_dead_letters_elsewhere),
        TEST(a_purge_ends_with_its_shard),
        TEST(a_shard_closes_when_its_changes_have_ended),
        TESTS_END,
    };

    return run_suite("shards that move", tests);
}
