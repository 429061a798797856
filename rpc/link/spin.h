/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/*
 * Looks at ready() for a while before the caller sleeps: a hand-over between threads that are awake
 * costs a tenth of one that has to wake a processor. It learns: looking pays when waits are usually
 * shorter than limit_us, as between the calls of a busy client; an idle program sleeps at once.
 */
typedef struct Spin {
    unsigned limit_us; /* 0: never */
    unsigned usual_us;
    uint64_t began_ns; /* of the current wait; 0: no wait */
} Spin;

/* True: ready. False: the caller sleeps now, and says when it woke. */
bool spin_until(Spin *spin, bool (*ready)(void *ctx), void *ctx);
void spin_woke(Spin *spin);
