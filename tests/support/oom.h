#pragma once

/*
 * Runs out of memory on purpose. For executables that are linked with oom.c and its --wrap options
 * (see oom_link_args in tests/meson.build): every allocation in them is counted.
 */

#include <stdbool.h>

/* The n-th allocation from now on fails, once; 0: none does. */
void oom_plan(unsigned n);

/* Has it failed? If not, there were fewer allocations than n. */
bool oom_happened(void);
