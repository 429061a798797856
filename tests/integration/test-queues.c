/* Pushing, working, forwarding, and a broker that is killed between. */

#include "support/broker.h"
#include "support/suite.h"

static TestBroker broker;

typedef struct Work {
    int n, failures;
    uint32_t attempt;
    char body[64], id[32];
    ferry_job *deferred;
} Work;

static int note(ferry_job *job, void *ctx) {
    Work *work = ctx;

    work->n++;
    work->attempt = job->attempt;
    snprintf(work->id, sizeof(work->id), "%s", job->id);
    snprintf(work->body, sizeof(work->body), "%.*s", (int)job->body.len,
             (const char *)job->body.data);
    return work->failures-- > 0 ? -EIO : 0;
}

static void a_job_is_worked_once(void) {
    ferry_client *client = connect_client(&broker);
    Work work = {0};

    CU_ASSERT_EQUAL(ferry_push(client, "mail", ferry_str("hello"), NULL, NULL), 0);
    CU_ASSERT_EQUAL(ferry_work(client, "mail", NULL, note, &work, NULL), 0);
    CU_ASSERT_TRUE(process_until(client, &work.n, 1));
    CU_ASSERT_STRING_EQUAL(work.body, "hello");
    CU_ASSERT_EQUAL(work.attempt, 1);
    CU_ASSERT_TRUE(atoi(work.id) > 0);
    ferry_ping(client, NULL, NULL);
    ferry_process(client, NULL);
    CU_ASSERT_EQUAL(work.n, 1);
    ferry_close(client);
}

static void a_failed_job_comes_again(void) {
    ferry_client *client = connect_client(&broker);
    Work work = {.failures = 1};

    CU_ASSERT_EQUAL(ferry_work(client, "again", NULL, note, &work, NULL), 0);
    CU_ASSERT_EQUAL(ferry_push(client, "again", ferry_str("x"), NULL, NULL), 0);
    CU_ASSERT_TRUE(process_until(client, &work.n, 2));
    CU_ASSERT_EQUAL(work.attempt, 2);
    ferry_close(client);
}

static int forward(ferry_job *job, void *next) {
    return ferry_job_forward(job, next, job->body, NULL);
}

static void a_pipeline_hands_jobs_on(void) {
    ferry_client *client = connect_client(&broker);
    Work work = {0};

    CU_ASSERT_EQUAL(ferry_work(client, "first", NULL, forward, "second", NULL), 0);
    CU_ASSERT_EQUAL(
        ferry_work(client, "second", &(ferry_work_options){.slots = 10}, note, &work, NULL), 0);
    for (int i = 0; i < 100; i++)
        CU_ASSERT_EQUAL(ferry_push_async(client, "first", ferry_str("w"), NULL, NULL, NULL), 0);
    CU_ASSERT_EQUAL(ferry_flush(client, NULL), 0);
    CU_ASSERT_TRUE(process_until(client, &work.n, 100));
    ferry_close(client);
}

static int later(ferry_job *job, void *ctx) {
    Work *work = ctx;

    work->n++;
    work->deferred = ferry_job_defer(job);
    return 0;
}

static void a_deferred_job_is_settled_later(void) {
    ferry_client *client = connect_client(&broker);
    Work work = {0};

    CU_ASSERT_EQUAL(ferry_work(client, "later", NULL, later, &work, NULL), 0);
    CU_ASSERT_EQUAL(ferry_push(client, "later", ferry_str("body"), NULL, NULL), 0);
    CU_ASSERT_EQUAL(ferry_push(client, "later", ferry_str("next"), NULL, NULL), 0);
    CU_ASSERT_TRUE(process_until(client, &work.n, 1));
    CU_ASSERT_EQUAL(memcmp(work.deferred->body.data, "body", 4), 0);
    CU_ASSERT_EQUAL(ferry_job_ack(work.deferred), 0);
    CU_ASSERT_TRUE(process_until(client, &work.n, 2));
    CU_ASSERT_EQUAL(ferry_job_reject(work.deferred, "no"), 0);
    ferry_close(client);
}

static void confirmed(const ferry_error *error, void *ctx) {
    int *n = ctx;

    CU_ASSERT_PTR_NULL(error);
    ++*n;
}

static void each_push_is_confirmed_once(void) {
    ferry_client *client = connect_client(&broker);
    int n = 0;

    ferry_cork(client);
    for (int i = 0; i < 1000; i++)
        CU_ASSERT_EQUAL(ferry_push_async(client, "bulk", ferry_str("x"), NULL, confirmed, &n), 0);
    CU_ASSERT_EQUAL(ferry_uncork(client, NULL), 0);
    CU_ASSERT_EQUAL(ferry_flush(client, NULL), 0);
    CU_ASSERT_EQUAL(n, 0);
    CU_ASSERT_TRUE(process_until(client, &n, 1000));
    ferry_process(client, NULL);
    CU_ASSERT_EQUAL(n, 1000);
    ferry_close(client);
}

static void pushes_outlive_a_lost_broker(void) {
    ferry_client *client = connect_client(&broker);
    Work work = {0};
    int n = 0;

    broker_kill(&broker);
    for (int i = 0; i < 100; i++)
        CU_ASSERT_EQUAL(ferry_push_async(client, "safe", ferry_str("x"), NULL, confirmed, &n), 0);
    broker_respawn(&broker);
    CU_ASSERT_TRUE(process_until(client, &n, 100));
    CU_ASSERT_EQUAL(
        ferry_work(client, "safe", &(ferry_work_options){.slots = 10}, note, &work, NULL), 0);
    CU_ASSERT_TRUE(process_until(client, &work.n, 100));
    ferry_ping(client, NULL, NULL);
    ferry_process(client, NULL);
    CU_ASSERT_EQUAL(work.n, 100);
    ferry_close(client);
}

static int stop_at_the_second(ferry_job *job, void *ctx) {
    static int n;

    (void)job;
    if (++n == 2)
        ferry_stop(ctx);
    return 0;
}

static int attempts_at_most_one(ferry_job *job, void *ctx) {
    int *n = ctx;

    CU_ASSERT_EQUAL(job->attempt, 1);
    ++*n;
    return 0;
}

static void stopping_gives_back_what_was_not_begun(void) {
    ferry_client *client = connect_client(&broker);
    const ferry_work_options slots = {.slots = 20};
    int n = 0;

    for (int i = 0; i < 50; i++)
        CU_ASSERT_EQUAL(ferry_push(client, "stop", ferry_str("x"), NULL, NULL), 0);
    CU_ASSERT_EQUAL(ferry_work(client, "stop", &slots, stop_at_the_second, client, NULL), 0);
    CU_ASSERT_EQUAL(ferry_run(client, NULL), 0);
    /* Still connected, and takes no more. */
    CU_ASSERT_EQUAL(ferry_ping(client, NULL, NULL), 0);

    ferry_client *other = connect_client(&broker);

    CU_ASSERT_EQUAL(ferry_work(other, "stop", &slots, attempts_at_most_one, &n, NULL), 0);
    for (int i = 0; i < 100; i++) {
        ferry_process(other, NULL);
        usleep(1000);
    }
    CU_ASSERT_TRUE(n <= 48 && n > 0);
    ferry_close(other);
    ferry_close(client);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_job_is_worked_once),
        TEST(a_failed_job_comes_again),
        TEST(a_pipeline_hands_jobs_on),
        TEST(a_deferred_job_is_settled_later),
        TEST(each_push_is_confirmed_once),
        TEST(pushes_outlive_a_lost_broker),
        TEST(stopping_gives_back_what_was_not_begun),
        TESTS_END,
    };
    int status;

    broker_spawn(&broker);
    status = run_suite("client: queues", tests);
    broker_terminate(&broker);
    return status;
}
