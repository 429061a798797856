/* SPDX-License-Identifier: Apache-2.0 */
/* Text for people. See text.h. */

#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Length of the UTF-8 sequence at p; 0: the bytes are not UTF-8 (RFC 3629: no surrogates, no
 * overlong forms, no character above U+10FFFF). */
static size_t utf8_len(const uint8_t *p, size_t left) {
    static const uint32_t lowest[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t n = *p < 0x80 ? 1 : (*p & 0xE0) == 0xC0 ? 2 : (*p & 0xF0) == 0xE0 ? 3 : 4;
    uint32_t c;

    if (n == 1)
        return 1;
    if ((n == 4 && (*p & 0xF8) != 0xF0) || n > left)
        return 0;
    c = *p & (0x7Fu >> n);
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xC0) != 0x80)
            return 0;
        c = c << 6 | (p[i] & 0x3F);
    }
    return c < lowest[n] || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF) ? 0 : n;
}

bool text_is_utf8(const void *text, size_t len) {
    const uint8_t *p = len > 0 ? text : (const void *)"", *end = p + len;

    while (p < end) {
        size_t n;
        uint64_t eight;

        /* Eight ASCII bytes at a time: nearly all names and most texts are ASCII. */
        while (end - p >= 8 && (memcpy(&eight, p, 8), (eight & UINT64_C(0x8080808080808080)) == 0))
            p += 8;
        if (p == end)
            break;
        n = utf8_len(p, (size_t)(end - p));
        if (n == 0)
            return false;
        p += n;
    }
    return true;
}

size_t text_whole_len(const void *text, size_t len) {
    const uint8_t *p = text;

    for (size_t back = 1; back <= 3 && back <= len; back++) {
        uint8_t c = p[len - back];
        size_t n = c < 0x80 ? 1 : c < 0xC0 ? 0 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;

        if (n > 0)
            return n > back ? len - back : len;
    }
    return len;
}

/* True for marks that change the direction of the text around them, and for U+2028 and U+2029,
 * which end a line: with them a text could look like another text. n is the length of the character
 * at p. */
static bool is_mark(const uint8_t *p, size_t n) {
    if (n == 2)
        return p[0] == 0xD8 && p[1] == 0x9C; /* U+061C */
    if (n != 3 || p[0] != 0xE2)
        return false;
    return (p[1] == 0x80 && (p[2] == 0x8E || p[2] == 0x8F || (p[2] >= 0xA8 && p[2] <= 0xAE))) ||
           (p[1] == 0x81 && p[2] >= 0xA6 && p[2] <= 0xA9); /* U+200E, 200F, 2028-202E, 2066-2069 */
}

/* Length of the character at p if it could control a terminal, or 0. A byte outside UTF-8 counts as
 * a control character, because a terminal may read it as a C1 control. */
static size_t control_len(const uint8_t *p, size_t left) {
    size_t n = utf8_len(p, left);

    if (n == 0)
        return 1;
    return (n == 1 && (*p < 0x20 || *p == 0x7F)) || (n == 2 && *p == 0xC2 && p[1] < 0xA0) ||
                   is_mark(p, n)
               ? n
               : 0;
}

/* Escapes one character, or one byte outside UTF-8. Returns the number of bytes read from p. */
static size_t escape_one(char **at, const uint8_t *p, size_t left) {
    size_t n = control_len(p, left);

    if (n == 0 && (*p == '\'' || *p == '\\'))
        n = 1;
    if (n > 0) {
        for (size_t i = 0; i < n; i++)
            *at += sprintf(*at, "\\x%02x", p[i]);
    } else {
        n = utf8_len(p, left);
        memcpy(*at, p, n);
        *at += n;
    }
    return n;
}

const char *text_escape(char *to, const void *text, size_t len) {
    const uint8_t *p = len > 0 ? text : (const void *)"";
    const uint8_t *end = p + (len > 160 ? 160 : len);
    char *at = to;

    while (p < end)
        p += escape_one(&at, p, (size_t)(end - p));
    strcpy(at, len > 160 ? "…" : "");
    return to;
}

void text_print_escaped(FILE *to, const void *text, size_t len) {
    const uint8_t *p = text, *end = p + len;

    while (p < end) {
        char one[4 * 4 + 1], *at = one;

        p += escape_one(&at, p, (size_t)(end - p));
        fwrite(one, 1, (size_t)(at - one), to);
    }
}

bool text_is_safe(const void *text, size_t len) {
    const uint8_t *p = text, *end = p + len;

    for (; p < end; p += utf8_len(p, (size_t)(end - p)))
        if (*p != '\t' && *p != '\n' && control_len(p, (size_t)(end - p)) > 0)
            return false;
    return true;
}

/* Copies characters while there is room for four times their length. Returns the number of bytes
 * read from p. */
static size_t copy_safe(char *to, size_t size, const uint8_t *p, size_t left, size_t *ret_len) {
    size_t taken = 0, len = 0;

    while (taken < left && len + (size_t)4 * 4 < size) {
        const uint8_t *at = p + taken;
        size_t n = *at == '\t' || *at == '\n' ? 0 : control_len(at, left - taken);

        for (size_t i = 0; i < n; i++)
            len += (size_t)sprintf(to + len, "\\x%02x", at[i]);
        if (n == 0) {
            n = utf8_len(at, left - taken);
            memcpy(to + len, at, n);
            len += n;
        }
        taken += n;
    }
    to[len] = '\0';
    *ret_len = len;
    return taken;
}

const char *text_copy_safe(char *to, size_t size, const char *text) {
    size_t len;

    copy_safe(to, size, (const uint8_t *)text, strlen(text), &len);
    return to;
}

void text_print_safe(FILE *to, const void *text, size_t len) {
    const uint8_t *p = text, *end = p + len;

    while (p < end) {
        char piece[4096];
        size_t n;

        p += copy_safe(piece, sizeof(piece), p, (size_t)(end - p), &n);
        fwrite(piece, 1, n, to);
    }
}

const char *text_escape_url(char *to, const char *url) {
    const char *scheme = strstr(url, "://"), *user = scheme ? scheme + 3 : url;
    const char *host = strrchr(user, '@'), *colon = user + strcspn(user, ":/[");
    char hidden[161];

    if (host)
        snprintf(hidden, sizeof(hidden), "%.*s***%s", (int)(user - url), url, host);
    else if (*colon == ':' && strspn(colon + 1, "0123456789") < strcspn(colon + 1, ",/?"))
        /* "user:password" without a host: after a host, a port number would follow. */
        snprintf(hidden, sizeof(hidden), "%.*s***", (int)(colon + 1 - url), url);
    else
        return text_escape(to, url, strlen(url));
    return text_escape(to, hidden, strlen(hidden));
}

void text_hide_login(char *url) {
    char *rest = strstr(url, "://");

    if (rest && (strchr(rest, '@') || strstr(rest, "login=")))
        memset(rest + 3, '*', strlen(rest + 3));
}

int text_parse_count(const char *text, uint64_t *ret) {
    uint64_t value = 0;
    bool is_large = false;

    if (!*text)
        return -EINVAL;
    for (; *text; text++) {
        if (!isdigit((unsigned char)*text))
            return -EINVAL;
        is_large |= __builtin_mul_overflow(value, 10, &value) ||
                    __builtin_add_overflow(value, (uint64_t)(*text - '0'), &value);
    }
    if (is_large)
        return -ERANGE;
    *ret = value;
    return 0;
}

typedef struct Unit {
    const char *name;
    double factor;
} Unit;

/* Accepts only decimal numbers such as "1.5". strtod() would also accept hexadecimal numbers,
 * exponents, nan, and the comma of a locale. Returns the end of the number, or text itself if there
 * is no number. */
static const char *parse_decimal(const char *text, double *ret) {
    const char *p = text;
    double value = 0, place = 1;
    bool digits = false;

    for (; isdigit((unsigned char)*p); p++, digits = true)
        value = value * 10 + (*p - '0');
    if (*p == '.')
        for (p++; isdigit((unsigned char)*p); p++, digits = true)
            value += (*p - '0') * (place /= 10);
    *ret = value;
    return digits ? p : text;
}

static int parse_quantity(const char *text, const Unit *units, size_t n_units, uint64_t *ret) {
    double value;
    const char *end = parse_decimal(text, &value);

    if (end == text)
        return -EINVAL;
    for (size_t i = 0; i < n_units; i++)
        if (strcasecmp(end, units[i].name) == 0) {
            value *= units[i].factor;
            if (!(value >= 0 && value < 9e18))
                return -ERANGE;
            *ret = (uint64_t)llround(value);
            return 0;
        }
    return -EINVAL;
}

int text_parse_ms(const char *text, uint64_t *ret_ms) {
    static const Unit units[] = {{"", 1000},   {"ms", 1},      {"s", 1000},
                                 {"m", 60000}, {"h", 3600000}, {"d", 86400000}};

    return parse_quantity(text, units, sizeof(units) / sizeof(*units), ret_ms);
}

/* Days from 1970-01-01 to this date of the Gregorian calendar. */
static int64_t days_of(int year, int month, int day) {
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

    return y * 365 + y / 4 - y / 100 + y / 400 + day_of_year - 719468;
}

static int days_in(int year, int month) {
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return days[month - 1] + (month == 2 && is_leap);
}

/* Reads exactly n digits. Returns the number, or -1. */
static int digits(const char **at, int n) {
    int value = 0;

    for (; n > 0; n--, ++*at) {
        if (**at < '0' || **at > '9')
            return -1;
        value = value * 10 + (**at - '0');
    }
    return value;
}

static bool skip(const char **at, char c) {
    if (**at != c)
        return false;
    ++*at;
    return true;
}

/* "HH:MM" or "HH:MM:SS". -1: the text has another form. */
static int seconds_of_day(const char **at) {
    int hour = digits(at, 2), minute = -1, second = 0;

    if (skip(at, ':'))
        minute = digits(at, 2);
    if (minute >= 0 && skip(at, ':'))
        second = digits(at, 2);
    if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59)
        return -1;
    return (hour * 60 + minute) * 60 + second;
}

/* "Z", "+01:00", or nothing. INT_MIN: the offset is malformed. */
static int offset_seconds(const char **at) {
    int sign = skip(at, '+') ? 1 : skip(at, '-') ? -1 : 0, hour, minute;

    if (sign == 0) {
        skip(at, 'Z');
        return 0;
    }
    hour = digits(at, 2);
    skip(at, ':');
    minute = digits(at, 2);
    return hour < 0 || hour > 14 || minute < 0 || minute > 59 ? INT_MIN
                                                              : sign * (hour * 60 + minute) * 60;
}

/* The days since 1970 of "YYYY-MM-DD" and the T behind it. -1: it is not a date from 1970 on. */
static int64_t read_date(const char **at) {
    int year = digits(at, 4), month = -1, day = -1;

    if (year >= 1970 && skip(at, '-'))
        month = digits(at, 2);
    if (month >= 1 && month <= 12 && skip(at, '-'))
        day = digits(at, 2);
    if (day < 1 || day > days_in(year, month) || !(skip(at, 'T') || skip(at, ' ')))
        return -1;
    return days_of(year, month, day);
}

int text_parse_time(const char *text, uint64_t now_ms, uint64_t *ret_ms) {
    const char *at = text;
    bool has_date = strlen(text) > 4 && text[4] == '-';
    int64_t days = has_date ? read_date(&at) : 0, ms;
    int seconds = days < 0 ? -1 : seconds_of_day(&at);
    int offset = seconds < 0 ? INT_MIN : offset_seconds(&at);

    if (offset == INT_MIN || *at)
        return -EINVAL;
    ms = (days * 86400 + seconds - offset) * 1000;
    if (!has_date) {
        int64_t now = (int64_t)now_ms;

        ms += (now - ms) / 86400000 * 86400000;
        while (ms <= now)
            ms += 86400000;
    }
    if (ms < 0)
        return -EINVAL;
    *ret_ms = (uint64_t)ms;
    return 0;
}

int text_parse_bytes(const char *text, uint64_t *ret_bytes) {
    static const Unit units[] = {
        {"", 1},          {"b", 1},       {"k", 1024},      {"kib", 1024},          {"m", 1 << 20},
        {"mib", 1 << 20}, {"g", 1 << 30}, {"gib", 1 << 30}, {"t", 1099511627776.0},
    };

    return parse_quantity(text, units, sizeof(units) / sizeof(*units), ret_bytes);
}

const char *text_format_bytes(char to[16], uint64_t bytes) {
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double value = (double)bytes;
    size_t i = 0;

    for (; value >= 1024 && i < 6; i++)
        value /= 1024;
    snprintf(to, 16, i == 0 || value >= 100 ? "%.0f %s" : "%.1f %s", value, units[i]);
    return to;
}

const char *text_format_ms(char to[24], uint64_t ms) {
    if (ms < 1000)
        snprintf(to, 24, "%d ms", (int)ms);
    else if (ms < 60000)
        snprintf(to, 24, "%.1f s", (double)ms / 1000);
    else if (ms < 3600000)
        snprintf(to, 24, "%.1f min", (double)ms / 60000);
    else
        snprintf(to, 24, "%.1f h", (double)ms / 3600000);
    return to;
}

/* Optimal string alignment distance; the search stops beyond limit. Words over 63 bytes count as
 * different. */
static unsigned distance(const char *a, const char *b, unsigned limit) {
    unsigned rows[3][64], *before = rows[0], *last = rows[1], *row = rows[2];
    size_t n = strlen(a), m = strlen(b);

    if (n > 63 || m > 63)
        return limit + 1;
    for (size_t j = 0; j <= m; j++)
        last[j] = (unsigned)j;
    for (size_t i = 1; i <= n; i++) {
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= m; j++) {
            unsigned best = last[j - 1] + (a[i - 1] != b[j - 1]);

            best = last[j] + 1 < best ? last[j] + 1 : best;
            best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                before[j - 2] + 1 < best)
                best = before[j - 2] + 1;
            row[j] = best;
        }

        unsigned *spare = before;

        before = last;
        last = row;
        row = spare;
    }
    return last[m];
}

const char *text_nearest(const char *word, const char *const *candidates, size_t n) {
    size_t len = strlen(word);
    /* A word of one letter has no suggestion: any other letter would be similar. */
    unsigned limit = len < 2 ? 0 : len < 4 ? 1 : len < 8 ? 2 : 3;
    const char *best = NULL;

    for (size_t i = 0; i < n; i++) {
        unsigned d = distance(word, candidates[i], limit);

        if (d <= limit) {
            best = candidates[i];
            limit = d > 0 ? d - 1 : 0;
            if (d == 0)
                break;
        }
    }
    return best;
}

size_t text_size(const char *text) {
    return text ? strlen(text) + 1 : 0;
}

char *text_put(char **at, const char *text) {
    char *here = *at;

    if (!text)
        return NULL;
    strcpy(here, text);
    *at += strlen(text) + 1;
    return here;
}
