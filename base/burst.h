/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A limited rate: `max` events at once, then one event per each_ms. After max * each_ms without
 * events, the full burst is available again. A new record is all zeros.
 */

#include <stdbool.h>
#include <stdint.h>

typedef struct Burst {
    uint64_t paid_ms; /* the rate has covered events up to this time */
    uint32_t n;       /* events that the rate has not covered yet */
} Burst;

/* Counts an event. False: the event exceeds the rate. */
static inline bool burst_take(Burst *burst, uint64_t now_ms, uint32_t max, uint32_t each_ms) {
    uint64_t paid = (now_ms - burst->paid_ms) / each_ms;

    burst->n = paid < burst->n ? burst->n - (uint32_t)paid : 0;
    burst->paid_ms = burst->n ? burst->paid_ms + paid * each_ms : now_ms;
    if (burst->n == max)
        return false;
    burst->n++;
    return true;
}
