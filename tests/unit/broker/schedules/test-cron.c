/* SPDX-License-Identifier: Apache-2.0 */
/* Cron lines: valid and invalid ones, and their next moments, also when clocks are changed. */

#include "broker/schedules/cron.h"

#include <errno.h>

#include "support/suite.h"
#include "unit/broker/schedules/zone-of-rule.h"

static const char berlin[] = "CET-1CEST,M3.5.0,M10.5.0/3";

typedef struct Row {
    const char *line, *after, *next;
} Row;

static void check(const Row *row, const Zone *zone) {
    char problem[CRON_PROBLEM_MAX] = "";
    int64_t got, wanted = row->next ? moment(row->next) : 0;
    Cron cron;

    if (cron_parse(row->line, strlen(row->line), &cron, problem) < 0) {
        printf("'%s': %s\n", row->line, problem);
        CU_FAIL("refused");
        return;
    }
    got = cron_next(&cron, zone, moment(row->after));
    if (got != wanted)
        printf("'%s' after %s: %lld, not %s\n", row->line, row->after, (long long)got, row->next);
    CU_ASSERT_EQUAL(got, wanted);
}

static void check_all(const Row *rows, size_t n, const char *rule) {
    CLEANUP(zone_free) Zone *zone = zone_of_rule(rule);

    CU_ASSERT_PTR_NOT_NULL_FATAL(zone);
    for (size_t i = 0; i < n; i++)
        check(&rows[i], zone);
}

static void the_next_moment_is_the_first_that_matches(void) {
    static const Row rows[] = {
        {"* * * * *", "2026-11-30T10:00", "2026-11-30T10:01"},
        {"*/15 * * * *", "2026-11-30T10:44", "2026-11-30T10:45"},
        {"*/15 * * * *", "2026-11-30T10:45", "2026-11-30T11:00"},
        {"5,10-12 * * * *", "2026-11-30T10:05", "2026-11-30T10:10"},
        {"5,10-12 * * * *", "2026-11-30T10:12", "2026-11-30T11:05"},
        {"10-40/10 * * * *", "2026-11-30T10:30", "2026-11-30T10:40"},
        {"10-40/10 * * * *", "2026-11-30T10:40", "2026-11-30T11:10"},
        {"0 6 * * *", "2026-11-30T06:00", "2026-12-01T06:00"},
        {"30 23 31 12 *", "2026-12-31T23:30", "2027-12-31T23:30"},
        {"0 0 * * mon", "2026-11-30T00:00", "2026-12-07T00:00"},
        {"0 0 * * 7", "2026-11-30T00:00", "2026-12-06T00:00"},
        {"0 0 * * 0", "2026-11-30T00:00", "2026-12-06T00:00"},
        {"0 9 * * MON-FRI", "2026-11-27T09:00", "2026-11-30T09:00"},
        {"0 0 1 jan,Jul *", "2026-01-01T00:00", "2026-07-01T00:00"},
        {"0 0 29 2 *", "2026-01-01T00:00", "2028-02-29T00:00"},
        {"0 0 29 2 *", "2096-03-01T00:00", "2104-02-29T00:00"},
        {"0 0 31 * *", "2026-01-31T00:00", "2026-03-31T00:00"},
        /* A day of the month and a day of the week: a day that matches one of them is enough. */
        {"0 0 13 * fri", "2026-11-13T00:00", "2026-11-20T00:00"},
        {"0 0 13 * fri", "2026-12-11T00:00", "2026-12-13T00:00"},
        /* If one of them begins with '*', a day must match both. */
        {"0 0 */2 * mon", "2026-11-30T00:00", "2026-12-07T00:00"},
        {"@hourly", "2026-11-30T10:00", "2026-11-30T11:00"},
        {"@daily", "2026-11-30T10:00", "2026-12-01T00:00"},
        {"@midnight", "2026-11-30T10:00", "2026-12-01T00:00"},
        {"@weekly", "2026-11-30T10:00", "2026-12-06T00:00"},
        {"@MONTHLY", "2026-11-30T10:00", "2026-12-01T00:00"},
        {"@yearly", "2026-11-30T10:00", "2027-01-01T00:00"},
        {" @annually\t", "2026-11-30T10:00", "2027-01-01T00:00"},
        {"\t0  0 1\t1 *  ", "2026-11-30T10:00", "2027-01-01T00:00"},
    };

    check_all(rows, sizeof(rows) / sizeof(*rows), "UTC0");
}

static void local_times_are_turned_into_moments(void) {
    static const Row rows[] = {
        {"0 6 * * *", "2026-11-30T10:00", "2026-12-01T05:00"}, /* winter: UTC+1 */
        {"0 6 * * *", "2026-07-01T10:00", "2026-07-02T04:00"}, /* summer: UTC+2 */
        {"0 0 1 * *", "2026-06-30T10:00", "2026-06-30T22:00"},
        {"0 1 * * mon", "2026-11-29T10:00", "2026-11-30T00:00"},
    };

    check_all(rows, sizeof(rows) / sizeof(*rows), berlin);
}

/* In Berlin, 02:00 becomes 03:00 on 2026-03-29 at 01:00 UTC. */
static void a_fixed_hour_that_is_skipped_runs_once(void) {
    static const Row rows[] = {
        {"30 2 * * *", "2026-03-28T12:00", "2026-03-29T01:00"},
        {"30 2 * * *", "2026-03-29T01:00", "2026-03-30T00:30"},
        {"0,30 2 * * *", "2026-03-28T12:00", "2026-03-29T01:00"},
        {"0,30 2 * * *", "2026-03-29T01:00", "2026-03-30T00:00"},
        {"0 3 * * *", "2026-03-28T12:00", "2026-03-29T01:00"},
        {"30 2 30 * *", "2026-03-28T12:00", "2026-03-30T00:30"},
        /* These lines follow real time. */
        {"30 * * * *", "2026-03-29T00:30", "2026-03-29T01:30"},
        {"30 */2 * * *", "2026-03-29T00:00", "2026-03-29T02:30"},
    };

    check_all(rows, sizeof(rows) / sizeof(*rows), berlin);
}

/* In Berlin, 03:00 becomes 02:00 on 2026-10-25 at 01:00 UTC. */
static void a_fixed_hour_that_comes_twice_runs_once(void) {
    static const Row rows[] = {
        {"30 2 * * *", "2026-10-24T12:00", "2026-10-25T00:30"},
        {"30 2 * * *", "2026-10-25T00:30", "2026-10-26T01:30"},
        {"0 3 * * *", "2026-10-25T00:30", "2026-10-25T02:00"},
        /* These lines follow real time. */
        {"30 * * * *", "2026-10-25T00:30", "2026-10-25T01:30"},
        {"30 * * * *", "2026-10-25T01:30", "2026-10-25T02:30"},
    };

    check_all(rows, sizeof(rows) / sizeof(*rows), berlin);
}

static void a_bad_line_is_refused_with_field_and_place(void) {
    static const struct {
        const char *line, *problem;
    } rows[] = {
        {"", "ends before its minute"},
        {"* * * *", "ends before its day of the week"},
        {"60 * * * *", "minute '60' at byte 1: a number from 0 to 59"},
        {"* 24 * * *", "hour '24' at byte 3: a number from 0 to 23"},
        {"* * 0 * *", "day of the month '0' at byte 5: a number from 1 to 31"},
        {"* * * 13 *", "month '13' at byte 7: a number from 1 to 12, or a name from jan to dec"},
        {"* * * * 8", "day of the week '8' at byte 9: a number from 0 to 7, or a name from sun"},
        {"* * * foo *", "month 'foo' at byte 7"},
        {"a * * * *", "minute 'a' at byte 1"},
        {"5/15 * * * *", "minute '/' at byte 2: a step follows * or a range"},
        {"*/0 * * * *", "minute '0' at byte 3: a step"},
        {"*/x * * * *", "minute 'x' at byte 3: a step"},
        {"*/60 * * * *", "minute '60' at byte 3: a step"},
        {"30-10 * * * *", "minute '30-10' at byte 1: the range ends before it begins"},
        {"* * * * fri-mon", "day of the week 'fri-mon' at byte 9: the range ends before it begins"},
        {"1,,2 * * * *", "minute ',' at byte 3"},
        {"1, * * * *", "minute ' ' at byte 3"},
        {"* * * * 1,", "day of the week '' at byte 11"},
        {"* * * * */", "day of the week '' at byte 11"},
        {"*5 * * * *", "minute '5' at byte 2: a space must follow"},
        {"-1 * * * *", "minute '-' at byte 1"},
        {"* * * * * *", "the cron line '*' at byte 11: nothing may follow"},
        {"0 0 30 2 *", "none of its months has this day"},
        {"0 0 31 4,6,9,11 *", "none of its months has this day"},
        {"@reboot",
         "the cron line '@reboot' at byte 1: the only names are @yearly, @annually, @monthly, "
         "@weekly, @daily, @midnight and @hourly"},
        {"@", "the cron line '@' at byte 1"},
        {"99999999999 * * * *", "minute '99999999999' at byte 1"},
        {"\xff * * * *", "minute '\\xff' at byte 1"},
    };
    char problem[CRON_PROBLEM_MAX], line[CRON_TEXT_MAX + 2];
    Cron cron;

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        *problem = '\0';
        CU_ASSERT_EQUAL(cron_parse(rows[i].line, strlen(rows[i].line), &cron, problem), -EINVAL);
        if (!strcasestr(problem, rows[i].problem))
            printf("'%s': '%s', not '%s'\n", rows[i].line, problem, rows[i].problem);
        CU_ASSERT_PTR_NOT_NULL(strcasestr(problem, rows[i].problem));
    }
    memset(line, ' ', sizeof(line));
    memcpy(line, "* * * * *", 9);
    CU_ASSERT_EQUAL(cron_parse(line, CRON_TEXT_MAX, &cron, problem), 0);
    CU_ASSERT_EQUAL(cron_parse(line, CRON_TEXT_MAX + 1, &cron, problem), -EINVAL);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(the_next_moment_is_the_first_that_matches),
        TEST(local_times_are_turned_into_moments),
        TEST(a_fixed_hour_that_is_skipped_runs_once),
        TEST(a_fixed_hour_that_comes_twice_runs_once),
        TEST(a_bad_line_is_refused_with_field_and_place),
        TESTS_END,
    };

    return run_suite("cron lines", tests);
}
