/* SPDX-License-Identifier: Apache-2.0 */
/* Text in URLs. See url.h. */

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "url.h"

char *url_quote(const char *text, const char *safe, bool plus) {
    static const char hex[] = "0123456789ABCDEF";
    char *out = malloc(3 * strlen(text) + 1), *to = out;

    for (; out && *text; text++) {
        unsigned char c = (unsigned char)*text;

        if (c == ' ' && plus && !strchr(safe, ' ')) {
            *to++ = '+';
        } else if (c < 0x80 && (isalnum(c) || strchr("_.-~", c) || strchr(safe, c))) {
            *to++ = (char)c;
        } else {
            *to++ = '%';
            *to++ = hex[c >> 4];
            *to++ = hex[c & 15];
        }
    }
    if (out)
        *to = '\0';
    return out;
}

/* Returns the number of octets of the first character. If the octets are malformed, *good is false.
 */
static size_t measure(const unsigned char *at, size_t left, bool *good) {
    unsigned char first = at[0], low = 0x80, high = 0xbf;
    size_t n = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4, i = 1;

    *good = first < 0x80;
    if (first < 0xc2 || first > 0xf4)
        return 1;
    low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : low;
    high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : high;
    for (; i < left && i < n && at[i] >= low && at[i] <= high; i++) {
        low = 0x80;
        high = 0xbf;
    }
    *good = i == n;
    return i;
}

/* Makes valid UTF-8: each invalid byte becomes U+FFFD. */
static char *as_text(const unsigned char *octets, size_t len) {
    char *out = malloc(3 * len + 1), *to = out;

    for (size_t at = 0; out && at < len;) {
        bool good;
        size_t n = measure(octets + at, len - at, &good);

        memcpy(to, good ? (const char *)octets + at : "\xef\xbf\xbd", good ? n : 3);
        to += good ? n : 3;
        at += n;
    }
    if (out)
        *to = '\0';
    return out;
}

char *url_unquote(const char *text, size_t len, bool plus) {
    unsigned char *octets = malloc(len + 1);
    char digits[3] = "", *out;
    size_t n = 0;

    for (size_t i = 0; octets && i < len; i++) {
        if (text[i] == '%' && i + 2 < len && isxdigit((unsigned char)text[i + 1]) &&
            isxdigit((unsigned char)text[i + 2])) {
            memcpy(digits, text + i + 1, 2);
            octets[n++] = (unsigned char)strtoul(digits, NULL, 16);
            i += 2;
        } else {
            octets[n++] = text[i] == '+' && plus ? ' ' : (unsigned char)text[i];
        }
    }
    out = octets ? as_text(octets, n) : NULL;
    free(octets);
    return out;
}
