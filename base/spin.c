/* SPDX-License-Identifier: Apache-2.0 */
/* Polls for input before sleeping. See spin.h. */

#include "base/spin.h"

#include <sched.h>

#include "base/clock.h"

bool spin_begin(Spin *spin, uint64_t now_ns) {
    spin->began_ns = now_ns;
    return spin->limit_us > 0 && spin->mean_us <= spin->limit_us;
}

bool spin_continues(const Spin *spin, uint64_t now_ns) {
    return now_ns < spin->began_ns + spin->limit_us * UINT64_C(1000);
}

void spin_end(Spin *spin, uint64_t now_ns) {
    enum { LONGEST_US = 1000, WEIGHT = 8 };
    uint64_t us = (now_ns - spin->began_ns) / 1000;

    /* A longer wait counts as one millisecond, so that one pause does not dominate the mean of
     * short waits. */
    us = us > LONGEST_US ? LONGEST_US : us;
    spin->mean_us = (unsigned)(((uint64_t)spin->mean_us * (WEIGHT - 1) + us) / WEIGHT);
    spin->began_ns = 0;
}

bool spin_until(Spin *spin, bool (*ready)(void *ctx), void *ctx) {
    bool looks;

    if (ready(ctx)) {
        spin->began_ns = 0;
        return true;
    }
    looks = spin_begin(spin, clock_ns());
    while (looks && spin_continues(spin, clock_ns())) {
        sched_yield();
        if (ready(ctx)) {
            spin_woke(spin);
            return true;
        }
    }
    return false;
}

void spin_woke(Spin *spin) {
    if (spin->began_ns > 0)
        spin_end(spin, clock_ns());
}
