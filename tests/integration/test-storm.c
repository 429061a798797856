/* SPDX-License-Identifier: Apache-2.0 */
/* Thousands of connections that open and close in all possible ways. */

#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/random.h"
#include "support/faults.h"
#include "support/process.h"
#include "support/random.h"
#include "support/raw-peer.h"
#include "support/suite.h"

enum {
    THREADS = 4,
    EACH_S = 250, /* connections of one thread in a second */
    WARM_MS = 2000,
    STORM_MS = 4000,
    CALM_MS = 3000,
    GROWN_MAX_KIB = 4096,
};

typedef struct Storm {
    pthread_t thread;
    uint16_t port;
    Dice dice;
    int *stop, n; /* atomic */
} Storm;

/* Closes with RST instead of FIN. */
static void reset(int fd) {
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
    close(fd);
}

static void say_something(int fd, Dice *dice) {
    const Message some[] = {
        {.op = OP_SERVE, .id = 1, .name = span_text("storm.Calls"), .serve.slots = 3},
        {.op = OP_SUBSCRIBE, .id = 1, .name = span_text("storm.*")},
        {.op = OP_PULL, .id = 1, .name = span_text("storm"), .pull.slots = 3},
        {.op = OP_PUSH, .id = 1, .name = span_text("storm"), .body = span_text("job")},
        {.op = OP_CALL, .id = 1, .name = span_text("storm.Calls"), .call.method = span_text("x")},
        {.op = OP_BYE},
    };

    raw_say(fd, &some[dice_below(dice, sizeof(some) / sizeof(*some))]);
}

static void come_and_go(Storm *storm) {
    uint64_t how = dice_below(&storm->dice, 100);
    int fd = how < 50 ? raw_connect(storm->port) : raw_session(storm->port, 1 << 20);

    if (fd < 0)
        return;
    if (how >= 20 && how < 30)
        raw_bytes(fd, "GET / HTTP/1.0\r\n\r\n", 18);
    else if (how >= 30 && how < 50)
        raw_greet(fd, NULL, 0);
    else if (how >= 60)
        say_something(fd, &storm->dice);
    if (dice_below(&storm->dice, 2))
        reset(fd);
    else
        close(fd);
}

static void *rage(void *arg) {
    Storm *storm = arg;
    uint64_t start_us = clock_us();

    while (!__atomic_load_n(storm->stop, __ATOMIC_ACQUIRE)) {
        uint64_t due_us = start_us + (uint64_t)storm->n * (1000000 / EACH_S), now_us = clock_us();

        if (now_us < due_us) {
            sleep_ms((due_us - now_us) / 1000 + 1);
            continue;
        }
        come_and_go(storm);
        __atomic_add_fetch(&storm->n, 1, __ATOMIC_RELEASE);
    }
    return NULL;
}

static int rage_for(Storm *storms, int *stop, uint64_t ms) {
    int n = 0;

    *stop = 0;
    for (int i = 0; i < THREADS; i++) {
        storms[i].n = 0;
        pthread_create(&storms[i].thread, NULL, rage, &storms[i]);
    }
    sleep_ms(ms);
    __atomic_store_n(stop, 1, __ATOMIC_RELEASE);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(storms[i].thread, NULL);
        n += storms[i].n;
    }
    return n;
}

/* Waits until the broker has freed its records of lost clients. */
static void calm_down(ferry_client *witness) {
    uint64_t until_ms = clock_ms() + PATIENCE_MS;

    sleep_ms(CALM_MS);
    while (broker_stat(witness, "connections") > 3 && clock_ms() < until_ms)
        sleep_ms(50);
}

static void a_storm_of_connections_leaves_nothing_behind(void) {
    EACH_SEED(seed, 91, 1) {
        size_t before_kib, after_kib, before_fds, after_fds;
        Bystander *bystander;
        ferry_client *witness;
        Storm storms[THREADS];
        Noticed noticed;
        int stop, n;
        Daemon broker;

        daemon_start(&broker, &(DaemonOptions){.tcp = true,
                                               .level = "error",
                                               .config = "[broker]\nclient_memory = 1s\n"
                                                         "[queue storm]\nmax_jobs = 100\n"});
        for (int i = 0; i < THREADS; i++)
            storms[i] = (Storm){
                .port = broker.port, .dice = dice_of(seed * THREADS + (uint64_t)i), .stop = &stop};
        bystander = bystander_start(broker.url);
        witness = open_with(broker.url, NULL);
        rage_for(storms, &stop, WARM_MS);
        calm_down(witness);
        before_kib = process_rss_kib(broker.process.pid);
        before_fds = process_n_fds(broker.process.pid);
        n = rage_for(storms, &stop, STORM_MS);
        calm_down(witness);
        after_kib = process_rss_kib(broker.process.pid);
        after_fds = process_n_fds(broker.process.pid);
        noticed = bystander_stop(bystander);
        printf("\n    seed %llu: %d connections in %d s: memory %zu KiB, then %zu KiB; descriptors "
               "%zu, then %zu; sessions left %llu; beside it %ld calls, %ld failed, median %.2f "
               "ms, worst %.1f ms",
               (unsigned long long)seed, n, STORM_MS / 1000, before_kib, after_kib, before_fds,
               after_fds, (unsigned long long)broker_stat(witness, "sessions"), noticed.n_calls,
               noticed.n_failed, noticed.median_ms, noticed.worst_ms);
#ifndef SANITIZED
        CU_ASSERT((long)after_kib - (long)before_kib <= GROWN_MAX_KIB);
#endif
        CU_ASSERT(after_fds <= before_fds);
        CU_ASSERT_EQUAL(noticed.n_failed, 0);
        CU_ASSERT_EQUAL(broker_stat(witness, "sessions"), 1);
        ferry_close(witness);
        daemon_end(&broker);
    }
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_storm_of_connections_leaves_nothing_behind),
        TESTS_END,
    };

    return run_suite("a storm of connections", tests);
}
