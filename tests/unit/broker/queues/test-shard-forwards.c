/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs are forwarded from one shard to another, whose broker is the same one or another. Each
 * result is stored once, whichever way it goes. */

#include "broker/queues/restored-private.h"
#include "unit/broker/queues/shard-store.h"

static const char *from, *to; /* queues in shard 0 and in shard 1 */

/* A broker that has shard 0 with a job, which the worker has; shard 1 is at tcp://b. */
static Session *begin_with_job(uint64_t *ret_job) {
    Session *s;

    empty_shards();
    begin_broker();
    adopt(0);
    set_owner(1, "tcp://b:5877");
    from = queue_in(0, 0);
    to = queue_in(1, 0);
    s = fake_connect(&broker, 's');
    push(s, 1, from, "x", NULL);
    end_changes(&shards[0]);
    expect_ok(s, 1);
    pull(s, 2, from, 1);
    expect_ok(s, 2);
    *ret_job = expect_job(s, 2, "x", 1);
    return s;
}

/* Another broker that has these shards, and a worker with the job of shard 0, redelivered. */
static Session *begin_again(bool has_first, bool has_second) {
    Session *s;

    tear_down();
    begin_broker();
    s = fake_connect(&broker, 't');
    if (has_second)
        adopt(1);
    if (has_first) {
        adopt(0);
        wait_ms(QUEUE_RESTART_MS + 1);
        pull(s, 2, from, 1);
        expect_ok(s, 2);
        expect_job(s, 2, "x", 2);
    }
    return s;
}

static void expect_kept(Session *s, uint64_t id, const char *url) {
    const FakeSent *sent = fake_peek(s);

    CU_ASSERT_PTR_NOT_NULL_FATAL(sent);
    CU_ASSERT_TRUE(sent->is_kept);
    expect_moved_error(s, id, url);
}

/* Pushes the result of a job, as its worker does. */
static void push_result(Session *s, uint64_t id, uint64_t job) {
    push(s, id, to, "y", "from", from, "job", job, NULL);
}

/* ---- at the broker of the job ---- */

static void a_worker_keeps_a_job_that_it_cannot_forward(void) {
    uint64_t job;
    Session *s = begin_with_job(&job);

    forward_kept(s, 3, job, 1, to, "y");
    expect_kept(s, 3, "tcp://b:5877");
    CU_ASSERT_EQUAL(count_of(from, "held"), 1);
    set_owner(1, NULL);
    forward_kept(s, 4, job, 1, to, "y");
    expect_kept(s, 4, NULL);
    push(s, 5, from, "z", NULL);
    end_changes(&shards[0]);
    expect_ok(s, 5);
    expect_nothing(s); /* its slot is not free */
    extend(s, 6, job, 1, 1000);
    expect_ok(s, 6);
    ack(s, 7, job, 1);
    end_changes(&shards[0]);
    expect_job(s, 2, "z", 1);
    expect_ok(s, 7);
    tear_down();
}

static void a_kept_job_ends_with_its_session_and_its_time_limit(void) {
    uint64_t job;
    Session *s = begin_with_job(&job);

    configure(from, "time_limit", "1s");
    forward_kept(s, 3, job, 1, to, "y");
    expect_kept(s, 3, "tcp://b:5877");
    extend(s, 4, job, 1, 1000);
    expect_ok(s, 4);
    wait_ms(1001);
    expect_lost(s, job, 1);
    expect_job(s, 2, "x", 2);
    forward_kept(s, 5, job, 1, to, "y");
    expect_error(s, 5, "ferry.LeaseLost");
    forward_kept(s, 6, job, 2, to, "y");
    expect_kept(s, 6, "tcp://b:5877");
    say_bye(s);
    s = fake_connect(&broker, 't');
    pull(s, 2, from, 1);
    expect_ok(s, 2);
    expect_job(s, 2, "x", 3);
    tear_down();
}

static void a_forward_without_an_id_is_not_kept(void) {
    uint64_t job;
    Session *s = begin_with_job(&job);

    forward_kept(s, 0, job, 1, to, "y");
    CU_ASSERT_EQUAL(count_of(from, "delayed"), 1);
    tear_down();
}

static void a_forward_that_is_kept_goes_to_a_queue_here_at_once(void) {
    uint64_t job;
    Session *s = begin_with_job(&job);

    adopt(1);
    forward_kept(s, 3, job, 1, to, "y");
    end_changes(&shards[1]);
    end_changes(&shards[0]);
    expect_ok(s, 3);
    CU_ASSERT_EQUAL(count_of(to, "ready"), 1);
    tear_down();
}

/* ---- at the broker of the other queue ---- */

static void the_result_of_a_job_is_stored_once(void) {
    uint64_t job;
    Session *s = begin_with_job(&job);

    s = begin_again(false, true);
    push_result(s, 3, job);
    push_result(s, 4, job); /* by the next worker, while it is being stored */
    end_changes(&shards[1]);
    expect_ok(s, 4);
    expect_nothing(s);
    push_result(s, 5, job);
    expect_outcome(s, 5, PUSH_STORED_BEFORE);
    push_result(s, 6, job + 64);
    end_changes(&shards[1]);
    expect_ok(s, 6);
    CU_ASSERT_EQUAL(count_of(to, "ready"), 2);

    s = begin_again(false, true);
    push_result(s, 3, job);
    expect_outcome(s, 3, PUSH_STORED_BEFORE);
    push_result(s, 4, job + 128);
    end_changes(&shards[1]);
    expect_ok(s, 4);
    tear_down();
}

static void results_of_two_users_are_different(void) {
    User first = {.refs = 1, .name = "a"}, second = {.refs = 1, .name = "b"};
    uint64_t job;
    Session *s = begin_with_job(&job);

    s = begin_again(false, true);
    s->user = &first;
    push_result(s, 3, job);
    s->user = &second;
    push_result(s, 4, job);
    end_changes(&shards[1]);
    expect_ok(s, 3);
    expect_ok(s, 4);
    s->user = &first;
    push_result(s, 5, job);
    expect_outcome(s, 5, PUSH_STORED_BEFORE);
    s->user = NULL;
    tear_down();
}

static void a_wrong_name_of_a_result_is_refused(void) {
    uint64_t job;
    Session *s = begin_with_job(&job);

    push(s, 3, from, "y", "from", "a..b", "job", job, NULL);
    expect_error(s, 3, "ferry.InvalidArgument");
    push(s, 4, from, "y", "from", from, NULL);
    expect_error(s, 4, "ferry.InvalidArgument");
    push_result(s, 5, job);
    expect_moved_error(s, 5, "tcp://b:5877");
    tear_down();
}

static void no_client_takes_the_name_of_results(void) {
    uint64_t job;
    Session *s = begin_with_job(&job);

    forwards_name(NULL, span_text(from), s->client->id);
    push(s, 3, from, "y", NULL);
    expect_error(s, 3, "ferry.PermissionDenied");
    memset(s->client->id, 's', WIRE_TOKEN);
    tear_down();
}

/* ---- both ways ---- */

/* The first worker pushed the result, and was killed before it settled the job. */
static void a_result_that_was_pushed_is_not_stored_by_a_forward(void) {
    uint64_t job;
    Session *s = begin_with_job(&job);

    forward_kept(s, 3, job, 1, to, "y");
    expect_kept(s, 3, "tcp://b:5877");
    s = begin_again(false, true);
    push_result(s, 3, job);
    end_changes(&shards[1]);
    expect_ok(s, 3);

    s = begin_again(true, true);
    forward_kept(s, 3, job, 2, to, "y");
    end_changes(&shards[0]);
    expect_ok(s, 3);
    CU_ASSERT_EQUAL(shards[1].n_changes, 0);
    CU_ASSERT_EQUAL(count_of(to, "ready"), 1);
    CU_ASSERT_EQUAL(shards[0].n, 0);
    tear_down();
}

/* The broker stored the new job, and was killed before it removed the old one. */
/* The worker has pushed the result because the shard of both queues was at another broker. */
static void a_forward_in_one_shard_knows_the_pushed_result(void) {
    uint64_t job;
    Session *s = begin_with_job(&job);

    to = queue_in(0, 1);
    push_result(s, 3, job);
    forward_kept(s, 4, job, 1, to, "y"); /* before the push is stored */
    end_changes(&shards[0]);
    expect_error(s, 4, "ferry.Overloaded");
    expect_ok(s, 3);
    s = begin_again(true, false);
    forward_kept(s, 5, job, 2, to, "y");
    end_changes(&shards[0]);
    expect_ok(s, 5);
    CU_ASSERT_EQUAL(count_of(to, "ready"), 1);
    CU_ASSERT_EQUAL(shards[0].n, 1);
    tear_down();
}

/* An earlier worker of the job sends its result late. */
static void a_push_knows_a_forward_in_one_shard(void) {
    uint64_t job;
    Session *s = begin_with_job(&job);

    to = queue_in(0, 1);
    forward(s, 3, job, 1, to, "y");
    end_changes(&shards[0]);
    expect_ok(s, 3);
    push_result(s, 4, job);
    expect_outcome(s, 4, PUSH_STORED_BEFORE);
    s = begin_again(false, false);
    adopt(0);
    push_result(s, 5, job);
    expect_outcome(s, 5, PUSH_STORED_BEFORE);
    CU_ASSERT_EQUAL(count_of(to, "ready"), 1);
    tear_down();
}

static void a_result_that_a_broker_forwarded_is_not_stored_by_a_push(void) {
    uint64_t job;
    Session *s = begin_with_job(&job);

    adopt(1);
    forward_kept(s, 3, job, 1, to, "y");
    shard_write(&shards[1], &shards[1].changes[0]);
    shards[1].n_changes = 0;
    shards[0].store.n_open = shards[1].store.n_open = 0;
    s = begin_again(false, true);
    push_result(s, 3, job);
    expect_outcome(s, 3, PUSH_STORED_BEFORE);
    tear_down();
}

/* The shard of the old job leaves while the new one is being stored. */
static void a_forward_is_known_although_its_job_has_left(void) {
    uint64_t job;
    Session *s = begin_with_job(&job);

    adopt(1);
    forward_kept(s, 3, job, 1, to, "y");
    let_go(0, false);
    turns_until_gone();
    expect_moved_error(s, 3, NULL);
    expect_moved(s, from, NULL);
    push_result(s, 4, job); /* the worker of the next broker */
    end_changes(&shards[1]);
    expect_ok(s, 4);
    push_result(s, 5, job);
    expect_outcome(s, 5, PUSH_STORED_BEFORE);
    CU_ASSERT_EQUAL(count_of(to, "ready"), 1);
    tear_down();
}

static void a_forward_waits_for_the_push_of_its_result(void) {
    uint64_t job;
    Session *s = begin_with_job(&job);

    adopt(1);
    push_result(s, 3, job);
    forward_kept(s, 4, job, 1, to, "y");
    expect_error(s, 4, "ferry.Overloaded");
    CU_ASSERT_EQUAL(count_of(from, "delayed"), 1);
    end_changes(&shards[1]);
    expect_ok(s, 3);
    wait_ms(2000);
    expect_job(s, 2, "x", 2);
    forward_kept(s, 5, job, 2, to, "y");
    end_changes(&shards[0]);
    expect_ok(s, 5);
    CU_ASSERT_EQUAL(count_of(to, "ready"), 1);
    tear_down();
}

/* ---- memory ---- */

static void results_are_remembered_for_an_hour(void) {
    uint64_t job;
    Session *s = begin_with_job(&job);

    s = begin_again(false, true);
    push_result(s, 3, job);
    end_changes(&shards[1]);
    expect_ok(s, 3);
    fake_advance(&broker, 3600000 - 1000);
    rooms_run_timers(&broker);
    push_result(s, 4, job);
    expect_outcome(s, 4, PUSH_STORED_BEFORE);
    for (int i = 0; i < 100; i++) {
        fake_advance(&broker, 60000);
        rooms_run_timers(&broker);
    }
    CU_ASSERT_PTR_NULL(queues->restored_pushes);
    tear_down();
}

static void results_have_no_memory_while_the_broker_has_none(void) {
    uint64_t job;
    Session *s = begin_with_job(&job);

    s = begin_again(false, true);
    broker.budget.max = 1;
    push_result(s, 3, job);
    expect_error(s, 3, "ferry.Full");
    tear_down();
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_worker_keeps_a_job_that_it_cannot_forward),
        TEST(a_kept_job_ends_with_its_session_and_its_time_limit),
        TEST(a_forward_without_an_id_is_not_kept),
        TEST(a_forward_that_is_kept_goes_to_a_queue_here_at_once),
        TEST(the_result_of_a_job_is_stored_once),
        TEST(results_of_two_users_are_different),
        TEST(a_wrong_name_of_a_result_is_refused),
        TEST(no_client_takes_the_name_of_results),
        TEST(a_result_that_was_pushed_is_not_stored_by_a_forward),
        TEST(a_forward_in_one_shard_knows_the_pushed_result),
        TEST(a_push_knows_a_forward_in_one_shard),
        TEST(a_result_that_a_broker_forwarded_is_not_stored_by_a_push),
        TEST(a_forward_is_known_although_its_job_has_left),
        TEST(a_forward_waits_for_the_push_of_its_result),
        TEST(results_are_remembered_for_an_hour),
        TEST(results_have_no_memory_while_the_broker_has_none),
        TESTS_END,
    };

    return run_suite("forwards between shards", tests);
}
