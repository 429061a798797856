/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Starts all kinds of waits for a time, and checks when they end: a deadline, a delayed job, a job
 * that expires, a job that fails and is retried, a time limit, a window. For tests that change the
 * clocks.
 */

#include "support/process.h"

/* The broker's configuration must contain this. */
#define TIMED_CONFIG "[queue timed.limited]\ntime_limit = 1s\n"

/* A role: URL MS. Prints "ready 0", runs for MS milliseconds, and prints its results: see
 * TimedReport. */
int play_timed(int argc, char **argv);

typedef struct TimedReport {
    long n_ended; /* number of ended waits, of TIMED_KINDS */
    long early_ms, late_ms;
    long n_down; /* number of lost connections */
} TimedReport;

enum { TIMED_KINDS = 6, TIMED_MS = 3000 };

/* Reads the report of a role; false: it printed no report. */
bool timed_report(Process *process, TimedReport *ret);
