/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Lives of a queue router on a store that outlives them: one ends, by a stop or a crash, and the
 * next one finds what it left. Another header opens the store and ends lives: disk-life.h,
 * redis-life.h. */

#include <poll.h>
#include <unistd.h>

#include "base/log.h"
#include "broker/queues/queues-private.h"
#include "unit/broker/queues/verbs.h"

static Waker waker = {.fd = -1};

/* ---- of the other header ---- */

static inline void new_place(void);               /* an empty one for the next lives */
static inline int try_begin(ferry_error *reterr); /* 0, or the errno of the store */
static inline void stop(void);                    /* the broker stops as it should */
static inline void crash(void);                   /* kill -9 */

/* ---- of all stores ---- */

/* Starts a life on this store. */
static inline int begin_on(Store *store, ferry_error *reterr) {
    int r;

    queues_set_default_store(queues, store);
    CU_ASSERT_EQUAL(queues_add_store(queues, store), 0);
    r = queues_open_stores(queues, &waker, reterr);
    while (r >= 0 && (r = queues_restore(queues, reterr)) > 0)
        continue;
    return r;
}

static inline void begin(void) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    int r = try_begin(&error);

    if (r < 0)
        printf("%s\n", error.message);
    CU_ASSERT_EQUAL_FATAL(r, 0);
}

/* One turn ends, and what the store has done meanwhile is taken over. */
static inline void turn(int timeout_ms) {
    struct pollfd wake = {.fd = waker.fd, .events = POLLIN};

    rooms_turn_end(&broker);
    if (poll(&wake, 1, timeout_ms) > 0 && waker_take(&waker, true))
        queues_process_stores(queues);
    rooms_turn_end(&broker);
}

/* Stores a message in both queues, in one record. The session gets OK to id. */
static inline void fan_out(Session *session, uint64_t id, const char *body, const char *first,
                           const char *second) {
    Message message = {
        .op = OP_PUBLISH, .id = id, .name = span_text("topic"), .body = span_text(body)};
    Problem problem;
    Queue *to[] = {queue_get(queues, span_text(first), &problem),
                   queue_get(queues, span_text(second), &problem)};
    Fanout *made;

    CU_ASSERT_EQUAL_FATAL(queues_fan_out(queues, to, 2, session, &message, NULL, &made), 0);
    queues_fan_out_store(made);
}

/* Until the session has this many messages. Only a store that hangs takes 20 s. */
static inline void until_sent(const Session *session, size_t n) {
    for (int i = 0; i < 2000 && fake_n_sent(session) < n; i++)
        turn(10);
    CU_ASSERT(fake_n_sent(session) >= n);
}
