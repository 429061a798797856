/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/queues/pulls-private.h"
#include "unit/broker/queues/verbs.h"

static void a_job_goes_from_pusher_to_worker(void) {
    Session *pusher, *worker;
    uint64_t job;

    setup();
    pusher = fake_connect(&broker, 'p');
    worker = fake_connect(&broker, 'w');
    pull(worker, 1, "mail", 1);
    expect_ok(worker, 1);
    push(pusher, 7, "mail", "hello", NULL);
    job = expect_ok(pusher, 7);
    CU_ASSERT_NOT_EQUAL(job, 0);
    CU_ASSERT_EQUAL(expect_job(worker, 1, "hello", 1), job);
    CU_ASSERT_EQUAL(count_of("mail", "held"), 1);
    ack(worker, 2, job, 1);
    expect_ok(worker, 2);
    CU_ASSERT_EQUAL(count_of("mail", "held"), 0);
    CU_ASSERT_EQUAL(count_of("mail", "acked"), 1);
    expect_nothing(worker);
    expect_nothing(pusher);
    teardown();
}

static void slots_bound_the_jobs_of_a_worker(void) {
    Session *worker;
    uint64_t job;

    setup();
    worker = fake_connect(&broker, 'w');
    for (int i = 0; i < 5; i++)
        push(worker, 0, "q", "x", NULL);
    expect_nothing(worker); /* id 0: no answer comes */
    pull(worker, 1, "q", 2);
    expect_ok(worker, 1);
    job = expect_job(worker, 1, "x", 1);
    expect_job(worker, 1, "x", 1);
    expect_nothing(worker);
    ack(worker, 0, job, 1);
    expect_job(worker, 1, "x", 1);
    expect_nothing(worker);
    teardown();
}

static void more(Session *worker, uint64_t pull_id, uint64_t bytes) {
    CU_ASSERT_TRUE(
        queues_more(queues, worker, &(Message){.op = OP_MORE, .id = pull_id, .more.bytes = bytes}));
}

/* A job of the test costs 1 byte and 64 bytes more. */
static void credit_bounds_the_bytes_ahead_of_a_worker(void) {
    enum { JOB_CREDIT = 1 + WIRE_ITEM_COST };
    Session *worker;
    uint64_t job;

    setup();
    worker = fake_connect(&broker, 'w');
    for (int i = 0; i < 9; i++)
        push(worker, 0, "q", "x", NULL);
    queues_pull(queues, worker,
                &(Message){.op = OP_PULL,
                           .id = 1,
                           .name = span_text("q"),
                           .pull = {.slots = 100, .bytes = 2 * JOB_CREDIT}});
    expect_ok(worker, 1);
    job = expect_job(worker, 1, "x", 1);
    expect_job(worker, 1, "x", 1);
    expect_nothing(worker);
    /* A free slot without credit gets no job. */
    ack(worker, 0, job, 1);
    wait_ms(1);
    expect_nothing(worker);
    more(worker, 1, JOB_CREDIT);
    expect_job(worker, 1, "x", 1);
    expect_nothing(worker);
    more(worker, 1, 20 * JOB_CREDIT);
    for (int i = 0; i < 6; i++)
        expect_job(worker, 1, "x", 1);
    expect_nothing(worker);
    more(worker, 1, WIRE_CREDIT_MAX);
    CU_ASSERT_FALSE(fake_is_faulted(worker));
    more(worker, 1, UINT64_MAX); /* credit beyond 64 MiB is not used */
    CU_ASSERT_FALSE(fake_is_faulted(worker));
    CU_ASSERT_EQUAL(((Pull *)id_map_get(&worker->pulls, 1))->credit, WIRE_CREDIT_MAX);
    teardown();
}

static void workers_take_turns(void) {
    Session *one, *two;

    setup();
    one = fake_connect(&broker, '1');
    two = fake_connect(&broker, '2');
    pull(one, 1, "q", 10);
    pull(two, 1, "q", 10);
    expect_ok(one, 1);
    expect_ok(two, 1);
    for (int i = 0; i < 6; i++)
        push(one, 0, "q", "x", NULL);
    CU_ASSERT_EQUAL(fake_n_sent(one), 3);
    CU_ASSERT_EQUAL(fake_n_sent(two), 3);
    teardown();
}

static void a_settlement_may_be_repeated_by_its_client(void) {
    Session *worker, *other;
    uint64_t job;

    setup();
    worker = fake_connect(&broker, 'w');
    other = fake_connect(&broker, 'o');
    push(worker, 0, "q", "x", NULL);
    pull(worker, 1, "q", 1);
    expect_ok(worker, 1);
    job = expect_job(worker, 1, "x", 1);
    ack(worker, 2, job, 1);
    expect_ok(worker, 2);
    /* The answer was lost with the connection. */
    end_session(worker);
    worker = fake_connect(&broker, 'w');
    ack(worker, 3, job, 1);
    expect_ok(worker, 3);
    ack(other, 4, job, 1);
    expect_error(other, 4, "ferry.LeaseLost");
    retry(worker, 5, job, 1, 0, NULL);
    expect_error(worker, 5, "ferry.LeaseLost");
    teardown();
}

static void the_last_settlements_are_remembered(void) {
    Session *worker;
    uint64_t first = 0, job = 0;

    setup();
    worker = fake_connect(&broker, 'w');
    pull(worker, 1, "q", 1);
    expect_ok(worker, 1);
    for (uint64_t i = 0; i <= QUEUE_SETTLED_MAX; i++) {
        push(worker, 0, "q", "x", NULL);
        job = expect_job(worker, 1, "x", 1);
        first = first ? first : job;
        ack(worker, 10 + i, job, 1);
        expect_ok(worker, 10 + i);
    }
    ack(worker, 2, job, 1);
    expect_ok(worker, 2);
    ack(worker, 3, first, 1);
    expect_error(worker, 3, "ferry.LeaseLost");
    teardown();
}

static void a_settlement_that_failed_is_not_remembered(void) {
    Session *worker;
    uint64_t job;

    setup();
    configure("full", "max_jobs", "1");
    worker = fake_connect(&broker, 'w');
    push(worker, 0, "full", "y", NULL);
    push(worker, 0, "q", "x", NULL);
    pull(worker, 1, "q", 1);
    expect_ok(worker, 1);
    job = expect_job(worker, 1, "x", 1);
    forward(worker, 2, job, 1, "full", "z");
    expect_error(worker, 2, "ferry.Full");
    forward(worker, 3, job, 1, "full", "z");
    expect_error(worker, 3, "ferry.LeaseLost");
    teardown();
}

static void settling_wrongly_is_lease_lost(void) {
    Session *worker, *other;
    uint64_t job;

    setup();
    worker = fake_connect(&broker, 'w');
    other = fake_connect(&broker, 'o');
    pull(worker, 1, "q", 1);
    push(worker, 0, "q", "x", NULL);
    expect_ok(worker, 1);
    job = expect_job(worker, 1, "x", 1);
    ack(other, 2, job, 1);
    expect_error(other, 2, "ferry.LeaseLost");
    ack(worker, 2, job, 2);
    expect_error(worker, 2, "ferry.LeaseLost");
    ack(worker, 3, job, 0);
    expect_error(worker, 3, "ferry.LeaseLost");
    ack(worker, 4, job + 1, 1);
    expect_error(worker, 4, "ferry.LeaseLost");
    ack(worker, 5, 0, 0);
    expect_error(worker, 5, "ferry.LeaseLost");
    ack(worker, 6, job, 1);
    expect_ok(worker, 6);
    retry(worker, 8, job, 1, 0, NULL);
    expect_error(worker, 8, "ferry.LeaseLost");
    reject(worker, 9, job, 1, NULL);
    expect_error(worker, 9, "ferry.LeaseLost");
    release(worker, 10, job, 1);
    expect_error(worker, 10, "ferry.LeaseLost");
    extend(worker, 11, job, 1, 1);
    expect_error(worker, 11, "ferry.LeaseLost");
    forward(worker, 12, job, 1, "next", "y");
    expect_error(worker, 12, "ferry.LeaseLost");
    CU_ASSERT_EQUAL(count_of("next", "ready"), UINT64_MAX);
    teardown();
}

static void retry_backs_off_and_doubles_up_to_its_limit(void) {
    static const uint64_t waits[] = {1000, 2000, 4000, 8000, 8000};
    Session *worker;
    uint64_t job;

    setup();
    configure("q", "retry_max", "8s");
    worker = fake_connect(&broker, 'w');
    pull(worker, 1, "q", 1);
    push(worker, 0, "q", "x", NULL);
    expect_ok(worker, 1);
    for (size_t i = 0; i < 5; i++) {
        job = expect_job(worker, 1, "x", i + 1);
        retry(worker, 2, job, i + 1, 0, "no");
        expect_ok(worker, 2);
        CU_ASSERT_EQUAL(count_of("q", "delayed"), 1);
        wait_ms(waits[i] - 1);
        expect_nothing(worker);
        wait_ms(1);
    }
    expect_job(worker, 1, "x", 6);
    teardown();
}

static void retry_with_a_delay_waits_that_long(void) {
    Session *worker;
    uint64_t job;

    setup();
    worker = fake_connect(&broker, 'w');
    pull(worker, 1, "q", 1);
    push(worker, 0, "q", "x", NULL);
    expect_ok(worker, 1);
    job = expect_job(worker, 1, "x", 1);
    retry(worker, 0, job, 1, 30, NULL);
    wait_ms(29);
    expect_nothing(worker);
    wait_ms(1);
    job = expect_job(worker, 1, "x", 2);
    retry(worker, 2, job, 2, UINT64_MAX, NULL); /* a retry may wait ten years at most */
    expect_ok(worker, 2);
    CU_ASSERT_EQUAL(count_of("q", "delayed"), 1);
    teardown();
}

static void released_jobs_come_first_and_do_not_count(void) {
    Session *worker, *other;
    uint64_t job;

    setup();
    worker = fake_connect(&broker, 'w');
    other = fake_connect(&broker, 'o');
    push(worker, 0, "q", "one", NULL);
    push(worker, 0, "q", "two", NULL);
    pull(worker, 1, "q", 1);
    expect_ok(worker, 1);
    job = expect_job(worker, 1, "one", 1);
    unpull(worker, 2, 1);
    expect_ok(worker, 2);
    release(worker, 3, job, 1);
    expect_ok(worker, 3);
    pull(other, 1, "q", 2);
    expect_ok(other, 1);
    CU_ASSERT_EQUAL(expect_job(other, 1, "one", 1), job);
    expect_job(other, 1, "two", 1);
    CU_ASSERT_EQUAL(count_of("q", "redelivered"), 0);
    /* The job has the same number, but it is in flight to another worker now. */
    ack(worker, 4, job, 1);
    expect_error(worker, 4, "ferry.LeaseLost");
    teardown();
}

static void unpull_stops_delivery_and_keeps_jobs_in_flight(void) {
    Session *worker;
    uint64_t job;

    setup();
    worker = fake_connect(&broker, 'w');
    pull(worker, 1, "q", 1);
    push(worker, 0, "q", "one", NULL);
    push(worker, 0, "q", "two", NULL);
    expect_ok(worker, 1);
    job = expect_job(worker, 1, "one", 1);
    unpull(worker, 2, 1);
    expect_ok(worker, 2);
    unpull(worker, 3, 1);
    expect_error(worker, 3, "ferry.NotFound");
    CU_ASSERT_EQUAL(count_of("q", "workers"), 0);
    ack(worker, 4, job, 1);
    expect_ok(worker, 4);
    expect_nothing(worker);
    teardown();
}

static void jobs_of_a_lost_session_return_in_order_after_the_grace_period(void) {
    static const char *const bodies[] = {"1", "2", "3", "4", "5"};
    Session *worker, *other;

    setup();
    worker = fake_connect(&broker, 'w');
    other = fake_connect(&broker, 'o');
    for (int i = 0; i < 5; i++)
        push(other, 0, "q", bodies[i], NULL);
    pull(worker, 1, "q", 4);
    end_session(worker);
    pull(other, 1, "q", 1);
    expect_ok(other, 1);
    expect_job(other, 1, "5", 1);
    release(other, 0, 5, 1); /* the job goes behind the jobs that come back */
    expect_job(other, 1, "5", 1);
    wait_ms(499);
    CU_ASSERT_EQUAL(count_of("q", "held"), 5);
    wait_ms(1);
    CU_ASSERT_EQUAL(count_of("q", "held"), 1);
    for (uint64_t i = 0; i < 4; i++) {
        ack(other, 0, i == 0 ? 5 : i, i == 0 ? 1 : 2);
        CU_ASSERT_EQUAL(expect_job(other, 1, bodies[i], 2), i + 1);
    }
    CU_ASSERT_EQUAL(count_of("q", "redelivered"), 4);
    teardown();
}

static void bye_returns_jobs_at_once(void) {
    Session *worker, *other;

    setup();
    worker = fake_connect(&broker, 'w');
    other = fake_connect(&broker, 'o');
    for (int i = 0; i < 3; i++)
        push(other, 0, "q", "x", NULL);
    pull(worker, 1, "q", 2);
    pull(other, 1, "q", 3);
    expect_ok(other, 1);
    CU_ASSERT_EQUAL(expect_job(other, 1, "x", 1), 3);
    say_bye(worker);
    CU_ASSERT_EQUAL(expect_job(other, 1, "x", 2), 1);
    CU_ASSERT_EQUAL(expect_job(other, 1, "x", 2), 2);
    expect_nothing(other);
    teardown();
}

static void a_client_that_comes_back_keeps_the_jobs_that_it_lists(void) {
    /* [[1, 1], [2, 9], [77, 1]]: in flight, wrong attempt, unknown job */
    static const uint8_t held[] = {0x93, 0x92, 1, 1, 0x92, 2, 9, 0x92, 77, 1};
    static const uint8_t kept[] = {0x91, 0x92, 1, 1};
    CLEANUP(buffer_deinit) Buffer answer = {0};
    Session *worker;

    setup();
    worker = fake_connect(&broker, 'w');
    push(worker, 0, "q", "one", NULL);
    push(worker, 0, "q", "two", NULL);
    pull(worker, 1, "q", 2);
    end_session(worker);
    wait_ms(400);
    worker = fake_connect(&broker, 'w');
    queues_held(queues, worker->client, span_of(held, sizeof(held)), &answer);
    CU_ASSERT_EQUAL_FATAL(answer.len, sizeof(kept));
    CU_ASSERT_EQUAL(memcmp(answer.data, kept, sizeof(kept)), 0);
    wait_ms(200);
    CU_ASSERT_EQUAL(count_of("q", "held"), 1);
    CU_ASSERT_EQUAL(count_of("q", "ready"), 1);
    /* Lost again: the grace period begins again. */
    end_session(worker);
    wait_ms(499);
    CU_ASSERT_EQUAL(count_of("q", "held"), 1);
    worker = fake_connect(&broker, 'w');
    ack(worker, 5, 1, 1); /* the client did not list the job, but it is the same client */
    expect_ok(worker, 5);
    wait_ms(10);
    CU_ASSERT_EQUAL(count_of("q", "held"), 0);
    CU_ASSERT_EQUAL(count_of("q", "ready"), 1);
    teardown();
}

static void a_malformed_held_list_changes_nothing(void) {
    static const uint8_t bad[][6] = {
        {0x05}, {0x91, 0x05}, {0x91, 0x92, 1}, {0x91, 0x91, 1}, {0xC1}, {0x91, 0x92, 0xA1, 'x', 1},
    };
    Session *worker;
    Buffer answer = {0};

    setup();
    worker = fake_connect(&broker, 'w');
    push(worker, 0, "q", "one", NULL);
    pull(worker, 1, "q", 2);
    end_session(worker);
    worker = fake_connect(&broker, 'w');
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        queues_held(queues, worker->client, span_of(bad[i], sizeof(bad[i])), &answer);
    queues_held(queues, worker->client, (Span){NULL, 0}, &answer);
    CU_ASSERT_EQUAL(answer.len, 0);
    wait_ms(500);
    CU_ASSERT_EQUAL(count_of("q", "ready"), 1);
    teardown();
}

static void a_late_ack_counts_until_the_job_is_delivered_again(void) {
    Session *worker, *other;

    setup();
    worker = fake_connect(&broker, 'w');
    push(worker, 0, "q", "x", NULL);
    push(worker, 0, "q", "y", NULL);
    pull(worker, 1, "q", 2);
    end_session(worker);
    wait_ms(1000);
    CU_ASSERT_EQUAL(count_of("q", "ready"), 2);
    worker = fake_connect(&broker, 'w');
    ack(worker, 9, 2, 1);
    expect_ok(worker, 9);
    CU_ASSERT_EQUAL(count_of("q", "ready"), 1);
    other = fake_connect(&broker, 'o');
    pull(other, 1, "q", 1);
    expect_ok(other, 1);
    expect_job(other, 1, "x", 2);
    ack(worker, 10, 1, 1);
    expect_error(worker, 10, "ferry.LeaseLost");
    ack(other, 2, 1, 2);
    expect_ok(other, 2);
    teardown();
}

static void a_time_limit_ends_the_lease_and_extend_prolongs_it(void) {
    Session *worker, *other;
    uint64_t job;

    setup();
    configure("q", "time_limit", "100ms");
    worker = fake_connect(&broker, 'w');
    other = fake_connect(&broker, 'o');
    pull(worker, 1, "q", 1);
    push(worker, 0, "q", "x", NULL);
    expect_ok(worker, 1);
    job = expect_job(worker, 1, "x", 1);
    wait_ms(99);
    extend(worker, 2, job, 1, 50);
    expect_ok(worker, 2);
    extend(worker, 3, job, 1, 0); /* keeps the time */
    expect_ok(worker, 3);
    pull(other, 1, "q", 1);
    expect_ok(other, 1);
    wait_ms(49);
    expect_nothing(other);
    wait_ms(1);
    expect_lost(worker, job, 1);
    expect_job(other, 1, "x", 2);
    ack(worker, 4, job, 1);
    expect_error(worker, 4, "ferry.LeaseLost");
    /* The slot of the lost job is free again. */
    push(worker, 0, "q", "y", NULL);
    expect_job(worker, 1, "y", 1);
    teardown();
}

static void an_expired_lease_is_lost_even_if_no_worker_has_the_job(void) {
    Session *worker, *other;
    uint64_t job;

    setup();
    configure("q", "time_limit", "100ms");
    worker = fake_connect(&broker, 'w');
    other = fake_connect(&broker, 'o');
    pull(worker, 1, "q", 1);
    push(worker, 0, "q", "x", NULL);
    expect_ok(worker, 1);
    job = expect_job(worker, 1, "x", 1);
    unpull(worker, 0, 1);
    wait_ms(150);
    CU_ASSERT_EQUAL(count_of("q", "ready"), 1);
    expect_lost(worker, job, 1);
    extend(worker, 2, job, 1, 100);
    expect_error(worker, 2, "ferry.LeaseLost");
    ack(worker, 3, job, 1);
    expect_error(worker, 3, "ferry.LeaseLost");
    pull(other, 1, "q", 1);
    expect_ok(other, 1);
    expect_job(other, 1, "x", 2);
    CU_ASSERT_EQUAL(count_of("q", "held"), 1);
    teardown();
}

/* A job that no worker finishes in time must not keep the workers from the other jobs. */
static void a_job_that_takes_too_long_again_waits_for_the_back_off(void) {
    Session *worker;
    uint64_t job;

    setup();
    configure("q", "time_limit", "100ms");
    configure("q", "retry", "1s");
    worker = fake_connect(&broker, 'w');
    pull(worker, 1, "q", 1);
    push(worker, 0, "q", "slow", NULL);
    push(worker, 0, "q", "next", NULL);
    expect_ok(worker, 1);
    job = expect_job(worker, 1, "slow", 1);
    wait_ms(100);
    expect_lost(worker, job, 1);
    CU_ASSERT_EQUAL(expect_job(worker, 1, "slow", 2), job);
    wait_ms(100);
    expect_lost(worker, job, 2);
    ack(worker, 2, expect_job(worker, 1, "next", 1), 1);
    expect_ok(worker, 2);
    wait_ms(999);
    expect_nothing(worker);
    wait_ms(1);
    CU_ASSERT_EQUAL(expect_job(worker, 1, "slow", 3), job);
    teardown();
}

static void without_a_time_limit_a_lease_lasts(void) {
    Session *worker;
    uint64_t job;

    setup();
    worker = fake_connect(&broker, 'w');
    pull(worker, 1, "q", 1);
    push(worker, 0, "q", "x", NULL);
    expect_ok(worker, 1);
    job = expect_job(worker, 1, "x", 1);
    extend(worker, 2, job, 1, 10);
    expect_ok(worker, 2);
    wait_ms(10000);
    CU_ASSERT_EQUAL(count_of("q", "held"), 1);
    ack(worker, 3, job, 1);
    expect_ok(worker, 3);
    teardown();
}

/* Nine of ten jobs do not kill their worker: only the job that does becomes a dead letter. */
static void a_job_that_kills_its_workers_costs_no_other_job(void) {
    static const char *const bodies[] = {"0", "1", "2", "3", "poison", "5", "6", "7", "8", "9"};
    uint64_t acked = 0;

    setup();
    configure("q", "retry", "0"); /* no pause after a lost session */
    for (int i = 0; i < 10; i++) {
        Session *pusher = fake_connect(&broker, 'p');

        push(pusher, 0, "q", bodies[i], NULL);
        end_session(pusher);
    }
    for (int crash = 0; crash < 25; crash++) {
        Session *worker = fake_connect(&broker, 'w');
        bool crashed = false;

        pull(worker, 1, "q", 10);
        expect_ok(worker, 1);
        /* The worker first computes and reads its jobs later. */
        while (!crashed && fake_n_sent(worker) > 0) {
            Message job = fake_take(worker)->message;

            crashed = span_is(job.body, "poison");
            /* All jobs had been started before that crash. */
            if (!crashed && job.job.attempt > 3) {
                ack(worker, 0, job.job.job, job.job.attempt);
                acked++;
            }
        }
        end_session(worker);
        wait_ms(501);
    }
    CU_ASSERT_EQUAL(acked, 9);
    CU_ASSERT_EQUAL(count_of("q", "dead"), 1);
    CU_ASSERT_EQUAL(count_of("q", "ready"), 0);
    teardown();
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_job_goes_from_pusher_to_worker),
        TEST(slots_bound_the_jobs_of_a_worker),
        TEST(credit_bounds_the_bytes_ahead_of_a_worker),
        TEST(workers_take_turns),
        TEST(a_settlement_may_be_repeated_by_its_client),
        TEST(the_last_settlements_are_remembered),
        TEST(a_settlement_that_failed_is_not_remembered),
        TEST(settling_wrongly_is_lease_lost),
        TEST(retry_backs_off_and_doubles_up_to_its_limit),
        TEST(retry_with_a_delay_waits_that_long),
        TEST(released_jobs_come_first_and_do_not_count),
        TEST(unpull_stops_delivery_and_keeps_jobs_in_flight),
        TEST(jobs_of_a_lost_session_return_in_order_after_the_grace_period),
        TEST(bye_returns_jobs_at_once),
        TEST(a_client_that_comes_back_keeps_the_jobs_that_it_lists),
        TEST(a_malformed_held_list_changes_nothing),
        TEST(a_late_ack_counts_until_the_job_is_delivered_again),
        TEST(a_time_limit_ends_the_lease_and_extend_prolongs_it),
        TEST(an_expired_lease_is_lost_even_if_no_worker_has_the_job),
        TEST(a_job_that_takes_too_long_again_waits_for_the_back_off),
        TEST(without_a_time_limit_a_lease_lasts),
        TEST(a_job_that_kills_its_workers_costs_no_other_job),
        TESTS_END,
    };

    return run_suite("broker queues: leases", tests);
}
