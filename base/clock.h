/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The monotonic clock, and the wall clock, which may jump: deadlines, leases and delays never use
 * it. */

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

/* The wall clock: microseconds since 1970. */
static inline uint64_t clock_wall_us(void) {
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

static inline uint64_t clock_wall_ms(void) {
    return clock_wall_us() / 1000;
}
