/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Time zones, from the files of the system (tzdata, RFC 8536). The C library has one zone for the
 * whole process, in the variable TZ, which all threads share. So this file reads the zones itself.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

typedef struct Zone Zone;

enum {
    ZONE_NAME_MAX = 64,
    ZONE_PROBLEM_MAX = 200,
    ZONE_FILE_MAX = 256 * 1024, /* the largest file of tzdata has 3.5 KiB */
};

/* A period with one offset from UTC: local time = UTC + offset_s. */
typedef struct ZoneSpan {
    int64_t since_s, until_s; /* INT64_MIN: the span has no begin; INT64_MAX: no end */
    int32_t offset_s;
} ZoneSpan;

/* A day of the Gregorian calendar. */
typedef struct Civil {
    int64_t year;
    unsigned month, day; /* both count from 1 */
} Civil;

/* Reads the zone with this name, for example "Europe/Berlin". "UTC" and "" need no file. -EINVAL:
 * the name is wrong, or the file cannot be read, and *problem says why; -ENOMEM. */
int zone_open(const char *name, Zone **ret, char problem[ZONE_PROBLEM_MAX]);
/* Reads the contents of a zone's file. -EINVAL: they are malformed; -ENOMEM. */
int zone_read(const uint8_t *data, size_t len, Zone **ret);
Zone *zone_free(Zone *zone);
DEFINE_CLEANUP(Zone *, zone_free);

/* The span to which the moment at_s belongs, in seconds since 1970 (UTC). */
ZoneSpan zone_at(const Zone *zone, int64_t at_s);

/* day: days since 1970-01-01. */
Civil civil_of_day(int64_t day);
int64_t day_of_civil(int64_t year, unsigned month, unsigned day);
