/* SPDX-License-Identifier: Apache-2.0 */
/* Time zones: rules, files, names. */

#include <errno.h>
#include <stdlib.h>

#include "support/suite.h"
#include "unit/broker/schedules/zone-of-rule.h"

static void a_rule_has_an_offset_for_each_moment(void) {
    static const struct {
        const char *rule, *at;
        int32_t offset_s;
    } rows[] = {
        {"UTC0", "2026-11-30T10:00", 0},
        {"<+0530>-5:30", "2026-11-30T10:00", 19800},
        {"<-03>3", "2026-11-30T10:00", -10800},
        {"CET-1CEST,M3.5.0,M10.5.0/3", "2026-03-29T00:59", 3600},
        {"CET-1CEST,M3.5.0,M10.5.0/3", "2026-03-29T01:00", 7200},
        {"CET-1CEST,M3.5.0,M10.5.0/3", "2026-10-25T00:59", 7200},
        {"CET-1CEST,M3.5.0,M10.5.0/3", "2026-10-25T01:00", 3600},
        {"EST5EDT,M3.2.0,M11.1.0", "2026-07-01T00:00", -14400},
        {"EST5EDT,M3.2.0,M11.1.0", "2026-12-01T00:00", -18000},
        /* South of the equator, summer includes the turn of the year. */
        {"AEST-10AEDT,M10.1.0,M4.1.0/3", "2026-01-01T00:00", 39600},
        {"AEST-10AEDT,M10.1.0,M4.1.0/3", "2026-07-01T00:00", 36000},
        {"AEST-10AEDT,M10.1.0,M4.1.0/3", "2026-12-31T23:59", 39600},
        /* Offsets of half an hour; days of the year; hours below zero and beyond a day. */
        {"<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", "2026-01-01T00:00", 39600},
        {"AAA3BBB,J60,J300", "2028-03-01T06:00", -7200},
        {"AAA3BBB,J60,J300", "2028-02-29T06:00", -10800},
        {"AAA3BBB,59,300", "2028-02-29T06:00", -7200},
        {"<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "2026-03-29T00:59", -7200},
        {"<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "2026-03-29T01:00", -3600},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        CLEANUP(zone_free) Zone *zone = zone_of_rule(rows[i].rule);
        ZoneSpan span;

        CU_ASSERT_PTR_NOT_NULL_FATAL(zone);
        span = zone_at(zone, moment(rows[i].at));
        if (span.offset_s != rows[i].offset_s)
            printf("%s at %s: %d\n", rows[i].rule, rows[i].at, span.offset_s);
        CU_ASSERT_EQUAL(span.offset_s, rows[i].offset_s);
        CU_ASSERT(span.since_s <= moment(rows[i].at));
        CU_ASSERT(span.until_s > moment(rows[i].at));
    }
}

static void malformed_files_are_refused(void) {
    static const char *const rules[] = {"U0",           "UTC",           "UTC0UTD",
                                        "UTC0UTD,M1",   "UTC99",         "UTC0UTD,M13.1.0,M1.1.0",
                                        "UTC0x",        "<UTC0",         "UTC0UTD,J366,J1",
                                        "UTC0UTD,1,2x", "UTC0UTD,1,2,3", ":Europe/Berlin"};
    uint8_t data[300];
    size_t len = zone_file(data, "CET-1CEST,M3.5.0,M10.5.0/3");
    Zone *zone = NULL;

    for (size_t i = 0; i < sizeof(rules) / sizeof(*rules); i++)
        CU_ASSERT_PTR_NULL(zone_of_rule(rules[i]));
    for (size_t i = 0; i < len; i++)
        CU_ASSERT_EQUAL(zone_read(data, i, &zone), -EINVAL);
    CU_ASSERT_EQUAL(zone_read(data, len, &zone), 0);
    zone = zone_free(zone);
    data[4] = '\0'; /* version 1 has no rule */
    CU_ASSERT_EQUAL(zone_read(data, len, &zone), -EINVAL);
}

/* Compares each zone of this machine, if it has any, with the C library. */
static void zones_of_the_system_agree_with_the_c_library(void) {
    static const char *const names[] = {"Europe/Berlin",       "America/New_York",  "Asia/Kolkata",
                                        "Australia/Lord_Howe", "Africa/Casablanca", "Pacific/Apia"};

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        CLEANUP(zone_free) Zone *zone = NULL;
        char problem[ZONE_PROBLEM_MAX];

        if (zone_open(names[i], &zone, problem) < 0) {
            printf("%s: %s, ", names[i], problem);
            continue;
        }
        setenv("TZ", names[i], 1);
        tzset();
        for (time_t at = 0; at < (time_t)4000000000; at += 86400 * 5 + 3601) {
            struct tm local;

            CU_ASSERT_PTR_NOT_NULL_FATAL(localtime_r(&at, &local));
            if (local.tm_gmtoff != zone_at(zone, at).offset_s) {
                printf("%s at %lld\n", names[i], (long long)at);
                CU_FAIL("another offset");
                break;
            }
        }
        unsetenv("TZ");
    }
}

static void names_do_not_lead_out_of_the_folder(void) {
    static const char *const bad[] = {"../../../etc/passwd", "/etc/localtime",  "Europe/",      ".",
                                      "Europe//Berlin",      "Europe/No Where", "posixrules.\n"};
    char problem[ZONE_PROBLEM_MAX], name[ZONE_NAME_MAX + 2];
    Zone *zone = NULL;

    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        CU_ASSERT_EQUAL(zone_open(bad[i], &zone, problem), -EINVAL);
        CU_ASSERT_PTR_NOT_NULL(strstr(problem, "is not the name of a time zone"));
    }
    CU_ASSERT_EQUAL(zone_open("Europe/Nowhere", &zone, problem), -EINVAL);
    CU_ASSERT_PTR_NOT_NULL(strstr(problem, "'Europe/Nowhere' is not in /usr/share/zoneinfo"));
    CU_ASSERT_EQUAL(zone_open("Europe", &zone, problem), -EINVAL); /* the name of a folder */
    memset(name, 'a', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    CU_ASSERT_EQUAL(zone_open(name, &zone, problem), -EINVAL);
    CU_ASSERT_EQUAL(zone_open("UTC", &zone, problem), 0);
    CU_ASSERT_EQUAL(zone_at(zone, 0).offset_s, 0);
    zone = zone_free(zone);
}

static void days_are_counted_as_in_the_calendar(void) {
    CU_ASSERT_EQUAL(day_of_civil(1970, 1, 1), 0);
    CU_ASSERT_EQUAL(day_of_civil(2000, 2, 29), 11016);
    for (int64_t day = -800000; day < 800000; day += 13) {
        Civil civil = civil_of_day(day);

        CU_ASSERT_EQUAL(day_of_civil(civil.year, civil.month, civil.day), day);
    }
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_rule_has_an_offset_for_each_moment),
        TEST(malformed_files_are_refused),
        TEST(zones_of_the_system_agree_with_the_c_library),
        TEST(names_do_not_lead_out_of_the_folder),
        TEST(days_are_counted_as_in_the_calendar),
        TESTS_END,
    };

    return run_suite("time zones", tests);
}
