/* SPDX-License-Identifier: Apache-2.0 */
/* The segments of the store in Redis: jobs of one call share a value, and end one by one. */

#include "broker/queues/restored-private.h"
#include "support/oom.h"
#include "unit/broker/stores/redis-life.h"

enum { BODY = 100 };

/* The number of the first of n jobs, which are in one segment. */
static uint64_t push_in_one_call(Session *s, uint64_t first_id, int n) {
    char body[BODY + 1];
    uint64_t job = 0;

    for (int i = 0; i < n; i++) {
        snprintf(body, sizeof(body), "%0*d", BODY, i);
        push(s, first_id + (uint64_t)i, "q", body, NULL);
    }
    until_sent(s, (size_t)n);
    for (int i = 0; i < n; i++) {
        uint64_t number = expect_ok(s, first_id + (uint64_t)i);

        job = i == 0 ? number : job;
    }
    return job;
}

static void expect_numbered_job(Session *s, uint64_t pull_id, int number, uint64_t attempt) {
    char body[BODY + 1];

    snprintf(body, sizeof(body), "%0*d", BODY, number);
    expect_job(s, pull_id, body, attempt);
}

static Session *begin_with_jobs_in_flight(int n, uint64_t *ret_first) {
    Session *s;

    new_place();
    begin();
    s = fake_connect(&broker, 's');
    *ret_first = push_in_one_call(s, 1, n);
    CU_ASSERT_STRING_EQUAL(ask("HLEN @:segments"), ":1");
    pull(s, 1001, "q", (uint64_t)n);
    expect_ok(s, 1001);
    for (int i = 0; i < n; i++)
        expect_numbered_job(s, 1001, i, 1);
    return s;
}

static void ack_some(Session *s, uint64_t first, int from, int to) {
    for (int i = from; i < to; i++)
        ack(s, 2000 + (uint64_t)i, first + (uint64_t)i, 1);
    until_sent(s, (size_t)(to - from));
    for (int i = from; i < to; i++)
        expect_ok(s, 2000 + (uint64_t)i);
}

static void jobs_of_a_segment_end_one_by_one(void) {
    uint64_t first;
    Session *s = begin_with_jobs_in_flight(10, &first);

    ack_some(s, first, 2, 5);
    ack_some(s, first, 9, 10);
    CU_ASSERT_EQUAL(jobs_in_redis(), 6);
    crash();
    begin();
    s = fake_connect(&broker, 's'); /* the worker is back, and its jobs are its own */
    wait_ms(2001);
    CU_ASSERT_EQUAL(count_of("q", "ready"), 6);
    pull(s, 1, "q", 10);
    expect_ok(s, 1);
    expect_numbered_job(s, 1, 0, 2);
    expect_numbered_job(s, 1, 1, 2);
    for (int i = 5; i < 9; i++)
        expect_numbered_job(s, 1, i, 2);
    expect_nothing(s);
    stop();
}

static void a_segment_goes_with_its_last_job(void) {
    uint64_t first;
    Session *s = begin_with_jobs_in_flight(10, &first);

    ack_some(s, first, 0, 9);
    CU_ASSERT_STRING_EQUAL(ask("HLEN @:ended"), ":1");
    ack_some(s, first, 9, 10);
    CU_ASSERT_STRING_EQUAL(ask("EXISTS @:segments @:order @:ended @:notes"), ":0");
    CU_ASSERT_PTR_NULL(((RedisQueues *)redis)->segments.all);
    stop();
}

static void a_segment_of_ended_jobs_is_written_again(void) {
    uint64_t first;
    Session *s = begin_with_jobs_in_flight(100, &first);
    int whole = atoi(ask("HSTRLEN @:segments 1") + 1);

    ack_some(s, first, 0, 30);
    CU_ASSERT_EQUAL(atoi(ask("HSTRLEN @:segments 1") + 1), whole);
    ack_some(s, first, 35, 90);
    CU_ASSERT(atoi(ask("HSTRLEN @:segments 1") + 1) <= whole * 15 / 100);
    CU_ASSERT_STRING_EQUAL(ask("HLEN @:ended"), ":0");
    CU_ASSERT_EQUAL(jobs_in_redis(), 15);
    /* Jobs of the new value end, too. */
    ack_some(s, first, 90, 92);
    CU_ASSERT_EQUAL(jobs_in_redis(), 13);
    crash();
    begin();
    s = fake_connect(&broker, 't');
    wait_ms(2001);
    pull(s, 1, "q", 100);
    expect_ok(s, 1);
    for (int i = 30; i < 35; i++)
        expect_numbered_job(s, 1, i, 2);
    for (int i = 92; i < 100; i++)
        expect_numbered_job(s, 1, i, 2);
    expect_nothing(s);
    stop();
}

static void a_forwarded_job_ends_with_the_new_one(void) {
    uint64_t first;
    Session *s = begin_with_jobs_in_flight(3, &first);

    forward(s, 2, first + 1, 1, "r", "done");
    until_sent(s, 1);
    expect_ok(s, 2);
    turn(0);
    CU_ASSERT_EQUAL(jobs_in_redis(), 3);
    stop();
    CU_ASSERT_STRING_EQUAL(ask("EXISTS @:passed"), ":0");
    begin();
    CU_ASSERT_EQUAL(count_of("q", "held"), 2);
    CU_ASSERT_EQUAL(count_of("r", "ready"), 1);
    stop();
}

/* The broker was killed after Redis had the new job, and before the old one had its bit. */
static void a_job_that_has_passed_does_not_come_back(void) {
    char words[80];
    uint64_t first;
    Session *s;

    begin_with_jobs_in_flight(3, &first);
    turn(0);
    crash();
    snprintf(words, sizeof(words), "HSET @:passed %llu 1", (unsigned long long)first + 1);
    ask(words);
    begin();
    CU_ASSERT_EQUAL(count_of("q", "held"), 2);
    s = fake_connect(&broker, 't');
    push_in_one_call(s, 1, 1);
    stop();
    CU_ASSERT_STRING_EQUAL(ask("EXISTS @:passed"), ":0");
    CU_ASSERT_STRING_EQUAL(ask("HLEN @:ended"), ":1");
    CU_ASSERT_STRING_EQUAL(ask("HLEN @:notes"), ":2");
    begin();
    CU_ASSERT_EQUAL(count_of("q", "held") + count_of("q", "ready"), 3);
    stop();
}

static void jobs_of_a_segment_end_while_redis_is_full(void) {
    uint64_t first;
    Session *s = begin_with_jobs_in_flight(4, &first);

    ask("CONFIG SET maxmemory 1");
    push(s, 500, "q", "refused", NULL);
    until_sent(s, 1);
    expect_error(s, 500, "ferry.Full");
    ack_some(s, first, 1, 3);
    CU_ASSERT_EQUAL(jobs_in_redis(), 2);
    forward(s, 501, first, 1, "r", "refused");
    until_sent(s, 1);
    expect_error(s, 501, "ferry.Full");
    CU_ASSERT_EQUAL(jobs_in_redis(), 2);
    ask("CONFIG SET maxmemory 0");
    for (int i = 0; i < 2000 && queues_degraded(queues); i++)
        turn(10);
    push_in_one_call(fake_connect(&broker, 't'), 600, 2);
    stop();
    CU_ASSERT_EQUAL(jobs_in_redis(), 4);
    CU_ASSERT_STRING_EQUAL(ask("HLEN @:segments"), ":2");
}

static void a_call_has_one_member_for_consecutive_pushes(void) {
    Session *a, *b;

    new_place();
    begin();
    a = fake_connect(&broker, 'a');
    b = fake_connect(&broker, 'b');
    for (uint64_t id = 1; id <= 50; id++) {
        push(a, id, "q", "from a", NULL);
        push(b, 7 * id, "q", "from b", NULL); /* no two are consecutive */
    }
    until_sent(b, 50);
    CU_ASSERT_STRING_EQUAL(ask("ZCARD @:pushes"), ":51");
    crash();
    begin();
    a = fake_connect(&broker, 'a');
    b = fake_connect(&broker, 'b');
    restored_pushes_adopt(queues, a->client);
    restored_pushes_adopt(queues, b->client);
    for (uint64_t id = 1; id <= 50; id++) {
        push(a, id, "q", "again", NULL);
        expect_outcome(a, id, PUSH_STORED_BEFORE);
    }
    push(b, 70, "q", "again", NULL);
    expect_outcome(b, 70, PUSH_STORED_BEFORE);
    push(b, 71, "q", "new", NULL);
    until_sent(b, 1);
    CU_ASSERT_NOT_EQUAL(expect_ok(b, 71), 0);
    /* A member goes when all its pushes are below the floor. */
    queues_floor(queues, a->client, 50);
    turn(0);
    push(b, 72, "q", "new", NULL);
    until_sent(b, 1);
    CU_ASSERT_STRING_EQUAL(ask("ZCARD @:pushes"), ":53");
    queues_floor(queues, a->client, 51);
    push(b, 74, "q", "new", NULL);
    until_sent(b, 2);
    stop();
    CU_ASSERT_STRING_EQUAL(ask("ZCARD @:pushes"), ":53");
}

static void bytes_behind_the_records_are_damage(void) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    Session *s;

    new_place();
    begin();
    s = fake_connect(&broker, 's');
    push_in_one_call(s, 1, 2);
    stop();
    ask("EVAL \"return redis.call('HSET', KEYS[1], 1, redis.call('HGET', KEYS[1], "
        "1)..'12345678')\" "
        "1 @:segments");
    CU_ASSERT(try_begin(&error) < 0);
    CU_ASSERT_PTR_NOT_NULL_FATAL(error.message);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "segment 1 of"));
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "is damaged"));
    stop();
}

/* The number of OKs among the next n answers. A job whose end was refused is delivered again. */
static int count_oks(Session *s, int n) {
    int n_ok = 0;

    for (int i = 0; i < n;) {
        const FakeSent *sent;

        until_sent(s, 1);
        sent = fake_take(s);
        CU_ASSERT_PTR_NOT_NULL_FATAL(sent);
        n_ok += sent->message.op == OP_OK;
        i += sent->message.op == OP_OK || sent->message.op == OP_ERROR;
    }
    return n_ok;
}

/* Five jobs are in flight; three are acknowledged and three more are pushed, while the n-th
 * allocation fails. Redis then has what was confirmed. False: there are fewer allocations. */
static bool act_with_little_memory(unsigned n) {
    uint64_t first;
    Session *s = begin_with_jobs_in_flight(5, &first), *t = fake_connect(&broker, 't');
    int n_acked, n_pushed;

    oom_plan(n);
    for (uint64_t i = 0; i < 3; i++)
        ack(s, 10 + i, first + i, 1);
    for (uint64_t i = 1; i <= 3; i++)
        push(t, i, "other", "x", NULL);
    rooms_turn_end(&broker);
    oom_stop();
    n_acked = count_oks(s, 3);
    n_pushed = count_oks(t, 3);
    CU_ASSERT(n_acked == 3 || oom_happened());
    CU_ASSERT(n_pushed == 3 || oom_happened());
    CU_ASSERT_EQUAL(jobs_in_redis(), 5 - n_acked + n_pushed);
    crash();
    begin();
    CU_ASSERT_EQUAL(count_of("q", "held"), (uint64_t)(5 - n_acked));
    CU_ASSERT_EQUAL(count_of("other", "ready"), (uint64_t)n_pushed);
    stop();
    return oom_happened();
}

static void without_memory_only_stored_changes_are_confirmed(void) {
    unsigned n = 1;

    while (n < 1000 && act_with_little_memory(n))
        n++;
    CU_ASSERT(n > 5 && n < 1000);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(jobs_of_a_segment_end_one_by_one),
        TEST(a_segment_goes_with_its_last_job),
        TEST(a_segment_of_ended_jobs_is_written_again),
        TEST(a_forwarded_job_ends_with_the_new_one),
        TEST(a_job_that_has_passed_does_not_come_back),
        TEST(jobs_of_a_segment_end_while_redis_is_full),
        TEST(a_call_has_one_member_for_consecutive_pushes),
        TEST(bytes_behind_the_records_are_damage),
        TEST(without_memory_only_stored_changes_are_confirmed),
        TESTS_END,
    };
    int r;

    if (!redis_available())
        return EXIT_SKIPPED;
    log_level = LOG_LEVEL_ERROR;
    redis_start(&server, NULL);
    r = run_suite("broker stores: segments in Redis", tests);
    redis_stop(&server);
    return r;
}
