/* SPDX-License-Identifier: Apache-2.0 */
/* A clock that a test stops and moves. See fake-clock.h. */

#include "support/fake-clock.h"

#include <stdbool.h>
#include <time.h>

#include "base/clock.h"

int __real_clock_gettime(clockid_t clock, struct timespec *ret);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret);

static uint64_t stopped_at_ns; /* 0: the clock runs */

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret) {
    uint64_t ns = __atomic_load_n(&stopped_at_ns, __ATOMIC_RELAXED);

    if (ns == 0 || (clock != CLOCK_MONOTONIC && clock != CLOCK_MONOTONIC_COARSE))
        return __real_clock_gettime(clock, ret);
    *ret =
        (struct timespec){.tv_sec = (time_t)(ns / 1000000000), .tv_nsec = (long)(ns % 1000000000)};
    return 0;
}

void fake_clock_stop(void) {
    __atomic_store_n(&stopped_at_ns, clock_ns(), __ATOMIC_RELAXED);
}

void fake_clock_move(uint64_t ms) {
    __atomic_add_fetch(&stopped_at_ns, ms * 1000000, __ATOMIC_RELAXED);
}

void fake_clock_run(void) {
    __atomic_store_n(&stopped_at_ns, 0, __ATOMIC_RELAXED);
}
