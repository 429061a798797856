/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Many services, topics and queues over three brokers: memory of a broker, and the times of a
 * take-over. FERRY_TEST_NAMES is the number of services, and of queues; there are ten times as many
 * topics. By default it is 100; with --setup slow 10 000.
 */

#include <stdio.h>
#include <string.h>

#include "ferry-broker.h"
#include "support/broker.h"
#include "support/process.h"
#include "support/suite.h"

enum { N = 3, CLIENTS = 10, TOPICS_OF_NAME = 10, PATIENCE_MS = 30 * 60 * 1000, IN_FLIGHT = 500 };

static TestBroker brokers[N];
static TestBroker all;
static int n_names = 100;

/* ---- the clients ---- */

typedef struct Share {
    int from, to; /* numbers of names */
} Share;

static int say(ferry_request *request, void *ctx) {
    (void)ctx;
    return ferry_request_return(request, request->body);
}

static void note(const ferry_message *message, void *ctx) {
    (void)message, (void)ctx;
}

static int work(ferry_job *job, void *ctx) {
    (void)job, (void)ctx;
    return 0;
}

/* Each client has its share of the services, topics and queues. */
static int set_up(ferry_client *client, void *ctx) {
    const Share *share = ctx;
    char name[64];
    int r = 0;

    for (int i = share->from; i < share->to && r == 0; i++) {
        snprintf(name, sizeof(name), "scale.Service%d.say", i);
        r = ferry_serve_method(client, name, NULL, say, NULL, NULL, NULL);
        snprintf(name, sizeof(name), "scale.queue.%d", i);
        if (r == 0)
            r = ferry_work(client, name, NULL, work, NULL, NULL, NULL);
        for (int j = 0; j < TOPICS_OF_NAME && r == 0; j++) {
            snprintf(name, sizeof(name), "scale.topic.%d.%d", i, j);
            r = ferry_subscribe(client, name, NULL, note, NULL, NULL, NULL);
        }
    }
    return r;
}

static void *start_one(void *ctx) {
    Runner *runner = ctx;

    runner_start(runner, &all, set_up, runner->ctx);
    return NULL;
}

static void start_clients(Runner runners[CLIENTS], Share shares[CLIENTS]) {
    pthread_t threads[CLIENTS];

    for (int i = 0; i < CLIENTS; i++) {
        shares[i] = (Share){n_names * i / CLIENTS, n_names * (i + 1) / CLIENTS};
        runners[i].ctx = &shares[i];
        pthread_create(&threads[i], NULL, start_one, &runners[i]);
    }
    for (int i = 0; i < CLIENTS; i++)
        pthread_join(threads[i], NULL);
}

/* ---- the brokers' view ---- */

typedef struct Registered {
    int64_t services, topics, queues;
} Registered;

static Registered registered_at(const TestBroker *broker) {
    ferry_broker_list_session_status *sessions = NULL;
    ferry_client *client = connect_client(broker);
    Registered registered = {0, 0, 0};

    CU_ASSERT_EQUAL_FATAL(ferry_broker_sessions(client, &sessions, NULL), 0);
    for (uint32_t i = 0; i < sessions->n; i++) {
        registered.services += sessions->v[i].serves;
        registered.topics += sessions->v[i].subscriptions;
        registered.queues += sessions->v[i].pulls;
    }
    ferry_free(sessions);
    ferry_close(client);
    return registered;
}

static bool is_complete(const Registered *registered) {
    return registered->services == n_names && registered->queues == n_names &&
           registered->topics == (int64_t)n_names * TOPICS_OF_NAME;
}

/* ---- calls ---- */

typedef struct Calls {
    int begun, answered, failed;
} Calls;

static void on_answer(const ferry_reply *reply, const ferry_error *error, void *ctx) {
    Calls *calls = ctx;

    (void)reply;
    calls->answered++;
    calls->failed += error != NULL;
    if (error && calls->failed <= 3)
        ferry_error_print(error, stderr);
}

/* Calls each service once. */
static Calls call_all(ferry_client *client) {
    uint64_t until_ms = clock_ms() + PATIENCE_MS;
    Calls calls = {0, 0, 0};
    char name[64];

    while (calls.answered < n_names && clock_ms() < until_ms) {
        while (calls.begun < n_names && calls.begun - calls.answered < IN_FLIGHT) {
            snprintf(name, sizeof(name), "scale.Service%d.say", calls.begun);
            CU_ASSERT_EQUAL_FATAL(
                ferry_call_async(client, name, ferry_str("x"), on_answer, &calls, NULL), 0);
            calls.begun++;
        }
        ferry_process(client, NULL);
        usleep(100);
    }
    return calls;
}

/* The client uses the first broker, which is killed. */
static void kill_one(ferry_client *client) {
    uint64_t killed_ms;
    Calls calls = call_all(client);

    CU_ASSERT_EQUAL(calls.failed, 0);
    killed_ms = clock_ms();
    broker_kill(&brokers[0]);
    CU_ASSERT_EQUAL(ferry_call(client, "scale.Service0.say", ferry_str("x"), NULL, NULL), 0);
    printf("    a broker is killed: the first answer by another one came after %d ms",
           (int)(clock_ms() - killed_ms));
    calls = call_all(client);
    printf(", answers of all %d services after %d ms; %d errors\n", n_names,
           (int)(clock_ms() - killed_ms), calls.failed);
    CU_ASSERT_EQUAL(calls.answered, n_names);
    CU_ASSERT_EQUAL(calls.failed, 0);
}

static void restart_it(void) {
    uint64_t began_ms = clock_ms();
    Registered registered;

    broker_respawn(&brokers[0]);
    do {
        usleep(10000);
        registered = registered_at(&brokers[0]);
    } while (!is_complete(&registered) && clock_ms() < began_ms + PATIENCE_MS);
    CU_ASSERT_TRUE(is_complete(&registered));
    printf("    it starts again: all registrations were back after %d ms\n",
           (int)(clock_ms() - began_ms));
}

static void many_names_over_three_brokers(void) {
    const ferry_options options = {.idempotent = true, .timeout_ms = 600000};
    uint64_t began_ms = clock_ms();
    Runner runners[CLIENTS];
    Share shares[CLIENTS];
    size_t before_kib[N];
    ferry_client *client = NULL;
    char url[600];

    for (int i = 0; i < N; i++) {
        broker_spawn(&brokers[i]);
        broker_list(&all, &brokers[i]);
        before_kib[i] = process_rss_kib(brokers[i].pid);
    }
    start_clients(runners, shares);
    printf("\n    %d services, %d topics, %d queues with %d clients at %d brokers, after %d ms\n",
           n_names, n_names * TOPICS_OF_NAME, n_names, CLIENTS, N, (int)(clock_ms() - began_ms));
    for (int i = 0; i < N; i++) {
        Registered registered = registered_at(&brokers[i]);
        size_t kib = process_rss_kib(brokers[i].pid);

        CU_ASSERT_TRUE(is_complete(&registered));
        printf("    broker %d: %zu KiB, of these %zu for the names: %.0f bytes for each\n", i, kib,
               kib - before_kib[i],
               (double)(kib - before_kib[i]) * 1024 / (n_names * (2 + TOPICS_OF_NAME)));
    }
    snprintf(url, sizeof(url), "%s?prefer=order", all.url);
    CU_ASSERT_EQUAL_FATAL(ferry_open(url, &options, &client, NULL), 0);
    kill_one(client);
    restart_it();
    ferry_close(client);
    for (int i = 0; i < CLIENTS; i++)
        runner_stop(&runners[i]);
    for (int i = 0; i < N; i++)
        broker_terminate(&brokers[i]);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(many_names_over_three_brokers),
        TESTS_END,
    };

    if (getenv("FERRY_TEST_NAMES"))
        n_names = atoi(getenv("FERRY_TEST_NAMES"));
    return run_suite("client: many names over three brokers", tests);
}
