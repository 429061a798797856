/* SPDX-License-Identifier: Apache-2.0 */
/* The broker as a program of its own, for integration tests: test-broker ENDPOINT[,ENDPOINT]
 * [LOG-LEVEL [CONFIG [DATA]]]. An empty word stands for a missing one. It may listen on any
 * address, because tests have their own networks. On SIGUSR1 it frees the memory that it keeps for
 * the next messages, as it does when it is idle, so that a test can measure the memory in use. */

#include "broker/main.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "broker/loop/trim.h"

enum { BINDS_MAX = 4 };

static const char *word(int argc, char **argv, int i) {
    return argc > i && *argv[i] ? argv[i] : NULL;
}

static void *give_back(void *signals) {
    int number;

    while (sigwait(signals, &number) == 0)
        trim();
    return NULL;
}

static void give_back_on_signal(void) {
    static sigset_t signals;
    sigset_t all, before;
    pthread_t thread;

    sigemptyset(&signals);
    sigaddset(&signals, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    /* Only the broker's own thread gets SIGTERM. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    if (pthread_create(&thread, NULL, give_back, &signals) == 0)
        pthread_detach(thread);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

int main(int argc, char **argv) {
    const char *level = word(argc, argv, 2), *binds[BINDS_MAX] = {"tcp://127.0.0.1:*"};
    BrokerOptions options = {.binds = binds,
                             .n_binds = 1,
                             .log_level = level ? level : "error",
                             .config = word(argc, argv, 3),
                             .data = word(argc, argv, 4),
                             .insecure = true};

    if (argc > 1) {
        options.n_binds = 0;
        for (char *at = strtok(argv[1], ","); at && options.n_binds < BINDS_MAX;
             at = strtok(NULL, ","))
            binds[options.n_binds++] = at;
    }
    give_back_on_signal();
    return broker_main(&options);
}
