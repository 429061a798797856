/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The cost of a job in the queue router alone, without sockets: PUSH -> JOB -> ACK -> OK, 64-byte
 * bodies. Messages are read from the bytes of batches, as in the broker; sent messages are counted,
 * or (second column) written into outboxes, as in the broker.
 *
 *     queue-core [millions of jobs, default 2]
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "broker/queues/queues.h"

enum { BATCH = 256, BODY = 64 };

static Broker broker;
static Client client;
static Peer *peer;
static Session session;
static bool write_out;

/* The jobs that were delivered in this round, to be acknowledged. */
static struct { uint64_t job, attempt; } held[BATCH];
static size_t n_held;
static uint64_t n_ok;

static void put(Lane lane, const Message *message, const void *block) {
    Chunk *chunk;

    if (!write_out)
        return;
    peer->out.credit = INT64_MAX / 2;
    if (outbox_put(&peer->out, lane, message, block) < 0)
        abort();
    if (outbox_bytes(&peer->out) > WIRE_BATCH_SOFT)
        while ((chunk = outbox_take(&peer->out)))
            chunk_free(chunk);
}

void session_send(Session *to, Lane lane, const Message *message, const void *block) {
    (void)to;
    if (message->op == OP_JOB && n_held < BATCH) {
        held[n_held].job = message->job.job;
        held[n_held++].attempt = message->job.attempt;
    }
    put(lane, message, block);
}

void session_ok(Session *to, Lane lane, uint64_t id, uint64_t seq) {
    (void)to;
    n_ok++;
    if (write_out)
        put(lane, &(Message){.op = OP_OK, .id = id, .ok.seq = seq}, NULL);
}

void session_error(Session *to, uint64_t id, const char *type, const char *format, ...) {
    (void)to, (void)id;
    fprintf(stderr, "error %s: %s\n", type, format);
    exit(EXIT_FAILURE);
}

void session_fault(Session *to, const char *format, ...) {
    (void)to;
    fprintf(stderr, "fault: %s\n", format);
    exit(EXIT_FAILURE);
}

const char *shown(Span name) {
    (void)name;
    return "?";
}

static size_t batch_of_pushes(uint8_t *to, uint64_t first_id) {
    static const uint8_t body[BODY] = {1};
    uint8_t *end = to;

    for (uint64_t i = 0; i < BATCH; i++)
        end = message_write(end, &(Message){.op = OP_PUSH,
                                            .id = first_id + i,
                                            .name = span_text("bench.queue"),
                                            .body = span_of(body, BODY)});
    return (size_t)(end - to);
}

/* Measures only the reading, whose time is subtracted. */
static uint64_t read_ns(const uint8_t *bytes, size_t len) {
    Reader reader = reader_of(bytes, len);
    uint64_t start = clock_ns();
    Message message;

    while (message_read(&reader, &message) == 1)
        __asm__ volatile("" ::"r"(&message) : "memory");
    return clock_ns() - start;
}

/* Returns nanoseconds per job. depth: the number of jobs that always wait in the queue. */
static double run(uint64_t n_jobs, uint64_t depth) {
    static uint8_t bytes[BATCH * 256];
    uint64_t id = 1, spent = 0;
    Queues *queues;
    Message message = {0};

    broker = (Broker){.limits = limits_default, .now_ms = 1};
    broker.limits.max_subscriber_bytes = UINT64_MAX / 2;
    timers_init(&broker.timers, 1);
    if (queues_new(&queues, &broker) < 0)
        abort();
    broker.queues = queues;
    client = (Client){.id = {1}, .session = &session};
    peer = calloc(1, sizeof(*peer));
    session = (Session){.broker = &broker, .client = &client, .peer = peer};
    n_held = n_ok = 0;
    for (uint64_t i = 0; i < depth; i++)
        queues_push(queues, &session,
                    &(Message){.op = OP_PUSH,
                               .name = span_text("bench.queue"),
                               .body = span_of(bytes, BODY)},
                    NULL);
    queues_pull(
        queues, &session,
        &(Message){.op = OP_PULL, .id = 1, .name = span_text("bench.queue"), .pull.slots = BATCH});

    for (uint64_t round = 0; round < n_jobs / BATCH; round++, id += 2 * BATCH) {
        size_t len = batch_of_pushes(bytes, id), n;
        uint64_t reading = read_ns(bytes, len), start;
        Reader reader = reader_of(bytes, len);

        start = clock_ns();
        while (message_read(&reader, &message) == 1)
            queues_push(queues, &session, &message, NULL);
        queues_turn_end(queues);
        n = n_held;
        n_held = 0;
        for (size_t i = 0; i < n; i++)
            queues_ack(queues, &session,
                       &(Message){.op = OP_ACK,
                                  .id = id + BATCH + i,
                                  .settle.job = held[i].job,
                                  .settle.attempt = held[i].attempt});
        queues_turn_end(queues);
        spent += clock_ns() - start - reading;
    }
    queues_session_gone(queues, &session);
    queues_client_gone(queues, &client);
    queues_free(queues);
    outbox_clear(&peer->out);
    free(peer);
    return (double)spent / (double)(n_jobs / BATCH * BATCH);
}

int main(int argc, char **argv) {
    uint64_t n_jobs = (argc > 1 ? strtoull(argv[1], NULL, 10) : 2) * 1000000;
    static const uint64_t depths[] = {0, 10000, 500000};

    printf("ns per job: PUSH, JOB, ACK and both OKs; %d-byte bodies\n", BODY);
    printf("%-22s %12s %16s\n", "waiting in the queue", "queues alone", "with outboxes");
    for (size_t i = 0; i < sizeof(depths) / sizeof(*depths); i++) {
        double alone, with;

        write_out = false;
        alone = run(n_jobs, depths[i]);
        write_out = true;
        with = run(n_jobs, depths[i]);
        printf("%-22" PRIu64 " %9.0f ns %13.0f ns\n", depths[i], alone, with);
    }
    return EXIT_SUCCESS;
}
