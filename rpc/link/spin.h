/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/*
 * Looks at ready() for a while before the caller sleeps: a hand-over between threads that are awake
 * costs a tenth of one that has to wake a processor. Whether looking pays is measured: the usual
 * wait on this machine, with this load, must be shorter than limit_us, as between the calls of a
 * busy client. If waits get longer, looking is given up until they are short again. An idle program
 * sleeps at once.
 */
typedef struct Spin {
    unsigned limit_us; /* 0: never */
    unsigned usual_us; /* the mean of the last waits, the latest one with an eighth of the weight */
    uint64_t began_ns; /* of the current wait; 0: no wait */
} Spin;

/* True: ready. False: the caller sleeps now, and says when it woke. */
bool spin_until(Spin *spin, bool (*ready)(void *ctx), void *ctx);
void spin_woke(Spin *spin);

/* ---- the decision, without a clock ---- */

/* A wait begins. True: looking pays. */
bool spin_begin(Spin *spin, uint64_t now_ns);

/* True: the wait is still short enough to look again. */
bool spin_continues(const Spin *spin, uint64_t now_ns);

/* The wait is over, by looking or after a sleep. */
void spin_end(Spin *spin, uint64_t now_ns);
