/* SPDX-License-Identifier: Apache-2.0 */
/* Errors and warnings. See report.h. */

#include "idl/source/report.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "idl/source/excerpt.h"

typedef struct Report {
    struct Report *next, *also;
    Severity severity;
    Place place;
    const char *text, *hint;
    unsigned order;
} Report;

static Report *report_new(Reports *reports, Severity severity, Place place, const char *format,
                          va_list args) {
    Report *report = region_new(reports->region, Report);
    char text[1024];

    vsnprintf(text, sizeof(text), format, args);
    report->severity = severity;
    report->place = place;
    report->text = region_text(reports->region, text, strlen(text));
    return report;
}

void report(Reports *reports, Severity severity, Place place, const char *hint, const char *format,
            ...) {
    Report *added;
    va_list args;

    if (severity == SEVERITY_ERROR && ++reports->n_errors > REPORTS_MAX)
        return;
    if (severity == SEVERITY_WARNING && ++reports->n_warnings > REPORTS_MAX)
        return;
    va_start(args, format);
    added = report_new(reports, severity, place, format, args);
    va_end(args);
    added->hint = hint;
    if (!reports->last)
        reports->last = &reports->first;
    added->order = reports->n_errors + reports->n_warnings;
    *reports->last = added;
    reports->last = &added->next;
}

void report_also(Reports *reports, Place place, const char *format, ...) {
    Report *to = reports->first;
    va_list args;

    while (to && to->next)
        to = to->next;
    if (!to || reports->n_errors > REPORTS_MAX)
        return;
    va_start(args, format);
    to->also = report_new(reports, SEVERITY_NOTE, place, format, args);
    va_end(args);
}

static void print_on_line(FILE *to, const char *text) {
    while (*text) {
        size_t len = strcspn(text, "\n\t");

        text_print_safe(to, text, len);
        text += len;
        if (*text)
            text_print_escaped(to, text++, 1);
    }
}

void print_line(FILE *to, const char *text) {
    print_on_line(to, text);
    fputc('\n', to);
}

void complain(const char *format, ...) {
    char text[4096];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    fputs("ferry-idl: ", stderr);
    print_line(stderr, text);
}

static void print_one(const Report *report, FILE *to, bool colour) {
    static const char *const names[] = {"error", "warning", "note"};
    static const char *const colours[] = {"\033[1;31m", "\033[1;35m", "\033[1;36m"};
    const char *on = colour ? colours[report->severity] : "";
    const char *off = colour ? "\033[0m" : "";
    unsigned line, column;

    if (!report->place.source) {
        fprintf(to, "ferry-idl: %s%s:%s ", on, names[report->severity], off);
        print_line(to, report->text);
        return;
    }
    place_find(report->place, &line, &column);
    print_on_line(to, report->place.source->path);
    fprintf(to, ":%u:%u: %s%s:%s ", line, column, on, names[report->severity], off);
    print_line(to, report->text);
    excerpt_print(report->place, to);
    if (report->hint) {
        fputs("      = hint: ", to);
        print_line(to, report->hint);
    }
    if (report->also)
        print_one(report->also, to, colour);
}

static int by_place(const void *a, const void *b) {
    const Report *p = *(const Report *const *)a, *q = *(const Report *const *)b;
    unsigned p_file = p->place.source ? p->place.source->order : 0;
    unsigned q_file = q->place.source ? q->place.source->order : 0;

    if (p_file != q_file)
        return p_file < q_file ? -1 : 1;
    if (p->place.at != q->place.at)
        return p->place.at < q->place.at ? -1 : 1;
    return p->order < q->order ? -1 : p->order > q->order;
}

void reports_print(const Reports *reports, FILE *to, bool colour) {
    const Report **sorted;
    size_t n = 0, i = 0;

    for (const Report *r = reports->first; r; r = r->next)
        n++;
    sorted = region_alloc(reports->region, n * sizeof(*sorted));
    for (const Report *r = reports->first; r; r = r->next)
        sorted[i++] = r;
    qsort(sorted, n, sizeof(*sorted), by_place);
    for (i = 0; i < n; i++)
        print_one(sorted[i], to, colour);
    if (reports->n_errors > REPORTS_MAX)
        fprintf(to, "ferry-idl: %u more errors\n", reports->n_errors - REPORTS_MAX);
}
