/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Makes allocations fail on purpose. For executables that are linked with oom.c and its --wrap
 * options (see oom_link_args in tests/meson.build), which count every allocation.
 */

#include <stdbool.h>

/* The n-th allocation of this thread from now on fails, once. 0: all allocations succeed. */
void oom_plan(unsigned n);

/* True: the n-th allocation has failed. False: there were fewer than n allocations. */
bool oom_happened(void);

/*
 * Repeats its body, with the first, the second, the third … allocation failing, until no allocation
 * fails. After OOM_STOP in the body all allocations succeed, so that the body can check results.
 *
 *     OOM_EACH(n) {
 *         int r = thing_new(&thing);
 *         OOM_STOP;
 *         CU_ASSERT_EQUAL(r, oom_happened() ? -ENOMEM : 0);
 *         thing_free(thing);
 *     }
 */
#define OOM_STOP oom_stop()
#define OOM_EACH(n)                                                                                \
    for (unsigned n = 1; n < 2000 && (n == 1 || oom_happened()); n++)                              \
        for (int once_ = (oom_plan(n), 1); once_; once_ = 0, OOM_STOP)

/* Ends the failures. oom_happened() still returns whether there was a failure. */
void oom_stop(void);
