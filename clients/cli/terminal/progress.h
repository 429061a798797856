#pragma once

/* A bar on standard error while something long runs: "  45 % [=====>    ] 450 000 of 1 000 000
 * 1.2 M/s 2.0 s left". Only on a terminal; elsewhere all of this does nothing. */

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

typedef struct Progress {
    FILE *to; /* NULL: show nothing */
    const char *what;
    uint64_t total; /* 0: not known */
    uint64_t start_us, shown_us;
    bool is_shown;
} Progress;

void progress_start(Progress *progress, FILE *to, const char *what, uint64_t total,
                    uint64_t now_us);

/* Cheap: looks at the clock value it is given and draws ten times a second. */
void progress_update(Progress *progress, uint64_t done, uint64_t now_us);

/* Wipes the bar. */
void progress_end(Progress *progress);

/* One line of it, as drawn; for tests. Returns to. */
const char *progress_text(const Progress *progress, uint64_t done, uint64_t now_us, char to[128]);

/* "1.2 M", "870 k", "12.0": for rates. Returns to. */
const char *progress_si(char to[16], double value);
