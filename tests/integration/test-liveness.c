/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A process that computes counts as alive, a stopped one does not. FERRY_TEST_BUSY_MS is the time
 * to compute: longer than the 6 s after which a silent connection is closed.
 */

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <ferry/ferry.h>

#include "base/clock.h"
#include "support/faults.h"
#include "support/roles.h"
#include "support/suite.h"

enum { FIRST_PING_MS = 2500 };

typedef struct Call {
    int n, n_good;
    uint64_t ended_ms;
    char type[64];
} Call;

static void on_reply(const ferry_reply *reply, const ferry_error *error, void *ctx) {
    Call *call = ctx;

    call->n++;
    call->n_good += reply != NULL;
    call->ended_ms = clock_ms();
    if (error)
        snprintf(call->type, sizeof(call->type), "%s", error->type);
}

typedef struct Again {
    int n;
    uint32_t attempt;
    uint64_t at_ms;
} Again;

static int on_job(ferry_job *job, void *ctx) {
    Again *again = ctx;

    again->n++;
    again->attempt = job->attempt;
    again->at_ms = clock_ms();
    return 0;
}

static void a_computing_process_keeps_its_session_and_a_stopped_one_loses_it(void) {
    const char *busy_ms = getenv("FERRY_TEST_BUSY_MS");
    Process server, worker, stopped_server;
    Call computed = {0}, lost = {0};
    uint64_t start_ms;
    ferry_client *client;
    Again again = {0};
    Daemon broker;
    int status;

    busy_ms = busy_ms ? busy_ms : "11000";
    daemon_start(&broker, NULL);
    role_start(&server, "busy", broker.url, "busy.Calls.compute", busy_ms, NULL);
    role_start(&worker, "busy-work", broker.url, "busy", busy_ms, NULL);
    role_start(&stopped_server, "hold", broker.url, NULL);
    CU_ASSERT_TRUE(told_count(&server, "ready", 0, PATIENCE_MS, NULL));
    CU_ASSERT_TRUE(told_count(&worker, "ready", 0, PATIENCE_MS, NULL));
    CU_ASSERT_TRUE(told_count(&stopped_server, "ready", 0, PATIENCE_MS, NULL));
    client = open_with(broker.url, &(ferry_options){.timeout_ms = 600000});
    ferry_call_async(client, "busy.Calls.compute", ferry_str("\xc3"), on_reply, &computed, NULL);
    ferry_call_async(client, "held.Calls.wait", ferry_str("\xc3"), on_reply, &lost, NULL);
    CU_ASSERT_EQUAL(ferry_push(client, "busy", ferry_str("job"), NULL, NULL), 0);
    CU_ASSERT_EQUAL(ferry_push(client, "held", ferry_str("job"), NULL, NULL), 0);
    CU_ASSERT_TRUE(told_count(&worker, "attempt", 1, PATIENCE_MS, NULL));
    CU_ASSERT_TRUE(told_count(&stopped_server, "jobs", 1, PATIENCE_MS, NULL));
    CU_ASSERT_EQUAL(ferry_work(client, "held", NULL, on_job, &again, NULL, NULL), 0);

    start_ms = clock_ms();
    process_signal(&stopped_server, SIGSTOP);
    CU_ASSERT_TRUE(turn_until(client, &lost.n, 1, PATIENCE_MS));
    CU_ASSERT_STRING_EQUAL(lost.type, "ferry.ServerLost");
    CU_ASSERT_TRUE(turn_until(client, &again.n, 1, PATIENCE_MS));
    CU_ASSERT_EQUAL(again.attempt, 2);
    printf("\n    SIGSTOP: a server's call fails after %llu ms, a worker's job comes again after "
           "%llu ms",
           (unsigned long long)(lost.ended_ms - start_ms),
           (unsigned long long)(again.at_ms - start_ms));

    CU_ASSERT_TRUE(turn_until(client, &computed.n, 1, PATIENCE_MS));
    CU_ASSERT_EQUAL(computed.n_good, 1);
    CU_ASSERT_TRUE(told_count(&worker, "done", 1, PATIENCE_MS, NULL));
    /* The job was acknowledged, and is not delivered again. */
    CU_ASSERT_PTR_NULL(told(&worker, 700));
    printf("\n    computing for %s ms without touching the library: answered and acknowledged",
           busy_ms);
    process_signal(&stopped_server, SIGCONT);
    ferry_close(client);
    status = process_end(&server, SIGKILL, PATIENCE_MS);
    CU_ASSERT_EQUAL(status, -SIGKILL);
    process_end(&worker, SIGKILL, PATIENCE_MS);
    process_end(&stopped_server, SIGKILL, PATIENCE_MS);
    daemon_end(&broker);
}

/* The process sends messages all the time, and is stopped between two of them. */
static void a_process_that_is_stopped_while_busy_is_noticed(void) {
    Process servers[2];
    Daemon brokers[2];
    ferry_client *clients[2];
    Call calls[2] = {{0}, {0}};
    uint64_t start_ms;

    for (int i = 0; i < 2; i++) {
        daemon_start(&brokers[i], &(DaemonOptions){.tcp = i == 0});
        role_start(&servers[i], "echo", brokers[i].url, NULL);
        CU_ASSERT_TRUE(told_count(&servers[i], "ready", 0, PATIENCE_MS, NULL));
        clients[i] = open_with(brokers[i].url, &(ferry_options){.timeout_ms = 600000});
    }
    start_ms = clock_ms();
    while (clock_ms() < start_ms + FIRST_PING_MS) {
        CU_ASSERT_TRUE(call_echo(clients[0]));
        CU_ASSERT_TRUE(call_echo(clients[1]));
    }
    start_ms = clock_ms();
    for (int i = 0; i < 2; i++) {
        process_signal(&servers[i], SIGSTOP);
        ferry_call_async(clients[i], "echo.Echo.say", ferry_str("\xc3"), on_reply, &calls[i], NULL);
    }
    for (int i = 0; i < 2; i++) {
        uint64_t until_ms = clock_ms() + PATIENCE_MS;

        while (calls[i].n == 0 && clock_ms() < until_ms) {
            ferry_process(clients[1 - i], NULL);
            turn_until(clients[i], &calls[i].n, 1, 5);
        }
        CU_ASSERT_STRING_EQUAL(calls[i].type, "ferry.ServerLost");
        printf("\n    SIGSTOP of a busy server over %s: its call fails after %llu ms",
               i == 0 ? "tcp" : "ipc", (unsigned long long)(calls[i].ended_ms - start_ms));
    }
    for (int i = 0; i < 2; i++) {
        process_signal(&servers[i], SIGCONT);
        process_end(&servers[i], SIGKILL, PATIENCE_MS);
        ferry_close(clients[i]);
        daemon_end(&brokers[i]);
    }
}

int main(int argc, char **argv) {
    CU_TestInfo tests[] = {
        TEST(a_process_that_is_stopped_while_busy_is_noticed),
        TEST(a_computing_process_keeps_its_session_and_a_stopped_one_loses_it),
        TESTS_END,
    };

    roles_play(argc, argv, usual_roles);
    return run_suite("liveness", tests);
}
