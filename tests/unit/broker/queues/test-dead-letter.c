/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/broker/queues/verbs.h"

/* True: there is a message, and it has this header. */
static bool has_header(const FakeSent *sent, const char *name, const char *value) {
    return sent && span_is(header_find(sent->message.headers, name), value);
}

static void a_rejected_job_becomes_a_dead_letter_with_the_reason(void) {
    Session *s;
    const FakeSent *sent;

    setup();
    s = fake_connect(&broker, 's');
    queues_push(queues, s,
                &(Message){.op = OP_PUSH,
                           .name = span_text("q"),
                           .headers = span_of("\x81\xA4mine\xA1v", 8),
                           .body = span_text("body")},
                NULL);
    pull(s, 1, "q", 1);
    expect_ok(s, 1);
    expect_job(s, 1, "body", 1);
    reject(s, 2, 1, 1, "it smells");
    expect_ok(s, 2);
    CU_ASSERT_EQUAL(count_of("q", "dead"), 1);
    CU_ASSERT_EQUAL(count_of("q", "held"), 0);
    pull(s, 3, "q.dead", 1);
    expect_ok(s, 3);
    sent = fake_take(s);
    CU_ASSERT_PTR_NOT_NULL_FATAL(sent);
    CU_ASSERT_TRUE(span_is(sent->message.body, "body"));
    CU_ASSERT_EQUAL(sent->message.job.attempt, 1);
    CU_ASSERT_NOT_EQUAL(sent->message.job.job, 1);
    CU_ASSERT_TRUE(has_header(sent, "ferry-queue", "q"));
    CU_ASSERT_TRUE(has_header(sent, "ferry-reason", "it smells"));
    CU_ASSERT_TRUE(has_header(sent, "ferry-attempts", "1"));
    CU_ASSERT_TRUE(has_header(sent, "ferry-job", "1"));
    CU_ASSERT_TRUE(has_header(sent, "mine", "v"));
    teardown();
}

static void attempts_are_bounded(void) {
    Session *s;

    setup();
    configure("q", "max_attempts", "3");
    configure("q", "retry", "1ms");
    configure("free", "max_attempts", "0");
    configure("free", "retry", "1ms");
    configure("free", "retry_max", "1ms");
    s = fake_connect(&broker, 's');
    push(s, 0, "q", "x", NULL);
    push(s, 0, "free", "x", NULL);
    pull(s, 1, "q", 1);
    expect_ok(s, 1);
    for (uint64_t attempt = 1; attempt <= 3; attempt++) {
        expect_job(s, 1, "x", attempt);
        retry(s, 2, 1, attempt, 0, attempt == 3 ? "" : "no");
        expect_ok(s, 2);
        wait_ms(10);
    }
    expect_nothing(s);
    pull(s, 3, "q.dead", 1);
    expect_ok(s, 3);
    CU_ASSERT_TRUE(has_header(fake_take(s), "ferry-reason", "failed 3 times"));
    pull(s, 4, "free", 1);
    expect_ok(s, 4);
    for (uint64_t attempt = 1; attempt <= 100; attempt++) {
        expect_job(s, 4, "x", attempt);
        retry(s, 0, 2, attempt, 0, NULL);
        wait_ms(2);
    }
    teardown();
}

static void lost_sessions_and_time_limits_use_up_attempts_too(void) {
    setup();
    configure("*", "max_attempts", "2");
    configure("slow", "time_limit", "10ms");
    for (int i = 0; i < 2; i++) {
        Session *s = fake_connect(&broker, 's');

        if (i == 0) {
            push(s, 0, "lost", "x", NULL);
            push(s, 0, "slow", "x", NULL);
        }
        pull(s, 1, "lost", 1);
        pull(s, 2, "slow", 1);
        wait_ms(30);
        end_session(s);
        wait_ms(600);
    }
    CU_ASSERT_EQUAL(count_of("lost", "dead"), 1);
    CU_ASSERT_EQUAL(count_of("slow", "dead"), 1);
    teardown();
}

static void undelivered_jobs_expire(void) {
    Session *s;

    setup();
    s = fake_connect(&broker, 's');
    push(s, 0, "q", "ready", "ttl", UINT64_C(100), NULL);
    push(s, 0, "q", "delayed", "ttl", UINT64_C(100), "delay", UINT64_C(200), NULL);
    push(s, 0, "q", "long", "ttl", UINT64_C(1000), NULL);
    push(s, 0, "q", "for ever", "ttl", UINT64_C(0), NULL);
    wait_ms(99);
    CU_ASSERT_EQUAL(count_of("q", "dead"), 0);
    wait_ms(1);
    CU_ASSERT_EQUAL(count_of("q", "dead"), 2);
    CU_ASSERT_EQUAL(count_of("q", "expired"), 2);
    pull(s, 1, "q", 1);
    expect_ok(s, 1);
    expect_job(s, 1, "long", 1);
    wait_ms(2000); /* in flight: the job counts as delivered */
    CU_ASSERT_EQUAL(count_of("q", "held"), 1);
    retry(s, 2, 3, 1, 10, NULL); /* the time to live has passed: the job is not delivered again */
    expect_ok(s, 2);
    expect_job(s, 1, "for ever", 1);
    wait_ms(11);
    CU_ASSERT_EQUAL(count_of("q", "dead"), 3);
    teardown();
}

static void the_time_to_live_of_a_queue_spares_its_dead_letters(void) {
    Session *s;

    setup();
    configure(">", "ttl", "50ms");
    configure("own.dead", "ttl", "100ms");
    s = fake_connect(&broker, 's');
    push(s, 0, "q", "x", NULL);
    push(s, 0, "own", "x", NULL);
    push(s, 0, "q", "y", "ttl", UINT64_C(60), NULL);
    wait_ms(50);
    CU_ASSERT_EQUAL(count_of("q", "dead"), 1);
    wait_ms(99);
    CU_ASSERT_EQUAL(count_of("q", "dead"), 2);
    CU_ASSERT_EQUAL(count_of("own", "dead"), 1);
    wait_ms(1);
    CU_ASSERT_EQUAL(count_of("own", "dead"), 0);
    CU_ASSERT_EQUAL(count_of("own.dead", "expired"), 1);
    teardown();
}

static void dead_letters_that_fail_stay_in_their_queue(void) {
    Session *s;

    setup();
    configure("*.dead", "max_attempts", "1");
    s = fake_connect(&broker, 's');
    push(s, 0, "q.dead", "x", NULL);
    pull(s, 1, "q.dead", 1);
    expect_ok(s, 1);
    expect_job(s, 1, "x", 1);
    reject(s, 2, 1, 1, "no");
    expect_ok(s, 2);
    CU_ASSERT_EQUAL(count_of("q.dead", "delayed"), 1);
    wait_ms(60000);
    expect_job(s, 1, "x", 2);
    retry(s, 3, 1, 2, 5, "no");
    expect_ok(s, 3);
    wait_ms(5);
    expect_job(s, 1, "x", 3);
    end_session(s);
    wait_ms(501);
    CU_ASSERT_EQUAL(count_of("q.dead", "ready"), 1);
    CU_ASSERT_EQUAL(count_of("q.dead.dead", "ready"), UINT64_MAX);
    teardown();
}

static void no_job_is_lost_when_the_dead_letter_queue_is_full(void) {
    Session *s;

    setup();
    configure("q.dead", "max_jobs", "1");
    configure("q", "retry_max", "2s");
    s = fake_connect(&broker, 's');
    push(s, 0, "q", "one", NULL);
    push(s, 0, "q", "two", NULL);
    pull(s, 1, "q", 2);
    expect_ok(s, 1);
    expect_job(s, 1, "one", 1);
    expect_job(s, 1, "two", 1);
    reject(s, 2, 1, 1, "no");
    expect_ok(s, 2);
    reject(s, 3, 2, 1, "neither");
    expect_error(s, 3, "ferry.Full");
    CU_ASSERT_EQUAL(count_of("q", "delayed"), 1);
    wait_ms(10000);
    expect_nothing(s); /* never delivered again */
    CU_ASSERT_EQUAL(count_of("q", "delayed"), 1);
    pull(s, 4, "q.dead", 1);
    expect_ok(s, 4);
    ack(s, 0, fake_take(s)->message.job.job, 1);
    wait_ms(2000);
    CU_ASSERT_EQUAL(count_of("q", "delayed"), 0);
    CU_ASSERT_TRUE(has_header(fake_take(s), "ferry-reason", "neither"));
    teardown();
}

/* The job has the maximum of 64 headers and 16 KiB: four more do not fit, and a worker must be able
 * to read the job. */
static void headers_stay_within_their_limits(void) {
    static uint8_t headers[20000];
    Session *s;

    setup();
    s = fake_connect(&broker, 's');
    for (int i = 0; i < 2; i++) {
        Buffer map = {0};
        const FakeSent *sent;
        uint32_t n;

        write_map(&map, i == 0 ? 64 : 2);
        for (int j = 0; j < (i == 0 ? 64 : 2); j++) {
            char name[16];

            snprintf(name, sizeof(name), "n%d", j);
            write_text(&map, name);
            memset(headers, 'v', sizeof(headers));
            write_str(&map, headers, i == 0 ? 10 : 8000);
        }
        queues_push(queues, s,
                    &(Message){.op = OP_PUSH,
                               .name = span_text("q"),
                               .headers = span_of(map.data, map.len),
                               .body = span_text("x")},
                    NULL);
        buffer_deinit(&map);
        pull(s, (uint64_t)i * 10 + 1, "q", 1);
        fake_take(s);
        sent = fake_take(s);
        CU_ASSERT_PTR_NOT_NULL_FATAL(sent);
        memset(headers, 'r', 1024);
        queues_reject(queues, s,
                      &(Message){.op = OP_REJECT,
                                 .settle.job = sent->message.job.job,
                                 .settle.attempt = 1,
                                 .settle.text = span_of(headers, 1024)});
        unpull(s, 0, (uint64_t)i * 10 + 1);
        pull(s, (uint64_t)i * 10 + 2, "q.dead", 1);
        fake_take(s);
        sent = fake_take(s); /* fake_take() has read the message: the limits of the wire are kept */
        CU_ASSERT_PTR_NOT_NULL_FATAL(sent);
        pairs_of(sent->message.headers, &n);
        CU_ASSERT_EQUAL(n, i == 0 ? 64 : 5);
        CU_ASSERT_TRUE(has_header(sent, "ferry-queue", "q"));
        ack(s, 0, sent->message.job.job, 1);
        unpull(s, 0, (uint64_t)i * 10 + 2);
    }
    teardown();
}

static void reasons_are_cut_between_characters(void) {
    uint8_t text[300];
    const FakeSent *sent;
    Session *s;

    setup();
    s = fake_connect(&broker, 's');
    for (size_t i = 0; i < 300; i += 2)
        memcpy(text + i, "\xC3\xA9", 2); /* é: cutting after 255 bytes would split it */
    push(s, 0, "q", "x", NULL);
    pull(s, 1, "q", 1);
    queues_reject(queues, s,
                  &(Message){.op = OP_REJECT,
                             .settle.job = 1,
                             .settle.attempt = 1,
                             .settle.text = span_of(text, 300)});
    fake_drop(s);
    pull(s, 2, "q.dead", 1);
    fake_take(s);
    sent = fake_take(s);
    CU_ASSERT_PTR_NOT_NULL_FATAL(sent);
    CU_ASSERT_EQUAL(header_find(sent->message.headers, "ferry-reason").len, 254);
    teardown();
}

static void large_bodies_become_dead_letters_without_a_copy(void) {
    void *body;
    const FakeSent *sent;
    Session *s;

    setup();
    s = fake_connect(&broker, 's');
    body = ferry_alloc(500000);
    memset(body, 'x', 500000);
    queues_push(queues, s,
                &(Message){.op = OP_PUSH, .name = span_text("q"), .body = span_of(body, 500000)},
                body);
    pull(s, 1, "q", 1);
    reject(s, 0, 1, 1, "no");
    fake_drop(s);
    pull(s, 2, "q.dead", 1);
    fake_take(s);
    sent = fake_take(s);
    CU_ASSERT_PTR_NOT_NULL_FATAL(sent);
    CU_ASSERT_PTR_EQUAL(sent->block, body);
    CU_ASSERT_TRUE(has_header(sent, "ferry-reason", "no"));
    CU_ASSERT_EQUAL(sent->message.body.len, 500000);
    ferry_free(body);
    teardown();
}

/* ---- forward ---- */

static void forward_acknowledges_and_pushes_in_one_step(void) {
    Session *s;

    setup();
    s = fake_connect(&broker, 's');
    push(s, 0, "one", "x", NULL);
    pull(s, 1, "one", 1);
    expect_ok(s, 1);
    expect_job(s, 1, "x", 1);
    forward(s, 2, 1, 1, "two", "y");
    expect_ok(s, 2);
    CU_ASSERT_EQUAL(count_of("one", "held"), 0);
    CU_ASSERT_EQUAL(count_of("one", "acked"), 1);
    CU_ASSERT_EQUAL(count_of("two", "pushed"), 1);
    pull(s, 3, "two", 1);
    expect_ok(s, 3);
    expect_job(s, 3, "y", 1);
    teardown();
}

/* The number of queues to which jobs of this queue were forwarded, as ferry.Broker shows it. */
static uint32_t n_forwards(const char *queue) {
    Buffer shown_queue = {0};
    uint32_t left, n = UINT32_MAX;
    Reader pairs;
    Span key;

    CU_ASSERT_EQUAL_FATAL(queues_show(queues, span_text(queue), &shown_queue), 0);
    pairs = pairs_of(span_of(shown_queue.data, shown_queue.len), &left);
    while (pairs_next(&pairs, &left, &key)) {
        Reader list = pairs;

        if (span_is(key, "forwards"))
            n = reader_array(&list);
        reader_value(&pairs);
    }
    buffer_deinit(&shown_queue);
    return n;
}

static void forwards_are_counted_to_a_limited_number_of_queues(void) {
    char name[24];
    Session *s;

    setup();
    s = fake_connect(&broker, 's');
    pull(s, 1, "one", 1);
    expect_ok(s, 1);
    for (unsigned i = 0; i < 2 * FORWARDS_MAX; i++) {
        push(s, 0, "one", "x", NULL);
        snprintf(name, sizeof(name), "to-%u", i);
        forward(s, 2 + i, expect_job(s, 1, "x", 1), 1, name, "y");
        expect_ok(s, 2 + i);
        CU_ASSERT_EQUAL(n_forwards("one"), i < FORWARDS_MAX ? i + 1 : FORWARDS_MAX);
    }
    push(s, 0, "one", "x", NULL);
    forward(s, 1000, expect_job(s, 1, "x", 1), 1, "to-3", "y");
    expect_ok(s, 1000);
    CU_ASSERT_EQUAL(n_forwards("one"), FORWARDS_MAX);
    CU_ASSERT_EQUAL(count_of("to-3", "pushed"), 2);
    teardown();
}

static void a_refused_forward_becomes_a_retry(void) {
    Session *s;

    setup();
    configure("two", "max_jobs", "1");
    configure("one", "retry", "10ms");
    configure("one", "max_attempts", "2");
    s = fake_connect(&broker, 's');
    push(s, 0, "one", "x", NULL);
    push(s, 0, "two", "in the way", NULL);
    pull(s, 1, "one", 1);
    expect_ok(s, 1);
    expect_job(s, 1, "x", 1);
    forward(s, 2, 1, 1, "two", "y");
    expect_error(s, 2, "ferry.Full");
    CU_ASSERT_EQUAL(count_of("one", "delayed"), 1);
    wait_ms(10);
    expect_job(s, 1, "x", 2);
    forward(s, 3, 1, 2, "no such name", "y");
    expect_error(s, 3, "ferry.InvalidArgument");
    CU_ASSERT_EQUAL(count_of("one", "dead"), 1);
    expect_nothing(s);
    teardown();
}

static void a_job_may_be_forwarded_to_its_own_full_queue(void) {
    Session *s;

    setup();
    configure("q", "max_jobs", "1");
    s = fake_connect(&broker, 's');
    push(s, 0, "q", "x", NULL);
    pull(s, 1, "q", 1);
    expect_ok(s, 1);
    expect_job(s, 1, "x", 1);
    forward(s, 2, 1, 1, "q", "y");
    expect_ok(s, 2);
    expect_job(s, 1, "y", 1);
    teardown();
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_rejected_job_becomes_a_dead_letter_with_the_reason),
        TEST(attempts_are_bounded),
        TEST(lost_sessions_and_time_limits_use_up_attempts_too),
        TEST(undelivered_jobs_expire),
        TEST(the_time_to_live_of_a_queue_spares_its_dead_letters),
        TEST(dead_letters_that_fail_stay_in_their_queue),
        TEST(no_job_is_lost_when_the_dead_letter_queue_is_full),
        TEST(headers_stay_within_their_limits),
        TEST(reasons_are_cut_between_characters),
        TEST(large_bodies_become_dead_letters_without_a_copy),
        TEST(forward_acknowledges_and_pushes_in_one_step),
        TEST(forwards_are_counted_to_a_limited_number_of_queues),
        TEST(a_refused_forward_becomes_a_retry),
        TEST(a_job_may_be_forwarded_to_its_own_full_queue),
        TESTS_END,
    };

    return run_suite("broker queues: dead letters and forwarding", tests);
}
