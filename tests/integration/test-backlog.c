/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Backlogs on disk: one whose bodies are several times as large as the memory of the broker, and
 * one with many small jobs, which the broker serves again soon after it was killed.
 *
 * FERRY_TEST_BACKLOG_MIB is the size of the bodies, and FERRY_TEST_MEMORY_MIB the memory that the
 * broker may use for them; FERRY_TEST_BACKLOG_JOBS is the number of small jobs.
 */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <ferry/ferry.h>

#include "base/clock.h"
#include "support/faults.h"
#include "support/process.h"
#include "support/random.h"
#include "support/suite.h"

enum {
    LARGE = 64 << 10,
    LARGE_IN_FLIGHT = 50,
    LARGE_SLOTS = 20,
    SMALL = 256,
    SMALL_IN_FLIGHT = 4000,
    SMALL_SLOTS = 500,
};

static uint8_t body[LARGE];

/* Jobs with consecutive numbers; each body begins with the number. */
typedef struct Backlog {
    size_t n_body;
    int n;
    int in_flight; /* pushes without an answer */
    uint32_t slots;
} Backlog;

typedef struct Pushes {
    int n_open, n_stored;
} Pushes;

static void on_stored(const ferry_error *error, void *ctx) {
    Pushes *pushes = ctx;

    pushes->n_open--;
    pushes->n_stored += error == NULL;
    if (error)
        ferry_error_print(error, stdout);
}

/* Runs turns until the number has reached the bound. False: it has not changed for long. */
static bool turn_while_it_moves(ferry_client *client, const int *n, int bound) {
    uint64_t moved_ms = clock_ms();
    int before = *n;

    while (*n < bound && clock_ms() < moved_ms + PATIENCE_MS) {
        turn_for(client, 1);
        if (*n != before)
            moved_ms = clock_ms();
        before = *n;
    }
    return *n >= bound;
}

static void push_all(const char *url, const Backlog *backlog) {
    ferry_client *client = open_with(url, NULL);
    Pushes pushes = {0};

    for (int i = 0; i < backlog->n; i++) {
        memcpy(body, &i, sizeof(i));
        CU_ASSERT_EQUAL_FATAL(ferry_push_async(client, "backlog",
                                               (ferry_bytes){body, backlog->n_body, NULL}, NULL,
                                               on_stored, &pushes, NULL),
                              0);
        pushes.n_open++;
        if (pushes.n_open >= backlog->in_flight)
            CU_ASSERT_FATAL(
                turn_while_it_moves(client, &pushes.n_stored, i + 1 - backlog->in_flight / 2));
    }
    CU_ASSERT_TRUE(turn_while_it_moves(client, &pushes.n_stored, backlog->n));
    ferry_close(client);
}

typedef struct Taken {
    size_t n_body;
    int n, n_wrong;
} Taken;

static int on_job(ferry_job *job, void *ctx) {
    Taken *taken = ctx;
    int i = -1;

    if (job->body.len == taken->n_body)
        memcpy(&i, job->body.data, sizeof(i));
    taken->n_wrong += i != taken->n;
    taken->n++;
    return 0;
}

/* A worker handles n of the jobs. */
static void work(const char *url, const Backlog *backlog, uint32_t slots, int n) {
    ferry_client *client = open_with(url, NULL);
    ferry_work_options options = {.slots = slots};
    Taken taken = {backlog->n_body, 0, 0};

    CU_ASSERT_EQUAL(ferry_work(client, "backlog", &options, on_job, &taken, NULL, NULL), 0);
    CU_ASSERT_TRUE(turn_while_it_moves(client, &taken.n, n));
    CU_ASSERT_EQUAL(taken.n_wrong, 0);
    ferry_close(client);
}

static void a_backlog_may_be_larger_than_memory(void) {
    int mib = (int)said_or("FERRY_TEST_BACKLOG_MIB", 375);
    Backlog backlog = {LARGE, mib * (int)((1 << 20) / LARGE), LARGE_IN_FLIGHT, LARGE_SLOTS};
    size_t memory = said_or("FERRY_TEST_MEMORY_MIB", 128), resident[2];
    char config[100];
    Daemon broker;

    snprintf(config, sizeof(config), "[broker]\nmax_queue_bytes = %dM\n", 2 * mib);
    daemon_start(&broker,
                 &(DaemonOptions){.data = true, .config = config, .max_data = memory << 20});
    push_all(broker.url, &backlog);
    resident[0] = process_rss_kib(broker.process.pid);
    daemon_kill(&broker);
    daemon_restart(&broker);
    work(broker.url, &backlog, backlog.slots, backlog.n);
    resident[1] = process_rss_kib(broker.process.pid);
    printf("\n    %d MiB of bodies, %zu MiB for the broker: %zu MiB resident after the pushes, %zu "
           "MiB after the work\n  ",
           mib, memory, resident[0] >> 10, resident[1] >> 10);
    CU_ASSERT(daemon_log_is_clean(&broker));
    daemon_end(&broker);
}

/* The time is printed only: on a busy machine it means nothing. */
static void many_jobs_are_there_after_a_kill(void) {
    Backlog backlog = {SMALL, (int)said_or("FERRY_TEST_BACKLOG_JOBS", 20000), SMALL_IN_FLIGHT,
                       SMALL_SLOTS};
    uint64_t began_ms, ready_ms;
    size_t resident;
    char config[100];
    Daemon broker;

    snprintf(config, sizeof(config), "[broker]\nmax_queue_jobs = %d\nmax_queue_bytes = 1G\n",
             2 * backlog.n);
    daemon_start(&broker, &(DaemonOptions){.data = true, .config = config});
    push_all(broker.url, &backlog);
    daemon_kill(&broker);
    began_ms = clock_ms();
    daemon_restart(&broker);
    work(broker.url, &backlog, 1, 1);
    ready_ms = clock_ms();
    resident = process_rss_kib(broker.process.pid);
    printf("\n    %d jobs of %d B: the first one was worked on %.2f s after the start, %zu MiB "
           "resident\n  ",
           backlog.n, SMALL, (double)(ready_ms - began_ms) / 1000, resident >> 10);
    CU_ASSERT(daemon_log_is_clean(&broker));
    daemon_end(&broker);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_backlog_may_be_larger_than_memory),
        TEST(many_jobs_are_there_after_a_kill),
        TESTS_END,
    };

#ifdef SANITIZED
    fprintf(stderr, "SKIP: a sanitizer needs more memory than this test allows\n");
    return 77;
#endif
    return run_suite("faults: a backlog larger than memory", tests);
}
