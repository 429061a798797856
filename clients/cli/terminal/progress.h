/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A progress bar on standard error: "pushed  50 % [=====>    ] 870 k/s, 2.0 s left". Only on a
 * terminal; elsewhere the functions do nothing. */

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

typedef struct Progress {
    FILE *to; /* NULL: show nothing */
    const char *what;
    uint64_t total; /* 0: unknown */
    uint64_t start_us, shown_us;
    bool is_shown;
} Progress;

void progress_start(Progress *progress, FILE *to, const char *what, uint64_t total,
                    uint64_t now_us);

/* Cheap: compares the given time and draws ten times a second. */
void progress_update(Progress *progress, uint64_t done, uint64_t now_us);

/* Erases the bar. */
void progress_end(Progress *progress);

/* The bar as text, for tests. Returns `to`. */
const char *progress_text(const Progress *progress, uint64_t done, uint64_t now_us, char to[128]);

/* Formats a rate: "12.3 M", "870 k", "12.0". Returns `to`. */
const char *progress_si(char to[16], double value);
