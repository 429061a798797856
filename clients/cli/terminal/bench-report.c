/* SPDX-License-Identifier: Apache-2.0 */
/* The report of a bench run. See bench-report.h. */

#include "clients/cli/terminal/bench-report.h"

#include <inttypes.h>
#include <unistd.h>

#include "base/text.h"
#include "clients/cli/terminal/progress.h"

static const struct {
    const char *name;
    double share;
} shares[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p99.9", 0.999}};

enum { N_SHARES = sizeof(shares) / sizeof(*shares) };

static double per_second(const BenchReport *report) {
    double seconds = (double)(report->end_ns - report->start_ns) / 1e9;

    return seconds > 0 ? (double)report->count / seconds : 0;
}

static void print_json(const BenchReport *report, FILE *to) {
    fprintf(to,
            "{\"kind\": \"%s\", \"name\": \"%s\", \"count\": %" PRIu64 ", \"failed\": %" PRIu64
            ", \"missed\": %" PRIu64 ", \"in_flight\": %" PRIu64 ", \"size\": %" PRIu64
            ", \"seconds\": %.6f, \"per_second\": %.1f",
            report->kind, report->name, report->count, report->failed, report->missed,
            report->in_flight, report->size, (double)(report->end_ns - report->start_ns) / 1e9,
            per_second(report));
    fprintf(to, ", \"us\": {\"min\": %.3f, \"mean\": %.3f", (double)report->times.min / 1e3,
            histogram_mean(&report->times) / 1e3);
    for (size_t i = 0; i < N_SHARES; i++)
        fprintf(to, ", \"%s\": %.3f", shares[i].name,
                (double)histogram_at(&report->times, shares[i].share) / 1e3);
    fprintf(to, ", \"max\": %.3f}}\n", (double)report->times.max / 1e3);
}

static void print_time(const char *name, double ns, FILE *to) {
    const char *unit = ns < 1e6 ? "us" : ns < 1e9 ? "ms" : "s";

    fprintf(to, "  %-6s %8.1f %s\n", name,
            ns < 1e6   ? ns / 1e3
            : ns < 1e9 ? ns / 1e6
                       : ns / 1e9,
            unit);
}

void bench_report_print(const BenchReport *report, bool as_json, FILE *to) {
    char rate[16], bytes[16], size[16];

    if (as_json) {
        print_json(report, to);
        return;
    }
    fprintf(to, "%s %s: %" PRIu64 " of %s, %" PRIu64 " in flight, %ld processors\n", report->kind,
            report->name, report->count, text_format_bytes(size, report->size), report->in_flight,
            sysconf(_SC_NPROCESSORS_ONLN));
    fprintf(to, "  %s/s, %s/s, %.2f s\n", progress_si(rate, per_second(report)),
            text_format_bytes(bytes, (uint64_t)(per_second(report) * (double)report->size)),
            (double)(report->end_ns - report->start_ns) / 1e9);
    if (report->failed + report->missed > 0)
        fprintf(to, "  %" PRIu64 " failed, %" PRIu64 " missed\n", report->failed, report->missed);
    print_time("min", (double)report->times.min, to);
    for (size_t i = 0; i < N_SHARES; i++)
        print_time(shares[i].name, (double)histogram_at(&report->times, shares[i].share), to);
    print_time("max", (double)report->times.max, to);
}
