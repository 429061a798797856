/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A bounded rate: `max` at once, then one each each_ms. It begins full again after max * each_ms
 * without use. A record of zeros is a fresh one.
 */

#include <stdbool.h>
#include <stdint.h>

typedef struct Burst {
    uint64_t paid_ms; /* until when it is paid back */
    uint32_t n;       /* of the burst, not paid back yet */
} Burst;

/* Takes one. False: the rate is reached. */
static inline bool burst_take(Burst *burst, uint64_t now_ms, uint32_t max, uint32_t each_ms) {
    uint64_t paid = (now_ms - burst->paid_ms) / each_ms;

    burst->n = paid < burst->n ? burst->n - (uint32_t)paid : 0;
    burst->paid_ms = burst->n ? burst->paid_ms + paid * each_ms : now_ms;
    if (burst->n == max)
        return false;
    burst->n++;
    return true;
}
