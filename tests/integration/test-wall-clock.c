/* SPDX-License-Identifier: Apache-2.0 */
/* The wall clock jumps; no time that ferry measures is affected. */

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "support/faults.h"
#include "support/random.h"
#include "support/redis.h"
#include "support/roles.h"
#include "support/sandbox.h"
#include "support/suite.h"
#include "support/timed.h"

enum {
    HOUR_S = 3600,
    RUN_S = 8,
    LATE_MS = 60000,
    EARLY_MS = 3,
    BETWEEN_MS = 400,
    MINUTE_MS = 60000,
    SHARDS = 4,
    QUEUES = 8,
};

static volatile int64_t *offset_s;

/* From now on, processes that are started have a wall clock that differs by *offset_s. */
static void take_their_clock(const char *folder) {
    const char *shim = getenv("FERRY_TEST_CLOCK_SHIM");
    static char path[128];
    int fd;

    snprintf(path, sizeof(path), "%s/wall-clock", folder);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (!shim || fd < 0 || ftruncate(fd, sizeof(*offset_s)) < 0)
        skip("no clock to preload: FERRY_TEST_CLOCK_SHIM is set by meson test");
    offset_s = mmap(NULL, sizeof(*offset_s), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (offset_s == MAP_FAILED)
        skip("no shared memory");
    setenv("FERRY_TEST_WALL_CLOCK", path, 1);
    setenv("LD_PRELOAD", shim, 1);
#ifdef __SANITIZE_ADDRESS__
    setenv("ASAN_OPTIONS", "verify_asan_link_order=0", 1);
#endif
}

/* Prints "wall SECONDS", the time of this process. jumps_arrive() compares it. */
static int play_look(int argc, char **argv) {
    (void)argc;
    (void)argv;
    tell("wall %ld", (long)time(NULL));
    return 0;
}

static bool jumps_arrive(void) {
    long now_s = (long)time(NULL), seen_s = 0;
    Process look;

    *offset_s = 10 * HOUR_S;
    role_start(&look, "look", "x", NULL);
    told_count(&look, "wall", 0, PATIENCE_MS, &seen_s);
    process_end(&look, 0, PATIENCE_MS);
    *offset_s = 0;
    return seen_s >= now_s + 9 * HOUR_S;
}

static int64_t somewhere(Dice *dice) {
    int64_t now_s = (int64_t)time(NULL);
    const int64_t jumps[] = {HOUR_S,
                             -HOUR_S,
                             10 - now_s /* 1970 */,
                             -1,
                             INT32_MAX - now_s /* 2038 */,
                             UINT32_MAX - now_s /* 2106 */,
                             0};

    return jumps[dice_below(dice, sizeof(jumps) / sizeof(*jumps))];
}

static void waits_do_not_depend_on_the_wall_clock(void) {
    EACH_SEED(seed, 71, 1) {
        Dice dice = dice_of(seed);
        TimedReport report;
        int n_jumps = 0;
        Process timed;
        Daemon broker;
        uint64_t start_ms;

        /* The first start makes the folder of the broker, which then contains the clock. */
        daemon_start(&broker, &(DaemonOptions){.config = TIMED_CONFIG});
        daemon_kill(&broker);
        take_their_clock(broker.folder);
        if (!jumps_arrive())
            skip("preloading does not reach this program's clock");
        daemon_restart(&broker);
        role_start(&timed, "timed", broker.url, "8000", NULL);
        CU_ASSERT_TRUE(told_count(&timed, "ready", 0, PATIENCE_MS, NULL));
        for (start_ms = clock_ms(); clock_ms() < start_ms + RUN_S * 1000u; n_jumps++) {
            *offset_s = somewhere(&dice);
            sleep_ms(dice_below(&dice, BETWEEN_MS));
        }
        CU_ASSERT_TRUE(timed_report(&timed, &report));
        printf(
            "\n    seed %llu: %d jumps of the wall clock in %d s: %ld of %d waits ended, at most "
            "%ld ms early and %ld ms late; connections lost %ld",
            (unsigned long long)seed, n_jumps, RUN_S, report.n_ended, TIMED_KINDS, report.early_ms,
            report.late_ms, report.n_down);
        CU_ASSERT_EQUAL(report.n_ended, TIMED_KINDS);
        CU_ASSERT(report.early_ms <= EARLY_MS);
        CU_ASSERT(report.late_ms <= LATE_MS);
        CU_ASSERT_EQUAL(report.n_down, 0);
        process_end(&timed, SIGKILL, PATIENCE_MS);
        daemon_end(&broker);
        unsetenv("LD_PRELOAD");
    }
}

static int count_job(ferry_job *job, void *ctx) {
    CU_ASSERT_NOT_EQUAL(strncmp(job->body.data, "delayed", job->body.len), 0);
    ++*(int *)ctx;
    return 0;
}

static void push_with(ferry_client *client, const char *body, const ferry_push_options *options) {
    CU_ASSERT_EQUAL(ferry_push(client, "mail", ferry_str(body), options, NULL), 0);
}

/* The second broker's clock is ten minutes ahead of those of Redis and of the first one. */
static void jobs_in_redis_follow_the_clock_of_redis(void) {
    RedisServer server;
    char config[200];
    ferry_client *client;
    Daemon broker;
    int n = 0;

    if (!getenv("FERRY_TEST_REDIS") || !redis_available())
        return;
    redis_start(&server, NULL);
    snprintf(config, sizeof(config), "[broker]\nstore = redis://127.0.0.1:%u?lease=1s\n",
             server.port);
    daemon_start(&broker, &(DaemonOptions){.config = config});
    client = open_with(broker.url, NULL);
    push_with(client, "delayed", &(ferry_push_options){.delay_ms = 5 * MINUTE_MS});
    push_with(client, "living", &(ferry_push_options){.ttl_ms = 5 * MINUTE_MS});
    ferry_close(client);
    daemon_kill(&broker);
    take_their_clock(broker.folder);
    *offset_s = 10 * 60;
    daemon_restart(&broker);
    CU_ASSERT_EQUAL(daemon_log_lines(&broker, "the clock of Redis differs"), 1);
    client = open_with(broker.url, NULL);
    push_with(client, "last", NULL);
    CU_ASSERT_EQUAL(ferry_work(client, "mail", NULL, count_job, &n, NULL, NULL), 0);
    CU_ASSERT_TRUE(turn_until(client, &n, 2, PATIENCE_MS));
    ferry_close(client);
    daemon_end(&broker);
    redis_stop(&server);
    unsetenv("LD_PRELOAD");
}

/* ---- shards in Redis ---- */

static const char *queue_name(int i) {
    static char name[16];

    snprintf(name, sizeof(name), "q%d", i);
    return name;
}

static void push_to_all(ferry_client *client, const char *body, const ferry_push_options *options) {
    for (int i = 0; i < QUEUES; i++)
        CU_ASSERT_EQUAL(ferry_push(client, queue_name(i), ferry_str(body), options, NULL), 0);
}

/* Waits until this broker has the leases of this many shards. */
static void until_shards(const RedisServer *server, const Daemon *broker, unsigned wanted) {
    uint64_t until_ms = clock_ms() + PATIENCE_MS;
    unsigned n = SHARDS + 1;

    while (n != wanted && clock_ms() < until_ms) {
        sleep_ms(20);
        n = 0;
        for (int k = 0; k < SHARDS; k++) {
            char words[40];
            const char *at;

            snprintf(words, sizeof(words), "HGET ferry:{s.%d} holder", k);
            at = strstr(redis_ask(server, words), "process ");
            n += at && atoi(at + strlen("process ")) == broker->process.pid;
        }
    }
    CU_ASSERT_EQUAL(n, wanted);
}

static void name_store(char config[200], const RedisServer *server) {
    snprintf(config, 200, "[broker]\nstore = redis://127.0.0.1:%u?name=s&shards=%d&lease=1s\n",
             server->port, SHARDS);
}

/* Two brokers whose clocks are ten minutes ahead of Redis, and behind it. */
static void shards_follow_the_clock_of_redis(void) {
    static const int64_t offsets_s[] = {10 * 60, -10 * 60};
    RedisServer server;
    Daemon brokers[2];
    ferry_client *client;
    char config[200], url[300];
    int n = 0;

    if (!getenv("FERRY_TEST_REDIS") || !redis_available())
        return;
    redis_start(&server, NULL);
    name_store(config, &server);
    for (int i = 0; i < 2; i++) {
        daemon_start(&brokers[i], &(DaemonOptions){.tcp = true, .config = config});
        daemon_kill(&brokers[i]);
        take_their_clock(brokers[i].folder);
        *offset_s = offsets_s[i];
        daemon_restart(&brokers[i]);
        unsetenv("LD_PRELOAD");
    }
    for (int i = 0; i < 2; i++)
        until_shards(&server, &brokers[i], SHARDS / 2);
    snprintf(url, sizeof(url), "%s,%s", brokers[0].url, brokers[1].url);
    client = open_with(url, NULL);
    push_to_all(client, "delayed", &(ferry_push_options){.delay_ms = 5 * MINUTE_MS});
    push_to_all(client, "living", &(ferry_push_options){.ttl_ms = 5 * MINUTE_MS});
    push_to_all(client, "later", &(ferry_push_options){.delay_ms = 100});
    daemon_kill(&brokers[0]);
    until_shards(&server, &brokers[1], SHARDS);
    for (int i = 0; i < QUEUES; i++)
        CU_ASSERT_EQUAL(ferry_work(client, queue_name(i), NULL, count_job, &n, NULL, NULL), 0);
    CU_ASSERT_TRUE(turn_until(client, &n, 2 * QUEUES, PATIENCE_MS));
    turn_for(client, 300);
    CU_ASSERT_EQUAL(n, 2 * QUEUES);
    for (int i = 0; i < 2; i++)
        CU_ASSERT(daemon_log_lines(&brokers[i], "the clock of Redis differs") >= 1);
    ferry_close(client);
    for (int i = 0; i < 2; i++)
        daemon_end(&brokers[i]);
    redis_stop(&server);
}

/* By this clock the leases, and the entry of the dead broker, end in ten minutes. */
static void shards_of_a_dead_broker_move_after_the_clock_of_redis_was_set_back(void) {
    RedisServer server;
    Daemon brokers[2];
    ferry_client *client;
    char config[200];

    if (!getenv("FERRY_TEST_REDIS") || !redis_available())
        return;
    redis_start(&server, NULL);
    redis_kill(&server);
    take_their_clock(server.folder);
    redis_restart(&server);
    unsetenv("LD_PRELOAD");
    name_store(config, &server);
    for (int i = 0; i < 2; i++)
        daemon_start(&brokers[i], &(DaemonOptions){.tcp = true, .config = config});
    for (int i = 0; i < 2; i++)
        until_shards(&server, &brokers[i], SHARDS / 2);
    daemon_kill(&brokers[0]);
    *offset_s = -10 * 60;
    until_shards(&server, &brokers[1], SHARDS);
    client = open_with(brokers[1].url, NULL);
    push_to_all(client, "x", NULL);
    ferry_close(client);
    for (int i = 0; i < 2; i++)
        daemon_end(&brokers[i]);
    redis_stop(&server);
}

/* ---- several brokers ---- */

static int note_left(ferry_request *request, void *ctx) {
    *(uint32_t *)ctx = ferry_request_left_ms(request);
    return ferry_request_return(request, request->body);
}

static void end(const ferry_reply *reply, const ferry_error *error, void *ctx) {
    (void)reply;
    *(int *)ctx += error == NULL;
}

/* The deadline of a call, and the delay and the time to live of jobs, at one broker. */
static void expect_times_at(const Daemon *broker, ferry_client *client, const uint32_t *left_ms,
                            const int *n_jobs) {
    ferry_client *caller = open_with(broker->url, &(ferry_options){.timeout_ms = 5 * MINUTE_MS});
    ferry_client *both[] = {client, caller};
    int n_before = *n_jobs, n_answers = 0;

    CU_ASSERT_EQUAL(ferry_call_async(caller, "test.Left.ms", ferry_str("x"), end, &n_answers, NULL),
                    0);
    CU_ASSERT_TRUE(turn_all_until(both, 2, &n_answers, 1, PATIENCE_MS));
    CU_ASSERT(*left_ms > 2 * MINUTE_MS && *left_ms <= 5 * MINUTE_MS);
    push_with(caller, "delayed", &(ferry_push_options){.delay_ms = 5 * MINUTE_MS});
    push_with(caller, "living", &(ferry_push_options){.ttl_ms = 5 * MINUTE_MS});
    push_with(caller, "later", &(ferry_push_options){.delay_ms = 100});
    CU_ASSERT_TRUE(turn_all_until(both, 2, n_jobs, n_before + 2, PATIENCE_MS));
    ferry_close(caller);
}

/* The messages have spans of time, which each broker adds to its own clock. */
static void brokers_whose_clocks_differ_serve_one_client(void) {
    static const int64_t offsets_s[] = {10 * 60, -10 * 60};
    Daemon brokers[2];
    ferry_client *client;
    uint32_t left_ms = 0;
    int n_jobs = 0;
    char url[300];

    for (int i = 0; i < 2; i++) {
        daemon_start(&brokers[i], NULL);
        daemon_kill(&brokers[i]);
        take_their_clock(brokers[i].folder);
        *offset_s = offsets_s[i];
        daemon_restart(&brokers[i]);
        unsetenv("LD_PRELOAD");
    }
    snprintf(url, sizeof(url), "%s,%s", brokers[0].url, brokers[1].url);
    client = open_with(url, NULL);
    CU_ASSERT_EQUAL(
        ferry_serve_method(client, "test.Left.ms", NULL, note_left, &left_ms, NULL, NULL), 0);
    CU_ASSERT_EQUAL(ferry_work(client, "mail", NULL, count_job, &n_jobs, NULL, NULL), 0);
    for (int i = 0; i < 2; i++)
        expect_times_at(&brokers[i], client, &left_ms, &n_jobs);
    CU_ASSERT_EQUAL(n_jobs, 4);
    ferry_close(client);
    for (int i = 0; i < 2; i++)
        daemon_end(&brokers[i]);
}

int main(int argc, char **argv) {
    static const Role roles[] = {{"timed", play_timed}, {"look", play_look}, {NULL, NULL}};
    CU_TestInfo tests[] = {
        TEST(waits_do_not_depend_on_the_wall_clock),
        TEST(jobs_in_redis_follow_the_clock_of_redis),
        TEST(shards_follow_the_clock_of_redis),
        TEST(shards_of_a_dead_broker_move_after_the_clock_of_redis_was_set_back),
        TEST(brokers_whose_clocks_differ_serve_one_client),
        TESTS_END,
    };

    roles_play(argc, argv, roles);
    return run_suite("a wall clock that jumps", tests);
}
