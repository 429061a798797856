/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Machines that have just started, or have run for a century: the monotonic clock of a process may
 * begin anywhere. Time namespaces give each process a clock of its own.
 */

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "support/faults.h"
#include "support/sandbox.h"
#include "support/suite.h"
#include "support/timed.h"

enum { LATE_MS = 60000, EARLY_MS = 3, BEFORE_S = 4 };

#define YEAR_S  INT64_C(31557600)
#define WRAP_32 ((INT64_C(1) << 32) / 1000 - BEFORE_S) /* of milliseconds, within the test */
#define WRAP_31 ((INT64_C(1) << 31) / 1000 - BEFORE_S)

typedef struct Pair {
    const char *what;
    int64_t broker_s, client_s; /* since these processes were started */
    Daemon broker;
    Process client;
} Pair;

/* Processes that are started from now on have been up for this time. */
static void set_uptime(int64_t uptime_s) {
    int64_t offset_s = uptime_s - (int64_t)(clock_ms() / 1000);
    char text[100];

    sandbox_enter(CLONE_NEWTIME);
    snprintf(text, sizeof(text), "monotonic %lld 0\nboottime %lld 0\n", (long long)offset_s,
             (long long)offset_s);
    if (!write_file("/proc/self/timens_offsets", text))
        skip("the clock of a time namespace cannot be set: %s", strerror(errno));
}

static int play_look(int argc, char **argv) {
    (void)argc;
    (void)argv;
    tell("up %ld", (long)(clock_ms() / 1000));
    return 0;
}

static void each_has_the_uptime_that_it_was_given(void) {
    long up_s = 0;
    Process look;

    set_uptime(50 * YEAR_S);
    role_start(&look, "look", "x", NULL);
    CU_ASSERT_TRUE(told_count(&look, "up", 0, PATIENCE_MS, &up_s));
    process_end(&look, 0, PATIENCE_MS);
    CU_ASSERT(up_s >= 50 * YEAR_S && up_s < 51 * YEAR_S);
}

static void clients_and_brokers_of_any_uptime_work_together(void) {
    static Pair pairs[] = {
        {.what = "both just started", .broker_s = 1, .client_s = 1},
        {.what = "a broker for a century", .broker_s = 100 * YEAR_S, .client_s = 1},
        {.what = "a client for a century", .broker_s = 1, .client_s = 100 * YEAR_S},
        {.what = "a broker at 2^32 ms", .broker_s = WRAP_32, .client_s = WRAP_31},
        {.what = "a client at 2^32 ms", .broker_s = WRAP_31, .client_s = WRAP_32},
    };
    const size_t n = sizeof(pairs) / sizeof(*pairs);

    for (size_t i = 0; i < n; i++) {
        char ms[16];

        set_uptime(pairs[i].broker_s);
        daemon_start(&pairs[i].broker, &(DaemonOptions){.config = TIMED_CONFIG});
        set_uptime(pairs[i].client_s);
        snprintf(ms, sizeof(ms), "%d", (BEFORE_S + 2) * 1000);
        role_start(&pairs[i].client, "timed", pairs[i].broker.url, ms, NULL);
    }
    for (size_t i = 0; i < n; i++) {
        TimedReport report;

        CU_ASSERT_TRUE(told_count(&pairs[i].client, "ready", 0, PATIENCE_MS, NULL));
        CU_ASSERT_TRUE(timed_report(&pairs[i].client, &report));
        printf("\n    %s: %ld of %d waits ended, at most %ld ms early and %ld ms late; connections "
               "lost %ld",
               pairs[i].what, report.n_ended, TIMED_KINDS, report.early_ms, report.late_ms,
               report.n_down);
        CU_ASSERT_EQUAL(report.n_ended, TIMED_KINDS);
        CU_ASSERT(report.early_ms <= EARLY_MS);
        CU_ASSERT(report.late_ms <= LATE_MS);
        CU_ASSERT_EQUAL(report.n_down, 0);
        process_end(&pairs[i].client, SIGKILL, PATIENCE_MS);
        daemon_end(&pairs[i].broker);
    }
}

int main(int argc, char **argv) {
    static const Role roles[] = {{"timed", play_timed}, {"look", play_look}, {NULL, NULL}};
    CU_TestInfo tests[] = {
        TEST(each_has_the_uptime_that_it_was_given),
        TEST(clients_and_brokers_of_any_uptime_work_together),
        TESTS_END,
    };

    roles_play(argc, argv, roles);
    return run_suite("uptimes", tests);
}
