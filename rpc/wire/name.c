/* SPDX-License-Identifier: Apache-2.0 */

/* Names and patterns. See name.h. */

#include "rpc/wire/name.h"

#include <stdint.h>
#include <string.h>

#include "base/text.h"

/* may_be_wild: the text may have wildcards. */
static const char *problem_of(const uint8_t *text, size_t len, bool may_be_wild) {
    size_t start = 0;

    if (len == 0)
        return "it is empty";
    if (len > NAME_MAX_LEN)
        return "it is longer than 255 bytes";
    for (size_t i = 0; i <= len; i++) {
        if (i == len || text[i] == '.') {
            if (i == start)
                return "a part between dots is empty";
            if (i == start + 1 && text[start] == '>' && i < len)
                return "'>' may only stand at the end";
            start = i + 1;
        } else if (text[i] <= ' ' || text[i] == 0x7F) {
            return "it contains a space or a control character";
        } else if (text[i] == '*' || text[i] == '>') {
            bool alone = i == start && (i + 1 == len || text[i + 1] == '.');

            if (!may_be_wild)
                return "'*' and '>' are for patterns";
            if (!alone)
                return "'*' and '>' must stand alone between dots";
        }
    }
    return text_is_utf8(text, len) ? NULL : "it is not UTF-8";
}

const char *name_problem(const void *name, size_t len) {
    return problem_of(name, len, false);
}

const char *pattern_problem(const void *pattern, size_t len) {
    return problem_of(pattern, len, true);
}

bool name_is_valid(const void *name, size_t len) {
    return !name_problem(name, len);
}

bool pattern_is_valid(const void *pattern, size_t len) {
    return !pattern_problem(pattern, len);
}

static const uint8_t *token_end(const uint8_t *p, const uint8_t *end) {
    const uint8_t *dot = memchr(p, '.', (size_t)(end - p));

    return dot ? dot : end;
}

bool pattern_matches(const void *pattern, size_t pattern_len, const void *name, size_t name_len) {
    const uint8_t *p = pattern, *p_end = p + pattern_len;
    const uint8_t *n = name, *n_end = n + name_len;

    for (;;) {
        const uint8_t *p_dot = token_end(p, p_end), *n_dot = token_end(n, n_end);
        size_t len = (size_t)(p_dot - p);

        if (len == 1 && *p == '>')
            return true;
        if (!(len == 1 && *p == '*') && (len != (size_t)(n_dot - n) || memcmp(p, n, len) != 0))
            return false;
        if (p_dot == p_end || n_dot == n_end)
            return p_dot == p_end && n_dot == n_end;
        p = p_dot + 1;
        n = n_dot + 1;
    }
}

bool pattern_is_wild(const void *pattern, size_t len) {
    return memchr(pattern, '*', len) || memchr(pattern, '>', len);
}

bool name_is_reserved(const void *name, size_t len) {
    static const char prefix[] = "ferry.";
    enum { LEN = sizeof(prefix) - 1 };

    return len >= LEN && memcmp(name, prefix, LEN) == 0;
}
