/* SPDX-License-Identifier: Apache-2.0 */
/* Contents of waiting jobs leave memory above max_queue_memory, and come back from the disk. */

#include "broker/queues/queues-private.h"
#include "unit/broker/stores/disk-life.h"

enum { BODY = 4096, BOUND = 64 * 1024 };

/* A body that shows to which job it belongs; valid until the next call. */
static const char *body_of(unsigned n) {
    static char body[BODY];

    memset(body, 'a' + (int)(n % 26), sizeof(body) - 1);
    body[snprintf(body, sizeof(body), "job %u", n)] = ' ';
    return body;
}

static void begin_small(void) {
    memory_of_queues = BOUND;
    begin();
    memory_of_queues = 0;
}

/* Begins a life with n jobs in "q", most of them paged out. */
static void fill(unsigned n) {
    Session *s;

    new_folder();
    begin_small();
    s = fake_connect(&broker, 's');
    for (unsigned i = 1; i <= n; i++)
        push(s, i, "q", body_of(i), NULL);
    until_sent(s, n);
    fake_drop(s);
    turn(0);
    CU_ASSERT(queues->paged_bytes <= BOUND);
    CU_ASSERT(queue_find(queues, span_text("q"))->n_paged_out > n / 2);
}

/* Checks that all jobs come in order, each with its own body, to a worker with this many slots. */
static void expect_all(const char *queue, unsigned n, uint64_t slots, uint64_t attempt) {
    Session *s = fake_connect(&broker, 'w');

    pull(s, 1, queue, slots);
    expect_ok(s, 1);
    for (unsigned i = 1; i <= n; i++) {
        until_sent(s, 1);
        ack(s, 0, expect_job(s, 1, body_of(i), attempt), attempt);
        CU_ASSERT(queues->paged_bytes <= 2 * BOUND + slots * 2 * BODY);
    }
    for (int i = 0; i < 2000 && count_of(queue, "ready") != UINT64_MAX && queues->pendings; i++)
        turn(10);
    expect_nothing(s);
}

static void contents_above_the_bound_come_back_in_order(void) {
    fill(200);
    expect_all("q", 200, 10, 1);
    CU_ASSERT_EQUAL(queues->paged_bytes, 0);
    stop();
}

static void a_restart_reads_contents_up_to_the_bound(void) {
    const Queue *queue;

    fill(200);
    crash();
    begin_small();
    queue = queue_find(queues, span_text("q"));
    CU_ASSERT_PTR_NOT_NULL_FATAL(queue);
    CU_ASSERT_EQUAL(queue->n_jobs, 200);
    CU_ASSERT(queue->bytes > 200 * (BODY - 1));
    expect_all("q", 200, 3, 1);
    stop();
}

static void small_contents_stay(void) {
    Session *s;

    new_folder();
    begin();
    broker.limits.max_queue_memory = 0;
    s = fake_connect(&broker, 's');
    push(s, 1, "q", "small", NULL);
    push(s, 2, "q", body_of(2), NULL);
    until_sent(s, 2);
    turn(0);
    CU_ASSERT_EQUAL(queue_find(queues, span_text("q"))->n_paged_out, 1);
    fake_drop(s);
    pull(s, 1, "q", 9);
    until_sent(s, 3);
    expect_ok(s, 1);
    expect_job(s, 1, "small", 1);
    expect_job(s, 1, body_of(2), 1);
    stop();
}

static void queues_in_memory_keep_their_contents(void) {
    Session *s;

    setup();
    broker.limits.max_queue_memory = 0;
    s = fake_connect(&broker, 's');
    push(s, 1, "q", body_of(1), NULL);
    expect_ok(s, 1);
    wait_ms(1);
    CU_ASSERT_EQUAL(queue_find(queues, span_text("q"))->n_paged_out, 0);
    pull(s, 2, "q", 1);
    expect_ok(s, 2);
    expect_job(s, 2, body_of(1), 1);
    teardown();
}

static void expired_jobs_are_dead_letters_with_their_contents(void) {
    Session *s;
    const FakeSent *sent;

    new_folder();
    begin();
    broker.limits.max_queue_memory = 0;
    s = fake_connect(&broker, 's');
    push(s, 1, "q", body_of(7), "ttl", UINT64_C(50), NULL);
    until_sent(s, 1);
    fake_drop(s);
    CU_ASSERT_EQUAL(queue_find(queues, span_text("q"))->n_paged_out, 1);
    wait_ms(60);
    for (int i = 0; i < 2000 && count_of("q.dead", "ready") != 1; i++)
        turn(10);
    pull(s, 2, "q.dead", 1);
    until_sent(s, 2);
    expect_ok(s, 2);
    sent = fake_take(s);
    CU_ASSERT_PTR_NOT_NULL_FATAL(sent);
    CU_ASSERT_TRUE(span_is(sent->message.body, body_of(7)));
    stop();
}

static void expire_many(void) {
    char body[BODY];
    Session *s;

    new_folder();
    begin_small();
    s = fake_connect(&broker, 's');
    for (unsigned i = 1; i <= 300; i++)
        push(s, i, "q", body_of(i), "ttl", UINT64_C(50), NULL);
    until_sent(s, 300);
    fake_drop(s);
    fake_advance(&broker, 60);
    for (int i = 0; i < 4000 && count_of("q.dead", "ready") != 300; i++) {
        fake_advance(&broker, 10);
        rooms_run_timers(&broker);
        turn(10);
        CU_ASSERT(queues->loading_bytes <= BOUND / 2 + 2 * BODY);
        CU_ASSERT(queues->paged_bytes <= 3 * BOUND);
    }
    CU_ASSERT_EQUAL(count_of("q.dead", "ready"), 300);
    pull(s, 1, "q.dead", 300);
    until_sent(s, 301);
    expect_ok(s, 1);
    for (unsigned i = 1; i <= 300; i++) {
        const FakeSent *sent = fake_take(s);
        unsigned n = 0;

        CU_ASSERT_PTR_NOT_NULL_FATAL(sent);
        memcpy(body, sent->message.body.data, 20);
        body[20] = '\0';
        CU_ASSERT_EQUAL(sscanf(body, "job %u", &n), 1);
        CU_ASSERT_TRUE(span_is(sent->message.body, body_of(n)));
    }
    stop();
}

static void many_jobs_expire_at_once_in_little_memory(void) {
    expire_many();
}

static int flush_slowly(int fd) {
    usleep(20000);
    return file_ops_posix.flush(fd);
}

/* Jobs are read faster than their dead letters can be written. */
static void many_jobs_expire_at_once_above_a_slow_disk(void) {
    FileOps slow = file_ops_posix;

    slow.flush = flush_slowly;
    file_ops = &slow;
    expire_many();
    file_ops = &file_ops_posix;
}

static void a_queue_is_moved_with_its_contents(void) {
    uint64_t n = 0;
    Session *s;

    fill(50);
    s = fake_connect(&broker, 's');
    CU_ASSERT_EQUAL(queues_move(queues, span_text("q"), span_text("r"), 0, s, 9, &n), QUEUES_LATER);
    until_sent(s, 1);
    expect_ok(s, 9);
    for (int i = 0; i < 2000 && queues->pendings; i++)
        turn(10);
    expect_all("r", 50, 50, 1);
    stop();
}

static void a_purge_may_come_while_contents_are_read(void) {
    uint64_t n = 0;
    Session *s;

    fill(50);
    s = fake_connect(&broker, 's');
    pull(s, 1, "q", 5); /* the store begins to read */
    CU_ASSERT(queue_find(queues, span_text("q"))->n_loading > 0);
    CU_ASSERT_EQUAL(queues_purge(queues, span_text("q"), s, 2, &n), 0);
    CU_ASSERT_EQUAL(n, 50);
    for (int i = 0; i < 2000 && (queues->pendings || queues->paged_bytes > 0); i++)
        turn(10);
    expect_ok(s, 1);
    expect_nothing(s);
    CU_ASSERT_EQUAL(count_of("q", "ready"), 0);
    push(s, 100, "q", body_of(1), NULL); /* the queue works as before */
    until_sent(s, 2);
    expect_ok(s, 100);
    expect_job(s, 1, body_of(1), 1);
    stop();
}

/* The disk damages one of three jobs. The other two are delivered, and the damaged one is kept. */
static void a_damaged_job_is_kept_and_other_jobs_are_delivered(void) {
    Session *s;

    new_folder();
    begin();
    broker.limits.max_queue_memory = 0;
    s = fake_connect(&broker, 's');
    for (unsigned i = 1; i <= 3; i++)
        push(s, i, "q", body_of(i), NULL);
    until_sent(s, 3);
    fake_drop(s);
    turn(0);
    CU_ASSERT_EQUAL(queue_find(queues, span_text("q"))->n_paged_out, 3);
    flip(file("journal-00000001"), place_of(file("journal-00000001"), "job 1") + 100);
    pull(s, 1, "q", 3);
    until_sent(s, 3);
    expect_ok(s, 1);
    expect_job(s, 1, body_of(2), 1);
    expect_job(s, 1, body_of(3), 1);
    CU_ASSERT_EQUAL(count_of("q", "delayed"), 1);
    flip(file("journal-00000001"), place_of(file("journal-00000001"), "job 1") + 100);
    wait_ms(broker.limits.retry_max_ms + 1); /* the store tries again */
    until_sent(s, 1);
    expect_job(s, 1, body_of(1), 1);
    stop();
}

static const StoreOps *disk_ops;
static uint64_t unwritten; /* the store says that it has not written this job */

static bool has_content(const Store *store, const StoredJob *job) {
    return job->id != unwritten && disk_ops->has_content(store, job);
}

static void an_unwritten_content_stays_and_others_are_dropped(void) {
    StoreOps ops;
    Session *s;

    new_folder();
    begin_small();
    disk_ops = disk->ops;
    ops = *disk_ops;
    ops.has_content = has_content;
    disk->ops = &ops;
    s = fake_connect(&broker, 's');
    push(s, 1, "q", body_of(1), NULL);
    until_sent(s, 1);
    unwritten = expect_ok(s, 1);
    for (unsigned i = 2; i <= 200; i++)
        push(s, i, "q", body_of(i), NULL);
    until_sent(s, 199);
    fake_drop(s);
    turn(0);
    CU_ASSERT(queues->paged_bytes <= BOUND);
    expect_all("q", 200, 10, 1);
    stop();
}

/* Records of jobs that are paged out move from old segments to new ones. */
static void old_segments_are_removed_while_jobs_are_paged_out(void) {
    FileOps small = file_ops_posix;
    const FakeSent *sent;
    Session *s, *other;

    small.space = little_space;
    file_ops = &small;
    fill(40);
    s = fake_connect(&broker, 's');
    other = fake_connect(&broker, 'o');
    pull(other, 1, "busy", 20);
    expect_ok(other, 1);
    for (uint64_t id = 1000; id < 2000; id += 20) {
        for (uint64_t i = 0; i < 20; i++)
            push(s, id + i, "busy", body_of(1), NULL);
        until_sent(s, 20);
        until_sent(other, 20);
        fake_drop(s);
        while ((sent = fake_take(other)))
            ack(other, 0, sent->message.job.job, 1);
    }
    for (int i = 0; i < 2000 && access(file("journal-00000001"), F_OK) == 0; i++)
        turn(10);
    CU_ASSERT_NOT_EQUAL(access(file("journal-00000001"), F_OK), 0);
    expect_all("q", 40, 4, 1);
    stop();
    file_ops = &file_ops_posix;
}

/* The value of a field of the job's status. -1: the status does not have the field. */
static int status_bool(uint64_t job, const char *name, Span *ret_body) {
    static Buffer status;
    uint32_t left;
    Reader pairs;
    int found = -1;
    Span key;

    buffer_deinit(&status);
    CU_ASSERT_EQUAL(queues_show_job(queues, job, &status), 0);
    pairs = pairs_of(span_of(status.data, status.len), &left);
    while (pairs_next(&pairs, &left, &key))
        if (span_is(key, name))
            found = reader_bool(&pairs);
        else if (span_is(key, "body"))
            *ret_body = reader_bin(&pairs);
        else
            reader_value(&pairs);
    CU_ASSERT_PTR_NULL(pairs.problem);
    return found;
}

static void showing_a_job_reads_it_back(void) {
    Span shown = {NULL, 0};
    uint64_t job;
    Session *s;

    new_folder();
    begin();
    broker.limits.max_queue_memory = 0;
    s = fake_connect(&broker, 's');
    push(s, 1, "q", body_of(1), NULL);
    until_sent(s, 1);
    job = expect_ok(s, 1);
    turn(0);
    CU_ASSERT_EQUAL(queue_find(queues, span_text("q"))->n_paged_out, 1);
    broker.limits.max_queue_memory = 1 << 20;
    CU_ASSERT_EQUAL(status_bool(job, "reading", &shown), 1);
    CU_ASSERT_EQUAL(shown.len, 0);
    for (int i = 0; i < 2000 && queue_find(queues, span_text("q"))->n_paged_out > 0; i++)
        turn(10);
    CU_ASSERT_EQUAL(status_bool(job, "reading", &shown), -1);
    CU_ASSERT_TRUE(span_is(shown, body_of(1)));
    stop();
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(contents_above_the_bound_come_back_in_order),
        TEST(a_restart_reads_contents_up_to_the_bound),
        TEST(small_contents_stay),
        TEST(queues_in_memory_keep_their_contents),
        TEST(expired_jobs_are_dead_letters_with_their_contents),
        TEST(many_jobs_expire_at_once_in_little_memory),
        TEST(many_jobs_expire_at_once_above_a_slow_disk),
        TEST(a_queue_is_moved_with_its_contents),
        TEST(a_purge_may_come_while_contents_are_read),
        TEST(a_damaged_job_is_kept_and_other_jobs_are_delivered),
        TEST(an_unwritten_content_stays_and_others_are_dropped),
        TEST(old_segments_are_removed_while_jobs_are_paged_out),
        TEST(showing_a_job_reads_it_back),
        TESTS_END,
    };
    int r;

    log_level = LOG_LEVEL_ERROR;
    r = run_suite("broker/queues paging", tests);
    remove_work();
    return r;
}
