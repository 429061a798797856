/* SPDX-License-Identifier: Apache-2.0 */
/* Reads cron lines, and finds their next moments. See cron.h. */

#include "broker/schedules/cron.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"

enum { MINUTE, HOUR, DAY, MONTH, WEEKDAY, N_FIELDS };

typedef struct CronField {
    const char *name;
    unsigned min, max;
    const char *const *words; /* words for min and the numbers after it; NULL: the field takes
                               * numbers only */
    size_t n_words;
} CronField;

static const char *const months[] = {"jan", "feb", "mar", "apr", "may", "jun",
                                     "jul", "aug", "sep", "oct", "nov", "dec"};
static const char *const weekdays[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};

static const CronField fields[N_FIELDS] = {
    {"minute", 0, 59, NULL, 0},
    {"hour", 0, 23, NULL, 0},
    {"day of the month", 1, 31, NULL, 0},
    {"month", 1, 12, months, 12},
    {"day of the week", 0, 7, weekdays, 7},
};

static const struct {
    const char *name, *line;
} nicknames[] = {
    {"@yearly", "0 0 1 1 *"}, {"@annually", "0 0 1 1 *"}, {"@monthly", "0 0 1 * *"},
    {"@weekly", "0 0 * * 0"}, {"@daily", "0 0 * * *"},    {"@midnight", "0 0 * * *"},
    {"@hourly", "0 * * * *"},
};

/* ---- reading ---- */

typedef struct Scanner {
    const char *text;
    size_t at, len;
    const CronField *field; /* NULL: the scanner is between two fields */
    char *problem;
} Scanner;

static int refuse(const Scanner *scanner, size_t at, size_t len, const char *what) {
    char shown[TEXT_ESCAPED_MAX];

    if (len > scanner->len - at)
        len = scanner->len - at; /* the line ends here */
    snprintf(scanner->problem, CRON_PROBLEM_MAX, "%s '%.60s' at byte %zu: %s",
             scanner->field ? scanner->field->name : "the cron line",
             text_escape(shown, scanner->text + at, len < 15 ? len : 15), at + 1, what);
    return -EINVAL;
}

static bool is_at_end(const Scanner *scanner) {
    return scanner->at == scanner->len;
}

static char peek(const Scanner *scanner) {
    return (char)(is_at_end(scanner) ? '\0' : scanner->text[scanner->at]);
}

static bool is_space(char c) {
    return c == ' ' || c == '\t';
}

static void skip_spaces(Scanner *scanner) {
    while (!is_at_end(scanner) && is_space(peek(scanner)))
        scanner->at++;
}

/* The number of bytes up to the next separator. */
static size_t word_len(const Scanner *scanner) {
    size_t at = scanner->at;

    while (at < scanner->len && !memchr(",-/ \t", scanner->text[at], 5))
        at++;
    return at - scanner->at;
}

static int out_of_range(const Scanner *scanner, size_t at, size_t len) {
    const CronField *field = scanner->field;
    char what[80];

    snprintf(what, sizeof(what), "a number from %u to %u%s%s%s%s is possible", field->min,
             field->max, field->words ? ", or a name from " : "",
             field->words ? field->words[0] : "", field->words ? " to " : "",
             field->words ? field->words[field->n_words - 1] : "");
    return refuse(scanner, at, len, what);
}

/* A number of at most four digits, or -1. */
static int number_in(const char *text, size_t len) {
    int number = 0;

    if (len == 0 || len > 4)
        return -1;
    for (size_t i = 0; i < len; i++) {
        if (!isdigit((unsigned char)text[i]))
            return -1;
        number = number * 10 + (text[i] - '0');
    }
    return number;
}

static int read_value(Scanner *scanner, unsigned *ret) {
    const CronField *field = scanner->field;
    const char *word = scanner->text + scanner->at;
    size_t at = scanner->at, len = word_len(scanner);
    int number = number_in(word, len);

    for (size_t i = 0; len == 3 && i < field->n_words; i++)
        if (strncasecmp(word, field->words[i], 3) == 0)
            number = (int)(field->min + i);
    if (number < (int)field->min || number > (int)field->max)
        return out_of_range(scanner, at, len ? len : 1);
    scanner->at += len;
    *ret = (unsigned)number;
    return 0;
}

/* Reads "/N" after '*' or a range. */
static int read_step(Scanner *scanner, bool is_range, unsigned *ret) {
    size_t at = scanner->at, len;
    int step;

    *ret = 1;
    if (peek(scanner) != '/')
        return 0;
    if (!is_range)
        return refuse(scanner, at, 1, "a step follows * or a range, as in */15 or 10-40/5");
    scanner->at++;
    len = word_len(scanner);
    step = number_in(scanner->text + scanner->at, len);
    if (step < 1 || step > (int)scanner->field->max)
        return refuse(scanner, scanner->at, len ? len : 1,
                      "a step must be a number from 1 to the largest value of the field");
    scanner->at += len;
    *ret = (unsigned)step;
    return 0;
}

/* Reads "*", "5", "1-5" or "mon-fri/2", and adds its values to *ret. */
static int read_part(Scanner *scanner, uint64_t *ret, bool *ret_any) {
    const CronField *field = scanner->field;
    unsigned first = field->min, last = field->max, step;
    size_t at = scanner->at;
    bool is_range = true;
    int r = 0;

    if (peek(scanner) == '*') {
        scanner->at++;
        *ret_any = true;
        last = field->words == weekdays ? 6 : field->max;
    } else {
        r = read_value(scanner, &first);
        last = first;
        is_range = r == 0 && peek(scanner) == '-';
        if (is_range) {
            scanner->at++;
            r = read_value(scanner, &last);
        }
    }
    if (r == 0 && last < first)
        return refuse(scanner, at, scanner->at - at, "the range ends before it begins");
    if (r == 0)
        r = read_step(scanner, is_range, &step);
    for (unsigned value = first; r == 0 && value <= last; value += step)
        *ret |= UINT64_C(1) << value;
    return r;
}

static int read_field(Scanner *scanner, const CronField *field, uint64_t *ret, bool *ret_any) {
    int r;

    scanner->field = NULL;
    skip_spaces(scanner);
    if (is_at_end(scanner)) {
        snprintf(scanner->problem, CRON_PROBLEM_MAX,
                 "the cron line ends before its %s: five fields are needed, minute, hour, day of "
                 "the month, month and day of the week",
                 field->name);
        return -EINVAL;
    }
    scanner->field = field;
    *ret = 0;
    *ret_any = false;
    for (;;) {
        r = read_part(scanner, ret, ret_any);
        if (r < 0 || peek(scanner) != ',')
            break;
        scanner->at++;
    }
    if (r == 0 && !is_at_end(scanner) && !is_space(peek(scanner)))
        return refuse(scanner, scanner->at, 1, "a space must follow here");
    return r;
}

/* True: at least one of the line's months can have one of its days. */
static bool has_day(const Cron *cron) {
    static const unsigned lengths[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    for (unsigned month = 1; month <= 12; month++)
        if (cron->months >> month & 1 &&
            cron->days & (uint32_t)((UINT64_C(1) << (lengths[month - 1] + 1)) - 2))
            return true;
    return false;
}

static int read_fields(Scanner *scanner, Cron *ret) {
    uint64_t bits[N_FIELDS] = {0};
    bool any[N_FIELDS];
    int r = 0;

    for (unsigned i = 0; i < N_FIELDS && r == 0; i++)
        r = read_field(scanner, &fields[i], &bits[i], &any[i]);
    if (r < 0)
        return r;
    scanner->field = NULL;
    skip_spaces(scanner);
    if (!is_at_end(scanner))
        return refuse(scanner, scanner->at, scanner->len - scanner->at,
                      "nothing may follow the five fields");
    *ret = (Cron){.minutes = bits[MINUTE],
                  .hours = (uint32_t)bits[HOUR],
                  .days = (uint32_t)bits[DAY],
                  .months = (uint32_t)bits[MONTH],
                  .weekdays = (uint32_t)((bits[WEEKDAY] | bits[WEEKDAY] >> 7) & 0x7F),
                  .any_hour = any[HOUR],
                  .any_day = any[DAY],
                  .any_weekday = any[WEEKDAY]};
    if (ret->any_weekday && !has_day(ret)) {
        snprintf(scanner->problem, CRON_PROBLEM_MAX,
                 "the cron line never matches: none of its months has this day of the month");
        return -EINVAL;
    }
    return 0;
}

int cron_parse(const char *text, size_t len, Cron *ret, char problem[CRON_PROBLEM_MAX]) {
    Scanner scanner = {.text = text, .len = len, .problem = problem};

    if (len > CRON_TEXT_MAX) {
        snprintf(problem, CRON_PROBLEM_MAX, "the cron line has %zu bytes, but may have at most %d",
                 len, CRON_TEXT_MAX);
        return -EINVAL;
    }
    skip_spaces(&scanner);
    if (peek(&scanner) != '@')
        return read_fields(&scanner, ret);
    while (scanner.len > scanner.at && is_space(text[scanner.len - 1]))
        scanner.len--;
    for (size_t i = 0; i < sizeof(nicknames) / sizeof(*nicknames); i++) {
        const char *name = nicknames[i].name;

        if (strlen(name) == scanner.len - scanner.at &&
            strncasecmp(name, text + scanner.at, strlen(name)) == 0) {
            scanner = (Scanner){.text = nicknames[i].line, .problem = problem};
            scanner.len = strlen(scanner.text);
            return read_fields(&scanner, ret);
        }
    }
    return refuse(&scanner, scanner.at, scanner.len - scanner.at,
                  "the only names are @yearly, @annually, @monthly, @weekly, @daily, @midnight and "
                  "@hourly");
}

/* ---- the next moment ---- */

enum { DAY_S = 86400, DAYS_AHEAD = 8 * 366 + 1 };

static bool is_day_of(const Cron *cron, int64_t day) {
    Civil civil = civil_of_day(day);
    bool is_day = cron->days >> civil.day & 1;
    /* 1970-01-01 was a Thursday. */
    bool is_weekday = cron->weekdays >> ((day % 7 + 11) % 7) & 1;

    if (!(cron->months >> civil.month & 1))
        return false;
    return cron->any_day || cron->any_weekday ? is_day && is_weekday : is_day || is_weekday;
}

static int64_t floor_day(int64_t local_s) {
    return local_s >= 0 ? local_s / DAY_S : -((-local_s + DAY_S - 1) / DAY_S);
}

/* The first matching minute from local_s on, before end_s. INT64_MAX: no minute matches. */
static int64_t next_local(const Cron *cron, int64_t local_s, int64_t end_s) {
    int64_t day = floor_day(local_s);
    unsigned minute = (unsigned)((local_s - day * DAY_S + 59) / 60);

    for (; day * DAY_S < end_s; day++, minute = 0) {
        if (!is_day_of(cron, day))
            continue;
        for (unsigned hour = minute / 60; hour < 24; hour++) {
            unsigned first = hour == minute / 60 ? minute % 60 : 0;
            uint64_t left = cron->minutes >> first << first;

            if (cron->hours >> hour & 1 && left) {
                int64_t found =
                    day * DAY_S + (int64_t)hour * 3600 + (int64_t)__builtin_ctzll(left) * 60;

                return found < end_s ? found : INT64_MAX;
            }
        }
    }
    return INT64_MAX;
}

int64_t cron_next(const Cron *cron, const Zone *zone, int64_t after_s) {
    int64_t from_s = after_s + 1, limit_s = after_s + (int64_t)DAYS_AHEAD * DAY_S;
    ZoneSpan span = zone_at(zone, from_s);

    for (;;) {
        int64_t end_s = span.until_s < limit_s ? span.until_s : limit_s;
        int64_t local_s = from_s + span.offset_s, found;
        int32_t before_s;

        /* The clocks were set back: skip local times that the span before this one had already. */
        if (!cron->any_hour && span.since_s > INT64_MIN) {
            before_s = zone_at(zone, span.since_s - 1).offset_s;
            if (local_s < span.since_s + before_s)
                local_s = span.since_s + before_s;
        }
        found = next_local(cron, local_s, end_s + span.offset_s);
        if (found != INT64_MAX)
            return found - span.offset_s;
        if (end_s >= limit_s)
            return 0;
        before_s = span.offset_s;
        from_s = end_s;
        span = zone_at(zone, from_s);
        /* The clocks were set forward: local times before the span are missing. */
        if (!cron->any_hour && span.offset_s > before_s &&
            next_local(cron, from_s + before_s, from_s + span.offset_s) != INT64_MAX)
            return from_s;
    }
}
