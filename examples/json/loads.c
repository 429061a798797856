/* SPDX-License-Identifier: Apache-2.0 */
/* JSON text to MessagePack: a recursive descent over RFC 8259's grammar. See text.h. */

#include <ctype.h>
#include <math.h>
#include <stdlib.h>

#include "json.h"
#include "text.h"

typedef struct Reader {
    const char *text, *at;
    ferry_packer *to;
    JsonError *error;
} Reader;

static int malformed(Reader *r, const char *at, const char *reason) {
    *r->error = (JsonError){.at = (size_t)(at - r->text), .reason = reason};
    return JSON_MALFORMED;
}

static void skip_space(Reader *r) {
    r->at += strspn(r->at, " \t\n\r");
}

/* ---- strings ---- */

static int read_unit(Reader *r, unsigned *ret) {
    char digits[5] = "";

    strncat(digits, r->at, 4);
    if (strlen(digits) < 4 || strspn(digits, "0123456789abcdefABCDEF") < 4)
        return malformed(r, r->at, "four hexadecimal digits are expected");
    *ret = (unsigned)strtoul(digits, NULL, 16);
    r->at += 4;
    return 0;
}

static char *put_utf8(char *to, unsigned c) {
    if (c < 0x80) {
        *to++ = (char)c;
        return to;
    }
    if (c >= 0x10000)
        *to++ = (char)(0xf0 | c >> 18);
    if (c >= 0x800)
        *to++ = (char)(c >= 0x10000 ? 0x80 | (c >> 12 & 0x3f) : 0xe0 | c >> 12);
    *to++ = (char)(c >= 0x800 ? 0x80 | (c >> 6 & 0x3f) : 0xc0 | c >> 6);
    *to++ = (char)(0x80 | (c & 0x3f));
    return to;
}

/* Reads the digits behind "\u". A character above U+FFFF has two of these escapes, a surrogate
 * pair. */
static int read_escaped_unit(Reader *r, char **to) {
    const char *begin = r->at - 2;
    unsigned c, low = 0;
    int s = read_unit(r, &c);

    if (s == 0 && c >= 0xd800 && c < 0xdc00 && strncmp(r->at, "\\u", 2) == 0) {
        r->at += 2;
        s = read_unit(r, &low);
        c = low >= 0xdc00 && low < 0xe000 ? 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00)
                                          : 0xd800;
    }
    if (s != 0)
        return s;
    if (c >= 0xd800 && c < 0xe000)
        return malformed(r, begin, "half of a surrogate pair");
    if (c == 0)
        return malformed(r, begin, "U+0000 has no place in a text on this wire");
    *to = put_utf8(*to, c);
    return 0;
}

static int read_string(Reader *r) {
    static const char from[] = "\"\\/bfnrt", made[] = "\"\\/\b\f\n\r\t";
    const char *begin = r->at;
    char *text = malloc(strlen(begin) + 1), *to = text, *known;
    int s = text ? 0 : -ENOMEM;

    r->at++;
    while (s == 0 && *r->at != '"') {
        if (!*r->at) {
            s = malformed(r, begin, "the string has no end");
        } else if ((unsigned char)*r->at < ' ') {
            s = malformed(r, r->at, "a control character in a string");
        } else if (*r->at != '\\') {
            *to++ = *r->at++;
        } else if (r->at[1] == 'u') {
            r->at += 2;
            s = read_escaped_unit(r, &to);
        } else if (r->at[1] && (known = strchr(from, r->at[1]))) {
            *to++ = made[known - from];
            r->at += 2;
        } else {
            s = malformed(r, r->at, "there is no such escape");
        }
    }
    if (s == 0) {
        r->at++;
        *to = '\0';
        ferry_pack_str(r->to, text);
    }
    free(text);
    return s;
}

/* ---- numbers ---- */

static int number_too_large(Reader *r, const char *begin) {
    *r->error = (JsonError){.at = (size_t)(begin - r->text), .len = (size_t)(r->at - begin)};
    return JSON_NUMBER;
}

static const char *skip_digits(const char *at) {
    return at + strspn(at, "0123456789");
}

static int read_number(Reader *r) {
    const char *begin = r->at, *digits = begin + (*begin == '-'), *end = skip_digits(digits);
    bool whole = true;
    double real;

    if (end == digits)
        return malformed(r, begin, "a value is expected");
    if (*digits == '0' && end > digits + 1)
        return malformed(r, begin, "a number does not begin with 0");
    for (const char *part = end; *part == '.' || *part == 'e' || *part == 'E'; part = end) {
        if (*part == '.' && !whole)
            break;
        digits = part + 1 + (*part != '.' && (part[1] == '+' || part[1] == '-'));
        end = skip_digits(digits);
        if (end == digits)
            return malformed(r, begin, "a digit is missing");
        whole = false;
        if (*part != '.')
            break;
    }
    r->at = end;
    errno = 0;
    if (whole && *begin == '-') {
        int64_t value = strtoll(begin, NULL, 10);

        ferry_pack_int(r->to, value);
        return errno ? number_too_large(r, begin) : 0;
    }
    if (whole) {
        uint64_t value = strtoull(begin, NULL, 10);

        ferry_pack_uint(r->to, value);
        return errno ? number_too_large(r, begin) : 0;
    }
    real = strtod(begin, NULL);
    ferry_pack_double(r->to, real);
    return isinf(real) ? number_too_large(r, begin) : 0;
}

/* ---- values ---- */

static int read_value(Reader *r, unsigned level);

/* Counts the elements between these brackets, assuming well-formed text: MessagePack writes the
 * number first. Each level is scanned once for each level around it: at most 32 times. */
static uint32_t count(const char *at) {
    uint32_t n = 0;
    int level = 0;

    for (bool in_string = false; *at; at++) {
        if (in_string) {
            in_string = *at != '"';
            at += *at == '\\' && at[1];
            continue;
        }
        if (level == 1 && n == 0 && !strchr(" \t\n\r]}", *at))
            n = 1;
        if (*at == '"')
            in_string = true;
        else if (*at == '[' || *at == '{')
            level++;
        else if ((*at == ']' || *at == '}') && --level == 0)
            break;
        else if (*at == ',' && level == 1)
            n++;
    }
    return n;
}

/* A list or an object. */
static int read_elements(Reader *r, unsigned level) {
    bool object = *r->at == '{';
    char end = object ? '}' : ']';
    uint32_t n = count(r->at);
    int s = 0;

    if (level == JSON_LEVELS) {
        *r->error = (JsonError){.at = (size_t)(r->at - r->text)};
        return JSON_TOO_DEEP;
    }
    if (object)
        ferry_pack_map(r->to, n);
    else
        ferry_pack_array(r->to, n);
    r->at++;
    skip_space(r);
    for (bool first = true; s == 0 && (!first || *r->at != end); first = false) {
        if (object && *r->at != '"')
            return malformed(r, r->at, "a key in quotes is expected");
        if (object)
            s = read_string(r);
        skip_space(r);
        if (s == 0 && object && *r->at++ != ':')
            return malformed(r, r->at - 1, "a colon is expected");
        if (s == 0)
            s = read_value(r, level + 1);
        skip_space(r);
        if (s != 0 || *r->at == end)
            break;
        if (*r->at != ',')
            return malformed(r, r->at,
                             object ? "a comma or } is expected" : "a comma or ] is expected");
        r->at++;
        skip_space(r);
    }
    r->at += s == 0;
    return s;
}

static bool take_word(Reader *r, const char *word) {
    size_t len = strlen(word);

    if (strncmp(r->at, word, len) != 0 || isalnum((unsigned char)r->at[len]))
        return false;
    r->at += len;
    return true;
}

static int read_value(Reader *r, unsigned level) {
    skip_space(r);
    if (*r->at == '{' || *r->at == '[')
        return read_elements(r, level);
    if (*r->at == '"')
        return read_string(r);
    if (take_word(r, "null"))
        ferry_pack_nil(r->to);
    else if (take_word(r, "true"))
        ferry_pack_bool(r->to, true);
    else if (take_word(r, "false"))
        ferry_pack_bool(r->to, false);
    else if (strncmp(r->at, "NaN", 3) == 0 || strncmp(r->at + (*r->at == '-'), "Infinity", 8) == 0)
        return malformed(r, r->at, "NaN and Infinity are not JSON");
    else
        return read_number(r);
    return 0;
}

int text_to_packed(const char *text, ferry_packer *to, JsonError *reterr) {
    Reader r = {text, text, to, reterr};
    int s = read_value(&r, 0);

    skip_space(&r);
    if (s == 0 && *r.at)
        s = malformed(&r, r.at, "extra data behind the value");
    return s == 0 && ferry_packer_error(to) == -ENOMEM ? -ENOMEM : s;
}
