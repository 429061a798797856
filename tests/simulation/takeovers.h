/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The times of take-overs: from the end of the owner of a space to the first turn of the new one.
 */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { TAKEOVERS_MAX = 1 << 20 };

typedef struct Takeovers {
    uint64_t *us;
    size_t n;
} Takeovers;

static inline void takeover_add(Takeovers *takeovers, uint64_t us) {
    if (!takeovers->us)
        takeovers->us = calloc(TAKEOVERS_MAX, sizeof(*takeovers->us));
    if (!takeovers->us)
        abort();
    if (takeovers->n < TAKEOVERS_MAX)
        takeovers->us[takeovers->n++] = us;
}

static inline int takeover_by_time(const void *one, const void *two) {
    uint64_t a = *(const uint64_t *)one, b = *(const uint64_t *)two;

    return a < b ? -1 : a > b;
}

static inline void takeovers_print(Takeovers *takeovers, const char *title) {
    size_t n = takeovers->n;

    if (n == 0)
        return;
    qsort(takeovers->us, n, sizeof(*takeovers->us), takeover_by_time);
    printf("    %s: %zu, p50 %.3f s, p99 %.3f s, longest %.3f s\n", title, n,
           (double)takeovers->us[n / 2] / 1e6, (double)takeovers->us[n * 99 / 100] / 1e6,
           (double)takeovers->us[n - 1] / 1e6);
}
