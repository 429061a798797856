/* SPDX-License-Identifier: Apache-2.0 */
/* The path of a request. See path.h. */

#include "clients/web/http/path.h"

#include <ctype.h>
#include <string.h>

#include "base/text.h"

static int digit_of(char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

const char *path_decode(char *text, bool plus) {
    char *to = text;

    for (const char *from = text; *from; from++) {
        int high, low;

        if (*from != '%') {
            *to++ = (char)(plus && *from == '+' ? ' ' : *from);
            continue;
        }
        high = digit_of(from[1]);
        low = high < 0 ? -1 : digit_of(from[2]);
        if (low < 0)
            return "'%' must be followed by two hexadecimal digits";
        if (high == 0 && low == 0)
            return "a zero byte is not allowed";
        *to++ = (char)(high << 4 | low);
        from += 2;
    }
    *to = '\0';
    if (!text_is_utf8(text, (size_t)(to - text)))
        return "it is not UTF-8";
    for (const char *c = text; *c; c++)
        if (iscntrl((unsigned char)*c))
            return "control characters are not allowed";
    return NULL;
}

const char *path_split(const char *path, Path *ret) {
    size_t len = strlen(path);
    char *at = ret->text, *slash;

    ret->n = 0;
    if (*path != '/')
        return "it must begin with '/'";
    if (len >= sizeof(ret->text))
        return "it is longer than 1023 bytes";
    memcpy(ret->text, path, len + 1);
    while (*at == '/' && at[1]) {
        if (ret->n == PATH_PARTS_MAX)
            return "it has more than 6 parts";
        *at++ = '\0';
        ret->parts[ret->n++] = at;
        slash = strchr(at, '/');
        at = slash ? slash : at + strlen(at);
    }
    if (*at == '/' && ret->n > 0)
        return "it must not end with '/'";
    for (size_t i = 0; i < ret->n; i++) {
        const char *problem = path_decode((char *)(ret->text + (ret->parts[i] - ret->text)), false);

        if (problem)
            return problem;
    }
    return NULL;
}

bool path_matches(const Path *path, const char *pattern) {
    for (size_t i = 0; i < path->n; i++) {
        size_t len;

        if (*pattern != '/' || !pattern[1])
            return false;
        pattern++;
        len = strcspn(pattern, "/");
        if (!isupper((unsigned char)*pattern) &&
            (strlen(path->parts[i]) != len || memcmp(path->parts[i], pattern, len) != 0))
            return false;
        pattern += len;
    }
    return path->n == 0 ? strcmp(pattern, "/") == 0 : *pattern == '\0';
}
