/* SPDX-License-Identifier: Apache-2.0 */
/* ferry.Broker's list of caches, and the reports of clients that fill it. See caches.h. */

#include "broker/admin/caches.h"

#include <stddef.h>
#include <stdlib.h>
#include <utlist.h>

#include "base/text.h"
#include "broker/admin/admin-private.h"
#include "broker/core/walk.h"
#include "ferry-broker.h"

enum { PLACE_MAX = 128 };

struct CacheReport {
    CacheReport *prev, *next; /* in caches->reports */
    Session *session;
    uint64_t at_ms;
    ferry_broker_cache_status told; /* .cache points to place */
    char place[PLACE_MAX];
};

/* ---- the list ---- */

#define COUNTER(name)                                                                              \
    { #name, offsetof(ferry_broker_cache_status, name) }

static const struct {
    const char *name;
    size_t at;
} counters[] = {
    COUNTER(hits),          COUNTER(near_hits), COUNTER(stale_hits),     COUNTER(negative_hits),
    COUNTER(misses),        COUNTER(loads),     COUNTER(load_failures),  COUNTER(stores),
    COUNTER(errors),        COUNTER(timeouts),  COUNTER(dropped_writes), COUNTER(breakers_open),
    COUNTER(invalidations), COUNTER(evictions), COUNTER(entries),        COUNTER(bytes),
    COUNTER(max_bytes),
};

enum { N_COUNTERS = sizeof(counters) / sizeof(*counters) };

static int64_t counter(const ferry_broker_cache_status *of, size_t i) {
    return *(const int64_t *)((const char *)of + counters[i].at);
}

static size_t count_reports(const Broker *broker) {
    return admin_caches(broker)->n;
}

static void *first_report(const Broker *broker) {
    return admin_caches(broker)->reports;
}

static void *next_report(const void *element) {
    return ((const CacheReport *)element)->next;
}

/* A user sees the caches of the sessions that it sees. */
static bool is_report_seen(Session *session, const void *element) {
    return list_of_sessions.is_seen(session, ((const CacheReport *)element)->session);
}

static unsigned write_report(const void *element, const Broker *broker, Buffer *to) {
    const CacheReport *report = element;

    write_map(to, 4 + N_COUNTERS);
    write_text(to, "cache");
    write_text(to, report->place);
    write_pair(to, "session", report->session->number);
    write_text(to, "client");
    write_text(to, report->session->name);
    write_pair(to, "age_ms", broker->now_ms - report->at_ms);
    for (size_t i = 0; i < N_COUNTERS; i++)
        write_pair(to, counters[i].name, (uint64_t)counter(&report->told, i));
    return 1;
}

static const ListKind list_of_caches = {
    .count = count_reports,
    .first = first_report,
    .next = next_report,
    .is_seen = is_report_seen,
    .write = write_report,
};

int method_caches(const Ask *ask, const void *p, Buffer *to, ferry_error *reterr) {
    (void)p;
    return admin_list_answer(ask, &list_of_caches, to, reterr);
}

/* ---- reports ---- */

static void drop(Broker *broker, Caches *caches, CacheReport *report) {
    account_refund(&report->session->peer->account, BUDGET_CONNECTIONS, sizeof(*report));
    walks_pass(broker->walks, report, report->next);
    DL_DELETE(caches->reports, report);
    caches->n--;
    free(report);
}

void caches_forget(Caches *caches, Session *session) {
    CacheReport *report = session->cache_reports, *next;

    for (; report && report->session == session; report = next) {
        next = report->next;
        drop(session->broker, caches, report);
    }
    session->cache_reports = NULL;
}

static int add(const Ask *ask, const ferry_broker_cache_status *told) {
    Caches *caches = admin_caches(ask->broker);
    CacheReport *report = calloc(1, sizeof(*report));

    if (!report)
        return -ENOMEM;
    report->session = ask->session;
    report->at_ms = ask->broker->now_ms;
    report->told = *told;
    report->told.cache = text_copy_safe(report->place, sizeof(report->place), told->cache);
    account_charge(&ask->session->peer->account, BUDGET_CONNECTIONS, sizeof(*report));
    DL_APPEND(caches->reports, report);
    caches->n++;
    if (!ask->session->cache_reports)
        ask->session->cache_reports = report;
    return 0;
}

static int check(const ferry_broker_list_cache_status *told, ferry_error *reterr) {
    if (told->n > CACHES_MAX)
        return error_set(reterr, "ferry.InvalidArgument",
                         "args.caches: %zu caches; a client reports at most %d", told->n,
                         CACHES_MAX);
    for (size_t i = 0; i < told->n; i++)
        for (size_t j = 0; j < N_COUNTERS; j++)
            if (counter(&told->v[i], j) < 0)
                return error_set(reterr, "ferry.InvalidArgument",
                                 "args.caches[%zu].%s: cannot be negative", i, counters[j].name);
    return 0;
}

int method_report_caches(const Ask *ask, const void *p, Buffer *to, ferry_error *reterr) {
    const ferry_broker_report_caches_args *args = p;
    int r = check(args->caches, reterr);

    write_nil(to);
    if (r < 0)
        return r;
    caches_forget(admin_caches(ask->broker), ask->session);
    for (size_t i = 0; r == 0 && i < args->caches->n; i++)
        r = add(ask, &args->caches->v[i]);
    return r;
}
