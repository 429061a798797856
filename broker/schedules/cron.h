/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Cron lines: five fields (minute, hour, day of the month, month, day of the week), or a name like
 * @hourly. See crontab(5); ferry(1) lists the differences. A cron line matches minutes of local
 * time: zone.h turns them into moments.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/schedules/zone.h"

enum { CRON_TEXT_MAX = 256, CRON_PROBLEM_MAX = 200 };

/* In each field, bit n means that the value n matches. */
typedef struct Cron {
    uint64_t minutes;
    uint32_t hours, days, months, weekdays; /* days from 1, months from 1, Sunday is 0 */
    bool any_hour;                          /* the hour begins with '*': see cron_next() */
    bool any_day, any_weekday;              /* if both are false, the line matches a day that
                                             * matches one of the two fields */
} Cron;

/* Reads a cron line of len bytes. -EINVAL: *problem names the field, the byte (from 1) and what is
 * possible there. */
int cron_parse(const char *text, size_t len, Cron *ret, char problem[CRON_PROBLEM_MAX]);

/*
 * The first moment after after_s, in seconds since 1970 (UTC), at which the line matches the local
 * time of the zone. 0: it does not match in the next eight years.
 *
 * When clocks are set forward, an hour of local time is missing: a line with fixed hours that
 * matches in this hour runs once, when the hour would have begun. When clocks are set back, an hour
 * comes twice: a line with fixed hours runs in the first one only. A line whose hour begins with
 * '*' follows real time: it skips the missing hour, and runs in both of the equal hours.
 */
int64_t cron_next(const Cron *cron, const Zone *zone, int64_t after_s);
