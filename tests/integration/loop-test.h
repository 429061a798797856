/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The test of an event loop: two clients in one loop exchange 200 000 messages, which a timer
 * sends, without a pause of two seconds. One missed event of the descriptor would stop it for ever.
 */

#include "support/broker.h"
#include "support/suite.h"

enum { LOOP_MESSAGES = 200000, LOOP_EACH_TICK = 400, LOOP_PAUSE_MS = 2000 };

typedef struct LoopTest {
    ferry_client *sub, *pub;
    int sent, seen, ticks;
    uint64_t last_ms, longest_ms;
    void (*stop)(void *ctx);
    void *ctx;
} LoopTest;

static inline void loop_progress(LoopTest *test) {
    uint64_t now_ms = clock_ms();

    if (test->last_ms > 0 && now_ms - test->last_ms > test->longest_ms)
        test->longest_ms = now_ms - test->last_ms;
    test->last_ms = now_ms;
}

static inline void loop_message(const ferry_message *message, void *ctx) {
    LoopTest *test = ctx;

    (void)message;
    loop_progress(test);
    if (++test->seen == LOOP_MESSAGES)
        test->stop(test->ctx);
}

/* The timer's callback: it does not run within a callback of ferry. */
static inline void loop_tick(LoopTest *test) {
    for (int i = 0; i < LOOP_EACH_TICK && test->sent < LOOP_MESSAGES; i++)
        if (ferry_publish(test->pub, "loop", ferry_bytes_of("0123456789abcdef", 16), NULL, NULL) ==
            0)
            test->sent++;
    /* Without progress for long, the test fails. */
    if (++test->ticks > 30000)
        test->stop(test->ctx);
}

static inline void loop_test_open(LoopTest *test, const TestBroker *broker) {
    test->sub = connect_client(broker);
    test->pub = connect_client(broker);
    CU_ASSERT_EQUAL(ferry_subscribe(test->sub, "loop", NULL, loop_message, test, NULL, NULL), 0);
}

static inline void loop_test_close(LoopTest *test) {
    CU_ASSERT_EQUAL(test->seen, LOOP_MESSAGES);
    CU_ASSERT_TRUE(test->longest_ms <= LOOP_PAUSE_MS);
    ferry_close(test->sub);
    ferry_close(test->pub);
}
