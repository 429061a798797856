/* SPDX-License-Identifier: Apache-2.0 */
/* A backlog on disk that is several times as large as the memory of the broker. */

#include <stdio.h>
#include <string.h>

#include <ferry/ferry.h>

#include "base/clock.h"
#include "support/faults.h"
#include "support/process.h"
#include "support/suite.h"

enum {
    LITTLE = 128 << 20, /* the memory that the broker may use */
    BODY = 64 << 10,
    JOBS = 6000, /* 375 MiB */
    IN_FLIGHT = 50,
};

static uint8_t body[BODY];

typedef struct Pushes {
    int n_open, n_stored;
} Pushes;

static void on_stored(const ferry_error *error, void *ctx) {
    Pushes *pushes = ctx;

    pushes->n_open--;
    pushes->n_stored += error == NULL;
    if (error && pushes->n_stored + 1 < JOBS)
        ferry_error_print(error, stdout);
}

static void push_all(const char *url) {
    ferry_client *client = open_with(url, NULL);
    Pushes pushes = {0};

    for (uint32_t i = 0; i < JOBS; i++) {
        memcpy(body, &i, sizeof(i));
        CU_ASSERT_EQUAL(ferry_push_async(client, "backlog", (ferry_bytes){body, sizeof(body), NULL},
                                         NULL, on_stored, &pushes, NULL),
                        0);
        pushes.n_open++;
        for (uint64_t until = clock_ms() + PATIENCE_MS;
             pushes.n_open >= IN_FLIGHT && clock_ms() < until;)
            turn_for(client, 1);
    }
    for (uint64_t until = clock_ms() + PATIENCE_MS; pushes.n_open > 0 && clock_ms() < until;)
        turn_for(client, 10);
    CU_ASSERT_EQUAL(pushes.n_stored, JOBS);
    ferry_close(client);
}

typedef struct Taken {
    int n, n_wrong;
} Taken;

static int on_job(ferry_job *job, void *ctx) {
    Taken *taken = ctx;
    uint32_t i = UINT32_MAX;

    if (job->body.len == BODY)
        memcpy(&i, job->body.data, sizeof(i));
    taken->n_wrong += i != (uint32_t)taken->n;
    taken->n++;
    return 0;
}

static void work_all(const char *url) {
    ferry_client *client = open_with(url, NULL);
    ferry_work_options options = {.slots = 20};
    Taken taken = {0};

    CU_ASSERT_EQUAL(ferry_work(client, "backlog", &options, on_job, &taken, NULL, NULL), 0);
    CU_ASSERT_TRUE(turn_until(client, &taken.n, JOBS, PATIENCE_MS));
    CU_ASSERT_EQUAL(taken.n, JOBS);
    CU_ASSERT_EQUAL(taken.n_wrong, 0);
    ferry_close(client);
}

static void a_backlog_may_be_larger_than_memory(void) {
    Daemon broker;
    size_t resident[2];

    daemon_start(&broker, &(DaemonOptions){.data = true,
                                           .config = "[broker]\nmax_queue_bytes = 1G\n",
                                           .max_data = LITTLE});
    push_all(broker.url);
    resident[0] = process_rss_kib(broker.process.pid);
    daemon_kill(&broker);
    daemon_restart(&broker);
    work_all(broker.url);
    resident[1] = process_rss_kib(broker.process.pid);
    printf("\n    375 MiB of bodies: %zu MiB resident after the pushes, %zu MiB after the work\n  ",
           resident[0] >> 10, resident[1] >> 10);
    CU_ASSERT(daemon_log_is_clean(&broker));
    daemon_end(&broker);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_backlog_may_be_larger_than_memory),
        TESTS_END,
    };

#ifdef SANITIZED
    fprintf(stderr, "SKIP: a sanitizer needs more memory than this test allows\n");
    return 77;
#endif
    return run_suite("faults: a backlog larger than memory", tests);
}
