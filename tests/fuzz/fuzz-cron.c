/* SPDX-License-Identifier: Apache-2.0 */
/* Any text as a cron line, and any bytes as the file of a time zone: read, or refused with a cause.
 * The next moment must match the line, and no moment before it. */

#include <stdlib.h>
#include <string.h>

#include "broker/schedules/cron.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The rules of crontab(5), for one minute of local time. */
static bool matches(const Cron *cron, int64_t local_s) {
    int64_t day = local_s / 86400;
    Civil civil = civil_of_day(day);
    bool is_day = cron->days >> civil.day & 1;
    bool is_weekday = cron->weekdays >> (day + 4) % 7 & 1;
    bool both = cron->any_day || cron->any_weekday;

    return cron->minutes >> local_s / 60 % 60 & 1 && cron->hours >> local_s / 3600 % 24 & 1 &&
           cron->months >> civil.month & 1 && (both ? is_day && is_weekday : is_day || is_weekday);
}

/* The spans before and after a moment meet, and each has its own moments. */
static void check_zone(const Zone *zone, int64_t at_s) {
    ZoneSpan span = zone_at(zone, at_s);

    if (at_s < span.since_s || at_s >= span.until_s)
        abort();
    if (span.until_s < INT64_MAX && zone_at(zone, span.until_s).since_s > span.until_s)
        abort();
}

/* The input: a cron line, a zero byte, the file of a zone. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    enum { START = 1774700000, LOOKS = 3000 }; /* 2026-03-28, a day before clocks are changed */
    const uint8_t *zero = size ? memchr(data, 0, size) : NULL;
    size_t len = zero ? (size_t)(zero - data) : size;
    char problem[CRON_PROBLEM_MAX] = "";
    Zone *zone = NULL, *utc = NULL;
    int64_t next, found = 0;
    Cron cron;

    if (zero && zone_read(zero + 1, size - len - 1, &zone) == 0)
        for (int64_t at_s = 0; at_s < INT64_C(5000000000); at_s += 86400 * 100)
            check_zone(zone, at_s);
    if (cron_parse((const char *)data, len, &cron, problem) < 0) {
        if (!*problem)
            abort();
        zone_free(zone);
        return 0;
    }
    if (zone_open("UTC", &utc, problem) < 0)
        abort();
    next = cron_next(&cron, utc, START);
    if (next <= START || next % 60 != 0 || !matches(&cron, next))
        abort();
    for (int64_t at_s = START - START % 60 + 60; !found && at_s < START + LOOKS * 60; at_s += 60)
        found = matches(&cron, at_s) ? at_s : 0;
    if (found && found != next)
        abort();
    if (zone && (next = cron_next(&cron, zone, START)) != 0 && next <= START)
        abort();
    zone_free(zone);
    zone_free(utc);
    return 0;
}
