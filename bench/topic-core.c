/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cost of the topic router alone: nanoseconds per publish of 64 bytes, with an empty
 * session_send(), so that neither batches nor sockets are counted. Run it pinned: taskset -c 1
 * …/topic-core
 */

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "broker/topics/topics.h"

/* The function that the router calls; the outbox never fills. */
void session_send(Session *session, Lane lane, const Message *message, const void *block) {
    (void)lane;
    (void)block;
    session->n_out += message->message.seq > 0;
}

void session_ok(Session *session, Lane lane, uint64_t id, uint64_t seq) {
    (void)session;
    (void)lane;
    (void)id;
    (void)seq;
}

void session_error(Session *session, uint64_t id, const char *type, const char *format, ...) {
    (void)session;
    (void)id;
    fprintf(stderr, "refused: %s %s\n", type, format);
    exit(EXIT_FAILURE);
}

void session_fault(Session *session, const char *format, ...) {
    (void)session;
    fprintf(stderr, "fault: %s\n", format);
    exit(EXIT_FAILURE);
}

void session_end(Session *session, const char *text) {
    (void)session;
    (void)text;
}

const char *shown(Span name) {
    (void)name;
    return "";
}

enum { BODY = 64, ROUNDS = 2000000, RUNS = 5 };

static Broker broker;
static Client client;
static Peer peer;
static Session session;

static void start(void) {
    broker.limits = (Limits){.max_subscriptions = 1u << 20,
                             .max_names = 100000,
                             .max_subscriber_bytes = 4u << 20,
                             .max_total_bytes = UINT64_C(8) << 30,
                             .max_replay = 1000,
                             .client_memory_ms = 60000};
    timers_init(&broker.timers, 1);
    if (topics_new(&broker.topics, &broker) < 0)
        exit(EXIT_FAILURE);
    peer.out.credit = 1 << 20;
    client.session = &session;
    session.broker = &broker;
    session.client = &client;
    session.peer = &peer;
}

static void stop(void) {
    topics_session_gone(broker.topics, &session);
    topics_client_gone(broker.topics, &client);
    broker.topics = topics_free(broker.topics);
}

static void subscribe(uint64_t id, const char *pattern) {
    topics_subscribe(broker.topics, &session,
                     &(Message){.op = OP_SUBSCRIBE, .id = id, .name = span_text(pattern)});
}

typedef struct Encoded {
    uint8_t bytes[512];
    Message message;
} Encoded;

static void encode(Encoded *to, const char *topic) {
    static const uint8_t body[BODY];
    Message out = {.op = OP_PUBLISH, .name = span_text(topic), .body = {body, BODY}};
    uint8_t *end = message_write(to->bytes, &out);
    Reader reader = reader_of(to->bytes, (size_t)(end - to->bytes));

    message_read(&reader, &to->message);
}

/* Prints the best of several runs, because other programs use the machine, too. */
static void measure(const char *what, const Encoded *messages, unsigned n, unsigned rounds) {
    double best = 1e9;

    for (int run = 0; run < RUNS; run++) {
        uint64_t from = clock_ns();
        double ns;

        for (unsigned i = 0; i < rounds; i++)
            topics_publish(broker.topics, &session, &messages[i % n].message, NULL);
        ns = (double)(clock_ns() - from) / rounds;
        best = ns < best ? ns : best;
    }
    printf("%-48s %8.1f ns\n", what, best);
}

static void no_replay(void) {
    const char *problem;

    topics_configure(broker.topics, ">", "keep", "0", &problem);
}

static void subscribers(const char *what, unsigned n, const char *others, unsigned n_others,
                        bool replay) {
    Encoded message;
    char pattern[64];

    start();
    if (!replay)
        no_replay();
    for (unsigned i = 1; i <= n; i++)
        subscribe(i, "prices.eu.wheat");
    for (unsigned i = 0; i < n_others; i++) {
        snprintf(pattern, sizeof(pattern), others, i);
        subscribe(100000 + i, pattern);
    }
    encode(&message, "prices.eu.wheat");
    measure(what, &message, 1, n > 100 ? ROUNDS / n : ROUNDS);
    stop();
}

static void many_topics(const char *what, unsigned n, unsigned rounds) {
    Encoded *messages = calloc(n, sizeof(*messages));
    char topic[64];

    start();
    subscribe(1, "prices.>");
    for (unsigned i = 0; i < n; i++) {
        snprintf(topic, sizeof(topic), "prices.eu.%u", i);
        encode(&messages[i], topic);
    }
    measure(what, messages, n, rounds);
    stop();
    free(messages);
}

static void slow_subscriber(void) {
    Encoded message;

    start();
    subscribe(1, "prices.eu.wheat");
    peer.out.credit = 0;
    encode(&message, "prices.eu.wheat");
    measure("1 subscriber that takes nothing, dropping", &message, 1, ROUNDS);
    peer.out.credit = 1 << 20;
    topics_turn_end(broker.topics);
    stop();
}

/* All messages pass through the backlog: a thousand wait, and then credit arrives. */
static void fed_at_turn_end(unsigned n) {
    enum { TURNS = 500, A_TURN = 1000 };
    char what[64];
    Encoded message;
    double best = 1e9;

    start();
    for (unsigned i = 1; i <= n; i++)
        subscribe(i, "prices.eu.wheat");
    encode(&message, "prices.eu.wheat");
    for (int run = 0; run < RUNS; run++) {
        uint64_t from = clock_ns();
        double ns;

        for (unsigned turn = 0; turn < TURNS; turn++) {
            peer.out.credit = 0;
            for (unsigned i = 0; i < A_TURN; i++)
                topics_publish(broker.topics, &session, &message.message, NULL);
            peer.out.credit = 1 << 20;
            topics_turn_end(broker.topics);
        }
        ns = (double)(clock_ns() - from) / (TURNS * A_TURN);
        best = ns < best ? ns : best;
    }
    snprintf(what, sizeof(what), "%u subscribers, each message waiting first", n);
    printf("%-48s %8.1f ns\n", what, best);
    stop();
}

int main(void) {
    subscribers("nobody subscribes", 0, "", 0, true);
    subscribers("1 subscriber", 1, "", 0, true);
    subscribers("1 subscriber, nothing kept for replay", 1, "", 0, false);
    subscribers("4 subscribers", 4, "", 0, true);
    subscribers("1 of 10 000 subscriptions (other topics)", 1, "prices.us.%u", 10000, true);
    subscribers("1 of 10 000 subscriptions (wildcards)", 1, "prices.*.us%u", 10000, true);
    subscribers("10 000 subscribers", 10000, "", 0, true);
    many_topics("1 subscriber, 1 000 topics in turn", 1000, ROUNDS);
    many_topics("1 subscriber, 100 000 topics in turn (forgetting)", 100000, ROUNDS / 5);
    slow_subscriber();
    fed_at_turn_end(1);
    fed_at_turn_end(4);
    return EXIT_SUCCESS;
}
