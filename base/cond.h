/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Condition variables that wait by the monotonic clock (base/clock.h). */

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

static inline void cond_init(pthread_cond_t *cond) {
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attributes);
    pthread_condattr_destroy(&attributes);
}

/* Waits for a signal until this time of clock_ms(). False: the time has passed. */
static inline bool cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *lock, uint64_t until_ms) {
    struct timespec until = {.tv_sec = (time_t)(until_ms / 1000),
                             .tv_nsec = (long)(until_ms % 1000 * 1000000)};

    return pthread_cond_timedwait(cond, lock, &until) == 0;
}
