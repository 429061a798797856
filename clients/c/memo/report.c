/* SPDX-License-Identifier: Apache-2.0 */
/* The counters of a client's caches, reported to the broker. See report.h. */

#include "clients/c/memo/report.h"

#include <stdlib.h>

#include "base/container.h"
#include "cache/api/cache.h"
#include "clients/c/core/loop.h"
#include "rpc/wire/writer.h"

enum {
    REPORTED_MAX = 8,    /* caches in a report; the broker refuses more */
    CHANGED_MS = 2000,   /* time between two reports */
    UNCHANGED_MS = 5000, /* time to the next look, if nothing has changed */
};

typedef struct CacheReports {
    Timer timer;
    Core *core;
    bool is_new; /* this session has no report yet */
    unsigned n;
    struct {
        ferry_cache *cache;
        ferry_cache_stats told;
    } v[REPORTED_MAX];
} CacheReports;

/* ---- the report ---- */

static void write_counters(Buffer *to, const ferry_cache *cache, const ferry_cache_stats *stats) {
    const struct {
        const char *name;
        uint64_t value;
    } counters[] = {
        {"hits", stats->hits},
        {"near_hits", stats->near_hits},
        {"stale_hits", stats->stale_hits},
        {"negative_hits", stats->negative_hits},
        {"misses", stats->misses},
        {"loads", stats->loads},
        {"load_failures", stats->load_failures},
        {"stores", stats->stores},
        {"errors", stats->errors},
        {"timeouts", stats->timeouts},
        {"dropped_writes", stats->dropped_writes},
        {"breakers_open", stats->breakers_open},
        {"invalidations", stats->invalidations},
        {"evictions", stats->evictions},
        {"entries", stats->entries},
        {"bytes", stats->bytes},
        {"max_bytes", stats->max_bytes},
    };
    enum { N = sizeof(counters) / sizeof(*counters) };

    write_map(to, 1 + N);
    write_text(to, "cache");
    write_text(to, cache->core->place);
    for (size_t i = 0; i < N; i++)
        write_pair(to, counters[i].name, counters[i].value);
}

/* Reads the counters. True: there are new ones. */
static bool read_counters(CacheReports *reports) {
    bool are_new = reports->is_new;

    for (unsigned i = 0; i < reports->n; i++) {
        ferry_cache_stats stats;

        ferry_cache_get_stats(reports->v[i].cache, &stats);
        are_new |= memcmp(&stats, &reports->v[i].told, sizeof(stats)) != 0;
        reports->v[i].told = stats;
    }
    return are_new;
}

/* Id 0: the broker sends no answer. A broker without this method ignores the call. */
static void report(CacheReports *reports) {
    CLEANUP(buffer_deinit) Buffer body = {0};

    write_array(&body, 1);
    write_array(&body, reports->n);
    for (unsigned i = 0; i < reports->n; i++)
        write_counters(&body, reports->v[i].cache, &reports->v[i].told);
    if (body.failed || link_put(reports->core->link, LANE_CALLS,
                                &(Message){.op = OP_CALL,
                                           .name = span_text("ferry.Broker"),
                                           .call = {.method = span_text("report_caches"),
                                                    .timeout_ms = CHANGED_MS,
                                                    .flags = CALL_ONEWAY},
                                           .body = span_of(body.data, body.len)},
                                NULL) < 0)
        return;
    reports->is_new = false;
    core_sent(reports->core);
}

static void on_timer(Timer *timer, void *ctx) {
    CacheReports *reports = container_of(timer, CacheReports, timer);
    Core *core = ctx;
    bool changed = core->is_up && read_counters(reports);

    if (changed)
        report(reports);
    timer_arm(&core->timers, timer, core_now(core) + (changed ? CHANGED_MS : UNCHANGED_MS),
              on_timer);
}

void cache_reports_add(Core *core, ferry_cache *cache) {
    CacheReports *reports = core->cache_reports;

    if (!reports) {
        reports = calloc(1, sizeof(*reports));
        if (!reports)
            return;
        reports->core = core;
        core->cache_reports = reports;
    }
    /* The counters are those of all handles of a cache. */
    for (unsigned i = 0; i < reports->n; i++)
        if (reports->v[i].cache->core == cache->core)
            return;
    if (reports->n == REPORTED_MAX || ferry_cache_with(cache, NULL, &reports->v[reports->n].cache))
        return;
    reports->n++;
    reports->is_new = true;
    timer_arm(&core->timers, &reports->timer, core_now(core), on_timer);
}

/* ---- the part ---- */

static int open_part(Core *core, const ferry_options *options) {
    if (options && options->cache)
        cache_reports_add(core, options->cache);
    return 0;
}

static void up(Core *core, const Message *welcome) {
    CacheReports *reports = core->cache_reports;

    (void)welcome;
    if (!reports || core->closed)
        return;
    reports->is_new = true;
    timer_arm(&core->timers, &reports->timer, core_now(core), on_timer);
}

static void reports_free(Core *core) {
    CacheReports *reports = core->cache_reports;

    if (!reports)
        return;
    timer_disarm(&core->timers, &reports->timer);
    for (unsigned i = 0; i < reports->n; i++)
        ferry_cache_close(reports->v[i].cache);
    free(reports);
    core->cache_reports = NULL;
}

const Part cache_reports_part = {.open = open_part, .up = up, .free = reports_free};
