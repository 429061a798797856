/* SPDX-License-Identifier: Apache-2.0 */
/* Time zones, from TZif files. See zone.h. */

#include "broker/schedules/zone.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#define ZONE_FOLDER "/usr/share/zoneinfo"

enum { DAY_S = 86400, OFFSET_MAX_S = 26 * 3600, HEAD = 44 };

typedef struct Transition {
    int64_t at_s;
    int32_t offset_s; /* offset from UTC after the transition */
} Transition;

/* A change that comes each year, as "M3.5.0/2": summer time begins or ends. */
typedef struct ZoneChange {
    char kind; /* 'M': the weekday `day` of week `week` (5: the last) of `month`; 'J': day of the
                * year from 1, without 29 February; 'N': from 0, with 29 February */
    int month, week, day;
    int32_t time_s; /* time of day of the change, local time */
} ZoneChange;

/* The rule after the last transition, as "CET-1CEST,M3.5.0,M10.5.0/3". */
typedef struct ZoneRule {
    int32_t standard_s, summer_s;
    bool has_summer;
    ZoneChange begins, ends;
} ZoneRule;

struct Zone {
    ZoneRule rule;
    bool has_rule; /* false: the last transition is valid for ever */
    int32_t first_s;
    size_t n;
    Transition transitions[];
};

/* ---- the calendar (H. Hinnant, "chrono-compatible low-level date algorithms") ---- */

int64_t day_of_civil(int64_t year, unsigned month, unsigned day) {
    int64_t era, y = month <= 2 ? year - 1 : year;
    unsigned of_era, of_year;

    era = (y >= 0 ? y : y - 399) / 400;
    of_era = (unsigned)(y - era * 400);
    of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    return era * 146097 + (int64_t)of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

Civil civil_of_day(int64_t day) {
    int64_t z = day + 719468, era = (z >= 0 ? z : z - 146096) / 146097;
    unsigned of_era = (unsigned)(z - era * 146097);
    unsigned year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    unsigned of_year = of_era - (365 * year + year / 4 - year / 100);
    unsigned m = (5 * of_year + 2) / 153;
    unsigned month = m < 10 ? m + 3 : m - 9;

    return (Civil){year + era * 400 + (month <= 2), month, of_year - (153 * m + 2) / 5 + 1};
}

static bool is_leap(int64_t year) {
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

/* ---- the rule: a POSIX TZ string ---- */

typedef struct RuleText {
    const char *at, *end;
    bool failed;
} RuleText;

static bool accept(RuleText *text, char c) {
    if (text->at == text->end || *text->at != c)
        return false;
    text->at++;
    return true;
}

static bool is_digit(const RuleText *text) {
    return text->at < text->end && *text->at >= '0' && *text->at <= '9';
}

static int read_number(RuleText *text, int min, int max) {
    int number = 0;

    if (!is_digit(text))
        text->failed = true;
    while (is_digit(text) && number <= max)
        number = number * 10 + (*text->at++ - '0');
    if (number < min || number > max)
        text->failed = true;
    return number;
}

static void skip_name(RuleText *text) {
    const char *start = text->at;

    if (accept(text, '<')) {
        while (text->at < text->end && *text->at != '>')
            text->at++;
        text->failed |= !accept(text, '>');
        return;
    }
    while (text->at < text->end &&
           ((*text->at >= 'a' && *text->at <= 'z') || (*text->at >= 'A' && *text->at <= 'Z')))
        text->at++;
    text->failed |= text->at - start < 3;
}

/* Reads "[+-]hh[:mm[:ss]]". Returns seconds. */
static int32_t read_time(RuleText *text, int max_hours) {
    bool is_negative = accept(text, '-');
    int32_t s;

    if (!is_negative)
        accept(text, '+');
    s = read_number(text, 0, max_hours) * 3600;
    if (accept(text, ':'))
        s += read_number(text, 0, 59) * 60;
    if (accept(text, ':'))
        s += read_number(text, 0, 59);
    return is_negative ? -s : s;
}

static ZoneChange read_change(RuleText *text) {
    ZoneChange change = {.time_s = 2 * 3600};

    if (accept(text, 'M')) {
        change.kind = 'M';
        change.month = read_number(text, 1, 12);
        text->failed |= !accept(text, '.');
        change.week = read_number(text, 1, 5);
        text->failed |= !accept(text, '.');
        change.day = read_number(text, 0, 6);
    } else if (accept(text, 'J')) {
        change.kind = 'J';
        change.day = read_number(text, 1, 365);
    } else {
        change.kind = 'N';
        change.day = read_number(text, 0, 365);
    }
    if (accept(text, '/'))
        change.time_s = read_time(text, 167);
    return change;
}

static int read_rule(const char *string, size_t len, ZoneRule *ret) {
    RuleText text = {string, string + len, false};
    ZoneRule rule = {0};

    skip_name(&text);
    rule.standard_s = -read_time(&text, 24);
    if (!text.failed && text.at < text.end) {
        rule.has_summer = true;
        skip_name(&text);
        rule.summer_s = rule.standard_s + 3600;
        if (text.at < text.end && *text.at != ',')
            rule.summer_s = -read_time(&text, 24);
        text.failed |= !accept(&text, ',');
        rule.begins = read_change(&text);
        text.failed |= !accept(&text, ',');
        rule.ends = read_change(&text);
    }
    if (text.failed || text.at != text.end)
        return -EINVAL;
    *ret = rule;
    return 0;
}

/* The moment of the change in this year, if offset_s is the offset before it. */
static int64_t change_at(const ZoneChange *change, int64_t year, int32_t offset_s) {
    int64_t day;

    if (change->kind == 'M') {
        unsigned month = (unsigned)change->month;
        int64_t first = day_of_civil(year, month, 1);
        int64_t next = month < 12 ? day_of_civil(year, month + 1, 1) : day_of_civil(year + 1, 1, 1);
        int weekday = (int)(((first + 4) % 7 + 7) % 7);

        day = first + (change->day - weekday + 7) % 7 + ((int64_t)change->week - 1) * 7;
        if (day >= next)
            day -= 7;
    } else if (change->kind == 'J') {
        day = day_of_civil(year, 1, 1) + change->day - 1 + (is_leap(year) && change->day >= 60);
    } else {
        day = day_of_civil(year, 1, 1) + change->day;
    }
    return day * DAY_S + change->time_s - offset_s;
}

static ZoneSpan span_of_rule(const ZoneRule *rule, int64_t at_s) {
    ZoneSpan span = {INT64_MIN, INT64_MAX, rule->standard_s};
    int64_t year;

    if (!rule->has_summer)
        return span;
    /* Find the last change up to at_s, and the first change after it, among the changes of the
     * years around it. */
    year = civil_of_day(at_s / DAY_S).year;
    for (int64_t y = year - 2; y <= year + 2; y++) {
        const int64_t changes[] = {change_at(&rule->begins, y, rule->standard_s),
                                   change_at(&rule->ends, y, rule->summer_s)};

        for (int i = 0; i < 2; i++) {
            if (changes[i] <= at_s && changes[i] >= span.since_s) {
                span.since_s = changes[i];
                span.offset_s = i == 0 ? rule->summer_s : rule->standard_s;
            }
            if (changes[i] > at_s && changes[i] < span.until_s)
                span.until_s = changes[i];
        }
    }
    return span;
}

/* ---- the file ---- */

static uint32_t get_u32(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static int64_t get_i64(const uint8_t *p) {
    return (int64_t)((uint64_t)get_u32(p) << 32 | get_u32(p + 4));
}

/* The counts in the head of a block of the file. */
typedef struct ZoneCounts {
    size_t utc, standard, leap, times, types, chars;
} ZoneCounts;

/* False: the bytes are not a head, or its counts do not fit into a file. */
static bool read_counts(const uint8_t *data, size_t len, ZoneCounts *to) {
    if (len < HEAD || memcmp(data, "TZif", 4) != 0)
        return false;
    *to = (ZoneCounts){get_u32(data + 20), get_u32(data + 24), get_u32(data + 28),
                       get_u32(data + 32), get_u32(data + 36), get_u32(data + 40)};
    return to->utc < ZONE_FILE_MAX && to->standard < ZONE_FILE_MAX && to->leap < ZONE_FILE_MAX &&
           to->times < ZONE_FILE_MAX && to->types > 0 && to->types <= 256 &&
           to->chars < ZONE_FILE_MAX;
}

static size_t block_len(const ZoneCounts *counts, size_t time_size) {
    return counts->times * (time_size + 1) + counts->types * 6 + counts->chars +
           counts->leap * (time_size + 4) + counts->standard + counts->utc;
}

static int read_transitions(Zone *zone, const ZoneCounts *counts, const uint8_t *data) {
    const uint8_t *types = data + counts->times * 8, *records = types + counts->times;

    for (size_t i = 0; i < counts->types; i++) {
        int32_t offset_s = (int32_t)get_u32(records + i * 6);

        if (offset_s < -OFFSET_MAX_S || offset_s > OFFSET_MAX_S)
            return -EINVAL;
    }
    zone->first_s = (int32_t)get_u32(records);
    for (size_t i = 0; i < counts->times; i++) {
        int64_t at_s = get_i64(data + i * 8);

        if (types[i] >= counts->types || (i > 0 && at_s <= zone->transitions[i - 1].at_s) ||
            at_s < INT64_MIN / 2 || at_s > INT64_MAX / 2)
            return -EINVAL;
        zone->transitions[i] = (Transition){at_s, (int32_t)get_u32(records + (size_t)types[i] * 6)};
    }
    zone->n = counts->times;
    return 0;
}

/* A file has a block with times of 32 bits. Since version 2, a block with times of 64 bits and a
 * line with the rule follow. */
int zone_read(const uint8_t *data, size_t len, Zone **ret) {
    CLEANUP(zone_free) Zone *zone = NULL;
    const uint8_t *rule, *end;
    ZoneCounts counts;
    int r;

    if (!read_counts(data, len, &counts) || data[4] < '2' || len - HEAD < block_len(&counts, 4))
        return -EINVAL;
    data += HEAD + block_len(&counts, 4);
    len -= HEAD + block_len(&counts, 4);
    if (!read_counts(data, len, &counts) || len - HEAD < block_len(&counts, 8) || counts.leap > 0)
        return -EINVAL;
    zone = calloc(1, sizeof(*zone) + counts.times * sizeof(Transition));
    if (!zone)
        return -ENOMEM;
    r = read_transitions(zone, &counts, data + HEAD);
    if (r < 0)
        return r;
    rule = data + HEAD + block_len(&counts, 8);
    len -= HEAD + block_len(&counts, 8);
    end = len > 0 && *rule == '\n' ? memchr(rule + 1, '\n', len - 1) : NULL;
    if (!end)
        return -EINVAL;
    if (end - rule > 1) {
        zone->has_rule = true;
        r = read_rule((const char *)rule + 1, (size_t)(end - rule - 1), &zone->rule);
    }
    if (r == 0)
        *ret = steal(&zone);
    return r;
}

ZoneSpan zone_at(const Zone *zone, int64_t at_s) {
    size_t low = 0, high = zone->n;
    ZoneSpan span;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (zone->transitions[middle].at_s <= at_s)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == zone->n && zone->has_rule) {
        span = span_of_rule(&zone->rule, at_s);
        if (zone->n > 0 && span.since_s < zone->transitions[zone->n - 1].at_s)
            span.since_s = zone->transitions[zone->n - 1].at_s;
        return span;
    }
    return (ZoneSpan){low > 0 ? zone->transitions[low - 1].at_s : INT64_MIN,
                      low < zone->n ? zone->transitions[low].at_s : INT64_MAX,
                      low > 0 ? zone->transitions[low - 1].offset_s : zone->first_s};
}

/* ---- names ---- */

/* True: the name does not lead out of the folder of zones. */
static bool is_name(const char *name) {
    for (const char *at = name; *at; at++)
        if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-/", *at) ||
            (*at == '/' && (at == name || at[1] == '/' || at[1] == '\0')))
            return false;
    return strlen(name) <= ZONE_NAME_MAX;
}

static int read_file(const char *path, uint8_t **ret, size_t *ret_len) {
    FILE *file = fopen(path, "re");
    uint8_t *data = file ? malloc(ZONE_FILE_MAX) : NULL;
    int r = !file ? -errno : !data ? -ENOMEM : 0;

    if (r == 0)
        *ret_len = fread(data, 1, ZONE_FILE_MAX, file);
    if (r == 0 && ferror(file))
        r = -EISDIR;
    if (file)
        fclose(file);
    if (r < 0)
        free(data);
    else
        *ret = data;
    return r;
}

int zone_open(const char *name, Zone **ret, char problem[ZONE_PROBLEM_MAX]) {
    char path[sizeof(ZONE_FOLDER) + 1 + ZONE_NAME_MAX], shown[TEXT_ESCAPED_MAX];
    uint8_t *data = NULL;
    size_t len = 0;
    int r;

    text_escape(shown, name, strnlen(name, ZONE_NAME_MAX));
    if (*name == '\0' || strcmp(name, "UTC") == 0) {
        *ret = calloc(1, sizeof(**ret));
        return *ret ? 0 : -ENOMEM;
    }
    if (!is_name(name)) {
        snprintf(problem, ZONE_PROBLEM_MAX,
                 "'%.90s' is not the name of a time zone: an example is Europe/Berlin", shown);
        return -EINVAL;
    }
    snprintf(path, sizeof(path), ZONE_FOLDER "/%s", name);
    r = read_file(path, &data, &len);
    if (r < 0) {
        snprintf(problem, ZONE_PROBLEM_MAX,
                 "the time zone '%.64s' is not in " ZONE_FOLDER " (package tzdata): %s", shown,
                 strerror(-r));
        return r == -ENOMEM ? r : -EINVAL;
    }
    r = zone_read(data, len, ret);
    free(data);
    if (r == -EINVAL)
        snprintf(problem, ZONE_PROBLEM_MAX,
                 "the file of the time zone '%.64s' cannot be used: it must be a TZif file of "
                 "version 2 or later, without leap seconds",
                 shown);
    return r;
}

Zone *zone_free(Zone *zone) {
    free(zone);
    return NULL;
}
