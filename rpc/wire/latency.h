/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Latencies as counts: eight buckets for each power of two, from 1 us up. */

#include <stdint.h>

enum { LATENCY_BUCKETS = 8 * 28 };

static inline unsigned latency_bucket(uint64_t us) {
    unsigned power;

    if (us < 8)
        return (unsigned)us;
    power = 63u - (unsigned)__builtin_clzll(us);
    us = (uint64_t)(power - 2) * 8 + ((us >> (power - 3)) & 7);
    return us < LATENCY_BUCKETS ? (unsigned)us : LATENCY_BUCKETS - 1;
}

/* The shortest latency that the bucket counts. */
static inline uint64_t latency_us(unsigned bucket) {
    unsigned power = bucket / 8 + 2;

    return bucket < 8 ? bucket : (UINT64_C(8) + bucket % 8) << (power - 3);
}
