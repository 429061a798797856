/* SPDX-License-Identifier: Apache-2.0 */
/* One job, found by its number: shown, cancelled, delivered at once, or moved. */

#include <time.h>

#include "unit/broker/queues/verbs.h"

/* Pushes a job and returns its number. */
static uint64_t push_one(Session *s, const char *queue, const char *body, uint64_t delay_ms) {
    static uint64_t id = 100;

    push(s, ++id, queue, body, "delay", delay_ms, NULL);
    return expect_ok(s, id);
}

/* A text about the job, as ferry.Broker shows it; empty: it is absent, or no job has this number.
 */
static const char *text_of(uint64_t job, const char *name) {
    static char state[60];
    Buffer shown_job = {0};
    uint32_t left;
    Reader pairs;
    Span key;

    *state = '\0';
    if (queues_show_job(queues, job, &shown_job) == 0) {
        pairs = pairs_of(span_of(shown_job.data, shown_job.len), &left);
        while (pairs_next(&pairs, &left, &key)) {
            if (span_is(key, name)) {
                Span value = reader_str(&pairs);

                snprintf(state, sizeof(state), "%.*s", (int)value.len, (const char *)value.data);
            } else {
                reader_value(&pairs);
            }
        }
        CU_ASSERT_PTR_NULL(pairs.problem);
        CU_ASSERT_EQUAL(reader_left(&pairs), 0);
    }
    buffer_deinit(&shown_job);
    return state;
}

static const char *state_of(uint64_t job) {
    return text_of(job, "state");
}

static void a_ready_job_says_why_it_waits(void) {
    Session *s;
    uint64_t job, tied;

    setup();
    s = fake_connect(&broker, 's');
    job = push_one(s, "q", "x", 0);
    CU_ASSERT_STRING_EQUAL(text_of(job, "waits_for"), "the queue has no worker");
    CU_ASSERT_STRING_EQUAL(text_of(job, "order"), "");
    CU_ASSERT_EQUAL(queues_pause(queues, span_text("q"), true, NULL, 0), QUEUES_LATER);
    CU_ASSERT_STRING_EQUAL(text_of(job, "waits_for"), "the queue is paused");
    CU_ASSERT_EQUAL(queues_pause(queues, span_text("q"), false, NULL, 0), QUEUES_LATER);
    pull(s, 1, "q", 1);
    expect_ok(s, 1);
    expect_job(s, 1, "x", 1);
    CU_ASSERT_STRING_EQUAL(text_of(job, "waits_for"), "");
    push(s, 2, "q", "y", "order", "k", NULL);
    tied = expect_ok(s, 2);
    CU_ASSERT_STRING_EQUAL(text_of(tied, "waits_for"), "all workers are busy");
    CU_ASSERT_STRING_EQUAL(text_of(tied, "order"), "k");
    configure("q", "max_working", "1");
    CU_ASSERT_STRING_EQUAL(text_of(tied, "waits_for"), "max_working jobs are in flight");
    configure("q", "max_working", "0");
    configure("q", "rate", "1/h");
    ack(s, 0, job, 1);
    rooms_turn_end(&broker);
    expect_job(s, 1, "y", 1);
    push(s, 3, "q", "z", "order", "k", NULL);
    job = expect_ok(s, 3);
    pull(s, 4, "q", 5);
    expect_ok(s, 4);
    rooms_turn_end(&broker);
    CU_ASSERT_STRING_EQUAL(text_of(job, "waits_for"), "an earlier job has its ordering key");
    job = push_one(s, "q", "free", 0);
    rooms_turn_end(&broker);
    CU_ASSERT_STRING_EQUAL(text_of(job, "waits_for"), "the rate of the queue is reached");
    teardown();
}

static void a_job_is_shown_in_each_state(void) {
    Session *s;
    uint64_t job;

    setup();
    s = fake_connect(&broker, 's');
    job = push_one(s, "q", "x", 1000);
    CU_ASSERT_STRING_EQUAL(state_of(job), "delayed");
    wait_ms(1000);
    CU_ASSERT_STRING_EQUAL(state_of(job), "ready");
    pull(s, 1, "q", 1);
    expect_ok(s, 1);
    expect_job(s, 1, "x", 1);
    CU_ASSERT_STRING_EQUAL(state_of(job), "held");
    CU_ASSERT_TRUE(span_is(queues_queue_of_job(queues, job), "q"));
    ack(s, 2, job, 1);
    expect_ok(s, 2);
    CU_ASSERT_STRING_EQUAL(state_of(job), "");
    CU_ASSERT_EQUAL(queues_queue_of_job(queues, job).len, 0);
    CU_ASSERT_EQUAL(queues_queue_of_job(queues, 0).len, 0);
    teardown();
}

static void a_waiting_job_is_cancelled(void) {
    Session *s;
    uint64_t ready, delayed;

    setup();
    s = fake_connect(&broker, 's');
    ready = push_one(s, "q", "x", 0);
    delayed = push_one(s, "q", "y", 1000);
    CU_ASSERT_EQUAL(queues_cancel(queues, ready, s, 1), QUEUES_LATER);
    expect_ok(s, 1);
    CU_ASSERT_EQUAL(queues_cancel(queues, delayed, s, 2), QUEUES_LATER);
    expect_ok(s, 2);
    CU_ASSERT_EQUAL(queues_cancel(queues, delayed, s, 3), -ENOENT);
    wait_ms(1000);
    CU_ASSERT_EQUAL(count_of("q", "ready"), 0);
    CU_ASSERT_EQUAL(count_of("q", "bytes"), 0);
    teardown();
}

static void the_worker_of_a_cancelled_job_is_told_and_gets_the_next_one(void) {
    Session *s, *worker;
    uint64_t job;

    setup();
    s = fake_connect(&broker, 's');
    worker = fake_connect(&broker, 'w');
    pull(worker, 1, "q", 1);
    expect_ok(worker, 1);
    job = push_one(s, "q", "x", 0);
    push_one(s, "q", "y", 0);
    expect_job(worker, 1, "x", 1);
    CU_ASSERT_EQUAL(queues_cancel(queues, job, s, 1), QUEUES_LATER);
    expect_ok(s, 1);
    CU_ASSERT_EQUAL(fake_peek(worker)->message.lost.reason, LOST_CANCELLED);
    expect_lost(worker, job, 1);
    rooms_turn_end(&broker);
    expect_job(worker, 1, "y", 1);
    ack(worker, 2, job, 1);
    expect_error(worker, 2, "ferry.LeaseLost");
    teardown();
}

static void a_delayed_job_runs_now_and_first(void) {
    ferry_error error = FERRY_ERROR_INIT;
    Session *s;
    uint64_t job;

    setup();
    s = fake_connect(&broker, 's');
    push_one(s, "q", "first", 0);
    job = push_one(s, "q", "delayed", 1000000);
    CU_ASSERT_EQUAL(queues_run_now(queues, job, NULL), 0);
    CU_ASSERT_EQUAL(queues_run_now(queues, job, NULL), 0);
    pull(s, 1, "q", 2);
    expect_ok(s, 1);
    expect_job(s, 1, "delayed", 1);
    expect_job(s, 1, "first", 1);
    CU_ASSERT_EQUAL(queues_run_now(queues, job, &error), -EINVAL);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "a worker has it already"));
    ferry_error_clear(&error);
    CU_ASSERT_EQUAL(queues_run_now(queues, 999, NULL), -ENOENT);
    teardown();
}

static void a_job_is_moved_from_its_queue_and_from_its_worker(void) {
    Session *s;
    uint64_t job, held, moved;
    const FakeSent *sent;
    Reader reader;

    setup();
    s = fake_connect(&broker, 's');
    held = push_one(s, "q", "held", 0);
    job = push_one(s, "q", "x", 0);
    pull(s, 1, "q", 1);
    expect_ok(s, 1);
    expect_job(s, 1, "held", 1);
    CU_ASSERT_EQUAL(queues_move_job(queues, job, span_text("to"), s, 2), QUEUES_LATER);
    sent = fake_take(s);
    CU_ASSERT_PTR_NOT_NULL_FATAL(sent);
    reader = reader_of(sent->message.body.data, sent->message.body.len);
    moved = reader_uint(&reader);
    CU_ASSERT_TRUE(span_is(queues_queue_of_job(queues, moved), "to"));
    CU_ASSERT_STRING_EQUAL(state_of(job), "");
    CU_ASSERT_EQUAL(queues_move_job(queues, held, span_text("to"), s, 3), QUEUES_LATER);
    CU_ASSERT_EQUAL(fake_peek(s)->message.lost.reason, LOST_MOVED);
    expect_lost(s, held, 1);
    fake_drop(s);
    CU_ASSERT_EQUAL(count_of("to", "ready"), 2);
    CU_ASSERT_EQUAL(count_of("q", "held"), 0);
    CU_ASSERT_EQUAL(queues_move_job(queues, moved, span_text("to"), s, 4), -EINVAL);
    CU_ASSERT_EQUAL(queues_move_job(queues, moved, span_text("a b"), s, 4), -EINVAL);
    configure("small", "max_jobs", "1");
    push_one(s, "small", "x", 0);
    CU_ASSERT_EQUAL(queues_move_job(queues, moved, span_text("small"), s, 4), -ENOSPC);
    CU_ASSERT_TRUE(span_is(queues_queue_of_job(queues, moved), "to"));
    teardown();
}

static void the_answer_to_a_push_has_its_durability(void) {
    const FakeSent *sent;
    Session *s;

    setup();
    s = fake_connect(&broker, 's');
    push(s, 1, "q", "x", NULL);
    sent = fake_take(s);
    CU_ASSERT_PTR_NOT_NULL_FATAL(sent);
    CU_ASSERT_EQUAL(sent->message.ok.durability, DURABILITY_MEMORY);
    teardown();
}

static void a_job_is_delivered_at_a_time_of_the_wall_clock(void) {
    struct timespec wall;
    Session *s;
    uint64_t job;

    setup();
    s = fake_connect(&broker, 's');
    clock_gettime(CLOCK_REALTIME, &wall);
    push(s, 1, "q", "x", "at", (uint64_t)wall.tv_sec * 1000 + 100000, NULL);
    job = expect_ok(s, 1);
    CU_ASSERT_STRING_EQUAL(state_of(job), "delayed");
    wait_ms(100000);
    CU_ASSERT_STRING_EQUAL(state_of(job), "ready");
    push(s, 2, "q", "past", "at", (uint64_t)1, NULL);
    CU_ASSERT_STRING_EQUAL(state_of(expect_ok(s, 2)), "ready");
    push(s, 3, "q", "far", "at", (uint64_t)wall.tv_sec * 100000, NULL);
    expect_error(s, 3, "ferry.InvalidArgument");
    teardown();
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_ready_job_says_why_it_waits),
        TEST(a_job_is_shown_in_each_state),
        TEST(a_waiting_job_is_cancelled),
        TEST(the_worker_of_a_cancelled_job_is_told_and_gets_the_next_one),
        TEST(a_delayed_job_runs_now_and_first),
        TEST(a_job_is_moved_from_its_queue_and_from_its_worker),
        TEST(the_answer_to_a_push_has_its_durability),
        TEST(a_job_is_delivered_at_a_time_of_the_wall_clock),
        TESTS_END,
    };

    return run_suite("broker queues: one job", tests);
}
