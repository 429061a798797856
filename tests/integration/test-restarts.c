/* SPDX-License-Identifier: Apache-2.0 */

/* Brokers that stop in order or are killed, while clients do everything at the same time. */

#include "support/broker.h"
#include "support/suite.h"

enum { ROUNDS = 12, ROUND_MS = 150 };

static TestBroker broker;

static const ferry_bytes one = {"\x01", 1, NULL};

static int echo(ferry_request *request, void *ctx) {
    (void)ctx;
    return ferry_request_return(request, request->body);
}

static int work(ferry_job *job, void *ctx) {
    int *n = ctx;

    (void)job;
    __atomic_add_fetch(n, 1, __ATOMIC_RELAXED);
    return 0;
}

static void note(const ferry_message *message, void *ctx) {
    int *n = ctx;

    (void)message;
    __atomic_add_fetch(n, 1, __ATOMIC_RELAXED);
}

static int n_jobs, n_messages;

static int set_up(ferry_client *client, void *ctx) {
    (void)ctx;
    return ferry_serve_method(client, "test.Echo.echo", &(ferry_serve_options){.slots = 100}, echo,
                              NULL, NULL, NULL) < 0 ||
                   ferry_work(client, "jobs", &(ferry_work_options){.slots = 10}, work, &n_jobs,
                              NULL, NULL) < 0 ||
                   ferry_subscribe(client, "news", NULL, note, &n_messages, NULL, NULL) < 0
               ? -1
               : 0;
}

typedef struct Counts {
    int started, ended, ok;
} Counts;

static void end(const ferry_reply *reply, const ferry_error *error, void *ctx) {
    Counts *counts = ctx;

    counts->ended++;
    counts->ok += reply != NULL;
    CU_ASSERT_TRUE((reply != NULL) != (error != NULL));
}

static void pushed(const ferry_error *error, void *ctx) {
    Counts *counts = ctx;

    counts->ended++;
    counts->ok += error == NULL;
}

static void everything_at_once(ferry_client *client, Counts *calls, Counts *pushes) {
    uint64_t until_ms = clock_ms() + ROUND_MS;

    while (clock_ms() < until_ms) {
        if (calls->started - calls->ended < 100 &&
            ferry_call_async(client, "test.Echo.echo", one, end, calls, NULL) == 0)
            calls->started++;
        if (pushes->started - pushes->ended < 1000 &&
            ferry_push_async(client, "jobs", one, NULL, pushed, pushes, NULL) == 0)
            pushes->started++;
        ferry_publish(client, "news", one, NULL, NULL);
        ferry_process(client, NULL);
    }
}

static void every_answer_comes_once_whatever_happens_to_the_broker(void) {
    ferry_client *client = connect_client(&broker);
    Counts calls = {0}, pushes = {0};
    Runner runner;
    int before;

    runner_start(&runner, &broker, set_up, NULL);
    for (int round = 0; round < ROUNDS; round++) {
        everything_at_once(client, &calls, &pushes);
        if (round % 2 == 0)
            broker_kill(&broker);
        else
            broker_drain(&broker);
        if (round % 3 == 0)
            everything_at_once(client, &calls, &pushes);
        broker_respawn(&broker);
    }
    everything_at_once(client, &calls, &pushes);
    CU_ASSERT_TRUE(process_until(client, &calls.ended, calls.started));
    CU_ASSERT_TRUE(process_until(client, &pushes.ended, pushes.started));
    ferry_process(client, NULL);
    CU_ASSERT_EQUAL(calls.ended, calls.started);
    CU_ASSERT_EQUAL(pushes.ended, pushes.started);
    CU_ASSERT_TRUE(calls.ok > 0 && pushes.ok > 0);

    before = calls.ok;
    /* The server may be waiting for up to two seconds before its next attempt. */
    for (int i = 0; i < 6000 && calls.ok == before; i++) {
        ferry_call(client, "test.Echo.echo", one, NULL, NULL) == 0 ? calls.ok++ : 0;
        usleep(10000);
    }
    CU_ASSERT_TRUE(calls.ok > before);
    runner_stop(&runner);
    ferry_close(client);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(every_answer_comes_once_whatever_happens_to_the_broker),
        TESTS_END,
    };
    int status;

    broker_spawn(&broker);
    status = run_suite("client: restarts", tests);
    broker_terminate(&broker);
    return status;
}
