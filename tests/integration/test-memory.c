/* SPDX-License-Identifier: Apache-2.0 */
/* A broker with little memory refuses data that would not fit, and continues to work. */

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <ferry/ferry.h>

#include "base/clock.h"
#include "support/faults.h"
#include "support/process.h"
#include "support/raw-peer.h"
#include "support/suite.h"

enum {
    LITTLE = 128 << 20,
    BODY = 64 << 10,
    TRIES = 4000,
    PEERS = 30,
    SUBSCRIBERS = 20,
    TOPICS = 4
};

static uint8_t body[BODY];

typedef struct Refused {
    int n_taken, n_full, n_no_memory, n_other;
} Refused;

static void count(Refused *refused, int r, const ferry_error *error) {
    refused->n_taken += r == 0;
    refused->n_full += r == -ENOBUFS;
    refused->n_no_memory += r == -ENOMEM;
    refused->n_other += r < 0 && r != -ENOBUFS && r != -ENOMEM;
    if (r < 0 && r != -ENOBUFS && refused->n_other + refused->n_no_memory == 1)
        ferry_error_print(error, stdout);
}

static void expect_full(const char *what, const Refused *refused) {
    printf("\n    %s: %d of 64 KiB taken, then %d refused as full, %d for want of memory, %d "
           "otherwise",
           what, refused->n_taken, refused->n_full, refused->n_no_memory, refused->n_other);
    CU_ASSERT(refused->n_taken > 100);
    CU_ASSERT(refused->n_full > 0);
    CU_ASSERT_EQUAL(refused->n_no_memory, 0);
    CU_ASSERT_EQUAL(refused->n_other, 0);
}

/* Fills several queues, because each queue has a limit of its own. */
static void fill_queues(ferry_client *client) {
    Refused refused = {0};

    for (int i = 0; i < TRIES && refused.n_full < 50; i++) {
        ferry_error error = FERRY_ERROR_INIT;
        char queue[16];

        snprintf(queue, sizeof(queue), "full.%d", i % 8);
        count(&refused,
              ferry_push(client, queue, (ferry_bytes){body, sizeof(body), NULL}, NULL, &error),
              &error);
        ferry_error_clear(&error);
    }
    expect_full("queues", &refused);
}

static void purge_queues(ferry_client *client) {
    for (int i = 0; i < 8; i++) {
        char args[] = "\x91\xa6"
                      "full.0";

        args[7] = (char)('0' + i);
        CU_ASSERT_EQUAL(ferry_call(client, "ferry.Broker.purge",
                                   (ferry_bytes){args, sizeof(args) - 1, NULL}, NULL, NULL),
                        0);
    }
}

static void on_message(const ferry_message *message, void *ctx) {
    (void)message;
    (void)ctx;
}

/* Starts subscribers that never read: the test runs no turns of them. */
static void start_subscribers(const char *url, ferry_client *silent[SUBSCRIBERS]) {
    for (int i = 0; i < SUBSCRIBERS; i++) {
        char topic[32];

        silent[i] = open_with(url, NULL);
        for (int k = 0; k < TOPICS; k++) {
            snprintf(topic, sizeof(topic), "silent.%d.>", k);
            CU_ASSERT_EQUAL(ferry_subscribe(silent[i], topic, NULL, on_message, NULL, NULL, NULL),
                            0);
        }
    }
}

/* Publishes messages that wait for the subscribers, and retained values. */
static void fill_topics(ferry_client *client) {
    ferry_error error = FERRY_ERROR_INIT;
    int r;

    for (int i = 0; i < TRIES; i++) {
        char topic[32];

        snprintf(topic, sizeof(topic), "silent.%d.%d", i % TOPICS, i);
        while (ferry_publish(client, topic, (ferry_bytes){body, sizeof(body), NULL},
                             &(ferry_publish_options){.retain = true}, NULL) == -EAGAIN)
            ferry_process(client, NULL);
    }
    /* The broker refuses the retained values that do not fit. */
    r = ferry_flush(client, &error);
    CU_ASSERT_TRUE(r == 0 || strcmp(error.type, "ferry.Full") == 0);
    if (r < 0)
        ferry_error_print(&error, stdout);
    ferry_error_clear(&error);
}

/* Sends large bodies that never end. */
static void fill_transfers(uint16_t port) {
    int fds[PEERS];

    for (int i = 0; i < PEERS; i++)
        fds[i] = raw_session(port, 1 << 20);
    for (int k = 0; k < 30; k++)
        for (int i = 0; i < PEERS; i++)
            raw_say(
                fds[i],
                &(Message){.op = OP_PART, .part.transfer = 1, .body = span_of(body, sizeof(body))});
    for (int i = 0; i < PEERS; i++) {
        raw_say(fds[i], &(Message){.op = OP_PING, .id = 1});
        CU_ASSERT_EQUAL(raw_hear(fds[i], OP_PONG, PATIENCE_MS, &(Message){0}), HEARD);
    }
    for (int i = 0; i < PEERS; i++)
        close(fds[i]);
}

static void work_that_does_not_fit_is_refused_and_other_clients_are_served(void) {
    Bystander *bystander;
    ferry_client *client, *silent[SUBSCRIBERS];
    Noticed noticed;
    Daemon broker;
    size_t rss_kib;

    daemon_start(&broker, &(DaemonOptions){.tcp = true, .level = "error", .max_data = LITTLE});
    bystander = bystander_start(broker.url);
    client = open_with(broker.url, NULL);
    start_subscribers(broker.url, silent);
    fill_queues(client);
    fill_transfers(broker.port);
    fill_topics(client);
    rss_kib = process_rss_kib(broker.process.pid);
    /* There is room again, and the broker accepts work. */
    purge_queues(client);
    fill_queues(client);
    noticed = bystander_stop(bystander);
    printf("\n    a broker that may use %d MiB: at most %zu KiB; beside it %ld calls, %ld failed, "
           "worst %.1f ms",
           LITTLE >> 20, rss_kib, noticed.n_calls, noticed.n_failed, noticed.worst_ms);
    CU_ASSERT_EQUAL(noticed.n_failed, 0);
    for (int i = 0; i < SUBSCRIBERS; i++)
        ferry_close(silent[i]);
    ferry_close(client);
    CU_ASSERT_EQUAL(process_end(&broker.process, SIGTERM, PATIENCE_MS), 0);
    daemon_end(&broker);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(work_that_does_not_fit_is_refused_and_other_clients_are_served),
        TESTS_END,
    };

#ifdef SANITIZED
    fprintf(stderr, "SKIP: a sanitizer needs more memory than this test allows\n");
    return 77;
#endif
    return run_suite("little memory", tests);
}
