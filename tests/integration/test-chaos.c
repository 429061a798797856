/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A broker on disk that is killed again and again, under load: ledger.h says what is compared.
 * FERRY_TEST_KILLS is the number of kills, TEST_SEED chooses their moments.
 */

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <ferry/ferry.h>

#include "base/clock.h"
#include "integration/ledger.h"
#include "support/faults.h"
#include "support/random.h"
#include "support/suite.h"

enum { WORKERS = 2, WORKER_KILL_EACH = 5 };

typedef struct Chaos {
    Dice dice;
    Daemon broker;
    Ledger ledger;
    Process pushers[LEDGER_PUSHERS], workers[WORKERS];
    size_t n_kills;
    double *recovery_ms;
} Chaos;

/* Starts the broker. Returns the time until it has confirmed a push. */
static double restart(Chaos *chaos) {
    uint64_t began_us = clock_us();
    ferry_client *client;

    daemon_restart(&chaos->broker);
    client = open_with(chaos->broker.url, NULL);
    CU_ASSERT_EQUAL(ferry_push(client, "probe", ferry_str("x"), NULL, NULL), 0);
    ferry_close(client);
    return (double)(clock_us() - began_us) / 1000;
}

static void kill_once(Chaos *chaos) {
    unsigned i = (unsigned)(chaos->n_kills % WORKERS);
    bool worker_too = chaos->n_kills % WORKER_KILL_EACH == WORKER_KILL_EACH - 1;

    sleep_ms(50 + dice_below(&chaos->dice, 300));
    daemon_kill(&chaos->broker);
    ledger_fault(&chaos->ledger, clock_ms());
    if (worker_too)
        process_end(&chaos->workers[i], SIGKILL, PATIENCE_MS);
    chaos->recovery_ms[chaos->n_kills++] = restart(chaos);
    if (worker_too)
        ledger_start_worker(&chaos->ledger, &chaos->workers[i], chaos->broker.url);
}

static void nothing_confirmed_is_lost_by_a_killed_broker(void) {
    size_t n_kills = said_or("FERRY_TEST_KILLS", 5);
    Chaos chaos = {.dice = dice_new(clock_us())};
    LedgerVerdict verdict;

    chaos.recovery_ms = calloc(n_kills, sizeof(*chaos.recovery_ms));
    daemon_start(&chaos.broker,
                 &(DaemonOptions){.data = true, .config = "[queue >]\nmax_attempts = 0\n"});
    ledger_open(&chaos.ledger, chaos.broker.folder, chaos.dice.seed);
    for (unsigned i = 0; i < WORKERS; i++)
        ledger_start_worker(&chaos.ledger, &chaos.workers[i], chaos.broker.url);
    for (unsigned i = 0; i < LEDGER_PUSHERS; i++)
        ledger_start_pusher(&chaos.ledger, &chaos.pushers[i], chaos.broker.url, i);
    while (chaos.n_kills < n_kills)
        kill_once(&chaos);
    for (unsigned i = 0; i < LEDGER_PUSHERS; i++)
        ledger_end_pusher(&chaos.pushers[i]);
    verdict = ledger_judge(&chaos.ledger);
    printf("\n    seed %" PRIu64 ": %zu kills; recovery p50 %.0f ms, p99 %.0f ms\n",
           chaos.dice.seed, chaos.n_kills, share_of(chaos.recovery_ms, n_kills, 0.5),
           share_of(chaos.recovery_ms, n_kills, 0.99));
    ledger_expect_all_well(&verdict);
    CU_ASSERT_EQUAL(daemon_log_lines(&chaos.broker, "damaged"), 0);
    for (unsigned i = 0; i < WORKERS; i++)
        process_end(&chaos.workers[i], SIGKILL, PATIENCE_MS);
    daemon_end(&chaos.broker);
    ledger_close(&chaos.ledger);
    free(chaos.recovery_ms);
}

int main(int argc, char **argv) {
    CU_TestInfo tests[] = {
        TEST(nothing_confirmed_is_lost_by_a_killed_broker),
        TESTS_END,
    };

    roles_play(argc, argv, ledger_roles);
    return run_suite("faults: a broker on disk, killed", tests);
}
