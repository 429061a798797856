/* SPDX-License-Identifier: Apache-2.0 */

/* Peers that try to take the broker's places for connections. */

#include <stdio.h>
#include <unistd.h>

#include "support/faults.h"
#include "support/process.h"
#include "support/raw-peer.h"
#include "support/suite.h"

enum { CUT_MS = 60000 };

static void silent_connections_give_their_places_to_new_ones(void) {
    enum { PLACES = 24, SILENT = 60, NEWCOMERS = 12 };
    int silent[SILENT], newcomers[NEWCOMERS], n_in = 0;
    Bystander *bystander;
    Noticed noticed;
    Daemon broker;

    daemon_start(&broker,
                 &(DaemonOptions){.tcp = true, .config = "[broker]\nmax_connections = 24\n"});
    bystander = bystander_start(broker.url);
    for (int i = 0; i < SILENT; i++) {
        silent[i] = raw_connect(broker.port);
        if (i % 2 && silent[i] >= 0)
            raw_greet(silent[i], NULL, 0);
    }
    for (int i = 0; i < NEWCOMERS; i++)
        n_in += (newcomers[i] = raw_session(broker.port, 1 << 20)) >= 0;
    CU_ASSERT_EQUAL(n_in, NEWCOMERS);
    CU_ASSERT_TRUE(daemon_log_lines(&broker, "the broker gave its place to a new connection") > 0);
    noticed = bystander_stop(bystander);
    CU_ASSERT_EQUAL(noticed.n_failed, 0);
    printf("\n    %d silent connections for %d places: %d of %d newcomers got in", SILENT, PLACES,
           n_in, NEWCOMERS);
    for (int i = 0; i < SILENT; i++)
        close(silent[i]);
    for (int i = 0; i < NEWCOMERS; i++)
        close(newcomers[i]);
    daemon_end(&broker);
}

static void one_address_has_its_share_of_the_places(void) {
    enum { SHARE = 4 };
    int sessions[SHARE], silent, other, late;
    Daemon broker;

    daemon_start(
        &broker,
        &(DaemonOptions){.tcp = true, .config = "[broker]\nmax_connections_per_address = 4\n"});
    for (int i = 0; i < SHARE - 1; i++)
        CU_ASSERT_TRUE((sessions[i] = raw_session(broker.port, 1 << 20)) >= 0);
    /* The silent connection is closed when its address needs the place. */
    silent = raw_connect(broker.port);
    CU_ASSERT_TRUE((sessions[SHARE - 1] = raw_session(broker.port, 1 << 20)) >= 0);
    CU_ASSERT_TRUE(raw_is_cut(silent, CUT_MS));
    late = raw_connect(broker.port);
    CU_ASSERT_TRUE(raw_is_cut(late, CUT_MS));
    CU_ASSERT_EQUAL(daemon_log_lines(&broker, "its address has as many connections"), 1);
    other = raw_connect_from("127.0.0.2", broker.port);
    CU_ASSERT_TRUE(other >= 0 && raw_begin(other, 1 << 20));
    close(late);
    close(silent);
    /* A place becomes free when a connection ends. */
    close(sessions[0]);
    do {
        sessions[0] = raw_session(broker.port, 1 << 20);
    } while (sessions[0] < 0);
    close(other);
    for (int i = 0; i < SHARE; i++)
        close(sessions[i]);
    daemon_end(&broker);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(silent_connections_give_their_places_to_new_ones),
        TEST(one_address_has_its_share_of_the_places),
        TESTS_END,
    };

    return run_suite("places for connections", tests);
}
