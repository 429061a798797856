/* SPDX-License-Identifier: Apache-2.0 */
/* Shards come to a broker and leave it, while clients are connected. */

#include "unit/broker/queues/shard-store.h"

/* A broker that has shard 0; shard 1 is at tcp://b, and shard 2 is nowhere. */
static Session *set_up(void) {
    empty_shards();
    begin_broker();
    adopt(0);
    set_owner(1, "tcp://b:5877");
    return fake_connect(&broker, 's');
}

/* All that clients made the broker hold is gone. */
static void tear_down(void) {
    while (broker.sessions)
        end_session(broker.sessions);
    wait_ms(QUEUE_IDLE_MS + 1);
    for (unsigned k = 0; k < N_SHARDS; k++)
        CU_ASSERT_EQUAL(shards[k].store.n_open, shards[k].n_changes);
    teardown();
}

/* ---- a queue whose shard is away ---- */

static void a_push_to_a_queue_at_another_broker_names_that_broker(void) {
    Session *s = set_up();

    push(s, 1, queue_in(1, 0), "x", NULL);
    expect_moved_error(s, 1, "tcp://b:5877");
    push(s, 2, queue_in(2, 0), "x", NULL);
    expect_moved_error(s, 2, NULL);
    CU_ASSERT_EQUAL(queues_count(queues), 0); /* a push makes no queue here */
    push(s, 3, "a..b", "x", NULL);
    expect_error(s, 3, "ferry.InvalidArgument");
    push(s, 4, "ferry.x", "x", NULL);
    expect_error(s, 4, "ferry.PermissionDenied");
    push(s, 5, queue_in(0, 0), "x", NULL);
    end_changes(&shards[0]);
    expect_ok(s, 5);
    tear_down();
}

static void a_pull_without_wait_is_refused_and_one_with_wait_stays(void) {
    Session *s = set_up();
    const char *queue = queue_in(1, 0);

    pull(s, 1, queue, 1);
    expect_moved_error(s, 1, "tcp://b:5877");
    pull_and_wait(s, 2, queue, 2);
    expect_ok(s, 2);
    expect_moved(s, queue, "tcp://b:5877");
    pull_and_wait(s, 3, queue_in(2, 0), 1);
    expect_ok(s, 3);
    expect_nothing(s);

    set_owner(1, "tcp://c:5877");
    rooms_turn_end(&broker);
    expect_moved(s, queue, "tcp://c:5877");
    rooms_turn_end(&broker);
    expect_nothing(s);

    shards[1].jobs[shards[1].n++] = (KeptJob){.id = 64 + 2, .body = "first"};
    shards[1].jobs[shards[1].n++] = (KeptJob){.id = 128 + 2, .body = "second"};
    for (size_t i = 0; i < 2; i++)
        snprintf(shards[1].jobs[i].queue, sizeof(shards[1].jobs[i].queue), "%s", queue);
    adopt(1);
    expect_job(s, 2, "first", 1);
    expect_job(s, 2, "second", 1);
    tear_down();
}

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

/* ---- settlements ---- */

static void a_settlement_of_a_job_that_is_elsewhere_names_the_broker(void) {
    Session *s = set_up();

    ack(s, 1, 64 + 2, 1);
    expect_moved_error(s, 1, "tcp://b:5877");
    retry(s, 2, 64 + 3, 1, 0, "");
    expect_moved_error(s, 2, NULL);
    ack(s, 3, 64 + 1, 1); /* a job that shard 0 does not have */
    expect_error(s, 3, "ferry.LeaseLost");
    ack(s, 4, 64 + 63, 1); /* a job in no shard */
    expect_error(s, 4, "ferry.LeaseLost");
    tear_down();
}

static void a_job_is_not_forwarded_to_a_queue_that_is_elsewhere(void) {
    Session *s = set_up();
    const char *queue = queue_in(0, 0);
    uint64_t job;

    push(s, 1, queue, "x", NULL);
    end_changes(&shards[0]);
    expect_ok(s, 1);
    pull(s, 2, queue, 1);
    expect_ok(s, 2);
    job = expect_job(s, 2, "x", 1);
    forward(s, 3, job, 1, queue_in(1, 0), "y");
    expect_moved_error(s, 3, "tcp://b:5877");
    CU_ASSERT_EQUAL(count_of(queue, "delayed"), 1); /* as after a RETRY */
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

    HASH_ITER(hh, broker.clients, client, next) {
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
    CU_ASSERT_EQUAL(queues_pause(queues, span_text(queue), true), 0);
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
    while (broker.sessions)
        end_session(broker.sessions);
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

/* ---- the order of pushes ---- */

/* A push of a client that has got the answer ferry.Moved with this number; 0: the client has got no
 * such answer. */
static void push_after(Session *s, uint64_t id, const char *queue, uint64_t moved) {
    uint8_t options[] = {0x81, 0xA5, 'm', 'o', 'v', 'e', 'd', (uint8_t)moved};

    queues_push(queues, s,
                &(Message){.op = OP_PUSH,
                           .id = id,
                           .name = span_text(queue),
                           .body = span_text("x"),
                           .push.flags = PUSH_COUNTS,
                           .push.options = span_of(options, moved > 0 ? sizeof(options) : 0)},
                NULL);
}

/* The push is refused with this number; is_here: by the broker that has the queue. */
static void expect_number(Session *s, uint64_t id, uint64_t number, bool is_here) {
    const FakeSent *sent = fake_peek(s);

    CU_ASSERT_PTR_NOT_NULL_FATAL(sent);
    CU_ASSERT_EQUAL(sent->moved, number);
    CU_ASSERT_EQUAL(memcmp(sent->owner, broker.id, WIRE_TOKEN) == 0, is_here);
    expect_error(s, id, "ferry.Moved");
}

static void pushes_on_their_way_do_not_overtake_one_that_was_refused(void) {
    Session *s = set_up(), *other = fake_connect(&broker, 'o');
    const char *queue = queue_in(2, 0);

    memset(broker.id, 'b', sizeof(broker.id));
    push_after(s, 1, queue, 0);
    push_after(s, 2, queue_in(1, 0), 0);
    expect_number(s, 1, 1, false);
    expect_number(s, 2, 2, false);
    adopt(2);
    push_after(s, 3, queue, 0);
    expect_number(s, 3, 3, true);
    push_after(s, 4, queue, 1);
    expect_number(s, 4, 4, true);
    push_after(s, 5, queue_in(0, 0), 0); /* no push to this shard was refused */
    end_changes(&shards[0]);
    expect_ok(s, 5);
    push_after(s, 1, queue, 4);
    push_after(s, 3, queue, 4);
    push_after(other, 1, queue, 0);
    push(s, 6, queue, "x", NULL); /* as of a client that does not count */
    end_changes(&shards[2]);
    expect_ok(s, 1);
    expect_ok(s, 3);
    expect_ok(s, 6);
    expect_ok(other, 1);
    tear_down();
    CU_ASSERT_EQUAL(broker.budget.bytes[BUDGET_QUEUES], 0);
}

static void a_push_that_leaves_with_its_shard_is_counted(void) {
    Session *s = set_up();
    const char *queue = queue_in(0, 0);

    memset(broker.id, 'b', sizeof(broker.id));
    push_after(s, 1, queue, 0);
    let_go(0, false);
    expect_number(s, 1, 1, false);
    turns_until_gone();
    adopt(0);
    push_after(s, 2, queue, 0);
    expect_number(s, 2, 2, true);
    push_after(s, 1, queue, 2);
    push_after(s, 2, queue, 2);
    end_changes(&shards[0]);
    expect_ok(s, 1);
    expect_ok(s, 2);
    tear_down();
}

/* ---- pushes of another broker's client ---- */

static void a_push_with_an_origin_is_stored_once(void) {
    Session *s = set_up();
    const char *queue = queue_in(0, 0);

    push(s, 7, queue, "x", "origin", "o", NULL);
    push(s, 7, queue, "x", "origin", "o", NULL); /* while it is being stored */
    end_changes(&shards[0]);
    expect_ok(s, 7);
    expect_nothing(s);
    push(s, 7, queue, "x", "origin", "o", NULL);
    expect_outcome(s, 7, PUSH_STORED_BEFORE);
    push(s, 7, queue, "x", "origin", "p", NULL); /* another client's push 7 */
    push(s, 7, queue, "x", NULL);                /* and the session's own */
    end_changes(&shards[0]);
    expect_ok(s, 7);
    expect_ok(s, 7);
    CU_ASSERT_EQUAL(count_of(queue, "ready"), 3);
    push(s, 8, queue, "x", "origin", "!", NULL);
    expect_error(s, 8, "ferry.PermissionDenied");
    tear_down();
}

/* The client pushed through the broker that had the shard before, and sends the push again here. */
static void a_push_with_an_origin_is_known_after_the_adoption(void) {
    Session *s;
    const char *queue;

    set_up();
    queue = queue_in(0, 0);
    s = fake_connect(&broker, 'l');
    push(s, 7, queue, "x", NULL);
    end_changes(&shards[0]);
    expect_ok(s, 7);
    tear_down();

    begin_broker(); /* another broker */
    s = fake_connect(&broker, 'm');
    adopt(0);
    push(s, 7, queue, "x", "origin", "l", NULL);
    expect_outcome(s, 7, PUSH_STORED_BEFORE);
    push(s, 8, queue, "y", "origin", "l", NULL);
    end_changes(&shards[0]);
    expect_ok(s, 8);
    tear_down();

    begin_broker(); /* the client is known before its pushes come */
    s = fake_connect(&broker, 'l');
    adopt(0);
    push(s, 8, queue, "y", NULL);
    expect_outcome(s, 8, PUSH_STORED_BEFORE);
    tear_down();
}

/* Each adoption gives the clients of its pushes the whole time to come back. */
static void pushes_are_remembered_from_their_adoption_on(void) {
    Session *s = set_up();
    const char *first = queue_in(0, 0), *second = queue_in(1, 0);

    adopt(1);
    s = fake_connect(&broker, 'l');
    push(s, 7, first, "x", NULL);
    push(s, 8, second, "x", NULL);
    end_changes(&shards[0]);
    end_changes(&shards[1]);
    tear_down();

    begin_broker();
    s = fake_connect(&broker, 'm');
    adopt(0);
    wait_ms(broker.limits.client_memory_ms - 10);
    adopt(1);
    wait_ms(20);
    push(s, 8, second, "x", "origin", "l", NULL);
    expect_outcome(s, 8, PUSH_STORED_BEFORE);
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

/* ---- numbers ---- */

static void a_job_has_a_number_that_no_other_shard_uses(void) {
    Session *s = set_up();
    uint64_t last = 0, number;

    configure("plain", "durability", "memory");
    adopt(1);
    for (int i = 1; i < 200; i++) {
        unsigned k = (unsigned)i % 3;

        push(s, (uint64_t)i, k == 2 ? "plain" : queue_in(k, (unsigned)i % 5), "x", NULL);
        if (k < 2)
            end_changes(&shards[k]);
        number = expect_ok(s, (uint64_t)i);
        CU_ASSERT_EQUAL(number % 64, k == 2 ? 63 : k + 1);
        CU_ASSERT(number > last);
        last = number;
    }
    tear_down();

    begin_broker(); /* its numbers would begin lower */
    adopt(1);
    s = fake_connect(&broker, 's');
    push(s, 1, queue_in(1, 0), "x", NULL);
    end_changes(&shards[1]);
    CU_ASSERT(expect_ok(s, 1) > shards[1].jobs[shards[1].n - 2].id);
    tear_down();
}

static void a_queue_and_its_dead_letters_are_in_one_shard(void) {
    char name[300], dead[310];
    unsigned n[N_SHARDS] = {0};

    set_up();
    for (unsigned i = 0; i < 300; i++) {
        snprintf(name, sizeof(name), "orders.%u", i);
        snprintf(dead, sizeof(dead), "%s.dead", name);
        CU_ASSERT_PTR_EQUAL(shard_of(queues, span_text(name)), shard_of(queues, span_text(dead)));
        n[shard_of(queues, span_text(name))->shard - 1]++;
    }
    for (unsigned k = 0; k < N_SHARDS; k++)
        CU_ASSERT(n[k] > 60);
    /* The hash is the same in all brokers, of all versions. */
    CU_ASSERT_EQUAL(XXH3_64bits("mail", 4), UINT64_C(4298297509709462591));
    tear_down();
}

/* ---- failures ---- */

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

static void a_lost_shard_does_not_end_the_broker(void) {
    set_up();
    shards[0].store.lost = shards[0].store.broken = true;
    CU_ASSERT_FALSE(queues_lost(queues));
    CU_ASSERT_FALSE(queues_broken(queues));
    store_memory.lost = store_memory.broken = true;
    CU_ASSERT_TRUE(queues_lost(queues));
    CU_ASSERT_TRUE(queues_broken(queues));
    store_memory.lost = store_memory.broken = false;
    store_set_degraded(&shards[0].store, "Redis is away");
    CU_ASSERT_STRING_EQUAL(queues_degraded(queues), "shard 0: Redis is away");
    let_go(0, false);
    CU_ASSERT_PTR_NULL(queues_degraded(queues));
    CU_ASSERT_FALSE(shards[0].store.lost);
    tear_down();
}

/* Only shards of one store are restored at the start, and only while they are here. */
static void a_shard_that_is_away_is_not_restored_at_the_start(void) {
    empty_shards();
    begin_broker();
    CU_ASSERT_EQUAL(queues_restore(queues, NULL), 0);
    CU_ASSERT_TRUE(shards[0].store.away);
    tear_down();
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_push_to_a_queue_at_another_broker_names_that_broker),
        TEST(a_pull_without_wait_is_refused_and_one_with_wait_stays),
        TEST(a_shard_is_restored_in_slices_beside_the_turns),
        TEST(a_settlement_of_a_job_that_is_elsewhere_names_the_broker),
        TEST(a_job_is_not_forwarded_to_a_queue_that_is_elsewhere),
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
        TEST(pushes_on_their_way_do_not_overtake_one_that_was_refused),
        TEST(a_push_that_leaves_with_its_shard_is_counted),
        TEST(a_push_with_an_origin_is_stored_once),
        TEST(a_push_with_an_origin_is_known_after_the_adoption),
        TEST(pushes_are_remembered_from_their_adoption_on),
        TEST(a_shard_closes_when_its_changes_have_ended),
        TEST(a_job_has_a_number_that_no_other_shard_uses),
        TEST(a_queue_and_its_dead_letters_are_in_one_shard),
        TEST(a_failed_adoption_leaves_nothing),
        TEST(a_lost_shard_does_not_end_the_broker),
        TEST(a_shard_that_is_away_is_not_restored_at_the_start),
        TESTS_END,
    };

    return run_suite("shards of queues", tests);
}
