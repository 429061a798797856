/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/broker/queues/verbs.h"

/* ---- order ---- */

static void higher_priorities_come_first_and_each_is_first_in_first_out(void) {
    Session *s;

    setup();
    s = fake_connect(&broker, 's');
    push(s, 0, "q", "low 1", NULL);
    push(s, 0, "q", "high 1", "priority", UINT64_C(9), NULL);
    push(s, 0, "q", "mid", "priority", UINT64_C(5), NULL);
    push(s, 0, "q", "low 2", "priority", UINT64_C(0), NULL);
    push(s, 0, "q", "high 2", "priority", UINT64_C(9), NULL);
    pull(s, 1, "q", 10);
    expect_ok(s, 1);
    expect_job(s, 1, "high 1", 1);
    expect_job(s, 1, "high 2", 1);
    expect_job(s, 1, "mid", 1);
    expect_job(s, 1, "low 1", 1);
    expect_job(s, 1, "low 2", 1);
    teardown();
}

static void a_delayed_job_comes_when_it_is_due(void) {
    Session *s;

    setup();
    s = fake_connect(&broker, 's');
    pull(s, 1, "q", 10);
    expect_ok(s, 1);
    push(s, 2, "q", "later", "delay", UINT64_C(100), NULL);
    push(s, 3, "q", "now", "delay", UINT64_C(0), NULL);
    expect_ok(s, 2);
    expect_ok(s, 3);
    expect_job(s, 1, "now", 1);
    wait_ms(99);
    expect_nothing(s);
    wait_ms(1);
    expect_job(s, 1, "later", 1);
    teardown();
}

static void jobs_due_at_the_same_time_keep_their_order(void) {
    enum { N = 1000 };
    Session *s;
    bool in_order = true;
    uint64_t last = 0;

    setup();
    s = fake_connect(&broker, 's');
    for (uint64_t i = 0; i < N; i++)
        push(s, 0, "q", "x", "delay", 200 - i % 2 * 100, NULL);
    pull(s, 1, "q", N);
    expect_ok(s, 1);
    wait_ms(100);
    CU_ASSERT_EQUAL(fake_n_sent(s), N / 2);
    wait_ms(100);
    CU_ASSERT_EQUAL(fake_n_sent(s), N);
    for (int i = 0; i < N; i++) {
        uint64_t job = fake_take(s)->message.job.job;

        in_order &= job > last;
        last = i == N / 2 - 1 ? 0 : job;
    }
    CU_ASSERT_TRUE(in_order);
    teardown();
}

/* ---- refused pushes ---- */

static void bad_options_are_refused(void) {
    /* {"priority": "x"}, {"delay": -1}, {"ttl": 1.5 (as a float)}, {"key": 7} */
    static const struct {
        const char *bytes;
        size_t len;
    } bad[] = {
        {"\x81\xA8priority\xA1x", 12},
        {"\x81\xA5"
         "delay\xFF",
         8},
        {"\x81\xA3"
         "ttl\xCA\x3F\xC0\x00\x00",
         10},
        {"\x81\xA3key\x07", 6},
    };
    Session *s;

    setup();
    s = fake_connect(&broker, 's');
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        queues_push(queues, s,
                    &(Message){.op = OP_PUSH,
                               .id = i + 1,
                               .name = span_text("q"),
                               .push.options = span_of(bad[i].bytes, bad[i].len)},
                    NULL);
        expect_error(s, i + 1, "ferry.InvalidArgument");
    }
    push(s, 10, "q", "x", "priority", UINT64_C(10), NULL);
    expect_error(s, 10, "ferry.InvalidArgument");
    push(s, 11, "q", "x", "delay", UINT64_MAX, NULL);
    expect_error(s, 11, "ferry.InvalidArgument");
    push(s, 12, "q", "x", "ttl", UINT64_MAX - 1, NULL);
    expect_error(s, 12, "ferry.InvalidArgument");
    push(s, 13, "q", "x", "unheard of", UINT64_MAX, "priority", UINT64_C(9), NULL);
    expect_ok(s, 13);
    teardown();
}

static void bad_names_are_refused(void) {
    static const char *const bad[] = {"", ".", "a..b", "a b", "a.*", ">", "a\n"};
    char name[256];
    Session *s;

    setup();
    s = fake_connect(&broker, 's');
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        push(s, 1, bad[i], "x", NULL);
        expect_error(s, 1, "ferry.InvalidArgument");
        pull(s, 2, bad[i], 1);
        expect_error(s, 2, "ferry.InvalidArgument");
    }
    push(s, 1, "ferry.mine", "x", NULL);
    expect_error(s, 1, "ferry.PermissionDenied");
    memset(name, 'n', 255);
    name[251] = '\0';
    push(s, 2, name, "x", NULL);
    expect_error(s, 2, "ferry.InvalidArgument");
    name[250] = '\0';
    push(s, 3, name, "x", NULL);
    expect_ok(s, 3);
    strcpy(name + 250, ".dead");
    push(s, 4, name, "x", NULL);
    expect_ok(s, 4);
    teardown();
}

static void a_body_over_the_limit_is_too_big(void) {
    Session *s;

    setup();
    broker.limits.max_body = 4;
    s = fake_connect(&broker, 's');
    push(s, 1, "q", "1234", NULL);
    expect_ok(s, 1);
    push(s, 2, "q", "12345", NULL);
    expect_error(s, 2, "ferry.TooBig");
    teardown();
}

static void a_draining_broker_takes_no_new_work(void) {
    Session *s;
    uint64_t job;

    setup();
    s = fake_connect(&broker, 's');
    push(s, 1, "q", "x", NULL);
    job = expect_ok(s, 1);
    broker.draining = true;
    push(s, 2, "q", "x", NULL);
    expect_error(s, 2, "ferry.Draining");
    /* Open work continues. */
    pull(s, 3, "q", 1);
    expect_ok(s, 3);
    expect_job(s, 3, "x", 1);
    CU_ASSERT_EQUAL(queues_n_in_flight(queues), 1);
    forward(s, 4, job, 1, "next", "y");
    expect_ok(s, 4);
    CU_ASSERT_EQUAL(queues_n_in_flight(queues), 0);
    CU_ASSERT_EQUAL(queues_n_in_memory(queues), 1);
    teardown();
}

static void draining_does_not_wait_for_jobs_of_lost_workers(void) {
    Session *s;

    setup();
    s = fake_connect(&broker, 's');
    push(s, 1, "q", "x", NULL);
    pull(s, 2, "q", 1);
    CU_ASSERT_EQUAL(queues_n_in_flight(queues), 1);
    end_session(s);
    CU_ASSERT_EQUAL(queues_n_in_flight(queues), 0);
    CU_ASSERT_EQUAL(queues_n_in_memory(queues), 1);
    teardown();
}

static void pulls_have_limits(void) {
    Session *s;

    setup();
    broker.limits.max_pulls = 2;
    s = fake_connect(&broker, 's');
    pull(s, 1, "q", 65536);
    expect_ok(s, 1);
    pull(s, 2, "q", 65537);
    expect_error(s, 2, "ferry.InvalidArgument");
    pull(s, 3, "q", 0);
    expect_ok(s, 3);
    pull(s, 4, "q", 1);
    expect_error(s, 4, "ferry.Full");
    pull(s, 0, "q", 1);
    CU_ASSERT_EQUAL(fake_n_sent(s), 0);
    pull(s, 1, "q", 1);
    CU_ASSERT_TRUE(fake_is_faulted(s)); /* another pull has this id */
    teardown();
}

/* ---- full ---- */

static void a_full_queue_refuses(void) {
    Session *s;

    setup();
    configure("q", "max_jobs", "2");
    configure("b", "max_bytes", "100");
    s = fake_connect(&broker, 's');
    push(s, 1, "q", "x", NULL);
    push(s, 2, "q", "x", "delay", UINT64_C(9), NULL);
    push(s, 3, "q", "x", NULL);
    expect_ok(s, 1);
    expect_ok(s, 2);
    expect_error(s, 3, "ferry.Full");
    /* Jobs in flight count, too. */
    pull(s, 4, "q", 1);
    expect_ok(s, 4);
    expect_job(s, 4, "x", 1);
    push(s, 5, "q", "x", NULL);
    expect_error(s, 5, "ferry.Full");
    ack(s, 0, 1, 1);
    push(s, 6, "q", "x", NULL);
    expect_ok(s, 6);
    expect_job(s, 4, "x", 1);

    for (int i = 0; i < 4; i++)
        push(s, 0, "b", "1234567890123456789012", NULL); /* each job has 25 bytes */
    push(s, 7, "b", "", NULL);
    expect_error(s, 7, "ferry.Full");
    CU_ASSERT_EQUAL(count_of("b", "bytes"), 100);
    teardown();
}

static void drop_oldest_makes_room(void) {
    Session *s;

    setup();
    configure("q", "max_jobs", "3");
    configure("q", "max_bytes", "1K");
    configure("q", "overflow", "drop-oldest");
    s = fake_connect(&broker, 's');
    push(s, 0, "q", "urgent", "priority", UINT64_C(1), NULL);
    push(s, 0, "q", "one", NULL);
    push(s, 0, "q", "two", NULL);
    push(s, 1, "q", "three", NULL);
    expect_ok(s, 1);
    CU_ASSERT_EQUAL(count_of("q", "dropped"), 1);
    pull(s, 2, "q", 9);
    expect_ok(s, 2);
    expect_job(s, 2, "urgent", 1);
    expect_job(s, 2, "two", 1);
    expect_job(s, 2, "three", 1);
    /* Jobs in flight are not dropped. */
    push(s, 3, "q", "four", NULL);
    expect_error(s, 3, "ferry.Full");
    teardown();
}

static void a_body_that_never_fits_drops_no_job(void) {
    Session *s;

    setup();
    configure("q", "max_bytes", "10");
    configure("q", "overflow", "drop-oldest");
    s = fake_connect(&broker, 's');
    push(s, 1, "q", "123", NULL);
    expect_ok(s, 1);
    push(s, 2, "q", "12345678901", NULL);
    expect_error(s, 2, "ferry.TooBig");
    CU_ASSERT_EQUAL(count_of("q", "ready"), 1);
    teardown();
}

static void a_full_broker_refuses(void) {
    Session *s;
    uint64_t id = 0;

    setup();
    broker.limits.max_total_bytes = 200000;
    s = fake_connect(&broker, 's');
    do
        push(s, ++id, "q", "0123456789", NULL);
    while (fake_take(s)->message.op == OP_OK && id < 10000);
    CU_ASSERT_TRUE(id > 100 && id < 2000);
    CU_ASSERT_TRUE(broker_stored(&broker) < 300000);
    teardown();
}

static void names_are_bounded_and_come_back(void) {
    char name[8];
    Session *s;

    setup();
    broker.limits.max_names = 3;
    s = fake_connect(&broker, 's');
    for (int i = 0; i < 3; i++) {
        snprintf(name, sizeof(name), "q%d", i);
        pull(s, (uint64_t)i + 1, name, 1);
        expect_ok(s, (uint64_t)i + 1);
    }
    pull(s, 4, "q4", 1);
    expect_error(s, 4, "ferry.Full");
    push(s, 5, "q4", "x", NULL);
    expect_error(s, 5, "ferry.Full");
    /* The job becomes a dead letter although max_names is reached. */
    push(s, 0, "q0", "x", NULL);
    reject(s, 6, expect_job(s, 1, "x", 1), 1, "no");
    expect_ok(s, 6);
    CU_ASSERT_EQUAL(count_of("q0.dead", "ready"), 1);
    unpull(s, 0, 2);
    wait_ms(59000);
    CU_ASSERT_EQUAL(count_of("q1", "ready"), 0);
    wait_ms(1001);
    CU_ASSERT_EQUAL(count_of("q1", "ready"), UINT64_MAX);
    CU_ASSERT_EQUAL(count_of("q2", "ready"), 0);
    teardown();
}

/* ---- twice ---- */

static void a_push_sent_again_is_stored_once(void) {
    Session *s;
    Message again = {.op = OP_PUSH, .id = 7, .name = span_text("q")};

    setup();
    s = fake_connect(&broker, 's');
    push(s, 7, "q", "x", NULL);
    end_session(s);
    s = fake_connect(&broker, 's');
    queues_push(queues, s, &again, NULL);
    CU_ASSERT_EQUAL(expect_ok(s, 7), 0);
    CU_ASSERT_EQUAL(count_of("q", "ready"), 1);
    again.id = 8; /* this push never reached the broker */
    queues_push(queues, s, &again, NULL);
    CU_ASSERT_NOT_EQUAL(expect_ok(s, 8), 0);
    queues_push(queues, s, &again, NULL);
    CU_ASSERT_EQUAL(expect_ok(s, 8), 0);
    CU_ASSERT_EQUAL(count_of("q", "ready"), 2);
    /* Another client has ids of its own. */
    s = fake_connect(&broker, 't');
    queues_push(queues, s, &again, NULL);
    CU_ASSERT_NOT_EQUAL(expect_ok(s, 8), 0);
    /* Pushes below the floor were answered. A lower floor has no effect. */
    queues_floor(queues, s->client, 9);
    queues_floor(queues, s->client, 1);
    queues_push(queues, s, &again, NULL);
    CU_ASSERT_EQUAL(expect_ok(s, 8), 0);
    again.id = 9;
    queues_push(queues, s, &again, NULL);
    CU_ASSERT_NOT_EQUAL(expect_ok(s, 9), 0);
    teardown();
}

static void repeated_pushes_are_known_in_any_order(void) {
    Session *s;

    setup();
    s = fake_connect(&broker, 's');
    push(s, 7, "q", "x", NULL);
    CU_ASSERT_NOT_EQUAL(expect_ok(s, 7), 0);
    push(s, 9, "q", "x", NULL);
    CU_ASSERT_NOT_EQUAL(expect_ok(s, 9), 0);
    push(s, 7, "q", "x", NULL);
    CU_ASSERT_EQUAL(expect_ok(s, 7), 0);
    push(s, 8, "q", "x", NULL); /* its id is lower than that of an earlier push, but new */
    CU_ASSERT_NOT_EQUAL(expect_ok(s, 8), 0);
    CU_ASSERT_EQUAL(count_of("q", "ready"), 3);
    teardown();
}

static void a_key_is_stored_once_while_it_is_remembered(void) {
    Session *s;
    uint64_t first;

    setup();
    s = fake_connect(&broker, 's');
    push(s, 1, "q", "x", "key", "k1", NULL);
    first = expect_outcome(s, 1, PUSH_STORED);
    CU_ASSERT_NOT_EQUAL(first, 0);
    push(s, 2, "q", "y", "key", "k1", NULL);
    CU_ASSERT_EQUAL(expect_outcome(s, 2, PUSH_DUPLICATE), first);
    /* The same push again; it is not another push with this key. */
    push(s, 2, "q", "y", "key", "k1", NULL);
    CU_ASSERT_EQUAL(expect_outcome(s, 2, PUSH_STORED_BEFORE), 0);
    push(s, 3, "q", "y", "key", "k2", NULL);
    CU_ASSERT_NOT_EQUAL(expect_ok(s, 3), 0);
    push(s, 4, "other", "y", "key", "k1", NULL);
    CU_ASSERT_NOT_EQUAL(expect_ok(s, 4), 0);
    push(s, 5, "q", "y", "key", "", NULL);
    CU_ASSERT_NOT_EQUAL(expect_ok(s, 5), 0);
    wait_ms(119999);
    push(s, 6, "q", "y", "key", "k1", NULL);
    CU_ASSERT_EQUAL(expect_outcome(s, 6, PUSH_DUPLICATE), first);
    wait_ms(1);
    push(s, 7, "q", "y", "key", "k1", NULL);
    CU_ASSERT_NOT_EQUAL(expect_ok(s, 7), 0);
    teardown();
}

static void keys_are_bounded(void) {
    char key[300];
    Session *s;

    setup();
    configure("q", "max_keys", "3");
    configure("q", "max_jobs", "2");
    s = fake_connect(&broker, 's');
    pull(s, 1, "q", 3);
    expect_ok(s, 1);
    for (int i = 0; i < 3; i++) {
        snprintf(key, sizeof(key), "key %d", i);
        push(s, 0, "q", "x", "key", key, NULL);
        ack(s, 0, expect_job(s, 1, "x", 1), 1);
    }
    /* The queue is empty: the oldest key makes room for a further one. */
    push(s, 5, "q", "x", "key", "one more", NULL);
    CU_ASSERT_NOT_EQUAL(expect_outcome(s, 5, PUSH_STORED), 0);
    ack(s, 0, expect_job(s, 1, "x", 1), 1);
    push(s, 6, "q", "x", "key", "key 1", NULL);
    expect_outcome(s, 6, PUSH_DUPLICATE);
    push(s, 8, "q", "x", "key", "key 0", NULL);
    expect_outcome(s, 8, PUSH_STORED);
    fake_drop(s);
    memcpy(key, "\x81\xA3key\xDA\x01\x00", 8); /* the key has 256 bytes */
    memset(key + 8, 'k', 256);
    queues_push(
        queues, s,
        &(Message){
            .op = OP_PUSH, .id = 7, .name = span_text("q"), .push.options = span_of(key, 8 + 256)},
        NULL);
    expect_error(s, 7, "ferry.InvalidArgument");
    teardown();
}

static void without_dedup_keys_are_ignored(void) {
    Session *s;

    setup();
    configure("q", "dedup", "0");
    s = fake_connect(&broker, 's');
    for (uint64_t id = 1; id <= 2; id++) {
        push(s, id, "q", "x", "key", "k", NULL);
        CU_ASSERT_NOT_EQUAL(expect_ok(s, id), 0);
    }
    teardown();
}

/* ---- bodies ---- */

static void large_bodies_keep_their_block(void) {
    Session *s;
    uint8_t *body;
    const FakeSent *sent;
    uint64_t bytes;

    setup();
    s = fake_connect(&broker, 's');
    body = ferry_alloc(1000000);
    memset(body, 'b', 1000000);
    bytes = broker_stored(&broker);
    queues_push(queues, s,
                &(Message){.op = OP_PUSH,
                           .name = span_text("q"),
                           .headers = span_of("\x81\xA1h\xA1v", 5),
                           .body = span_of(body, 1000000)},
                body);
    CU_ASSERT_TRUE(broker_stored(&broker) >= bytes + 1000000);
    pull(s, 1, "q", 1);
    expect_ok(s, 1);
    sent = fake_take(s);
    CU_ASSERT_PTR_NOT_NULL_FATAL(sent);
    CU_ASSERT_PTR_EQUAL(sent->block, body);
    CU_ASSERT_EQUAL(sent->message.body.len, 1000000);
    CU_ASSERT_EQUAL(sent->message.headers.len, 5);
    ack(s, 0, sent->message.job.job, 1);
    CU_ASSERT_TRUE(broker_stored(&broker) < 1000000);
    ferry_free(body);
    teardown();
}

/* Bodies of each size, sent in each way. */
static void bodies_of_all_sizes_arrive_unchanged(void) {
    static const size_t sizes[] = {0, 1, 255, 256, 4095, 4096, 4097, 65536, 131072, 131073, 250000};
    static uint8_t body[250000], bytes[250100];
    Session *s;

    setup();
    s = fake_connect(&broker, 's');
    for (size_t i = 0; i < sizeof(body); i++)
        body[i] = (uint8_t)(i * 31);
    pull(s, 1, "q", 100);
    expect_ok(s, 1);
    for (size_t i = 0; i < 2 * sizeof(sizes) / sizeof(*sizes); i++) {
        Message push_message = {
            .op = OP_PUSH, .name = span_text("q"), .body = span_of(body, sizes[i / 2])};
        const FakeSent *sent;

        if (i % 2 && sizes[i / 2] <= WIRE_INLINE_MAX) {
            uint8_t *end = message_write(bytes, &push_message);
            Reader reader = reader_of(bytes, (size_t)(end - bytes));

            CU_ASSERT_EQUAL(message_read(&reader, &push_message), 1);
        }
        queues_push(queues, s, &push_message, NULL);
        sent = fake_take(s);
        CU_ASSERT_PTR_NOT_NULL_FATAL(sent);
        CU_ASSERT_EQUAL(sent->message.op, OP_JOB);
        CU_ASSERT_EQUAL_FATAL(sent->message.body.len, sizes[i / 2]);
        CU_ASSERT_EQUAL(memcmp(sent->message.body.data, body, sizes[i / 2]), 0);
    }
    teardown();
}

/* ---- slow workers ---- */

static void a_worker_that_does_not_read_is_skipped_until_it_does(void) {
    Session *slow, *quick;

    setup();
    slow = fake_connect(&broker, 's');
    quick = fake_connect(&broker, 'q');
    pull(slow, 1, "q", 10);
    pull(quick, 1, "q", 1);
    expect_ok(slow, 1);
    expect_ok(quick, 1);
    fake_set_waiting(slow, 4u << 20);
    for (int i = 0; i < 3; i++)
        push(quick, 0, "q", "x", NULL);
    expect_nothing(slow);
    expect_job(quick, 1, "x", 1);
    rooms_turn_end(&broker);
    expect_nothing(slow);
    fake_set_waiting(slow, 1u << 20);
    rooms_turn_end(&broker);
    expect_job(slow, 1, "x", 1);
    expect_job(slow, 1, "x", 1);
    teardown();
}

static void unpulling_while_blocked_is_harmless(void) {
    Session *slow;

    setup();
    slow = fake_connect(&broker, 's');
    pull(slow, 1, "q", 10);
    pull(slow, 2, "q", 10);
    fake_set_waiting(slow, 5u << 20);
    push(slow, 0, "q", "x", NULL);
    unpull(slow, 0, 1);
    end_session(slow);
    rooms_turn_end(&broker);
    CU_ASSERT_EQUAL(count_of("q", "ready"), 1);
    CU_ASSERT_EQUAL(count_of("q", "workers"), 0);
    teardown();
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(higher_priorities_come_first_and_each_is_first_in_first_out),
        TEST(a_delayed_job_comes_when_it_is_due),
        TEST(jobs_due_at_the_same_time_keep_their_order),
        TEST(bad_options_are_refused),
        TEST(bad_names_are_refused),
        TEST(a_body_over_the_limit_is_too_big),
        TEST(a_draining_broker_takes_no_new_work),
        TEST(draining_does_not_wait_for_jobs_of_lost_workers),
        TEST(pulls_have_limits),
        TEST(a_full_queue_refuses),
        TEST(drop_oldest_makes_room),
        TEST(a_body_that_never_fits_drops_no_job),
        TEST(a_full_broker_refuses),
        TEST(names_are_bounded_and_come_back),
        TEST(a_push_sent_again_is_stored_once),
        TEST(repeated_pushes_are_known_in_any_order),
        TEST(a_key_is_stored_once_while_it_is_remembered),
        TEST(keys_are_bounded),
        TEST(without_dedup_keys_are_ignored),
        TEST(large_bodies_keep_their_block),
        TEST(bodies_of_all_sizes_arrive_unchanged),
        TEST(a_worker_that_does_not_read_is_skipped_until_it_does),
        TEST(unpulling_while_blocked_is_harmless),
        TESTS_END,
    };

    return run_suite("broker queues: push and pull", tests);
}
