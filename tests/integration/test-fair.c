/* SPDX-License-Identifier: Apache-2.0 */

/* One caller floods a service: the share of the other callers. */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ferry/ferry.h>

#include "base/clock.h"
#include "support/faults.h"
#include "support/process.h"
#include "support/roles.h"
#include "support/suite.h"

enum {
    MODEST = 4, /* callers that have a few open calls at a time */
    FEW = 20,   /* number of open calls of such a caller */
    RUN_MS = 3000,
};

typedef struct Caller {
    ferry_client *client;
    int n_open, n_good, n_refused, n_failed;
    uint64_t took_ms, worst_ms;
} Caller;

typedef struct Open {
    Caller *caller;
    uint64_t began_ms;
} Open;

static void on_reply(const ferry_reply *reply, const ferry_error *error, void *ctx) {
    Open *open = ctx;
    Caller *caller = open->caller;
    uint64_t took_ms = clock_ms() - open->began_ms;

    caller->n_open--;
    caller->n_good += reply != NULL;
    caller->n_refused += error && error->code == -EBUSY;
    caller->n_failed += error && error->code != -EBUSY && error->code != -ECANCELED;
    if (reply) {
        caller->took_ms += took_ms;
        caller->worst_ms = took_ms > caller->worst_ms ? took_ms : caller->worst_ms;
    }
    free(open);
}

static void keep_open(Caller *caller, int n) {
    while (caller->n_open < n) {
        Open *open = malloc(sizeof(*open));

        *open = (Open){caller, clock_ms()};
        if (ferry_call_async(caller->client, "busy.Calls.work", ferry_str("\xc3"), on_reply, open,
                             NULL) < 0) {
            free(open);
            return;
        }
        caller->n_open++;
    }
}

/* The share of the modest caller with the fewest answers, in percent of all answers. */
static double share_beside(int n_flood) {
    Caller callers[1 + MODEST] = {{0}};
    int n_good = 0, least = INT32_MAX;
    uint64_t start_ms;
    Process server;
    Daemon broker;

    daemon_start(&broker, NULL);
    role_start(&server, "busy", broker.url, "busy.Calls.work", "1", NULL);
    CU_ASSERT_TRUE(told_count(&server, "ready", 0, PATIENCE_MS, NULL));
    for (int i = 0; i <= MODEST; i++)
        callers[i].client = open_with(broker.url, NULL);
    start_ms = clock_ms();
    while (clock_ms() < start_ms + RUN_MS) {
        for (int i = 0; i <= MODEST; i++) {
            keep_open(&callers[i], i == 0 ? n_flood : FEW);
            ferry_process(callers[i].client, NULL);
        }
        sleep_ms(1);
    }
    for (int i = 0; i <= MODEST; i++)
        n_good += callers[i].n_good;
    for (int i = 0; i <= MODEST; i++) {
        Caller *caller = &callers[i];

        printf("\n    %d calls open: %d answered (%.0f %%), %d refused; one takes %.0f ms, at most "
               "%llu ms",
               i == 0 ? n_flood : FEW, caller->n_good, 100.0 * caller->n_good / n_good,
               caller->n_refused, caller->n_good ? (double)caller->took_ms / caller->n_good : 0,
               (unsigned long long)caller->worst_ms);
        CU_ASSERT_EQUAL(caller->n_failed, 0);
        if (i > 0) {
            CU_ASSERT_EQUAL(caller->n_refused, 0);
            least = caller->n_good < least ? caller->n_good : least;
        }
    }
    for (int i = 0; i <= MODEST; i++)
        ferry_close(callers[i].client);
    process_end(&server, SIGKILL, PATIENCE_MS);
    daemon_end(&broker);
    return 100.0 * least / n_good;
}

static void a_caller_with_many_calls_delays_only_itself(void) {
    CU_ASSERT(share_beside(5000) >= 100.0 / (1 + MODEST) / 2);
}

/* max_waiting_calls is 10 000: calls beyond it are refused to the caller that makes them. */
static void a_flood_of_calls_fills_only_its_own_wait_queue(void) {
    CU_ASSERT(share_beside(12000) >= 100.0 / (1 + MODEST) / 4);
}

int main(int argc, char **argv) {
    CU_TestInfo tests[] = {
        TEST(a_caller_with_many_calls_delays_only_itself),
        TEST(a_flood_of_calls_fills_only_its_own_wait_queue),
        TESTS_END,
    };

    roles_play(argc, argv, usual_roles);
    return run_suite("fair shares", tests);
}
