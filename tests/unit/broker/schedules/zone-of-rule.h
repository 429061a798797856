/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Files of time zones for tests that must not depend on the files of the system. */

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "broker/schedules/zone.h"

/* Makes a TZif file of version 2 without transitions: with one offset, and this rule. Returns its
 * length. */
static inline size_t zone_file(uint8_t to[300], const char *rule) {
    static const uint8_t head[44] = {'T', 'Z', 'i', 'f', '2', [39] = 1, [43] = 4};
    static const uint8_t type[6 + 4] = {0, 0, 0, 0, 0, 0, 'L', 'M', 'T', 0};
    size_t at = 0;

    for (int i = 0; i < 2; i++) {
        memcpy(to + at, head, sizeof(head));
        memcpy(to + at + sizeof(head), type, sizeof(type));
        at += sizeof(head) + sizeof(type);
    }
    return at + (size_t)snprintf((char *)to + at, 300 - at, "\n%s\n", rule);
}

/* NULL: the rule is malformed. */
static inline Zone *zone_of_rule(const char *rule) {
    Zone *zone = NULL;
    uint8_t data[300];

    zone_read(data, zone_file(data, rule), &zone);
    return zone;
}

/* "2026-03-29T02:30" in UTC, in seconds since 1970. */
static inline int64_t moment(const char *text) {
    unsigned year, month, day, hour, minute;

    if (sscanf(text, "%u-%u-%uT%u:%u", &year, &month, &day, &hour, &minute) != 5)
        return -1;
    return day_of_civil(year, month, day) * 86400 + hour * 3600 + minute * 60;
}
