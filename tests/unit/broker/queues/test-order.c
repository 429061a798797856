/* SPDX-License-Identifier: Apache-2.0 */
/* Ordering keys, unique keys, and the limits of a queue over all its workers. */

#include "unit/broker/stores/disk-life.h"

static Session *s;

/* Pushes a job with an ordering key (or NULL) and a unique key (or NULL). */
static void push_tied(uint64_t id, const char *body, const char *order, const char *unique) {
    CLEANUP(buffer_deinit) Buffer options = {0};
    Message message = {.op = OP_PUSH, .id = id, .name = span_text("q"), .body = span_text(body)};

    write_map(&options, (order ? 1u : 0u) + (unique ? 2u : 0u));
    if (order) {
        write_text(&options, "order");
        write_text(&options, order);
    }
    if (unique) {
        write_text(&options, "key");
        write_text(&options, unique);
        write_pair(&options, "unique", 1);
    }
    message.push.options = span_of(options.data, options.len);
    queues_push(queues, s, &message, NULL);
}

static void begin_here(void) {
    setup();
    s = fake_connect(&broker, 's');
}

static void one_job_of_a_key_is_worked_on_at_a_time_in_order(void) {
    uint64_t a, b, c, other;

    begin_here();
    push_tied(0, "a", "k", NULL);
    push_tied(0, "b", "k", NULL);
    push_tied(0, "c", "k", NULL);
    push_tied(0, "other", "l", NULL);
    pull(s, 1, "q", 10);
    expect_ok(s, 1);
    a = expect_job(s, 1, "a", 1);
    other = expect_job(s, 1, "other", 1);
    expect_nothing(s);
    ack(s, 0, other, 1);
    expect_nothing(s);
    CU_ASSERT_EQUAL(count_of("q", "ready"), 2);
    ack(s, 0, a, 1);
    rooms_turn_end(&broker);
    b = expect_job(s, 1, "b", 1);
    /* A failed job keeps its turn until its next attempt. */
    retry(s, 0, b, 1, 100, "not yet");
    rooms_turn_end(&broker);
    expect_nothing(s);
    wait_ms(101);
    expect_job(s, 1, "b", 2);
    reject(s, 0, b, 2, "never");
    rooms_turn_end(&broker);
    c = expect_job(s, 1, "c", 1);
    ack(s, 0, c, 1);
    CU_ASSERT_EQUAL(count_of("q", "ready"), 0);
    teardown();
}

static void parked_jobs_expire_are_cancelled_and_purged(void) {
    ferry_error error = FERRY_ERROR_INIT;
    uint64_t a, n;

    begin_here();
    pull(s, 1, "q", 10);
    expect_ok(s, 1);
    push_tied(0, "a", "k", NULL);
    a = expect_job(s, 1, "a", 1);
    push_tied(2, "b", "k", NULL);
    n = expect_ok(s, 2);
    push_tied(0, "c", "k", NULL);
    push_tied(0, "d", "k", NULL);
    CU_ASSERT_EQUAL(queues_run_now(queues, n, &error), -EINVAL);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "an earlier job with its ordering key"));
    ferry_error_clear(&error);
    CU_ASSERT_EQUAL(queues_cancel(queues, n, s, 3), QUEUES_LATER);
    expect_ok(s, 3);
    ack(s, 0, a, 1);
    rooms_turn_end(&broker);
    a = expect_job(s, 1, "c", 1);
    CU_ASSERT_EQUAL(queues_purge(queues, span_text("q"), NULL, 0, &n), 0);
    CU_ASSERT_EQUAL(n, 1);
    ack(s, 0, a, 1);
    rooms_turn_end(&broker);
    expect_nothing(s);
    push_tied(0, "e", "k", NULL);
    expect_job(s, 1, "e", 1);
    push_tied(0, "f", "k", NULL); /* freed together with the queue */
    teardown();
}

static void a_unique_key_lives_as_long_as_its_job(void) {
    uint64_t a;

    begin_here();
    push_tied(1, "a", NULL, "k");
    a = expect_ok(s, 1);
    push_tied(2, "b", NULL, "k");
    CU_ASSERT_EQUAL(expect_outcome(s, 2, PUSH_DUPLICATE), a);
    wait_ms(200000); /* longer than other keys are remembered */
    push_tied(3, "b", NULL, "k");
    expect_outcome(s, 3, PUSH_DUPLICATE);
    pull(s, 4, "q", 1);
    expect_ok(s, 4);
    expect_job(s, 4, "a", 1);
    push_tied(5, "b", NULL, "k");
    expect_outcome(s, 5, PUSH_DUPLICATE);
    ack(s, 0, a, 1);
    push_tied(6, "b", NULL, "k");
    CU_ASSERT_NOT_EQUAL(expect_ok(s, 6), 0);
    teardown();
}

static void no_more_than_max_working_are_in_flight(void) {
    uint64_t a, b;

    begin_here();
    configure("q", "max_working", "2");
    for (int i = 0; i < 4; i++)
        push_tied(0, "x", NULL, NULL);
    pull(s, 1, "q", 1);
    pull(s, 2, "q", 10);
    expect_ok(s, 1);
    a = expect_job(s, 1, "x", 1);
    expect_ok(s, 2);
    b = expect_job(s, 2, "x", 1);
    expect_nothing(s);
    ack(s, 0, a, 1);
    rooms_turn_end(&broker);
    CU_ASSERT_EQUAL(count_of("q", "held"), 2);
    release(s, 0, b, 1);
    rooms_turn_end(&broker);
    CU_ASSERT_EQUAL(count_of("q", "held"), 2);
    configure("q", "max_working", "0");
    rooms_turn_end(&broker);
    CU_ASSERT_EQUAL(count_of("q", "ready"), 0);
    teardown();
}

static void the_rate_bounds_what_all_workers_get(void) {
    const char *problem;
    uint64_t n;

    begin_here();
    configure("q", "rate", "100/s");
    for (int i = 0; i < 500; i++)
        push_tied(0, "x", NULL, NULL);
    pull(s, 1, "q", 300);
    pull(s, 2, "q", 300);
    n = count_of("q", "held");
    CU_ASSERT(n >= 1 && n <= 3);
    wait_ms(1000);
    n = count_of("q", "held");
    CU_ASSERT(n >= 99 && n <= 103);
    wait_ms(2000);
    n = count_of("q", "held");
    CU_ASSERT(n >= 298 && n <= 304);
    CU_ASSERT_EQUAL(queues_configure(queues, "q", "rate", "100", &problem), -EINVAL);
    CU_ASSERT_EQUAL(queues_configure(queues, "q", "rate", "100/day", &problem), -EINVAL);
    CU_ASSERT_EQUAL(queues_configure(queues, "q", "rate", "x/s", &problem), -EINVAL);
    CU_ASSERT_EQUAL(queues_configure(queues, "q", "rate", "30/m", &problem), 0);
    teardown();
}

/* A job that loses its workers waits longer each time; other jobs are delivered. */
static void a_job_that_kills_its_workers_waits(void) {
    begin_here();
    push_tied(0, "poison", NULL, NULL);
    for (uint8_t i = 0; i < 2; i++) {
        Session *worker = fake_connect(&broker, (uint8_t)('a' + i));

        pull(worker, 1, "q", 1);
        expect_ok(worker, 1);
        expect_job(worker, 1, "poison", i + 1u);
        end_session(worker);
        wait_ms(600);
    }
    CU_ASSERT_EQUAL(count_of("q", "delayed"), 1);
    push_tied(0, "neighbour", NULL, NULL);
    pull(s, 1, "q", 1);
    expect_ok(s, 1);
    expect_job(s, 1, "neighbour", 1);
    pull(s, 2, "q", 1);
    expect_ok(s, 2);
    expect_nothing(s);
    wait_ms(1000);
    expect_job(s, 2, "poison", 3);
    teardown();
}

static void keys_and_settings_survive_a_crash(void) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    uint64_t a, b;

    new_folder();
    begin();
    s = fake_connect(&broker, 's');
    CU_ASSERT_EQUAL(queues_set(queues, span_text("q"), "max_working", "7", s, 100, &error),
                    QUEUES_LATER);
    CU_ASSERT_EQUAL(queues_set(queues, span_text("q"), "rate", "x", s, 101, &error), -EINVAL);
    ferry_error_clear(&error);
    CU_ASSERT_EQUAL(queues_set(queues, span_text("q"), "max_wroking", "7", s, 101, &error),
                    -EINVAL);
    push_tied(1, "a", "k", "u");
    push_tied(2, "b", "k", NULL);
    push_tied(3, "c", "k", NULL);
    until_sent(s, 4);
    fake_drop(s);
    CU_ASSERT_EQUAL(count_of("q", "max_working"), 7);
    pull(s, 4, "q", 3);
    expect_ok(s, 4);
    a = expect_job(s, 4, "a", 1);
    retry(s, 5, a, 1, 1000, "later");
    until_sent(s, 1);
    expect_ok(s, 5);
    expect_nothing(s);
    turn(0);
    crash();

    begin();
    s = fake_connect(&broker, 't');
    CU_ASSERT_EQUAL(count_of("q", "max_working"), 7);
    push_tied(1, "a", NULL, "u");
    expect_outcome(s, 1, PUSH_DUPLICATE);
    pull(s, 4, "q", 3);
    expect_ok(s, 4);
    expect_nothing(s); /* `a` has the turn, and waits for its next attempt */
    wait_ms(1001);
    a = expect_job(s, 4, "a", 2);
    ack(s, 0, a, 2);
    turn(0);
    b = expect_job(s, 4, "b", 1);
    expect_nothing(s);
    ack(s, 5, b, 1);
    until_sent(s, 2);
    fake_drop(s);
    push_tied(6, "a", NULL, "u"); /* the unique key has ended with its job */
    until_sent(s, 1);
    CU_ASSERT_EQUAL(queues_set(queues, span_text("q"), "max_working", "", s, 7, &error),
                    QUEUES_LATER);
    until_sent(s, 2);
    fake_drop(s);
    CU_ASSERT_EQUAL(count_of("q", "max_working"), 0);
    stop();
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(one_job_of_a_key_is_worked_on_at_a_time_in_order),
        TEST(parked_jobs_expire_are_cancelled_and_purged),
        TEST(a_unique_key_lives_as_long_as_its_job),
        TEST(no_more_than_max_working_are_in_flight),
        TEST(the_rate_bounds_what_all_workers_get),
        TEST(a_job_that_kills_its_workers_waits),
        TEST(keys_and_settings_survive_a_crash),
        TESTS_END,
    };
    int status;

    log_level = LOG_LEVEL_ERROR;
    status = run_suite("broker queues: order and limits", tests);
    remove_work();
    return status;
}
