/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The verbs of the queue tests: push, pull, expect a job, settle it. */

#include "broker/admin/admin-private.h"
#include "broker/core/rooms.h"
#include "broker/queues/queues.h"
#include "support/suite.h"
#include "unit/broker/fake-session.h"

#include <stdarg.h>

static Broker broker;
static Queues *queues;

static inline void setup(void) {
    fake_broker_init(&broker);
    CU_ASSERT_EQUAL_FATAL(queues_new(&queues, &broker), 0);
    broker.queues = queues;
    CU_ASSERT_EQUAL_FATAL(admin_new(&broker.admin, &broker), 0);
}

static inline void teardown(void) {
    broker.admin = admin_free(broker.admin);
    queues = queues_free(queues);
    CU_ASSERT_EQUAL(broker_stored(&broker), 0);
    CU_ASSERT_EQUAL(broker.timers.n, 0);
    fake_broker_deinit(&broker);
}

/* Lets time pass and runs the ends of turns. */
static inline void wait_ms(uint64_t ms) {
    for (; ms > 0; ms--) {
        fake_advance(&broker, 1);
        rooms_run_timers(&broker);
        rooms_turn_end(&broker);
    }
}

static inline void end_session(Session *session) {
    rooms_session_gone(&broker, session);
    fake_disconnect(session);
}

static inline void say_bye(Session *session) {
    Client *client = session->client;

    end_session(session);
    rooms_client_gone(&broker, client);
    fake_forget(&broker, client);
}

static inline void configure(const char *pattern, const char *key, const char *value) {
    const char *problem;

    CU_ASSERT_EQUAL(queues_configure(queues, pattern, key, value, &problem), 0);
}

/* Options as key, value, …, NULL. Values are numbers, except for "key", "order", "from" and
 * "origin", the id of a client of fake_connect() as a text of one byte. */
static inline Span options_of(uint8_t bytes[256], const char *first, va_list args) {
    uint8_t *to = bytes + 1;
    uint8_t n = 0;

    for (const char *key = first; key; key = va_arg(args, const char *), n++) {
        to = put_bytes(put_str_head(to, strlen(key)), key, strlen(key));
        if (strcmp(key, "origin") == 0) {
            uint8_t id[WIRE_TOKEN];

            memset(id, *va_arg(args, const char *), sizeof(id));
            to = put_bytes(put_bin_head(to, sizeof(id)), id, sizeof(id));
        } else if (strcmp(key, "key") == 0 || strcmp(key, "order") == 0 ||
                   strcmp(key, "from") == 0) {
            const char *text = va_arg(args, const char *);

            to = put_bytes(put_str_head(to, strlen(text)), text, strlen(text));
        } else {
            to = put_uint(to, va_arg(args, uint64_t));
        }
    }
    bytes[0] = (uint8_t)(0x80 | n);
    return n > 0 ? span_of(bytes, (size_t)(to - bytes)) : (Span){NULL, 0};
}

static inline void push(Session *session, uint64_t id, const char *queue, const char *body,
                        const char *option, ...) {
    uint8_t bytes[256];
    va_list args;

    va_start(args, option);
    queues_push(queues, session,
                &(Message){.op = OP_PUSH,
                           .id = id,
                           .name = span_text(queue),
                           .body = span_text(body),
                           .push.options = options_of(bytes, option, args)},
                NULL);
    va_end(args);
}

static inline void pull(Session *session, uint64_t id, const char *queue, uint64_t slots) {
    queues_pull(queues, session,
                &(Message){.op = OP_PULL, .id = id, .name = span_text(queue), .pull.slots = slots});
}

/* id 0: no answer is asked for. */
static inline void unpull(Session *session, uint64_t id, uint64_t pull) {
    queues_unpull(queues, session, &(Message){.op = OP_UNPULL, .id = id, .unpull.pull = pull});
}

/* Checks that the next message is OK to id; returns its seq. */
static inline uint64_t expect_ok(Session *session, uint64_t id) {
    const FakeSent *sent = fake_take(session);

    CU_ASSERT_PTR_NOT_NULL_FATAL(sent);
    if (sent->message.op == OP_ERROR)
        printf("ERROR instead of OK: %s: %s\n", sent->type, sent->text);
    CU_ASSERT_EQUAL(sent->message.op, OP_OK);
    CU_ASSERT_EQUAL(sent->message.id, id);
    return sent->message.ok.seq;
}

/* Checks for OK to a PUSH that stored no job; returns the number of the other job. */
static inline uint64_t expect_outcome(Session *session, uint64_t id, uint64_t outcome) {
    const FakeSent *sent = fake_take(session);

    CU_ASSERT_PTR_NOT_NULL_FATAL(sent);
    CU_ASSERT_EQUAL(sent->message.op, OP_OK);
    CU_ASSERT_EQUAL(sent->message.id, id);
    CU_ASSERT_EQUAL(sent->message.ok.outcome, outcome);
    return sent->message.ok.seq;
}

static inline void expect_error(Session *session, uint64_t id, const char *type) {
    const FakeSent *sent = fake_take(session);

    CU_ASSERT_PTR_NOT_NULL_FATAL(sent);
    CU_ASSERT_EQUAL(sent->message.op, OP_ERROR);
    CU_ASSERT_EQUAL(sent->message.id, id);
    CU_ASSERT_STRING_EQUAL(sent->type, type);
}

/* Checks that the next message is this JOB; returns its number. */
static inline uint64_t expect_job(Session *session, uint64_t pull_id, const char *body,
                                  uint64_t attempt) {
    const FakeSent *sent = fake_take(session);

    CU_ASSERT_PTR_NOT_NULL_FATAL(sent);
    CU_ASSERT_EQUAL(sent->message.op, OP_JOB);
    CU_ASSERT_EQUAL(sent->message.job.pull, pull_id);
    CU_ASSERT_EQUAL(sent->message.job.attempt, attempt);
    CU_ASSERT_EQUAL(sent->message.body.len, strlen(body));
    CU_ASSERT_TRUE(span_is(sent->message.body, body));
    return sent->message.job.job;
}

static inline void expect_lost(Session *session, uint64_t job, uint64_t attempt) {
    const FakeSent *sent = fake_take(session);

    CU_ASSERT_PTR_NOT_NULL_FATAL(sent);
    CU_ASSERT_EQUAL(sent->message.op, OP_LOST);
    CU_ASSERT_EQUAL(sent->message.lost.job, job);
    CU_ASSERT_EQUAL(sent->message.lost.attempt, attempt);
}

static inline void expect_nothing(Session *session) {
    CU_ASSERT_EQUAL(fake_n_sent(session), 0);
    fake_drop(session);
}

static inline void ack(Session *session, uint64_t id, uint64_t job, uint64_t attempt) {
    queues_ack(queues, session,
               &(Message){.op = OP_ACK, .id = id, .settle.job = job, .settle.attempt = attempt});
}

static inline void retry(Session *session, uint64_t id, uint64_t job, uint64_t attempt,
                         uint64_t delay_ms, const char *text) {
    queues_retry(queues, session,
                 &(Message){.op = OP_RETRY,
                            .id = id,
                            .settle.job = job,
                            .settle.attempt = attempt,
                            .settle.delay_ms = delay_ms,
                            .settle.text = span_text(text)});
}

static inline void reject(Session *session, uint64_t id, uint64_t job, uint64_t attempt,
                          const char *text) {
    queues_reject(queues, session,
                  &(Message){.op = OP_REJECT,
                             .id = id,
                             .settle.job = job,
                             .settle.attempt = attempt,
                             .settle.text = span_text(text)});
}

static inline void release(Session *session, uint64_t id, uint64_t job, uint64_t attempt) {
    queues_release(
        queues, session,
        &(Message){.op = OP_RELEASE, .id = id, .settle.job = job, .settle.attempt = attempt});
}

static inline void extend(Session *session, uint64_t id, uint64_t job, uint64_t attempt,
                          uint64_t delay_ms) {
    queues_extend(queues, session,
                  &(Message){.op = OP_EXTEND,
                             .id = id,
                             .settle.job = job,
                             .settle.attempt = attempt,
                             .settle.delay_ms = delay_ms});
}

static inline void forward(Session *session, uint64_t id, uint64_t job, uint64_t attempt,
                           const char *queue, const char *body) {
    queues_forward(queues, session,
                   &(Message){.op = OP_FORWARD,
                              .id = id,
                              .settle.job = job,
                              .settle.attempt = attempt,
                              .name = span_text(queue),
                              .body = span_text(body)},
                   NULL);
}

/* The worker keeps the job if the queue is at another broker. */
static inline void forward_kept(Session *session, uint64_t id, uint64_t job, uint64_t attempt,
                                const char *queue, const char *body) {
    uint8_t options[16], *to = put_uint(put_bytes(put_str_head(options + 1, 4), "keep", 4), 1);

    options[0] = 0x81;
    queues_forward(queues, session,
                   &(Message){.op = OP_FORWARD,
                              .id = id,
                              .settle = {.job = job,
                                         .attempt = attempt,
                                         .options = span_of(options, (size_t)(to - options))},
                              .name = span_text(queue),
                              .body = span_text(body)},
                   NULL);
}

/* A number of `ferry queue show`; UINT64_MAX: the queue or the number does not exist. */
static inline uint64_t count_of(const char *queue, const char *what) {
    Buffer shown_queue = {0};
    uint64_t value = UINT64_MAX;

    if (queues_show(queues, span_text(queue), &shown_queue) == 0) {
        uint32_t left;
        Reader pairs = pairs_of(span_of(shown_queue.data, shown_queue.len), &left);
        Span key;

        while (pairs_next(&pairs, &left, &key)) {
            if (span_is(key, what) && reader_peek(&pairs) == WIRE_INT)
                value = reader_uint(&pairs);
            else
                reader_value(&pairs);
        }
        CU_ASSERT_PTR_NULL(pairs.problem);
        CU_ASSERT_EQUAL(reader_left(&pairs), 0);
    }
    buffer_deinit(&shown_queue);
    return value;
}
