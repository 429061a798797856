/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/*
 * Polls ready() for a while before the caller sleeps: between two threads that are awake, a
 * hand-over costs a tenth of the time that it takes to wake a processor. The code measures whether
 * polling pays: it polls only while the mean wait is not longer than limit_us, for example between
 * the calls of a busy client. If waits get longer, it stops polling until they are short again. An
 * idle program sleeps at once.
 */
typedef struct Spin {
    unsigned limit_us; /* 0: never poll */
    unsigned mean_us;  /* the mean of the last waits, the latest one with an eighth of the weight */
    uint64_t began_ns; /* start of the current wait; 0: no wait */
} Spin;

/* True: ready() returned true. False: the caller should sleep now, and call spin_woke()
 * afterwards. */
bool spin_until(Spin *spin, bool (*ready)(void *ctx), void *ctx);
void spin_woke(Spin *spin);

/* ---- the decision, without a clock ---- */

/* Starts a wait. True: polling pays. */
bool spin_begin(Spin *spin, uint64_t now_ns);

/* True: the wait is still short enough to poll again. */
bool spin_continues(const Spin *spin, uint64_t now_ns);

/* Ends a wait, after polling or after a sleep. */
void spin_end(Spin *spin, uint64_t now_ns);
