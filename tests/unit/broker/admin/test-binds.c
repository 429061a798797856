/* SPDX-License-Identifier: Apache-2.0 */
/* Durable subscriptions: published messages become jobs of bound queues, in memory and on disk. */

#include "broker/admin/binds.h"

#include "broker/topics/topics.h"
#include "unit/broker/stores/disk-life.h"

static Session *s;

static void open_binds(void) {
    CU_ASSERT_EQUAL_FATAL(topics_new(&broker.topics, &broker), 0);
    CU_ASSERT_EQUAL_FATAL(binds_new(&broker.binds, &broker), 0);
}

static void close_binds(void) {
    broker.binds = binds_free(broker.binds);
    broker.topics = topics_free(broker.topics);
}

static void begin_in_memory(void) {
    setup();
    open_binds();
    s = fake_connect(&broker, 's');
}

static void end_in_memory(void) {
    close_binds();
    teardown();
}

/* Begins a life of a broker with a disk; the facts of an earlier life come back before the
 * session. */
static void begin_on_disk(void) {
    begin();
    open_binds();
    s = fake_connect(&broker, 's');
}

static void bind_queue(const char *queue, const char *pattern) {
    CU_ASSERT_EQUAL(binds_add(broker.binds, span_text(queue), span_text(pattern), NULL, 0, NULL),
                    QUEUES_LATER);
}

static void publish(uint64_t id, const char *topic, const char *body, uint64_t flags) {
    Message message = {.op = OP_PUBLISH,
                       .id = id,
                       .name = span_text(topic),
                       .body = span_text(body),
                       .publish.flags = flags};

    binds_publish(broker.binds, s, &message, NULL);
}

static void a_message_becomes_a_job_of_each_bound_queue_once(void) {
    const FakeSent *sent;

    begin_in_memory();
    bind_queue("all", ">");
    bind_queue("orders", "orders.*");
    bind_queue("orders", "orders.new");
    bind_queue("other", "other");
    CU_ASSERT_EQUAL(broker.n_binds, 4);
    bind_queue("all", ">"); /* bound before: nothing changes */
    CU_ASSERT_EQUAL(broker.n_binds, 4);
    publish(1, "orders.new", "x", 0);
    CU_ASSERT_EQUAL(expect_ok(s, 1), 2);
    CU_ASSERT_EQUAL(count_of("all", "ready"), 1);
    CU_ASSERT_EQUAL(count_of("orders", "ready"), 1);
    CU_ASSERT_EQUAL(count_of("other", "ready"), 0);
    pull(s, 2, "orders", 1);
    expect_ok(s, 2);
    sent = fake_take(s);
    CU_ASSERT_PTR_NOT_NULL_FATAL(sent);
    CU_ASSERT_EQUAL(sent->message.op, OP_JOB);
    CU_ASSERT_TRUE(span_is(header_find(sent->message.headers, "ferry-topic"), "orders.new"));
    CU_ASSERT_TRUE(span_is(sent->message.body, "x"));
    publish(3, "nobody.hears", "x", 0);
    CU_ASSERT_EQUAL(expect_ok(s, 3), 1); /* only `all` matches */
    end_in_memory();
}

static void a_bind_ends(void) {
    begin_in_memory();
    bind_queue("q", "t");
    bind_queue("q", "u");
    CU_ASSERT_EQUAL(binds_remove(broker.binds, span_text("q"), span_text("x"), s, 1), -ENOENT);
    CU_ASSERT_EQUAL(binds_remove(broker.binds, span_text("no"), span_text("t"), s, 1), -ENOENT);
    CU_ASSERT_EQUAL(binds_remove(broker.binds, span_text("q"), span_text("t"), s, 1), QUEUES_LATER);
    expect_ok(s, 1);
    publish(2, "t", "x", 0);
    CU_ASSERT_EQUAL(expect_ok(s, 2), 0);
    CU_ASSERT_EQUAL(binds_remove(broker.binds, span_text("q"), span_text("u"), s, 3), QUEUES_LATER);
    expect_ok(s, 3);
    CU_ASSERT_EQUAL(broker.n_binds, 0);
    end_in_memory();
}

static void bad_names_are_not_bound(void) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;

    begin_in_memory();
    CU_ASSERT_EQUAL(binds_add(broker.binds, span_text("a b"), span_text("t"), s, 1, &error),
                    -EINVAL);
    ferry_error_clear(&error);
    CU_ASSERT_EQUAL(binds_add(broker.binds, span_text("q"), span_text("a..b"), s, 1, &error),
                    -EINVAL);
    CU_ASSERT_EQUAL(broker.n_binds, 0);
    CU_ASSERT_EQUAL(count_of("q", "ready"), UINT64_MAX);
    end_in_memory();
}

static void a_full_queue_refuses_a_confirmed_message_as_a_whole(void) {
    begin_in_memory();
    configure("small", "max_jobs", "1");
    bind_queue("small", "t");
    bind_queue("large", "t");
    publish(1, "t", "one", 0);
    CU_ASSERT_EQUAL(expect_ok(s, 1), 2);
    publish(2, "t", "two", 0);
    expect_error(s, 2, "ferry.Full");
    CU_ASSERT_EQUAL(count_of("large", "ready"), 1);
    /* Without an id, only the full queue misses the message, and the miss is counted. */
    publish(0, "t", "three", 0);
    CU_ASSERT_EQUAL(count_of("large", "ready"), 2);
    CU_ASSERT_EQUAL(count_of("small", "dropped"), 1);
    expect_nothing(s);
    end_in_memory();
}

static void a_refused_retained_value_is_an_error_and_no_job(void) {
    begin_in_memory();
    bind_queue("q", ">");
    broker.limits.max_names = 1;
    publish(1, "t", "kept", PUBLISH_RETAIN);
    CU_ASSERT_EQUAL(expect_ok(s, 1), 1);
    publish(2, "u", "not kept", PUBLISH_RETAIN);
    expect_error(s, 2, "ferry.Full");
    CU_ASSERT_EQUAL(count_of("q", "ready"), 1);
    end_in_memory();
}

/* A large body is in memory once, for any number of queues. */
static void queues_share_a_large_body(void) {
    static char body[100001];
    const void *block = NULL;

    begin_in_memory();
    memset(body, 'b', sizeof(body) - 1);
    for (int i = 0; i < 40; i++) {
        char name[8];

        snprintf(name, sizeof(name), "q%d", i);
        bind_queue(name, "t");
        pull(s, 100 + (uint64_t)i, name, 1);
    }
    fake_drop(s);
    publish(1, "t", body, 0);
    CU_ASSERT_EQUAL(expect_ok(s, 1), 40);
    rooms_turn_end(&broker);
    for (int i = 0; i < 40; i++) {
        const FakeSent *sent = fake_take(s);

        CU_ASSERT_PTR_NOT_NULL_FATAL(sent);
        CU_ASSERT_EQUAL(sent->message.op, OP_JOB);
        CU_ASSERT_PTR_NOT_NULL(sent->block);
        CU_ASSERT_TRUE(i == 0 || sent->block == block);
        block = sent->block;
    }
    end_in_memory();
}

static void questions_are_not_kept(void) {
    begin_in_memory();
    bind_queue("q", "t");
    publish(0, "t", "?", PUBLISH_GATHER);
    CU_ASSERT_EQUAL(count_of("q", "ready"), 0);
    end_in_memory();
}

static void the_configuration_binds_and_unbinds(void) {
    const char *problem;

    begin_in_memory();
    CU_ASSERT_EQUAL(binds_configure(broker.binds, "q", "a.> b", &problem), 0);
    CU_ASSERT_EQUAL(broker.n_binds, 2);
    CU_ASSERT_EQUAL(binds_configure(broker.binds, "q", "a..b", &problem), -EINVAL);
    CU_ASSERT_PTR_NOT_NULL(problem);
    CU_ASSERT_EQUAL(binds_remove(broker.binds, span_text("q"), span_text("b"), s, 1), -EPERM);
    bind_queue("q", "b"); /* bound by command, too: this bind stays when the line is removed */
    binds_reload(broker.binds);
    CU_ASSERT_EQUAL(binds_configure(broker.binds, "q", "c", &problem), 0);
    binds_reloaded(broker.binds, false);
    publish(1, "c", "x", 0);
    CU_ASSERT_EQUAL(expect_ok(s, 1), 0);
    publish(2, "a.b", "x", 0);
    CU_ASSERT_EQUAL(expect_ok(s, 2), 1);
    binds_reload(broker.binds);
    CU_ASSERT_EQUAL(binds_configure(broker.binds, "q", "c", &problem), 0);
    binds_reloaded(broker.binds, true);
    CU_ASSERT_EQUAL(broker.n_binds, 2); /* the binds of b and c */
    publish(3, "a.b", "x", 0);
    CU_ASSERT_EQUAL(expect_ok(s, 3), 0);
    publish(4, "b", "x", 0);
    CU_ASSERT_EQUAL(expect_ok(s, 4), 1);
    end_in_memory();
}

/* ---- on disk ---- */

static void the_answer_comes_when_every_queue_has_stored_the_message(void) {
    char name[8], body[2001];

    new_folder();
    begin_on_disk();
    configure("memory", "durability", "memory");
    for (int i = 0; i < 40; i++) { /* more queues than one record can have */
        snprintf(name, sizeof(name), "q%d", i);
        CU_ASSERT_EQUAL(
            binds_add(broker.binds, span_text(name), span_text("t.*"), s, 100 + (uint64_t)i, NULL),
            QUEUES_LATER);
    }
    until_sent(s, 40);
    fake_drop(s);
    bind_queue("memory", "t.>");
    memset(body, 'b', sizeof(body) - 1);
    body[sizeof(body) - 1] = '\0';
    publish(1, "t.a", body, 0);
    expect_nothing(s);
    until_sent(s, 1);
    CU_ASSERT_EQUAL(expect_ok(s, 1), 41);
    CU_ASSERT_EQUAL(count_of("q39", "ready"), 1);
    close_binds();
    crash();

    begin_on_disk();
    CU_ASSERT_EQUAL(broker.n_binds, 41);
    for (int i = 0; i < 40; i++) {
        snprintf(name, sizeof(name), "q%d", i);
        CU_ASSERT_EQUAL(count_of(name, "ready"), 1);
        CU_ASSERT(count_of(name, "bytes") > 2000);
    }
    CU_ASSERT_EQUAL(count_of("memory", "ready"), 0);
    pull(s, 1, "q7", 2);
    expect_ok(s, 1);
    expect_job(s, 1, body, 1);
    publish(2, "t.b", "again", 0);
    until_sent(s, 2);
    fake_drop(s);
    CU_ASSERT_EQUAL(count_of("q0", "ready"), 2);
    CU_ASSERT_EQUAL(binds_remove(broker.binds, span_text("q0"), span_text("t.*"), s, 3),
                    QUEUES_LATER);
    until_sent(s, 1);
    expect_ok(s, 3);
    close_binds();
    crash();

    begin_on_disk();
    CU_ASSERT_EQUAL(broker.n_binds, 40);
    CU_ASSERT_EQUAL(count_of("q0", "ready"), 2);
    close_binds();
    stop();
}

/* The journal has the body once for all queues. */
static void the_journal_has_the_body_once(void) {
    static char body[1024 * 1024 / 10 + 1];
    struct stat about;
    char name[8];

    new_folder();
    begin_on_disk();
    memset(body, 'b', sizeof(body) - 1);
    for (int i = 0; i < 30; i++) {
        snprintf(name, sizeof(name), "q%d", i);
        CU_ASSERT_EQUAL(
            binds_add(broker.binds, span_text(name), span_text("t"), s, 100 + (uint64_t)i, NULL),
            QUEUES_LATER);
    }
    until_sent(s, 30);
    fake_drop(s);
    publish(1, "t", body, 0);
    until_sent(s, 1);
    CU_ASSERT_EQUAL(expect_ok(s, 1), 30);
    close_binds();
    stop(); /* stop() cuts the segment behind its last record */
    CU_ASSERT_EQUAL_FATAL(stat(file("journal-00000001"), &about), 0);
    CU_ASSERT((size_t)about.st_size > sizeof(body));
    CU_ASSERT((size_t)about.st_size < 2 * sizeof(body));
    begin_on_disk();
    for (int i = 0; i < 30; i++) {
        snprintf(name, sizeof(name), "q%d", i);
        CU_ASSERT(count_of(name, "bytes") > sizeof(body) - 1);
    }
    close_binds();
    stop();
}

/* The oldest segments are removed; their valid records are written again. */
static void binds_and_shared_jobs_outlive_their_segment(void) {
    static char body[100001];
    uint64_t id = 10, job;

    new_folder();
    begin_on_disk();
    bind_queue("a", "t");
    bind_queue("b", "t");
    publish(1, "t", "first", 0);
    until_sent(s, 1);
    CU_ASSERT_EQUAL(expect_ok(s, 1), 2);
    pull(s, 2, "busy", 1);
    expect_ok(s, 2);
    memset(body, 'b', sizeof(body) - 1);
    for (int i = 0; i < 1500 && access(file("journal-00000001"), F_OK) == 0; i++) {
        push(s, ++id, "busy", body, NULL);
        until_sent(s, 2); /* OK and the job, in either order */
        job = 0;
        for (const FakeSent *sent; (sent = fake_take(s));)
            if (sent->message.op == OP_JOB)
                job = sent->message.job.job;
        ack(s, ++id, job, 1);
        until_sent(s, 1);
        fake_drop(s);
    }
    /* Another thread removes the file; on a busy machine this takes longer. */
    for (int i = 0; i < 6000 && access(file("journal-00000001"), F_OK) == 0; i++)
        turn(10);
    CU_ASSERT_NOT_EQUAL(access(file("journal-00000001"), F_OK), 0);
    close_binds();
    crash();
    begin_on_disk();
    CU_ASSERT_EQUAL(broker.n_binds, 2);
    CU_ASSERT_EQUAL(count_of("a", "ready"), 1);
    pull(s, 1, "b", 1);
    expect_ok(s, 1);
    expect_job(s, 1, "first", 1);
    close_binds();
    stop();
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_message_becomes_a_job_of_each_bound_queue_once),
        TEST(a_bind_ends),
        TEST(bad_names_are_not_bound),
        TEST(a_full_queue_refuses_a_confirmed_message_as_a_whole),
        TEST(a_refused_retained_value_is_an_error_and_no_job),
        TEST(queues_share_a_large_body),
        TEST(questions_are_not_kept),
        TEST(the_configuration_binds_and_unbinds),
        TEST(the_answer_comes_when_every_queue_has_stored_the_message),
        TEST(the_journal_has_the_body_once),
        TEST(binds_and_shared_jobs_outlive_their_segment),
        TESTS_END,
    };
    int status;

    log_level = LOG_LEVEL_ERROR;
    status = run_suite("broker binds", tests);
    remove_work();
    return status;
}
