/* SPDX-License-Identifier: Apache-2.0 */

/* Jobs on disk, from C: queues that are bound to topics, and workers that hear at once what happens
 * to their jobs. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ferry/ferry.h>

#include "base/clock.h"
#include "support/faults.h"
#include "support/process.h"
#include "support/suite.h"

enum { MESSAGES = 200 };

/* ---- bound queues ---- */

typedef struct Told {
    int n, n_failed;
    char error[64];
} Told;

static void tell_publisher(const ferry_error *error, void *ctx) {
    Told *told = ctx;

    told->n++;
    told->n_failed += error != NULL;
    snprintf(told->error, sizeof(told->error), "%s", error ? error->type : "");
}

typedef struct Got {
    const char *topic;
    int n, n_wrong;
} Got;

/* The jobs have the numbers of the messages in the order of publishing. */
static int on_message(ferry_job *job, void *ctx) {
    const char *topic = ferry_job_header(job, "ferry-topic");
    Got *got = ctx;
    char wanted[16];

    snprintf(wanted, sizeof(wanted), "%d", got->n++);
    got->n_wrong += job->body.len != strlen(wanted) ||
                    memcmp(job->body.data, wanted, job->body.len) || !topic ||
                    strcmp(topic, got->topic) != 0;
    return 0;
}

static void take_all(ferry_client *client, const char *queue, const char *topic) {
    Got got = {.topic = topic};
    ferry_registration *worker = NULL;

    CU_ASSERT_EQUAL(ferry_work(client, queue, NULL, on_message, &got, &worker, NULL), 0);
    CU_ASSERT_TRUE(turn_until(client, &got.n, MESSAGES, PATIENCE_MS));
    CU_ASSERT_EQUAL(got.n_wrong, 0);
    ferry_registration_close(worker);
}

static void bound_queues_keep_what_is_published_while_nobody_listens(void) {
    Told told = {0};
    const ferry_publish_options options = {.fn = tell_publisher, .ctx = &told};
    FERRY_AUTO(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    ferry_client *client;
    Daemon broker;

    daemon_start(&broker, &(DaemonOptions){.data = true});
    client = open_with(broker.url, NULL);
    CU_ASSERT_EQUAL(ferry_queue_bind(client, "audit", "orders.>", &error), 0);
    CU_ASSERT_EQUAL(ferry_queue_bind(client, "audit", "orders.>", &error), 0);
    CU_ASSERT_EQUAL(ferry_queue_bind(client, "billing", "orders.new", &error), 0);
    CU_ASSERT_EQUAL(ferry_queue_bind(client, "audit", "orders..x", &error), -EINVAL);
    for (int i = 0; i < MESSAGES; i++) {
        char text[16];

        snprintf(text, sizeof(text), "%d", i);
        CU_ASSERT_EQUAL(ferry_publish(client, "orders.new", ferry_str(text), &options, NULL), 0);
    }
    CU_ASSERT_TRUE(turn_until(client, &told.n, MESSAGES, PATIENCE_MS));
    CU_ASSERT_EQUAL(told.n_failed, 0);
    daemon_kill(&broker);
    daemon_restart(&broker);
    take_all(client, "audit", "orders.new");
    take_all(client, "billing", "orders.new");
    CU_ASSERT_EQUAL(ferry_queue_unbind(client, "audit", "orders.>", &error), 0);
    CU_ASSERT_EQUAL(ferry_queue_unbind(client, "audit", "orders.>", &error), -ENOENT);
    ferry_close(client);
    daemon_end(&broker);
}

static void a_confirmed_publish_fails_if_one_bound_queue_refuses_it(void) {
    const char *config =
        "[queue small]\nmax_jobs = 1\nbind = events\n[queue large]\nbind = events\n";
    Told told = {0};
    const ferry_publish_options later = {.fn = tell_publisher, .ctx = &told};
    const ferry_publish_options now = {.confirm = true};
    FERRY_AUTO(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    ferry_client *client;
    Daemon broker;

    daemon_start(&broker, &(DaemonOptions){.data = true, .config = config});
    client = open_with(broker.url, NULL);
    CU_ASSERT_EQUAL(ferry_publish(client, "events", ferry_str("1"), &now, NULL), 0);
    CU_ASSERT_EQUAL(ferry_flush(client, &error), 0);
    CU_ASSERT_EQUAL(ferry_publish(client, "events", ferry_str("2"), &later, NULL), 0);
    CU_ASSERT_TRUE(turn_until(client, &told.n, 1, PATIENCE_MS));
    CU_ASSERT_STRING_EQUAL(told.error, "ferry.Full");
    CU_ASSERT_EQUAL(ferry_publish(client, "events", ferry_str("3"), &now, NULL), 0);
    CU_ASSERT_EQUAL(ferry_flush(client, &error), -ENOBUFS);
    ferry_close(client);
    daemon_end(&broker);
}

/* ---- workers ---- */

typedef struct Scene {
    ferry_client *worker, *other;
    int n_begun, n_lost, n_heard;
    ferry_lost_reason reason;
    bool saw_it_computing;
    uint64_t due_ms;
} Scene;

static void begin_scene(Scene *scene, Daemon *broker) {
    *scene = (Scene){0};
    daemon_start(broker,
                 &(DaemonOptions){.data = true,
                                  .config = "[queue timed]\ntime_limit = 300ms\nretry = 1h\n"
                                            "[queue long]\ntime_limit = 1h\n"});
    scene->worker = open_with(broker->url, NULL);
    scene->other = open_with(broker->url, NULL);
}

static void end_scene(Scene *scene, Daemon *broker) {
    ferry_close(scene->other);
    ferry_close(scene->worker);
    daemon_end(broker);
}

static int defer(ferry_job *job, void *ctx) {
    Scene *scene = ctx;

    /* The job may come back before the test ends; then it is done at once. */
    if (scene->n_begun++ > 0)
        return 0;
    return ferry_job_defer(job) ? 0 : -ENOMEM;
}

static void on_lost(ferry_job *job, ferry_lost_reason reason, void *ctx) {
    Scene *scene = ctx;

    scene->reason = reason;
    scene->n_lost++;
    CU_ASSERT_TRUE(ferry_job_lost(job));
    CU_ASSERT_EQUAL(ferry_job_extend(job, 1000), -ESTALE);
    CU_ASSERT_EQUAL(ferry_job_ack(job), -ESTALE);
}

static void a_worker_hears_that_its_time_limit_has_passed(void) {
    Daemon broker;
    Scene scene;

    begin_scene(&scene, &broker);
    CU_ASSERT_EQUAL(ferry_work(scene.worker, "timed", &(ferry_work_options){.lost = on_lost}, defer,
                               &scene, NULL, NULL),
                    0);
    CU_ASSERT_EQUAL(ferry_push(scene.other, "timed", ferry_str("x"), NULL, NULL), 0);
    CU_ASSERT_TRUE(turn_until(scene.worker, &scene.n_lost, 1, PATIENCE_MS));
    CU_ASSERT_EQUAL(scene.reason, FERRY_LOST_TIME_LIMIT);
    end_scene(&scene, &broker);
}

/* Computes until it sees that its job is lost. */
static int compute_until_lost(ferry_job *job, void *ctx) {
    Scene *scene = ctx;

    scene->n_begun++;
    for (uint64_t until_ms = clock_ms() + PATIENCE_MS;
         !scene->saw_it_computing && clock_ms() < until_ms;)
        scene->saw_it_computing = ferry_job_lost(job);
    return 0;
}

static void a_handler_that_computes_sees_that_its_job_is_lost(void) {
    Daemon broker;
    Scene scene;

    begin_scene(&scene, &broker);
    CU_ASSERT_EQUAL(ferry_work(scene.worker, "timed", NULL, compute_until_lost, &scene, NULL, NULL),
                    0);
    CU_ASSERT_EQUAL(ferry_push(scene.other, "timed", ferry_str("x"), NULL, NULL), 0);
    CU_ASSERT_TRUE(turn_until(scene.worker, &scene.n_begun, 1, PATIENCE_MS));
    CU_ASSERT_TRUE(scene.saw_it_computing);
    end_scene(&scene, &broker);
}

static void on_heard(const ferry_message *message, void *ctx) {
    (void)message;
    ((Scene *)ctx)->n_heard++;
}

/* The other client is in the same process, so this handler can see what has left before it
 * returns. */
static int send_and_compute(ferry_job *job, void *ctx) {
    enum { DAY_MS = 86400000, HOUR_MS = 3600000 };
    Scene *scene = ctx;

    CU_ASSERT_EQUAL(ferry_job_extend(job, DAY_MS), 0);
    for (uint64_t until_ms = clock_ms() + PATIENCE_MS;
         scene->due_ms <= HOUR_MS && clock_ms() < until_ms;) {
        ferry_job_status *status = NULL;

        CU_ASSERT_EQUAL_FATAL(
            ferry_queue_job(scene->other, strtoull(job->id, NULL, 10), &status, NULL), 0);
        scene->due_ms = status->due_ms;
        ferry_free(status);
    }
    CU_ASSERT_EQUAL(ferry_publish(scene->worker, "progress", ferry_str("half"), NULL, NULL), 0);
    CU_ASSERT_TRUE(turn_until(scene->other, &scene->n_heard, 1, PATIENCE_MS));
    scene->n_begun++;
    return 0;
}

static void what_a_handler_sends_leaves_before_it_returns(void) {
    enum { HOUR_MS = 3600000 };
    Daemon broker;
    Scene scene;

    begin_scene(&scene, &broker);
    CU_ASSERT_EQUAL(ferry_subscribe(scene.other, "progress", NULL, on_heard, &scene, NULL, NULL),
                    0);
    CU_ASSERT_EQUAL(ferry_work(scene.worker, "long", NULL, send_and_compute, &scene, NULL, NULL),
                    0);
    CU_ASSERT_EQUAL(ferry_push(scene.other, "long", ferry_str("x"), NULL, NULL), 0);
    CU_ASSERT_TRUE(turn_until(scene.worker, &scene.n_begun, 1, PATIENCE_MS));
    CU_ASSERT(scene.due_ms > HOUR_MS);
    CU_ASSERT_EQUAL(scene.n_heard, 1);
    end_scene(&scene, &broker);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(bound_queues_keep_what_is_published_while_nobody_listens),
        TEST(a_confirmed_publish_fails_if_one_bound_queue_refuses_it),
        TEST(a_worker_hears_that_its_time_limit_has_passed),
        TEST(a_handler_that_computes_sees_that_its_job_is_lost),
        TEST(what_a_handler_sends_leaves_before_it_returns),
        TESTS_END,
    };

    return run_suite("client: jobs on disk", tests);
}
