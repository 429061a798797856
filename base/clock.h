/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The monotonic clock. Deadlines, leases and delays never use the wall clock. */

#include <stdint.h>
#include <time.h>

static inline uint64_t clock_ns(void) {
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* A few milliseconds behind clock_ms(), at a quarter of the cost. */
static inline uint64_t clock_about_ms(void) {
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
    return (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u;
}

static inline uint64_t clock_us(void) {
    return clock_ns() / 1000;
}

static inline uint64_t clock_ms(void) {
    return clock_ns() / 1000000;
}
