/* SPDX-License-Identifier: Apache-2.0 */

/* Many connections: the cost of an idle connection, and the behaviour at the limit of
 * descriptors. */

#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include <ferry/ferry.h>

#include "base/clock.h"
#include "support/faults.h"
#include "support/raw-peer.h"
#include "support/roles.h"
#include "support/suite.h"

enum {
    CROWD = 1000,
    KIB_OF_ONE = 4, /* memory of an idle connection and its session */
    FEW_FDS = 256,
    IDLE_TURNS = 1000, /* in a second; a broker that polls takes ten thousands */
};

static void an_idle_client_costs_little(void) {
    static int fds[CROWD];
    size_t before, after, last = 0, most = 0;
    Daemon broker;

    daemon_start(&broker, &(DaemonOptions){.tcp = true});
    /* The first connections add pages for the allocator. */
    for (int i = 0; i < 10; i++)
        close(raw_session(broker.port, 1 << 20));
    sleep_ms(300);
    before = process_rss_kib(broker.process.pid);
    for (int i = 0; i < CROWD; i++) {
        fds[i] = raw_session(broker.port, 1 << 20);
        CU_ASSERT_FATAL(fds[i] >= 0);
    }
    after = process_rss_kib(broker.process.pid);
    printf("\n    %d idle clients: %.1f KiB each; at most %d", CROWD,
           (double)(after - before) / CROWD, KIB_OF_ONE);
#ifndef SANITIZED
    CU_ASSERT(after - before <= CROWD * (size_t)KIB_OF_ONE);
#endif
    for (int i = 0; i < CROWD; i++)
        close(fds[i]);

    /* As many clients connect and leave again and again. Clients are remembered for a minute, the
     * allocator needs some time to fill its holes, and some memory is given back in between; but
     * the growth must end. */
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < 3000 && process_n_fds(broker.process.pid) > 100; i++)
            sleep_ms(20);
        for (int i = 0; i < CROWD; i++)
            fds[i] = raw_session(broker.port, 1 << 20);
        most = last > most ? last : most;
        last = process_rss_kib(broker.process.pid);
        printf("; after as many again %+ld KiB", (long)last - (long)after);
        for (int i = 0; i < CROWD; i++)
            close(fds[i]);
    }
#ifndef SANITIZED
    CU_ASSERT(last < most + CROWD * 10);
#else
    (void)most;
#endif
    daemon_end(&broker);
}

static void at_the_descriptor_limit_connected_clients_are_served(void) {
    DaemonOptions few = {.tcp = true, .max_fds = FEW_FDS};
    static int fds[CROWD];
    uint64_t turns;
    Bystander *bystander;
    ferry_client *late;
    Noticed noticed;
    int n_in = CROWD;
    Daemon broker;

    daemon_start(&broker, &few);
    bystander = bystander_start(broker.url);
    for (int i = 0; i < CROWD; i++)
        fds[i] = raw_connect(broker.port);
    /* The oldest connections that have sent no message make room for the newest ones. */
    for (uint64_t until_ms = clock_ms() + PATIENCE_MS; n_in >= FEW_FDS && clock_ms() < until_ms;) {
        n_in = 0;
        for (int i = 0; i < CROWD; i++)
            n_in += fds[i] >= 0 && !raw_is_cut(fds[i], 5);
    }

    /* All stay and press on; the broker has to serve other clients. */
    bystander_wait(bystander, 500);
    noticed = bystander_stop(bystander);
    printf("\n    %d connections with %d descriptors: %d stayed; beside it %ld calls, %ld failed, "
           "median %.2f ms, worst %.1f ms",
           CROWD, FEW_FDS, n_in, noticed.n_calls, noticed.n_failed, noticed.median_ms,
           noticed.worst_ms);
    CU_ASSERT_EQUAL(noticed.n_failed, 0);
    CU_ASSERT(n_in < FEW_FDS);

    for (int i = 0; i < CROWD; i++)
        close(fds[i]);
    late = open_with(broker.url, NULL);
    /* Without connections, the broker has no work left. */
    turns = broker_stat(late, "turns");
    sleep_ms(1000);
    turns = broker_stat(late, "turns") - turns;
    printf("\n    when they go, a new client is in, and the broker takes %llu turns in a second",
           (unsigned long long)turns);
    CU_ASSERT(turns < IDLE_TURNS);
    ferry_close(late);
    daemon_end(&broker);
}

static void connections_without_a_greeting_give_their_places_back(void) {
    DaemonOptions few = {.tcp = true, .max_fds = FEW_FDS};
    static int fds[CROWD];
    ferry_client *late;
    uint64_t start_ms, turns;
    Daemon broker;

    daemon_start(&broker, &few);
    start_ms = clock_ms();
    for (int i = 0; i < CROWD; i++)
        fds[i] = raw_connect(broker.port);
    for (int i = 0; i < CROWD; i++)
        CU_ASSERT_TRUE(raw_is_cut(fds[i], PATIENCE_MS));
    late = open_with(broker.url, NULL);
    turns = broker_stat(late, "turns");
    printf("\n    %d connections that say nothing: the last is cut after %.1f s and %llu turns",
           CROWD, (double)(clock_ms() - start_ms) / 1000, (unsigned long long)turns);
    /* A broker that polls for a free descriptor takes as many turns in a second. */
    CU_ASSERT(turns < CROWD * 10);
    ferry_close(late);
    for (int i = 0; i < CROWD; i++)
        close(fds[i]);
    daemon_end(&broker);
}

int main(int argc, char **argv) {
    struct rlimit limit;
    CU_TestInfo tests[] = {
        TEST(an_idle_client_costs_little),
        TEST(at_the_descriptor_limit_connected_clients_are_served),
        TEST(connections_without_a_greeting_give_their_places_back),
        TESTS_END,
    };

    roles_play(argc, argv, usual_roles);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
        if (limit.rlim_max < CROWD + 500) {
            printf("skipped: no more than %lu descriptors\n", (unsigned long)limit.rlim_max);
            return 77;
        }
    }
    return run_suite("many connections", tests);
}
