/* SPDX-License-Identifier: Apache-2.0 */

/* A broker that is told to stop or to read its configuration again, and a second broker. */

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <ferry/ferry.h>

#include "base/clock.h"
#include "support/faults.h"
#include "support/raw-peer.h"
#include "support/roles.h"
#include "support/suite.h"

typedef struct Outcome {
    int n, n_good;
    char type[64];
} Outcome;

static void on_reply(const ferry_reply *reply, const ferry_error *error, void *ctx) {
    Outcome *outcome = ctx;

    outcome->n++;
    outcome->n_good += reply != NULL;
    if (error)
        snprintf(outcome->type, sizeof(outcome->type), "%s", error->type);
}

static int defer(ferry_request *request, void *ctx) {
    *(ferry_request **)ctx = ferry_request_defer(request);
    return 0;
}

static void sigterm_ends_when_calls_in_flight_are_done(void) {
    Outcome early = {0}, late = {0};
    ferry_request *held = NULL;
    ferry_client *both[2]; /* caller, server */
    Daemon broker;

    daemon_start(&broker,
                 &(DaemonOptions){.level = "info", .config = "[broker]\ndrain_timeout = 5m\n"});
    both[0] = open_with(broker.url, &(ferry_options){.timeout_ms = 600000});
    both[1] = open_with(broker.url, NULL);
    CU_ASSERT_EQUAL(ferry_serve_method(both[1], "held.Calls.wait", NULL, defer, &held, NULL, NULL),
                    0);
    ferry_call_async(both[0], "held.Calls.wait", ferry_str("\xc3"), on_reply, &early, NULL);
    for (int i = 0; i < PATIENCE_MS && !held; i++)
        turn_all_for(both, 2, 1);
    CU_ASSERT_PTR_NOT_NULL_FATAL(held);

    process_signal(&broker.process, SIGTERM);
    for (int i = 0; i < PATIENCE_MS && daemon_log_lines(&broker, "draining") == 0; i++)
        turn_all_for(both, 2, 1);
    ferry_call_async(both[0], "held.Calls.wait", ferry_str("\xc3"), on_reply, &late, NULL);
    CU_ASSERT_TRUE(turn_all_until(both, 2, &late.n, 1, PATIENCE_MS));
    CU_ASSERT_STRING_EQUAL(late.type, "ferry.Draining");
    CU_ASSERT_EQUAL(early.n, 0);
    ferry_request_return(held, ferry_str("\xc3"));
    CU_ASSERT_TRUE(turn_all_until(both, 2, &early.n, 1, PATIENCE_MS));
    CU_ASSERT_EQUAL(early.n_good, 1);
    printf("\n    SIGTERM with a call in flight: it was answered, another one refused");
    CU_ASSERT_EQUAL(process_end(&broker.process, 0, PATIENCE_MS), 0);
    ferry_close(both[0]);
    ferry_close(both[1]);
    daemon_end(&broker);
}

static void note_answer(const Message *message, void *ctx) {
    if (message->op == OP_OK)
        *(uint64_t *)ctx = message->id;
}

/* The peer gives credit for the answers only after the broker has begun to drain. */
static void sigterm_ends_after_the_answers_are_sent(void) {
    enum { PUBLISHES = 1000, CREDIT = 100 };
    Message message;
    uint64_t last = 0;
    Daemon broker;
    int fd;

    daemon_start(
        &broker,
        &(DaemonOptions){.tcp = true, .level = "info", .config = "[broker]\ndrain_timeout = 5m\n"});
    fd = raw_session(broker.port, CREDIT);
    raw_keep_alive(fd);
    for (uint64_t i = 1; i <= PUBLISHES; i++)
        CU_ASSERT_TRUE(raw_say(fd, &(Message){.op = OP_PUBLISH, .id = i, .name = span_text("t")}));
    CU_ASSERT_TRUE(raw_say(fd, &(Message){.op = OP_PING, .id = 1}));
    CU_ASSERT_EQUAL(raw_hear(fd, OP_PONG, PATIENCE_MS, &message), HEARD);
    process_signal(&broker.process, SIGTERM);
    for (int i = 0; i < PATIENCE_MS && daemon_log_lines(&broker, "draining") == 0; i++)
        sleep_ms(1);
    CU_ASSERT_TRUE(raw_say(fd, &(Message){.op = OP_CREDIT, .credit.bytes = 1 << 20}));
    while (raw_hear_batch(fd, PATIENCE_MS, note_answer, &last) == HEARD)
        continue;
    CU_ASSERT_EQUAL(last, PUBLISHES);
    CU_ASSERT_EQUAL(process_end(&broker.process, 0, PATIENCE_MS), 0);
    raw_close(fd);
    daemon_end(&broker);
}

static void sigterm_waits_no_longer_than_drain_timeout(void) {
    Outcome held = {0};
    ferry_client *client;
    uint64_t start_ms, took_ms;
    Process server;
    Daemon broker;

    daemon_start(&broker, &(DaemonOptions){.config = "[broker]\ndrain_timeout = 500ms\n"});
    role_start(&server, "hold", broker.url, NULL);
    CU_ASSERT_TRUE(told_count(&server, "ready", 0, PATIENCE_MS, NULL));
    client = open_with(broker.url, NULL);
    ferry_call_async(client, "held.Calls.wait", ferry_str("\x90"), on_reply, &held, NULL);
    ferry_process(client, NULL);
    CU_ASSERT_TRUE(told_count(&server, "calls", 1, PATIENCE_MS, NULL));

    start_ms = clock_ms();
    CU_ASSERT_EQUAL(process_end(&broker.process, SIGTERM, PATIENCE_MS), 0);
    took_ms = clock_ms() - start_ms;
    printf("\n    with a call that never ends and drain_timeout 500 ms: the end after %llu ms",
           (unsigned long long)took_ms);
    CU_ASSERT(took_ms >= 450 && took_ms < PATIENCE_MS);
    CU_ASSERT_TRUE(turn_until(client, &held.n, 1, PATIENCE_MS));
    CU_ASSERT_STRING_NOT_EQUAL(held.type, "");
    process_end(&server, SIGKILL, PATIENCE_MS);
    ferry_close(client);
    daemon_end(&broker);
}

static void sighup_reads_the_configuration_again(void) {
    ferry_error error = FERRY_ERROR_INIT;
    ferry_client *client;
    Daemon broker;
    int r = -1;

    daemon_start(&broker, &(DaemonOptions){.config = "[broker]\nmax_queue_jobs = 2\n"});
    client = open_with(broker.url, NULL);
    CU_ASSERT_EQUAL(ferry_push(client, "q", ferry_str("1"), NULL, &error), 0);
    CU_ASSERT_EQUAL(ferry_push(client, "q", ferry_str("2"), NULL, &error), 0);
    CU_ASSERT(ferry_push(client, "q", ferry_str("3"), NULL, &error) < 0);
    CU_ASSERT_STRING_EQUAL(error.type ? error.type : "", "ferry.Full");

    /* A configuration with an error changes nothing, and the log has the error. */
    daemon_configure(&broker, "[broker]\nmax_queue_jobs = many\n");
    process_signal(&broker.process, SIGHUP);
    for (int i = 0; i < 6000 && daemon_log_lines(&broker, "configuration was not changed") == 0;
         i++)
        sleep_ms(10);
    CU_ASSERT_EQUAL(daemon_log_lines(&broker, "configuration was not changed"), 1);
    CU_ASSERT(ferry_push(client, "q", ferry_str("3"), NULL, &error) < 0);

    daemon_configure(&broker, "[broker]\nmax_queue_jobs = 3\n");
    process_signal(&broker.process, SIGHUP);
    for (int i = 0; i < 6000 && (r = ferry_push(client, "q", ferry_str("3"), NULL, &error)) < 0;
         i++)
        sleep_ms(10);
    CU_ASSERT_EQUAL(r, 0);
    CU_ASSERT(ferry_push(client, "q", ferry_str("4"), NULL, &error) < 0);
    ferry_error_clear(&error);
    ferry_close(client);
    daemon_end(&broker);
}

static void second_is_refused(const DaemonOptions *options, const char *what, const char *says) {
    ferry_client *client;
    char said[1024];
    Daemon broker, other;
    int status;

    daemon_start(&broker, options);
    if (options->data) {
        /* Another address, and the same folder. */
        other = broker;
        snprintf(other.url, sizeof(other.url), "ipc://%s/other", broker.folder);
        status = daemon_start_second(&other, said, sizeof(said));
    } else {
        status = daemon_start_second(&broker, said, sizeof(said));
    }
    printf("\n    a second broker on %s: exit %d", what, status);
    CU_ASSERT(status > 0 && status < 127);
    CU_ASSERT_PTR_NOT_NULL(strstr(said, says));
    /* The first broker is not affected. */
    client = open_with(broker.url, NULL);
    CU_ASSERT_EQUAL(ferry_ping(client, NULL, NULL), 0);
    ferry_close(client);
    daemon_end(&broker);
}

static void a_second_broker_reports_the_first_and_ends(void) {
    second_is_refused(&(DaemonOptions){.tcp = true}, "the same port", "is taken");
    second_is_refused(&(DaemonOptions){.tcp = false}, "the same ipc path", "another broker uses");
    second_is_refused(&(DaemonOptions){.data = true}, "the same data folder",
                      "another broker uses");
}

static void the_next_broker_starts_after_a_killed_one(void) {
    DaemonOptions both = {.data = true};
    ferry_client *client;
    Daemon broker;

    daemon_start(&broker, &both);
    daemon_kill(&broker);
    daemon_restart(&broker);
    client = open_with(broker.url, NULL);
    CU_ASSERT_EQUAL(ferry_ping(client, NULL, NULL), 0);
    ferry_close(client);
    daemon_end(&broker);
}

int main(int argc, char **argv) {
    CU_TestInfo tests[] = {
        TEST(sigterm_ends_when_calls_in_flight_are_done),
        TEST(sigterm_ends_after_the_answers_are_sent),
        TEST(sigterm_waits_no_longer_than_drain_timeout),
        TEST(sighup_reads_the_configuration_again),
        TEST(a_second_broker_reports_the_first_and_ends),
        TEST(the_next_broker_starts_after_a_killed_one),
        TESTS_END,
    };

    roles_play(argc, argv, usual_roles);
    return run_suite("stopping, reloading, a second broker", tests);
}
