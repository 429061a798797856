/* SPDX-License-Identifier: Apache-2.0 */
/* Looking for input before sleeping. See spin.h. */

#include "rpc/link/spin.h"

#include <sched.h>

#include "base/clock.h"

/* Adds a wait to the average that the next wait is judged by. A longer wait counts as a
 * millisecond: one pause must not make the short waits around it look long. */
static void learn(Spin *spin, uint64_t began_ns) {
    enum { LONGEST_US = 1000, WEIGHT = 8 };
    uint64_t us = (clock_ns() - began_ns) / 1000;

    us = us > LONGEST_US ? LONGEST_US : us;
    spin->usual_us = (unsigned)(((uint64_t)spin->usual_us * (WEIGHT - 1) + us) / WEIGHT);
}

bool spin_until(Spin *spin, bool (*ready)(void *ctx), void *ctx) {
    uint64_t end;

    if (ready(ctx)) {
        spin->began_ns = 0;
        return true;
    }
    spin->began_ns = clock_ns();
    if (spin->usual_us > spin->limit_us)
        return false;
    end = spin->began_ns + spin->limit_us * UINT64_C(1000);
    do {
        sched_yield();
        if (ready(ctx)) {
            spin_woke(spin);
            return true;
        }
    } while (clock_ns() < end);
    return false;
}

void spin_woke(Spin *spin) {
    if (spin->began_ns > 0)
        learn(spin, spin->began_ns);
    spin->began_ns = 0;
}
