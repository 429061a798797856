/* SPDX-License-Identifier: Apache-2.0 */
/* Validation of replies before they reach hiredis. See guard.h. */

#include "cache/connection/guard.h"

#include <stdbool.h>
#include <string.h>

static void ended(Guard *guard) {
    while (guard->depth > 0 && --guard->left[guard->depth - 1] == 0)
        guard->depth--;
    if (guard->depth == 0)
        guard->elements = guard->bytes = 0;
}

/* Parses a number between the type byte and the end of its line: only digits, and too few to
 * overflow. */
static bool parse_number(const uint8_t *at, size_t len, int64_t *ret) {
    bool negative = len > 0 && *at == '-';
    uint64_t value = 0;

    if (len > 0 && (*at == '-' || *at == '+')) {
        at++;
        len--;
    }
    if (len == 0 || len > 19)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (at[i] < '0' || at[i] > '9')
            return false;
        value = value * 10 + (at[i] - '0');
    }
    if (value > (uint64_t)INT64_MAX + negative)
        return false;
    *ret = negative ? (int64_t)(0 - value) : (int64_t)value;
    return true;
}

static void begin_array(Guard *guard, int64_t n) {
    if (n < -1 || n > GUARD_ELEMENTS ||
        guard->elements + (uint64_t)(n > 0 ? n : 0) > GUARD_ELEMENTS) {
        guard->problem = "an array is too long";
    } else if (n <= 0) {
        ended(guard);
    } else if (guard->depth == GUARD_DEPTH) {
        guard->problem = "arrays are nested too deep";
    } else {
        guard->elements += (uint64_t)n;
        guard->left[guard->depth++] = (uint32_t)n;
    }
}

static void begin_bulk(Guard *guard, int64_t n) {
    if (n < -1 || n > GUARD_BULK || guard->bytes + (uint64_t)(n > 0 ? n : 0) > GUARD_REPLY) {
        guard->problem = "a string is too long";
    } else if (n == -1) {
        ended(guard);
    } else {
        guard->bytes += (uint64_t)n;
        guard->bulk_left = (uint64_t)n + 2;
    }
}

/* Checks a whole line, without its line end. */
static void check_line(Guard *guard, const uint8_t *line, size_t len) {
    int64_t number = 0;
    bool is_number = parse_number(line + 1, len - 1, &number);

    switch (*line) {
    case '+':
    case '-':
        ended(guard);
        break;
    case ':':
        if (is_number)
            ended(guard);
        else
            guard->problem = "a number is malformed";
        break;
    case '$':
        if (is_number)
            begin_bulk(guard, number);
        else
            guard->problem = "a length is malformed";
        break;
    default: /* '*' */
        if (is_number)
            begin_array(guard, number);
        else
            guard->problem = "a length is malformed";
        break;
    }
}

/* Checks the bytes of a string and its line end, which hiredis does not check. */
static size_t check_bulk(Guard *guard, const uint8_t *data, size_t len) {
    size_t n = 0;

    if (guard->bulk_left > 2)
        n = len < guard->bulk_left - 2 ? len : (size_t)guard->bulk_left - 2;
    guard->bulk_left -= n;
    for (; n < len && guard->bulk_left > 0 && guard->bulk_left <= 2; n++) {
        if (data[n] != (guard->bulk_left == 2 ? '\r' : '\n')) {
            guard->problem = "a string does not end where its length says";
            return n;
        }
        if (--guard->bulk_left == 0) {
            ended(guard);
            return n + 1;
        }
    }
    return n;
}

size_t guard_feed(Guard *guard, const uint8_t *data, size_t len) {
    size_t at = 0;

    while (at < len && !guard->problem) {
        size_t left = len - at, max;
        const uint8_t *end;

        if (guard->bulk_left > 0) {
            at += check_bulk(guard, data + at, left);
            continue;
        }
        if (!memchr("+-:$*", data[at], 5)) {
            guard->problem = "the bytes are not the Redis protocol, version 2";
            break;
        }
        max = data[at] == '+' || data[at] == '-' ? GUARD_LINE : GUARD_NUMBER;
        end = memchr(data + at, '\r', left < max ? left : max);
        if (!end && left >= max) {
            guard->problem = "a line is too long";
            break;
        }
        if (!end || end + 1 == data + len)
            break;
        if (end[1] != '\n') {
            guard->problem = "a line does not end";
            break;
        }
        check_line(guard, data + at, (size_t)(end - data) - at);
        if (guard->problem)
            break;
        guard->bytes += (size_t)(end - data) - at;
        at = (size_t)(end - data) + 2;
    }
    return at;
}
