/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Cron lines: five fields (minute, hour, day of the month, month, day of the week), or a name as
 * @hourly. See crontab(5); the differences are in ferry(1). A cron line matches minutes of local
 * time: zone.h turns them into moments.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/schedules/zone.h"

enum { CRON_TEXT_MAX = 256, CRON_PROBLEM_MAX = 200 };

/* Bit n of a field: the value n matches. */
typedef struct Cron {
    uint64_t minutes;
    uint32_t hours, days, months, weekdays; /* days from 1, months from 1, Sunday is 0 */
    bool any_hour;                          /* the hour begins with '*': see cron_next() */
    bool any_day, any_weekday;              /* if neither is true, one that matches is enough */
} Cron;

/* Reads a cron line of len bytes. -EINVAL: *problem names the field, the byte (from 1) and what is
 * possible there. */
int cron_parse(const char *text, size_t len, Cron *ret, char problem[CRON_PROBLEM_MAX]);

/*
 * The first moment after after_s, in seconds since 1970 (UTC), at which the line matches the local
 * time of the zone. 0: it does not match in the next eight years.
 *
 * When clocks are set forward, an hour of local time is missing: lines with fixed hours that match
 * in it run once, when it would have begun. When clocks are set back, an hour comes twice: lines
 * with fixed hours run in the first one only. Lines whose hour begins with '*' go by real time:
 * they skip the missing hour, and run in both that are the same.
 */
int64_t cron_next(const Cron *cron, const Zone *zone, int64_t after_s);
