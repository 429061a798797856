#pragma once

/*
 * What is said about sources: `file:line:column: error: …` with the line, a caret
 * and a hint. All of a run's reports are kept and printed in the order of their places.
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

/* hint: NULL, or what to do about it. */
void report(Reports *reports, Severity severity, Place place, const char *hint, const char *format,
            ...) __attribute__((format(printf, 5, 6)));

#define report_error(reports, place, hint, ...)                                                    \
    report((reports), SEVERITY_ERROR, (place), (hint), __VA_ARGS__)

/* Adds "see here" to the report made last. */
void report_also(Reports *reports, Place place, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

void reports_print(const Reports *reports, FILE *to, bool colour);
