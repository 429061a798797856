/* SPDX-License-Identifier: Apache-2.0 */

/* Deadlines, cancellation, and the first message after a subscription. */

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <ferry/ferry.h>

#include "base/clock.h"
#include "support/faults.h"
#include "support/random.h"
#include "support/roles.h"
#include "support/suite.h"

enum { CALLS = 1000, LONGEST_MS = 500, JOINS = 1000 };

typedef struct Timed {
    ferry_client *handle;
    uint64_t due_us, ended_us;
    int n;
    bool in_time_type;
} Timed;

static Timed timed[CALLS];
static int n_ended;

static void on_deadline(const ferry_reply *reply, const ferry_error *error, void *ctx) {
    Timed *call = ctx;

    (void)reply;
    call->ended_us = clock_us();
    call->n++;
    call->in_time_type = error && strcmp(error->type, "ferry.DeadlineExceeded") == 0;
    n_ended++;
}

static int by_size(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

/* Returns the lateness of the 99th of a hundred calls, in us. */
static void one_sitting(ferry_client *client, Dice *dice) {
    static int64_t over_us[CALLS];
    int wrong = 0;

    n_ended = 0;
    memset(timed, 0, sizeof(timed));
    for (int i = 0; i < CALLS; i++) {
        uint32_t ms = 1 + (uint32_t)dice_below(dice, LONGEST_MS);
        ferry_client *handle = NULL;

        CU_ASSERT_EQUAL(ferry_with(client, &(ferry_options){.timeout_ms = ms}, &handle, NULL), 0);
        timed[i].handle = handle;
        timed[i].due_us = clock_us() + ms * 1000u;
        CU_ASSERT_EQUAL(ferry_call_async(handle, "held.Calls.wait", ferry_str("\x90"), on_deadline,
                                         &timed[i], NULL),
                        0);
    }
    CU_ASSERT_TRUE(turn_until(client, &n_ended, CALLS, PATIENCE_MS));
    for (int i = 0; i < CALLS; i++) {
        over_us[i] = (int64_t)timed[i].ended_us - (int64_t)timed[i].due_us;
        ferry_close(timed[i].handle);
        wrong += timed[i].n != 1 || !timed[i].in_time_type;
    }
    qsort(over_us, CALLS, sizeof(*over_us), by_size);
    printf("\n    %d deadlines of 1 to %d ms, seed %llu: late by %.1f ms at the median, %.1f ms at "
           "p99, %.1f ms at most; earliest %.1f ms",
           CALLS, LONGEST_MS, (unsigned long long)dice->seed, (double)over_us[CALLS / 2] / 1000,
           (double)over_us[CALLS * 99 / 100] / 1000, (double)over_us[CALLS - 1] / 1000,
           (double)over_us[0] / 1000);
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT(over_us[0] > -2000);
}

static void calls_end_at_their_deadlines(void) {
    Dice dice = dice_new(22);
    ferry_client *client;
    Process server;
    Daemon broker;

    daemon_start(&broker, NULL);
    role_start(&server, "hold", broker.url, "10", NULL);
    CU_ASSERT_TRUE(told_count(&server, "ready", 0, PATIENCE_MS, NULL));
    client = open_with(broker.url, NULL);
    one_sitting(client, &dice);
    process_end(&server, SIGKILL, PATIENCE_MS);
    ferry_close(client);
    daemon_end(&broker);
}

static void on_cancelled(const ferry_reply *reply, const ferry_error *error, void *ctx) {
    (void)reply;
    *(int *)ctx += error && error->code == -ECANCELED;
}

static void a_cancel_reaches_the_server(void) {
    ferry_client *client, *handle = NULL;
    double worst_ms = 0;
    Process server;
    Daemon broker;
    int n = 0;

    daemon_start(&broker, NULL);
    role_start(&server, "hold", broker.url, NULL);
    CU_ASSERT_TRUE(told_count(&server, "ready", 0, PATIENCE_MS, NULL));
    client = open_with(broker.url, NULL);
    for (int i = 1; i <= 20; i++) {
        uint64_t start_us;
        double took_ms;

        ferry_with(client, NULL, &handle, NULL);
        ferry_call_async(handle, "held.Calls.wait", ferry_str("\x90"), on_cancelled, &n, NULL);
        ferry_process(client, NULL);
        CU_ASSERT_TRUE(told_count(&server, "calls", i, PATIENCE_MS, NULL));
        start_us = clock_us();
        ferry_close(handle);
        ferry_process(client, NULL);
        CU_ASSERT_TRUE(told_count(&server, "cancelled", i, PATIENCE_MS, NULL));
        took_ms = (double)(clock_us() - start_us) / 1000;
        worst_ms = took_ms > worst_ms ? took_ms : worst_ms;
    }
    printf("\n    20 calls cancelled: their server knows after at most %.1f ms", worst_ms);
    CU_ASSERT_EQUAL(n, 20);
    process_end(&server, SIGKILL, PATIENCE_MS);
    ferry_close(client);
    daemon_end(&broker);
}

static void on_first(const ferry_message *message, void *ctx) {
    *(int *)ctx += message->body.len == 5 && message->seq == 1 && message->missed == 0;
}

static void messages_published_after_a_subscription_arrive(void) {
    ferry_client *publisher, *subscriber;
    int missed = 0;
    Daemon broker;

    daemon_start(&broker, NULL);
    publisher = open_with(broker.url, NULL);
    subscriber = open_with(broker.url, NULL);
    for (int i = 0; i < JOINS; i++) {
        ferry_registration *subscription = NULL;
        char topic[32];
        int n = 0;

        snprintf(topic, sizeof(topic), i % 2 ? "joins.%d" : "joins.%d.*", i);
        CU_ASSERT_EQUAL(ferry_subscribe(subscriber, topic, NULL, on_first, &n, &subscription, NULL),
                        0);
        snprintf(topic, sizeof(topic), i % 2 ? "joins.%d" : "joins.%d.x", i);
        CU_ASSERT_EQUAL(ferry_publish(publisher, topic, ferry_str("first"), NULL, NULL), 0);
        missed += !turn_until(subscriber, &n, 1, 2000);
        ferry_registration_close(subscription);
    }
    printf("\n    published right after %d subscriptions: %d missed", JOINS, missed);
    CU_ASSERT_EQUAL(missed, 0);
    ferry_close(publisher);
    ferry_close(subscriber);
    daemon_end(&broker);
}

int main(int argc, char **argv) {
    CU_TestInfo tests[] = {
        TEST(calls_end_at_their_deadlines),
        TEST(a_cancel_reaches_the_server),
        TEST(messages_published_after_a_subscription_arrive),
        TESTS_END,
    };

    roles_play(argc, argv, usual_roles);
    return run_suite("deadlines, cancellation, first messages", tests);
}
