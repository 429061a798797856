/* SPDX-License-Identifier: Apache-2.0 */
/* Threads call the thread of a loop. */

#include "base/waker.h"

#include <poll.h>
#include <pthread.h>

#include "support/suite.h"

enum { CALLS = 100000, CALLERS = 2, HANG_MS = 60000 };

static bool is_readable(const Waker *waker, int timeout_ms) {
    return poll(&(struct pollfd){.fd = waker->fd, .events = POLLIN}, 1, timeout_ms) > 0;
}

static void a_call_to_a_loop_that_is_awake_needs_no_descriptor(void) {
    Waker waker;

    CU_ASSERT_EQUAL_FATAL(waker_open(&waker), 0);
    waker_is_awake(&waker);
    CU_ASSERT_FALSE(waker_is_called(&waker));
    waker_call(&waker);
    waker_call(&waker);
    CU_ASSERT_FALSE(is_readable(&waker, 0));
    CU_ASSERT_TRUE(waker_is_called(&waker));
    CU_ASSERT_FALSE(waker_may_sleep(&waker));
    CU_ASSERT_TRUE(waker_take(&waker, false));
    CU_ASSERT_FALSE(waker_take(&waker, false));
    waker_close(&waker);
}

static void a_call_wakes_a_loop_that_may_be_asleep(void) {
    Waker waker;

    CU_ASSERT_EQUAL_FATAL(waker_open(&waker), 0);
    for (int i = 0; i < 3; i++) {
        CU_ASSERT_TRUE(waker_may_sleep(&waker));
        waker_call(&waker);
        CU_ASSERT_TRUE(is_readable(&waker, 0));
        waker_is_awake(&waker);
        CU_ASSERT_TRUE(waker_take(&waker, true));
        CU_ASSERT_FALSE(is_readable(&waker, 0));
    }
    waker_close(&waker);
}

typedef struct Calls {
    Waker waker;
    atomic_int n_made;
} Calls;

static void *call_often(void *ctx) {
    Calls *calls = ctx;

    for (int i = 0; i < CALLS; i++) {
        atomic_fetch_add(&calls->n_made, 1);
        waker_call(&calls->waker);
    }
    return NULL;
}

/* The loop sleeps between all takes. If a call were lost, the last sleep would not end. */
static void no_call_is_lost(void) {
    Calls calls = {0};
    pthread_t callers[CALLERS];
    int n_seen = 0;

    CU_ASSERT_EQUAL_FATAL(waker_open(&calls.waker), 0);
    for (int i = 0; i < CALLERS; i++)
        CU_ASSERT_EQUAL_FATAL(pthread_create(&callers[i], NULL, call_often, &calls), 0);
    while (n_seen < CALLERS * CALLS) {
        int timeout_ms = waker_may_sleep(&calls.waker) ? HANG_MS : 0;
        bool readable = is_readable(&calls.waker, timeout_ms);

        waker_is_awake(&calls.waker);
        if (waker_take(&calls.waker, readable))
            n_seen = atomic_load(&calls.n_made);
        else if (!readable && timeout_ms > 0)
            break;
    }
    CU_ASSERT_EQUAL(n_seen, CALLERS * CALLS);
    for (int i = 0; i < CALLERS; i++)
        pthread_join(callers[i], NULL);
    waker_close(&calls.waker);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_call_to_a_loop_that_is_awake_needs_no_descriptor),
        TEST(a_call_wakes_a_loop_that_may_be_asleep),
        TEST(no_call_is_lost),
        TESTS_END,
    };

    return run_suite("base: waker", tests);
}
