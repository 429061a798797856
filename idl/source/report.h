/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Errors and warnings: `file:line:column: error: …` with the line, a caret and a hint. All reports
 * of a run are kept and then printed in the order of their places.
 */

#include <stdbool.h>
#include <stdio.h>

#include "idl/source/region.h"
#include "idl/source/source.h"

typedef enum Severity { SEVERITY_ERROR, SEVERITY_WARNING, SEVERITY_NOTE } Severity;

enum { REPORTS_MAX = 200 }; /* errors shown in one run */

typedef struct Reports {
    Region *region;
    struct Report *first, **last;
    unsigned n_errors, n_warnings;
} Reports;

/* Adds a report. hint is a remedy, or NULL. */
void report(Reports *reports, Severity severity, Place place, const char *hint, const char *format,
            ...) __attribute__((format(printf, 5, 6)));

#define report_error(reports, place, hint, ...)                                                    \
    report((reports), SEVERITY_ERROR, (place), (hint), __VA_ARGS__)

/* Adds a note with another place to the last report. */
void report_also(Reports *reports, Place place, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

void reports_print(const Reports *reports, FILE *to, bool colour);

/* Prints a text and ends the line. Characters that could control a terminal, or look like another
 * line, are escaped: names and texts come from the interface file. */
void print_line(FILE *to, const char *text);

/* Prints "ferry-idl: " and a message on standard error, as print_line() does. */
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));
