/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Runs out of memory on purpose. For executables that are linked with oom.c and its --wrap options
 * (see oom_link_args in tests/meson.build): every allocation in them is counted.
 */

#include <stdbool.h>

/* The n-th allocation of this thread from now on fails, once; 0: none does. */
void oom_plan(unsigned n);

/* Has it failed? If not, there were fewer allocations than n. */
bool oom_happened(void);

/*
 * Runs its body again and again, with the first, the second, the third … allocation failing, until
 * none fails any more. OOM_STOP in the body ends the trouble, so that results can be looked at.
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

/* No more failures; oom_happened() goes on to say whether there was one. */
void oom_stop(void);
