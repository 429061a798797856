/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Counts the points inside the circle: some are certainly inside, for the others it asks for
 * squares. Any number of workers may run, started at any time: they share the batches.
 *
 *     pi-worker [NAME]
 */

#include <signal.h>
#include <unistd.h>

#include "pi.h"

static ferry_client *client;
static char name[64];

static void stop(int signal) {
    (void)signal;
    ferry_stop(client);
}

static void push(const pi_batch *batch, int64_t inside) {
    pi_count count = {batch->run, inside, (int64_t)batch->xs.n, name};
    ferry_bytes body;

    if (pi_count_pack(&count, &body, NULL) == 0) {
        ferry_push_async(client, PI_QUEUE, body, NULL, NULL, NULL, NULL);
        ferry_free(body.block);
    }
}

/* Points of the topic 00 are certainly inside. */
static void on_sure(const ferry_message *message, void *ctx) {
    FERRY_AUTO(ferry_free) pi_batch *batch = NULL;

    (void)ctx;
    if (pi_batch_unpack(message->body, &batch, NULL) == 0)
        push(batch, (int64_t)batch->xs.n);
}

/* For all other points, asks for their squares and waits for the answer. More batches wait
 * meanwhile. */
static void on_doubtful(const ferry_message *message, void *ctx) {
    FERRY_AUTO(ferry_free) pi_batch *batch = NULL;
    FERRY_AUTO(ferry_free) ferry_list_i64 *squares = NULL;
    FERRY_AUTO(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    int64_t inside = 0;

    (void)ctx;
    if (pi_batch_unpack(message->body, &batch, NULL) < 0)
        return;
    if (pi_squares(client, &batch->xs, &batch->ys, &squares, &error) < 0) {
        ferry_error_print(&error, stderr);
        return;
    }
    for (size_t i = 0; i < squares->n; i++)
        inside += squares->v[i] < INT64_C(1) << (2 * PI_BITS);
    push(batch, inside);
}

/* Members of a group share the messages of its pattern. */
static int subscribe(const char *bits, ferry_message_fn fn, ferry_error *error) {
    char topic[32];

    snprintf(topic, sizeof(topic), "%s%s", PI_TOPIC, bits);
    return ferry_subscribe(client, topic, &(ferry_subscribe_options){.group = "workers"}, fn, NULL,
                           NULL, error);
}

int main(int argc, char **argv) {
    FERRY_AUTO(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    int r;

    snprintf(name, sizeof(name), "%s", argc > 1 ? argv[1] : "worker");
    r = ferry_open(NULL, &(ferry_options){.name = name}, &client, &error);
    if (r == 0 && (r = subscribe("00", on_sure, &error)) == 0 &&
        (r = subscribe("01", on_doubtful, &error)) == 0 &&
        (r = subscribe("10", on_doubtful, &error)) == 0 &&
        (r = subscribe("11", on_doubtful, &error)) == 0) {
        struct sigaction action = {.sa_handler = stop};

        sigaction(SIGTERM, &action, NULL);
        sigaction(SIGINT, &action, NULL);
        printf("%s is ready\n", name);
        fflush(stdout);
        r = ferry_run(client, &error);
    }
    if (r < 0)
        ferry_error_print(&error, stderr);
    ferry_close(client);
    return r < 0;
}
