/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The report of a bench run, for people and for programs. */

#include <stdbool.h>
#include <stdio.h>

#include "clients/cli/terminal/histogram.h"

typedef struct BenchReport {
    const char *kind, *name;
    uint64_t count, failed, missed, in_flight, size;
    uint64_t start_ns, end_ns;
    Histogram times; /* in ns */
} BenchReport;

void bench_report_print(const BenchReport *report, bool as_json, FILE *to);
