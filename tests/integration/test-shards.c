/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Active brokers that share the queues in one Redis: they start, drain, are killed and stopped, and
 * Redis is away. All confirmed jobs are delivered, and the logs of Redis show one owner of each
 * shard at a time.
 */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ferry/ferry.h>

#include "base/clock.h"
#include "integration/aof.h"
#include "rpc/wire/message.h"
#include "support/faults.h"
#include "support/process.h"
#include "support/redis.h"
#include "support/suite.h"

enum {
    BROKERS = 3,
    SHARDS = 8,
    SERVERS_MAX = 3,
    QUEUES = 24,
    JOBS = 240,
    SLOTS = 4,
    LOOK_MS = 20,
};

typedef struct Scene {
    RedisServer servers[SERVERS_MAX];
    size_t n_servers;
    char config[400];
    Daemon brokers[BROKERS];
    bool runs[BROKERS]; /* and is not stopped */
} Scene;

static const char *const redis_words[] = {"--appendonly", "yes", NULL};

/* ---- brokers and Redis ---- */

static void start_broker(Scene *scene, unsigned i) {
    scene->runs[i] = true;
    daemon_start(&scene->brokers[i],
                 &(DaemonOptions){.tcp = true, .config = scene->config, .level = "info"});
}

/* n_servers 1: one server; otherwise a Cluster. */
static void start_redis(Scene *scene, size_t n_servers, const char *lease) {
    int n;

    scene->n_servers = n_servers;
    if (n_servers == 1)
        redis_start(&scene->servers[0], redis_words);
    else
        redis_start_cluster(scene->servers, n_servers);
    n = snprintf(scene->config, sizeof(scene->config),
                 "[queue >]\nmax_attempts = 0\n[broker]\nstore = redis%s://",
                 n_servers == 1 ? "" : "+cluster");
    for (size_t i = 0; i < n_servers; i++)
        n += snprintf(scene->config + n, sizeof(scene->config) - (size_t)n, "%s127.0.0.1:%u",
                      i == 0 ? "" : ",", scene->servers[i].port);
    snprintf(scene->config + n, sizeof(scene->config) - (size_t)n, "?name=s&shards=%d&lease=%s\n",
             SHARDS, lease);
}

static void start(Scene *scene, size_t n_servers, const char *lease) {
    start_redis(scene, n_servers, lease);
    for (unsigned i = 0; i < BROKERS; i++)
        start_broker(scene, i);
}

/* By the log of Redis, each lease has a larger token, and no call of an older one was applied. */
static void expect_one_owner_at_a_time(const Scene *scene) {
    AofVerdict verdict = {0};

    aof_check(scene->servers[0].folder, "s", SHARDS, &verdict);
    CU_ASSERT(verdict.n_leases >= SHARDS);
    CU_ASSERT_EQUAL(verdict.n_wrong, 0);
}

static void end(Scene *scene) {
    for (unsigned i = 0; i < BROKERS; i++)
        if (*scene->brokers[i].folder)
            daemon_end(&scene->brokers[i]);
    if (scene->n_servers == 1) {
        redis_kill(&scene->servers[0]);
        expect_one_owner_at_a_time(scene);
    }
    for (size_t i = 0; i < scene->n_servers; i++)
        redis_stop(&scene->servers[i]);
}

/* ---- shares ---- */

/* The process that has the lease of a shard; 0: no process has it. */
static pid_t holder_of(const Scene *scene, unsigned k) {
    char words[60];

    snprintf(words, sizeof(words), "HGET ferry:{s.%u} holder", k);
    for (size_t i = 0; i < scene->n_servers; i++) {
        const char *line = redis_ask(&scene->servers[i], words);
        const char *at = strstr(line, "process ");

        if (*line == '$')
            return at ? atoi(at + strlen("process ")) : 0;
    }
    return 0;
}

static int descending(const void *a, const void *b) {
    return *(const int *)b - *(const int *)a;
}

/* The shares of the running brokers, the largest one first: "332". */
static const char *shares_of(const Scene *scene) {
    static char text[12 * BROKERS];
    int counts[BROKERS] = {0}, n = 0, at = 0;

    for (unsigned i = 0; i < BROKERS; i++) {
        if (!scene->runs[i])
            continue;
        for (unsigned k = 0; k < SHARDS; k++)
            counts[n] += holder_of(scene, k) == scene->brokers[i].process.pid;
        n++;
    }
    qsort(counts, (size_t)n, sizeof(*counts), descending);
    for (int i = 0; i < n; i++)
        at += snprintf(text + at, sizeof(text) - (size_t)at, "%d", counts[i]);
    return text;
}

static void until_shares(const Scene *scene, const char *wanted) {
    uint64_t until_ms = clock_ms() + PATIENCE_MS;

    while (strcmp(shares_of(scene), wanted) != 0 && clock_ms() < until_ms)
        sleep_ms(LOOK_MS);
    CU_ASSERT(clock_ms() < until_ms);
}

/* The lines with this text in the logs of all brokers. */
static size_t n_logged(const Scene *scene, const char *text) {
    size_t n = 0;

    for (unsigned i = 0; i < BROKERS; i++)
        n += daemon_log_lines(&scene->brokers[i], text);
    return n;
}

static void until_logged(const Scene *scene, const char *text, size_t wanted) {
    uint64_t until_ms = clock_ms() + PATIENCE_MS;

    while (n_logged(scene, text) < wanted && clock_ms() < until_ms)
        sleep_ms(LOOK_MS);
    CU_ASSERT(clock_ms() < until_ms);
}

/* ---- jobs ---- */

static const char *queue_name(unsigned i) {
    static char name[16];

    snprintf(name, sizeof(name), "q%u", i);
    return name;
}

static void open_clients(const Scene *scene, ferry_client *clients[BROKERS]) {
    for (unsigned i = 0; i < BROKERS; i++)
        clients[i] = scene->runs[i] ? open_with(scene->brokers[i].url, NULL) : NULL;
}

static void close_clients(ferry_client *clients[BROKERS]) {
    for (unsigned i = 0; i < BROKERS; i++)
        ferry_close(clients[i]);
}

typedef struct Push {
    int *n_over;
    bool is_confirmed;
} Push;

static void on_pushed(const ferry_error *error, void *ctx) {
    Push *push = ctx;

    push->is_confirmed = error == NULL;
    ++*push->n_over;
}

/* Sends all jobs without a confirmation to this broker, which has a part of the queues. */
static void push_at(ferry_client *client, Push pushes[JOBS]) {
    int n_over = 0, n_sent = 0;

    for (unsigned i = 0; i < JOBS; i++) {
        char body[12];

        if (pushes[i].is_confirmed)
            continue;
        snprintf(body, sizeof(body), "%u", i);
        pushes[i].n_over = &n_over;
        n_sent += ferry_push_async(client, queue_name(i % QUEUES), ferry_str(body), NULL, on_pushed,
                                   &pushes[i], NULL) == 0;
    }
    CU_ASSERT_TRUE(turn_until(client, &n_over, n_sent, PATIENCE_MS));
}

static int n_confirmed(const Push pushes[JOBS]) {
    int n = 0;

    for (unsigned i = 0; i < JOBS; i++)
        n += pushes[i].is_confirmed;
    return n;
}

/* Asks one broker after the other, until all jobs are confirmed. */
static void push_jobs(const Scene *scene) {
    uint64_t until_ms = clock_ms() + PATIENCE_MS;
    ferry_client *clients[BROKERS];
    Push pushes[JOBS] = {0};

    open_clients(scene, clients);
    while (n_confirmed(pushes) < JOBS && clock_ms() < until_ms)
        for (unsigned i = 0; i < BROKERS; i++)
            if (clients[i])
                push_at(clients[i], pushes);
    CU_ASSERT_EQUAL(n_confirmed(pushes), JOBS);
    close_clients(clients);
}

typedef struct Seen {
    bool jobs[JOBS];
    int n;
} Seen;

static int on_job(ferry_job *job, void *ctx) {
    Seen *seen = ctx;
    char text[12];
    unsigned number;

    snprintf(text, sizeof(text), "%.*s", (int)job->body.len, (const char *)job->body.data);
    number = (unsigned)strtoul(text, NULL, 10);
    if (number < JOBS && !seen->jobs[number]) {
        seen->jobs[number] = true;
        seen->n++;
    }
    return 0;
}

/* Works at the broker that has the queue. */
static bool work(ferry_client *clients[BROKERS], const char *queue, Seen *seen) {
    uint64_t until_ms = clock_ms() + PATIENCE_MS;

    while (clock_ms() < until_ms) {
        for (unsigned i = 0; i < BROKERS; i++)
            if (clients[i] && ferry_work(clients[i], queue, &(ferry_work_options){.slots = SLOTS},
                                         on_job, seen, NULL, NULL) == 0)
                return true;
        sleep_ms(LOOK_MS);
    }
    return false;
}

static void expect_jobs(const Scene *scene) {
    ferry_client *clients[BROKERS];
    Seen seen = {0};

    open_clients(scene, clients);
    for (unsigned i = 0; i < QUEUES; i++)
        CU_ASSERT_TRUE(work(clients, queue_name(i), &seen));
    turn_all_until(clients, BROKERS, &seen.n, JOBS, PATIENCE_MS);
    CU_ASSERT_EQUAL(seen.n, JOBS);
    close_clients(clients);
}

/* ---- tests ---- */

static void a_broker_that_starts_later_gets_its_share(void) {
    Scene scene = {0};

    start_redis(&scene, 1, "2s");
    start_broker(&scene, 0);
    until_shares(&scene, "8");
    start_broker(&scene, 1);
    until_shares(&scene, "44");
    push_jobs(&scene);
    start_broker(&scene, 2);
    until_shares(&scene, "332");
    expect_jobs(&scene);
    end(&scene);
}

static void take_over_from_a_killed_broker(size_t n_servers) {
    Scene scene = {0};

    start(&scene, n_servers, "2s");
    until_shares(&scene, "332");
    push_jobs(&scene);
    daemon_kill(&scene.brokers[1]);
    scene.runs[1] = false;
    until_shares(&scene, "44");
    expect_jobs(&scene);
    daemon_restart(&scene.brokers[1]);
    scene.runs[1] = true;
    until_shares(&scene, "332");
    end(&scene);
}

static void the_others_take_over_from_a_killed_broker(void) {
    take_over_from_a_killed_broker(1);
}

static void the_others_take_over_in_a_cluster_too(void) {
    take_over_from_a_killed_broker(SERVERS_MAX);
}

static void a_broker_that_drains_hands_over_at_once(void) {
    Scene scene = {0};

    /* A lease ends long after the patience of this test. */
    start(&scene, 1, "10m");
    until_shares(&scene, "332");
    push_jobs(&scene);
    CU_ASSERT_EQUAL(process_end(&scene.brokers[0].process, SIGTERM, PATIENCE_MS), 0);
    scene.runs[0] = false;
    until_shares(&scene, "44");
    expect_jobs(&scene);
    end(&scene);
}

static void a_broker_that_was_stopped_writes_nothing_and_joins_again(void) {
    Scene scene = {0};

    start(&scene, 1, "2s");
    until_shares(&scene, "332");
    push_jobs(&scene);
    process_signal(&scene.brokers[2].process, SIGSTOP);
    scene.runs[2] = false;
    until_shares(&scene, "44");
    process_signal(&scene.brokers[2].process, SIGCONT);
    scene.runs[2] = true;
    until_shares(&scene, "332");
    CU_ASSERT(daemon_log_lines(&scene.brokers[2], "a shard has left this broker") >= 2);
    expect_jobs(&scene);
    end(&scene);
}

static void all_shards_come_back_when_redis_was_away(void) {
    Scene scene = {0};
    size_t n_read;

    start(&scene, 1, "2s");
    until_shares(&scene, "332");
    push_jobs(&scene);
    n_read = n_logged(&scene, "the queues in Redis were read");
    redis_freeze(&scene.servers[0]);
    until_logged(&scene, "a shard has left this broker", SHARDS);
    redis_unfreeze(&scene.servers[0]);
    /* Redis still has the names of the earlier holders. */
    until_logged(&scene, "the queues in Redis were read", n_read + SHARDS);
    until_shares(&scene, "332");
    expect_jobs(&scene);
    end(&scene);
}

/* ---- a pipeline ---- */

static unsigned n_forwarded, n_forwarded_max;

/* Stage 1: qN to mN; stage 2: mN to rN. */
static int on_stage(ferry_job *job, void *ctx) {
    char to[16];

    (void)ctx;
    snprintf(to, sizeof(to), "%c%s", *job->queue == 'q' ? 'm' : 'r', job->queue + 1);
    if (ferry_job_forward(job, to, job->body, NULL) == 0)
        tell("forwarded %u", ++n_forwarded);
    while (n_forwarded == n_forwarded_max)
        pause(); /* until it is killed */
    return 0;
}

/* A worker of all stages: the URL of all brokers, and the number of jobs that it forwards. */
static int play_stages(int argc, char **argv) {
    ferry_client *client = argc == 2 ? open_with(argv[0], NULL) : NULL;

    n_forwarded_max = client ? (unsigned)atoi(argv[1]) : 0;
    for (unsigned i = 0; client && i < 2 * QUEUES; i++) {
        char queue[16];

        snprintf(queue, sizeof(queue), "%c%u", i < QUEUES ? 'q' : 'm', i % QUEUES);
        if (ferry_work(client, queue, &(ferry_work_options){.slots = SLOTS}, on_stage, NULL, NULL,
                       NULL) < 0)
            return EXIT_FAILURE;
    }
    return client && ferry_run(client, NULL) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

typedef struct Results {
    int n_of[JOBS], n;
} Results;

static int on_result(ferry_job *job, void *ctx) {
    Results *results = ctx;
    char text[12];
    unsigned long number;

    snprintf(text, sizeof(text), "%.*s", (int)job->body.len, (const char *)job->body.data);
    number = strtoul(text, NULL, 10);
    if (number < JOBS)
        results->n_of[number]++;
    results->n++;
    return 0;
}

/* The jobs in the shards of one broker. */
static uint64_t n_jobs_at(ferry_client *client) {
    ferry_reply *reply = NULL;
    uint64_t n = 0;

    if (ferry_call(client, "ferry.Broker.shards", ferry_str("\x90"), &reply, NULL) == 0) {
        Reader reader = reader_of(reply->body.data, reply->body.len);

        for (uint32_t left = reader_array(&reader); left > 0; left--) {
            uint32_t n_pairs;
            Span key, map = reader_value(&reader);
            Reader pairs = pairs_of(map, &n_pairs);

            while (pairs_next(&pairs, &n_pairs, &key)) {
                Span value = reader_value(&pairs);
                Reader inside = reader_of(value.data, value.len);

                if (span_is(key, "jobs"))
                    n += reader_uint(&inside);
            }
        }
    } else {
        n = UINT32_MAX;
    }
    ferry_free(reply);
    return n;
}

static uint64_t n_jobs_left(ferry_client *const clients[BROKERS]) {
    uint64_t n = 0;

    for (unsigned i = 0; i < BROKERS; i++)
        n += clients[i] ? n_jobs_at(clients[i]) : 0;
    return n;
}

/* Takes all results, until the brokers have no job. */
static void expect_each_result_once(const Scene *scene, ferry_client *client) {
    uint64_t until_ms = clock_ms() + PATIENCE_MS;
    ferry_client *clients[BROKERS];
    Results results = {0};
    int n_once = 0;

    for (unsigned i = 0; i < QUEUES; i++) {
        char queue[16];

        snprintf(queue, sizeof(queue), "r%u", i);
        CU_ASSERT_EQUAL(ferry_work(client, queue, NULL, on_result, &results, NULL, NULL), 0);
    }
    CU_ASSERT_TRUE(turn_until(client, &results.n, JOBS, PATIENCE_MS));
    open_clients(scene, clients);
    while (n_jobs_left(clients) > 0 && clock_ms() < until_ms)
        turn_for(client, LOOK_MS);
    CU_ASSERT_EQUAL(n_jobs_left(clients), 0);
    close_clients(clients);
    for (unsigned i = 0; i < JOBS; i++)
        n_once += results.n_of[i] == 1;
    CU_ASSERT_EQUAL(n_once, JOBS);
    CU_ASSERT_EQUAL(results.n, JOBS);
}

static void a_pipeline_over_all_shards_makes_each_result_once(void) {
    ferry_client *client;
    Process worker;
    Scene scene = {0};
    char url[400];

    start(&scene, 1, "2s");
    until_shares(&scene, "332");
    push_jobs(&scene);
    snprintf(url, sizeof(url), "%s,%s,%s", scene.brokers[0].url, scene.brokers[1].url,
             scene.brokers[2].url);
    /* It has pushed results whose jobs are not settled. */
    role_start(&worker, "stages", url, "60", NULL);
    CU_ASSERT_TRUE(told_count(&worker, "forwarded", 60, PATIENCE_MS, NULL));
    process_end(&worker, SIGKILL, PATIENCE_MS);
    role_start(&worker, "stages", url, "0", NULL);
    CU_ASSERT_TRUE(told_count(&worker, "forwarded", 40, PATIENCE_MS, NULL));
    daemon_kill(&scene.brokers[1]);
    scene.runs[1] = false;
    until_shares(&scene, "44");
    client = open_with(url, NULL);
    expect_each_result_once(&scene, client);
    ferry_close(client);
    process_end(&worker, SIGKILL, PATIENCE_MS);
    end(&scene);
}

/* ---- workers, while shards move in order ---- */

enum { KEPT = JOBS / QUEUES, QUICK = 6000, WINDOW = 500 };

static const char *url_of_all(const Scene *scene) {
    static char url[400];

    snprintf(url, sizeof(url), "%s,%s,%s", scene->brokers[0].url, scene->brokers[1].url,
             scene->brokers[2].url);
    return url;
}

/* The jobs that a worker has got. */
typedef struct Deliveries {
    int n_of[QUICK]; /* by the number in the body */
    int n, n_lost;
    ferry_job *kept[JOBS];
    int n_kept;
} Deliveries;

static void count_delivery(Deliveries *to, const ferry_job *job) {
    char text[12];
    unsigned long number;

    snprintf(text, sizeof(text), "%.*s", (int)job->body.len, (const char *)job->body.data);
    number = strtoul(text, NULL, 10);
    if (number < QUICK)
        to->n_of[number]++;
    to->n++;
}

static int keep_job(ferry_job *job, void *ctx) {
    Deliveries *to = ctx;

    count_delivery(to, job);
    if (to->n_kept < JOBS)
        to->kept[to->n_kept++] = ferry_job_defer(job);
    return 0;
}

static void on_lost(ferry_job *job, ferry_lost_reason reason, void *ctx) {
    (void)job, (void)reason;
    ((Deliveries *)ctx)->n_lost++;
}

static int quick_job(ferry_job *job, void *ctx) {
    count_delivery(ctx, job);
    return 0;
}

static void count_push(const ferry_error *error, void *ctx) {
    ((int *)ctx)[error != NULL]++;
}

static void work_everywhere(ferry_client *client, ferry_job_fn fn, Deliveries *to) {
    for (unsigned i = 0; i < QUEUES; i++)
        CU_ASSERT_EQUAL(ferry_work(client, queue_name(i),
                                   &(ferry_work_options){.slots = KEPT, .lost = on_lost}, fn, to,
                                   NULL, NULL),
                        0);
}

static void turn_until_shares(const Scene *scene, const char *wanted, ferry_client *client) {
    uint64_t until_ms = clock_ms() + PATIENCE_MS;

    while (strcmp(shares_of(scene), wanted) != 0 && clock_ms() < until_ms)
        turn_for(client, LOOK_MS);
    CU_ASSERT(clock_ms() < until_ms);
}

static void turn_until_done(const Scene *scene, ferry_client *client) {
    uint64_t until_ms = clock_ms() + PATIENCE_MS;
    ferry_client *clients[BROKERS];

    open_clients(scene, clients);
    while (n_jobs_left(clients) > 0 && clock_ms() < until_ms)
        turn_for(client, LOOK_MS);
    CU_ASSERT_EQUAL(n_jobs_left(clients), 0);
    close_clients(clients);
}

static void drain_and_start_again(Scene *scene, unsigned i, ferry_client *worker) {
    process_signal(&scene->brokers[i].process, SIGTERM);
    scene->runs[i] = false;
    turn_until_shares(scene, "44", worker);
    CU_ASSERT_EQUAL(process_end(&scene->brokers[i].process, 0, PATIENCE_MS), 0);
    daemon_restart(&scene->brokers[i]);
    scene->runs[i] = true;
    turn_until_shares(scene, "332", worker);
}

static void expect_each_once(const Deliveries *seen, int n) {
    int n_once = 0;

    for (int i = 0; i < n; i++)
        n_once += seen->n_of[i] == 1;
    CU_ASSERT_EQUAL(n_once, n);
    CU_ASSERT_EQUAL(seen->n, n);
    CU_ASSERT_EQUAL(seen->n_lost, 0);
}

/* Each shard of the broker moves twice while the worker has all jobs. */
static void a_worker_keeps_its_jobs_while_shards_move_in_order(void) {
    Deliveries *seen = calloc(1, sizeof(*seen));
    ferry_client *worker;
    Scene scene = {0};

    CU_ASSERT_PTR_NOT_NULL_FATAL(seen);
    start(&scene, 1, "10m");
    until_shares(&scene, "332");
    push_jobs(&scene);
    worker = open_with(url_of_all(&scene), NULL);
    work_everywhere(worker, keep_job, seen);
    CU_ASSERT_TRUE(turn_until(worker, &seen->n_kept, JOBS, PATIENCE_MS));
    drain_and_start_again(&scene, 0, worker);
    drain_and_start_again(&scene, 1, worker);
    turn_for(worker, 3000); /* longer than a broker waits for workers of a lost one */
    for (int i = 0; i < seen->n_kept; i++)
        CU_ASSERT_EQUAL(ferry_job_ack(seen->kept[i]), 0);
    turn_until_done(&scene, worker);
    expect_each_once(seen, JOBS);
    ferry_close(worker);
    end(&scene);
    free(seen);
}

/* Settlements are on their way when the shards leave. */
static void a_busy_worker_gets_each_job_once_while_shards_move_in_order(void) {
    Deliveries *seen = calloc(1, sizeof(*seen));
    int n_pushed = 0, results[2] = {0};
    ferry_client *worker;
    Scene scene = {0};

    CU_ASSERT_PTR_NOT_NULL_FATAL(seen);
    start(&scene, 1, "10m");
    until_shares(&scene, "332");
    worker = open_with(url_of_all(&scene), NULL);
    work_everywhere(worker, quick_job, seen);
    for (unsigned step = 0; n_pushed < QUICK; step++) {
        for (int i = 0; i < WINDOW; i++) {
            char body[12];

            snprintf(body, sizeof(body), "%d", n_pushed);
            CU_ASSERT_EQUAL(ferry_push_async(worker, queue_name((unsigned)n_pushed % QUEUES),
                                             ferry_str(body), NULL, count_push, results, NULL),
                            0);
            n_pushed++;
        }
        if (step % 3 == 1)
            drain_and_start_again(&scene, step / 3 % BROKERS, worker);
    }
    CU_ASSERT_TRUE(turn_until(worker, &results[0], QUICK, PATIENCE_MS));
    turn_until_done(&scene, worker);
    expect_each_once(seen, QUICK);
    ferry_close(worker);
    end(&scene);
    free(seen);
}

int main(int argc, char **argv) {
    static const Role roles[] = {{"stages", play_stages}, {NULL, NULL}};
    CU_TestInfo tests[] = {
        TEST(a_broker_that_starts_later_gets_its_share),
        TEST(the_others_take_over_from_a_killed_broker),
        TEST(the_others_take_over_in_a_cluster_too),
        TEST(a_broker_that_drains_hands_over_at_once),
        TEST(a_broker_that_was_stopped_writes_nothing_and_joins_again),
        TEST(all_shards_come_back_when_redis_was_away),
        TEST(a_pipeline_over_all_shards_makes_each_result_once),
        TEST(a_worker_keeps_its_jobs_while_shards_move_in_order),
        TEST(a_busy_worker_gets_each_job_once_while_shards_move_in_order),
        TESTS_END,
    };

    roles_play(argc, argv, roles);
    if (!redis_available())
        return EXIT_SKIPPED;
    return run_suite("faults: brokers that share queues in Redis", tests);
}
