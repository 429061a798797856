/* SPDX-License-Identifier: Apache-2.0 */

/* Pushing, working, forwarding, and a broker that is killed. */

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
    CU_ASSERT_EQUAL(ferry_work(client, "mail", NULL, note, &work, NULL, NULL), 0);
    CU_ASSERT_TRUE(process_until(client, &work.n, 1));
    CU_ASSERT_STRING_EQUAL(work.body, "hello");
    CU_ASSERT_EQUAL(work.attempt, 1);
    CU_ASSERT_TRUE(strtoull(work.id, NULL, 10) > 0);
    ferry_ping(client, NULL, NULL);
    ferry_process(client, NULL);
    CU_ASSERT_EQUAL(work.n, 1);
    ferry_close(client);
}

static void a_failed_job_comes_again(void) {
    ferry_client *client = connect_client(&broker);
    Work work = {.failures = 1};

    CU_ASSERT_EQUAL(ferry_work(client, "again", NULL, note, &work, NULL, NULL), 0);
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

    CU_ASSERT_EQUAL(ferry_work(client, "first", NULL, forward, "second", NULL, NULL), 0);
    CU_ASSERT_EQUAL(
        ferry_work(client, "second", &(ferry_work_options){.slots = 10}, note, &work, NULL, NULL),
        0);
    for (int i = 0; i < 100; i++)
        CU_ASSERT_EQUAL(ferry_push_async(client, "first", ferry_str("w"), NULL, NULL, NULL, NULL),
                        0);
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

    CU_ASSERT_EQUAL(ferry_work(client, "later", NULL, later, &work, NULL, NULL), 0);
    CU_ASSERT_EQUAL(ferry_push(client, "later", ferry_str("body"), NULL, NULL), 0);
    CU_ASSERT_EQUAL(ferry_push(client, "later", ferry_str("next"), NULL, NULL), 0);
    CU_ASSERT_TRUE(process_until(client, &work.n, 1));
    CU_ASSERT_EQUAL(memcmp(work.deferred->body.data, "body", 4), 0);
    CU_ASSERT_EQUAL(ferry_job_ack(work.deferred), 0);
    CU_ASSERT_TRUE(process_until(client, &work.n, 2));
    CU_ASSERT_EQUAL(ferry_job_reject(work.deferred, "no"), 0);
    ferry_close(client);
}

static int forward_too_much(ferry_job *job, void *ctx) {
    enum { LEN = (64 << 20) + 1 };
    FERRY_AUTO(ferry_free) char *body = ferry_alloc(LEN);
    Work *work = ctx;

    work->n++;
    CU_ASSERT_EQUAL(ferry_job_forward(job, "next", ferry_shared(body, LEN), NULL), -EMSGSIZE);
    return 0;
}

static void a_result_that_is_too_large_makes_a_dead_letter(void) {
    ferry_client *client = connect_client(&broker);
    Work work = {0}, dead = {0};

    CU_ASSERT_EQUAL(ferry_work(client, "large", NULL, forward_too_much, &work, NULL, NULL), 0);
    CU_ASSERT_EQUAL(ferry_work(client, "large.dead", NULL, note, &dead, NULL, NULL), 0);
    CU_ASSERT_EQUAL(ferry_push(client, "large", ferry_str("one"), NULL, NULL), 0);
    CU_ASSERT_EQUAL(ferry_push(client, "large", ferry_str("two"), NULL, NULL), 0);
    CU_ASSERT_TRUE(process_until(client, &dead.n, 2));
    CU_ASSERT_EQUAL(work.n, 2);
    ferry_close(client);
}

static int read_then_keep(ferry_job *job, void *ctx) {
    Work *work = ctx;

    work->n++;
    CU_ASSERT_STRING_EQUAL(ferry_job_header(job, "colour"), "red");
    if (work->n == 2)
        work->deferred = ferry_job_defer(job);
    if (work->n == 3)
        CU_ASSERT_PTR_NOT_EQUAL(job, work->deferred);
    return 0;
}

static void a_job_that_was_settled_shares_nothing_with_the_next(void) {
    static const ferry_header red[] = {{"colour", "red"}};
    ferry_client *client = connect_client(&broker);
    Work work = {0};

    CU_ASSERT_EQUAL(ferry_work(client, "red", &(ferry_work_options){.slots = 3}, read_then_keep,
                               &work, NULL, NULL),
                    0);
    for (int i = 0; i < 3; i++) {
        char body[2] = {(char)('a' + i), '\0'};

        CU_ASSERT_EQUAL(ferry_push(client, "red", ferry_str(body),
                                   &(ferry_push_options){.headers = red, .n_headers = 1}, NULL),
                        0);
        CU_ASSERT_TRUE(process_until(client, &work.n, i + 1));
    }
    CU_ASSERT_EQUAL(*(const char *)work.deferred->body.data, 'b');
    CU_ASSERT_EQUAL(ferry_job_ack(work.deferred), 0);
    ferry_close(client);
}

/* A way to settle a job. */
typedef int (*Settle)(ferry_job *job, Work *work);

typedef struct Settling {
    Work work;
    Settle settle;
} Settling;

static int settle_it(ferry_job *job, void *ctx) {
    Settling *settling = ctx;

    CU_ASSERT_EQUAL(settling->settle(job, &settling->work), 0);
    /* A second settlement fails. */
    CU_ASSERT_EQUAL(ferry_job_ack(job), -EINVAL);
    CU_ASSERT_EQUAL(ferry_job_retry(job, 0, NULL), -EINVAL);
    CU_ASSERT_EQUAL(ferry_job_reject(job, NULL), -EINVAL);
    CU_ASSERT_EQUAL(ferry_job_forward(job, "x", job->body, NULL), -EINVAL);
    CU_ASSERT_EQUAL(ferry_job_extend(job, 1000), -EINVAL);
    return note(job, &settling->work);
}

static int retry_soon(ferry_job *job, Work *work) {
    return work->n == 0 ? ferry_job_retry(job, 50, "not yet") : ferry_job_ack(job);
}

static int reject(ferry_job *job, Work *work) {
    (void)work;
    return ferry_job_reject(job, "it is \"bad\"");
}

static int see_the_reason(ferry_job *job, Work *work) {
    const char *reason = ferry_job_header(job, "ferry-reason");

    (void)work;
    CU_ASSERT_STRING_EQUAL(reason ? reason : "", "it is \"bad\"");
    return ferry_job_ack(job);
}

static int extend(ferry_job *job, Work *work) {
    (void)work;
    return ferry_job_extend(job, 1000) == 0 ? ferry_job_ack(job) : -EIO;
}

static void work_one(const char *queue, Settling *settling, int wanted) {
    ferry_client *client = connect_client(&broker);

    CU_ASSERT_EQUAL(ferry_work(client, queue, NULL, settle_it, settling, NULL, NULL), 0);
    CU_ASSERT_TRUE(process_until(client, &settling->work.n, wanted));
    /* No other job comes after it. */
    ferry_ping(client, NULL, NULL);
    ferry_process(client, NULL);
    CU_ASSERT_EQUAL(settling->work.n, wanted);
    ferry_close(client);
}

static void a_job_is_settled_once_in_each_way(void) {
    ferry_client *client = connect_client(&broker);
    Settling retried = {.settle = retry_soon}, rejected = {.settle = reject},
             extended = {.settle = extend}, dead = {.settle = see_the_reason};
    uint64_t start_ms = clock_ms();

    CU_ASSERT_EQUAL(ferry_push(client, "settle", ferry_str("1"), NULL, NULL), 0);
    work_one("settle", &retried, 2);
    CU_ASSERT_EQUAL(retried.work.attempt, 2);
    CU_ASSERT_TRUE(clock_ms() - start_ms >= 50);
    CU_ASSERT_EQUAL(ferry_push(client, "settle", ferry_str("2"), NULL, NULL), 0);
    work_one("settle", &extended, 1);
    CU_ASSERT_EQUAL(ferry_push(client, "settle", ferry_str("3"), NULL, NULL), 0);
    work_one("settle", &rejected, 1);
    work_one("settle.dead", &dead, 1);
    CU_ASSERT_STRING_EQUAL(dead.work.body, "3");
    ferry_close(client);
}

static void a_job_is_steered_by_its_number(void) {
    ferry_client *client = connect_client(&broker);
    FERRY_AUTO(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    ferry_job_status *status = NULL;
    ferry_pushed pushed = {0}, again = {0};
    const ferry_push_options later = {.delay_ms = 1000000, .key = "k", .pushed = &pushed},
                             once_more = {.key = "k", .pushed = &again};
    uint64_t moved = 0;
    Work work = {0};

    CU_ASSERT_EQUAL(ferry_push(client, "steered", ferry_str("x"), &later, NULL), 0);
    CU_ASSERT_EQUAL(pushed.duplicate, 0);
    CU_ASSERT_EQUAL(pushed.durability, FERRY_DURABILITY_MEMORY);
    CU_ASSERT_EQUAL(ferry_push(client, "steered", ferry_str("x"), &once_more, NULL), 0);
    CU_ASSERT_EQUAL(again.duplicate, 1);
    CU_ASSERT_EQUAL(again.job, pushed.job);
    CU_ASSERT_EQUAL_FATAL(ferry_queue_job(client, pushed.job, &status, &error), 0);
    CU_ASSERT_EQUAL(status->job, pushed.job);
    CU_ASSERT_STRING_EQUAL(status->queue, "steered");
    CU_ASSERT_STRING_EQUAL(status->state, "delayed");
    CU_ASSERT_STRING_EQUAL(status->reason, "");
    CU_ASSERT_TRUE(status->due_ms > 0 && status->due_ms <= 1000000);
    CU_ASSERT_EQUAL(status->n_body, 1);
    CU_ASSERT_EQUAL(memcmp(status->body.data, "x", 1), 0);
    CU_ASSERT_STRING_EQUAL(status->ordering_key, "");
    CU_ASSERT_STRING_EQUAL(status->waits_for, "");
    ferry_free(status);
    CU_ASSERT_EQUAL(ferry_queue_job(client, pushed.job, NULL, &error), -EINVAL);
    CU_ASSERT_EQUAL(ferry_queue_move_job(client, pushed.job, "steered.to", &moved, &error), 0);
    CU_ASSERT_EQUAL(ferry_queue_job(client, pushed.job, &status, &error), -ENOENT);
    CU_ASSERT_EQUAL(ferry_queue_move_job(client, moved, "steered.to", NULL, &error), -EINVAL);
    CU_ASSERT_EQUAL(ferry_queue_run_now(client, moved, &error), 0);
    CU_ASSERT_EQUAL_FATAL(ferry_queue_job(client, moved, &status, &error), 0);
    CU_ASSERT_STRING_EQUAL(status->waits_for, "the queue has no worker");
    ferry_free(status);
    CU_ASSERT_EQUAL(ferry_work(client, "steered.to", NULL, note, &work, NULL, NULL), 0);
    CU_ASSERT_TRUE(process_until(client, &work.n, 1));
    CU_ASSERT_EQUAL(ferry_flush(client, NULL), 0);
    CU_ASSERT_EQUAL(ferry_push(client, "steered", ferry_str("y"), &later, NULL), 0);
    CU_ASSERT_EQUAL(ferry_queue_cancel(client, moved, &error), -ENOENT);
    ferry_close(client);
}

static void schedules_are_added_listed_and_removed(void) {
    enum { DAY_MS = 86400000, HOUR_MS = 3600000 };
    ferry_client *client = connect_client(&broker);
    FERRY_AUTO(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    const ferry_schedule_options nightly = {.cron = "30 2 * * *"},
                                 hourly = {.every_ms = HOUR_MS, .missed = "skip"},
                                 never = {.cron = "30 25 * * *"};
    ferry_schedule_status *list = NULL;
    size_t n = 99;

    CU_ASSERT_EQUAL(ferry_schedule_list(client, &list, &n, &error), 0);
    CU_ASSERT_EQUAL(n, 0);
    CU_ASSERT_PTR_NULL(list);
    CU_ASSERT_EQUAL(
        ferry_schedule_add(client, "nightly", "reports", ferry_str("all"), &nightly, &error), 0);
    CU_ASSERT_EQUAL(ferry_schedule_add(client, "hourly", "probes", ferry_str(""), &hourly, &error),
                    0);
    CU_ASSERT_EQUAL(ferry_schedule_add(client, "never", "probes", ferry_str(""), &never, &error),
                    -EINVAL);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "hour '25' at byte 4"));
    CU_ASSERT_EQUAL_FATAL(ferry_schedule_list(client, &list, &n, &error), 0);
    CU_ASSERT_EQUAL_FATAL(n, 2);
    CU_ASSERT_STRING_EQUAL(list[0].name, "nightly");
    CU_ASSERT_STRING_EQUAL(list[0].queue, "reports");
    CU_ASSERT_STRING_EQUAL(list[0].cron, "30 2 * * *");
    CU_ASSERT_STRING_EQUAL(list[0].tz, "UTC");
    CU_ASSERT_STRING_EQUAL(list[0].missed, "once");
    CU_ASSERT_STRING_EQUAL(list[0].problem, "");
    CU_ASSERT_EQUAL(list[0].n_body, 3);
    CU_ASSERT_EQUAL(list[0].last_ms, 0);
    CU_ASSERT_EQUAL(list[0].next_ms % DAY_MS, 2 * HOUR_MS + HOUR_MS / 2);
    CU_ASSERT_STRING_EQUAL(list[1].name, "hourly");
    CU_ASSERT_STRING_EQUAL(list[1].cron, "");
    CU_ASSERT_STRING_EQUAL(list[1].missed, "skip");
    CU_ASSERT_EQUAL(list[1].every_ms, HOUR_MS);
    CU_ASSERT(list[1].next_ms > 0);
    ferry_free(list);
    CU_ASSERT_EQUAL(ferry_schedule_remove(client, "nightly", &error), 0);
    CU_ASSERT_EQUAL(ferry_schedule_remove(client, "nightly", &error), -ENOENT);
    CU_ASSERT_EQUAL(ferry_schedule_list(client, &list, &n, &error), 0);
    CU_ASSERT_EQUAL(n, 1);
    ferry_free(list);
    CU_ASSERT_EQUAL(ferry_schedule_remove(client, "hourly", &error), 0);
    CU_ASSERT_EQUAL(ferry_schedule_list(client, NULL, &n, NULL), -EINVAL);
    CU_ASSERT_EQUAL(ferry_schedule_list(client, &list, NULL, NULL), -EINVAL);
    CU_ASSERT_EQUAL(ferry_schedule_add(client, NULL, "q", ferry_str(""), &hourly, NULL), -EINVAL);
    CU_ASSERT_EQUAL(ferry_schedule_add(client, "x", "q", ferry_str(""), NULL, NULL), -EINVAL);
    CU_ASSERT_EQUAL(ferry_schedule_remove(client, NULL, NULL), -EINVAL);
    ferry_close(client);
}

typedef struct Lost {
    Work work;
    ferry_job *job;
    ferry_lost_reason reason;
    int n, n_confirmed, n_sent;
    char error[40];
} Lost;

static int defer_job(ferry_job *job, void *ctx) {
    Lost *lost = ctx;

    lost->job = ferry_job_defer(job);
    return note(job, &lost->work);
}

static void on_lost(ferry_job *job, ferry_lost_reason reason, void *ctx) {
    Lost *lost = ctx;

    CU_ASSERT_PTR_EQUAL(job, lost->job);
    lost->reason = reason;
    lost->n++;
    CU_ASSERT_EQUAL(ferry_job_ack(job), -ESTALE);
}

static void a_worker_hears_that_its_job_was_taken_back(void) {
    ferry_client *client = connect_client(&broker), *other = connect_client(&broker);
    ferry_pushed pushed = {0};
    Lost lost = {0};

    CU_ASSERT_EQUAL(ferry_work(client, "taken", &(ferry_work_options){.lost = on_lost}, defer_job,
                               &lost, NULL, NULL),
                    0);
    for (int i = 0; i < 2; i++) {
        CU_ASSERT_EQUAL(ferry_push(other, "taken", ferry_str("x"),
                                   &(ferry_push_options){.pushed = &pushed}, NULL),
                        0);
        CU_ASSERT_TRUE_FATAL(process_until(client, &lost.work.n, i + 1));
        if (i == 0)
            CU_ASSERT_EQUAL(ferry_queue_cancel(other, pushed.job, NULL), 0);
        if (i == 1)
            CU_ASSERT_EQUAL(ferry_queue_move_job(other, pushed.job, "taken.to", NULL, NULL), 0);
        CU_ASSERT_TRUE(process_until(client, &lost.n, i + 1));
        CU_ASSERT_EQUAL(lost.reason, i == 0 ? FERRY_LOST_CANCELLED : FERRY_LOST_MOVED);
    }
    ferry_close(other);
    ferry_close(client);
}

static void on_confirmed(const ferry_error *error, void *ctx) {
    Lost *lost = ctx;

    snprintf(lost->error, sizeof(lost->error), "%s", error ? error->type : "");
    lost->n_confirmed++;
}

static int confirm_ack(ferry_job *job, void *ctx) {
    Lost *lost = ctx;

    CU_ASSERT_EQUAL(ferry_job_confirm(job, on_confirmed, lost), 0);
    return note(job, &lost->work);
}

/* Settles a job that was cancelled while the handler was not looking. */
static int cancel_and_ack(ferry_job *job, void *ctx) {
    Lost *lost = ctx;
    ferry_client *other = connect_client(&broker);

    CU_ASSERT_EQUAL(ferry_job_confirm(job, on_confirmed, lost), 0);
    CU_ASSERT_EQUAL(ferry_queue_cancel(other, strtoull(job->id, NULL, 10), NULL), 0);
    ferry_close(other);
    lost->n_sent += ferry_job_ack(job) == 0; /* otherwise LOST has been read already */
    return note(job, &lost->work);
}

static void a_settlement_is_confirmed(void) {
    ferry_client *client = connect_client(&broker);
    Lost done = {0};

    CU_ASSERT_EQUAL(ferry_work(client, "confirmed", NULL, confirm_ack, &done, NULL, NULL), 0);
    CU_ASSERT_EQUAL(ferry_push(client, "confirmed", ferry_str("x"), NULL, NULL), 0);
    CU_ASSERT_TRUE(process_until(client, &done.n_confirmed, 1));
    CU_ASSERT_STRING_EQUAL(done.error, "");
    ferry_close(client);
}

/* On a busy machine a handler may take so long that its client reads LOST first. Then the
 * acknowledgement is not sent, and the test tries another job. */
static void a_confirmed_acknowledgement_of_a_lost_job_fails(void) {
    ferry_client *client = connect_client(&broker);
    Lost taken = {0};

    CU_ASSERT_EQUAL(ferry_work(client, "confirmed.2", NULL, cancel_and_ack, &taken, NULL, NULL), 0);
    for (int i = 1; i <= 1000 && taken.n_sent == 0; i++) {
        CU_ASSERT_EQUAL(ferry_push(client, "confirmed.2", ferry_str("x"), NULL, NULL), 0);
        CU_ASSERT_TRUE_FATAL(process_until(client, &taken.work.n, i));
    }
    CU_ASSERT_EQUAL(taken.n_sent, 1);
    CU_ASSERT_TRUE(process_until(client, &taken.n_confirmed, 1));
    CU_ASSERT_STRING_EQUAL(taken.error, "ferry.LeaseLost");
    ferry_close(client);
    CU_ASSERT_EQUAL(taken.n_confirmed, 1);
}

static const ferry_job *kept_job;

static int keep_job(ferry_job *job, void *ctx) {
    Work *work = ctx;

    kept_job = ferry_keep(job);
    return note(job, work);
}

static void a_kept_job_can_be_read_and_not_settled(void) {
    const ferry_push_options options = {
        .n_headers = 2, .headers = (ferry_header[]){{"colour", "green"}, {"size", "7"}}};
    ferry_client *client = connect_client(&broker);
    Work work = {0};
    const char *name;

    CU_ASSERT_EQUAL(ferry_work(client, "kept", NULL, keep_job, &work, NULL, NULL), 0);
    CU_ASSERT_EQUAL(ferry_push(client, "kept", ferry_str("body"), &options, NULL), 0);
    CU_ASSERT_TRUE(process_until(client, &work.n, 1));
    ferry_close(client);

    CU_ASSERT_STRING_EQUAL(kept_job->queue, "kept");
    CU_ASSERT_STRING_EQUAL(kept_job->id, work.id);
    CU_ASSERT_EQUAL(memcmp(kept_job->body.data, "body", 4), 0);
    CU_ASSERT_STRING_EQUAL(ferry_job_header(kept_job, "size"), "7");
    CU_ASSERT_PTR_NULL(ferry_job_header(kept_job, "shape"));
    name = ferry_job_header_after(kept_job, NULL);
    CU_ASSERT_STRING_EQUAL(name, "colour");
    name = ferry_job_header_after(kept_job, name);
    CU_ASSERT_STRING_EQUAL(name, "size");
    CU_ASSERT_PTR_NULL(ferry_job_header_after(kept_job, name));
    CU_ASSERT_EQUAL(ferry_job_ack((ferry_job *)(uintptr_t)kept_job), -EINVAL);
    ferry_free(kept_job);
}

static void bad_headers_are_refused(void) {
    static const ferry_header bad[][2] = {{{"", "x"}, {"b", "c"}},     {{"a", NULL}, {"b", "c"}},
                                          {{NULL, "x"}, {"b", "c"}},   {{"a", "\xff"}, {"b", "c"}},
                                          {{"\xff", "x"}, {"b", "c"}}, {{"a", "x"}, {"a", "y"}}};
    ferry_client *client = connect_client(&broker);
    ferry_error error = FERRY_ERROR_INIT;

    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        const ferry_push_options options = {.n_headers = 2, .headers = bad[i]};

        CU_ASSERT_EQUAL(ferry_push(client, "kept", ferry_str(""), &options, &error), -EINVAL);
        CU_ASSERT_STRING_EQUAL(error.type ? error.type : "", "ferry.Misuse");
    }
    ferry_error_clear(&error);
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
        CU_ASSERT_EQUAL(ferry_push_async(client, "bulk", ferry_str("x"), NULL, confirmed, &n, NULL),
                        0);
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
        CU_ASSERT_EQUAL(ferry_push_async(client, "safe", ferry_str("x"), NULL, confirmed, &n, NULL),
                        0);
    broker_respawn(&broker);
    CU_ASSERT_TRUE(process_until(client, &n, 100));
    CU_ASSERT_EQUAL(
        ferry_work(client, "safe", &(ferry_work_options){.slots = 10}, note, &work, NULL, NULL), 0);
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

static void stopping_returns_jobs_that_were_not_begun(void) {
    ferry_client *client = connect_client(&broker);
    const ferry_work_options slots = {.slots = 20};
    int n = 0;

    for (int i = 0; i < 50; i++)
        CU_ASSERT_EQUAL(ferry_push(client, "stop", ferry_str("x"), NULL, NULL), 0);
    CU_ASSERT_EQUAL(ferry_work(client, "stop", &slots, stop_at_the_second, client, NULL, NULL), 0);
    CU_ASSERT_EQUAL(ferry_run(client, NULL), 0);
    /* The worker is still connected, and takes no more jobs. */
    CU_ASSERT_EQUAL(ferry_ping(client, NULL, NULL), 0);

    ferry_client *other = connect_client(&broker);

    CU_ASSERT_EQUAL(ferry_work(other, "stop", &slots, attempts_at_most_one, &n, NULL, NULL), 0);
    for (int i = 0; i < 60000 && (n == 0 || i < 100); i++) {
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
        TEST(a_job_that_was_settled_shares_nothing_with_the_next),
        TEST(a_job_is_settled_once_in_each_way),
        TEST(a_job_is_steered_by_its_number),
        TEST(schedules_are_added_listed_and_removed),
        TEST(a_worker_hears_that_its_job_was_taken_back),
        TEST(a_settlement_is_confirmed),
        TEST(a_confirmed_acknowledgement_of_a_lost_job_fails),
        TEST(a_kept_job_can_be_read_and_not_settled),
        TEST(bad_headers_are_refused),
        TEST(each_push_is_confirmed_once),
        TEST(a_result_that_is_too_large_makes_a_dead_letter),
        TEST(pushes_outlive_a_lost_broker),
        TEST(stopping_returns_jobs_that_were_not_begun),
        TESTS_END,
    };
    int status;

    broker_spawn(&broker);
    status = run_suite("client: queues", tests);
    broker_terminate(&broker);
    return status;
}
