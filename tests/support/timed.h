/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Everything that waits for a time, begun at once and watched: a deadline, a delayed job, one that
 * expires, one that fails and is tried again, a time limit, a window. For tests that do something
 * to the clocks.
 */

#include "support/process.h"

/* The broker needs this in its configuration. */
#define TIMED_CONFIG "[queue timed.limited]\ntime_limit = 1s\n"

/* A role: URL MS. Says "ready 0", takes so long, and says how it was: see TimedReport. */
int play_timed(int argc, char **argv);

typedef struct TimedReport {
    long n_ended; /* of TIMED_KINDS */
    long early_ms, late_ms;
    long n_down; /* connections lost */
} TimedReport;

enum { TIMED_KINDS = 6, TIMED_MS = 3000 };

/* What a role has said in the end; false: nothing. */
bool timed_report(Process *process, TimedReport *ret);
