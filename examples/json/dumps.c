/* SPDX-License-Identifier: Apache-2.0 */
/* MessagePack to JSON text. See text.h. */

#include <math.h>
#include <stdlib.h>

#include "json.h"
#include "packed-head.h"
#include "text.h"

typedef struct Writer {
    const unsigned char *data;
    size_t len, at;
    bool ensure_ascii;
    FILE *to;
    JsonError *error;
} Writer;

static int refuse(Writer *w, size_t at, int code, const char *reason) {
    *w->error = (JsonError){.at = at, .reason = reason};
    return code;
}

/* Reads a UTF-8 character, and returns its number of octets; 0: it is malformed. */
static size_t take_character(const unsigned char *at, size_t left, unsigned *ret) {
    size_t n = at[0] < 0x80 ? 1 : at[0] < 0xc2 ? 0 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;
    static const unsigned least[] = {0, 0, 0x80, 0x800, 0x10000};

    if (n == 0 || n > left || at[0] > 0xf4)
        return 0;
    *ret = n == 1 ? at[0] : at[0] & (0x7fu >> n);
    for (size_t i = 1; i < n; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return 0;
        *ret = *ret << 6 | (at[i] & 0x3f);
    }
    return *ret < least[n] || *ret > 0x10ffff || (*ret >= 0xd800 && *ret < 0xe000) ? 0 : n;
}

static void write_character(Writer *w, const unsigned char *at, size_t n, unsigned c) {
    static const char from[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
    const char *known = c > 0 && c < 0x80 ? strchr(from, (int)c) : NULL;

    if (known)
        fprintf(w->to, "\\%c", letters[known - from]);
    else if (c >= 0x10000 && w->ensure_ascii)
        fprintf(w->to, "\\u%04x\\u%04x", 0xd800 + ((c - 0x10000) >> 10), 0xdc00 + (c & 0x3ff));
    else if (c < ' ' || (c > 0x7e && w->ensure_ascii))
        fprintf(w->to, "\\u%04x", c);
    else
        fwrite(at, 1, n, w->to);
}

static int write_string(Writer *w, size_t len) {
    size_t end = w->at + len, n;
    unsigned c;

    putc('"', w->to);
    while (w->at < end) {
        n = take_character(w->data + w->at, end - w->at, &c);
        if (n == 0)
            return refuse(w, w->at, JSON_NOT_JSON, "a string that is not UTF-8");
        write_character(w, w->data + w->at, n, c);
        w->at += n;
    }
    putc('"', w->to);
    return 0;
}

/* Writes the shortest digits that are read back as the same double, and never as an integer. */
static void write_real(Writer *w, double real) {
    char text[40];

    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, real);
        if (strtod(text, NULL) == real)
            break;
    }
    fprintf(w->to, strpbrk(text, ".e") ? "%s" : "%s.0", text);
}

static int write_value(Writer *w, unsigned level, bool key);

static int write_elements(Writer *w, const Head *head, size_t begin, unsigned level) {
    bool object = head->kind == HEAD_MAP;
    int r = 0;

    if (level == JSON_LEVELS)
        return refuse(w, begin, JSON_TOO_DEEP, NULL);
    putc(object ? '{' : '[', w->to);
    for (uint64_t i = 0; r == 0 && i < head->n; i++) {
        if (i > 0)
            fputs(", ", w->to);
        if (object)
            r = write_value(w, level + 1, true);
        if (r == 0 && object)
            fputs(": ", w->to);
        if (r == 0)
            r = write_value(w, level + 1, false);
    }
    putc(object ? '}' : ']', w->to);
    return r;
}

static int write_value(Writer *w, unsigned level, bool key) {
    size_t begin = w->at;
    Head head;

    if (head_read(&head, w->data + w->at, w->len - w->at) != 0)
        return refuse(w, begin, JSON_NOT_JSON,
                      begin < w->len ? "no MessagePack value" : "no more octets");
    w->at += head.len;
    if (key && head.kind != HEAD_STR)
        return refuse(w, begin, JSON_NOT_JSON, "a key that is not a string");
    switch (head.kind) {
    case HEAD_NIL:
        fputs("null", w->to);
        return 0;
    case HEAD_BOOL:
        fputs(head.truth ? "true" : "false", w->to);
        return 0;
    case HEAD_INT:
        fprintf(w->to, "%lld", (long long)head.sint);
        return 0;
    case HEAD_UINT:
        fprintf(w->to, "%llu", (unsigned long long)head.uint);
        return 0;
    case HEAD_REAL:
        if (!isfinite(head.real))
            return refuse(w, begin, JSON_NOT_JSON, isnan(head.real) ? "NaN" : "Infinity");
        write_real(w, head.real);
        return 0;
    case HEAD_STR:
        if (head.n > w->len - w->at)
            return refuse(w, begin, JSON_NOT_JSON, "a string that is cut");
        return write_string(w, head.n);
    case HEAD_ARRAY:
    case HEAD_MAP:
        return write_elements(w, &head, begin, level);
    default:
        return refuse(w, begin, JSON_NOT_JSON,
                      head.kind == HEAD_BIN ? "a binary string" : "an extension");
    }
}

int packed_to_text(ferry_bytes value, bool ensure_ascii, char **ret, JsonError *reterr) {
    Writer w = {
        .data = value.data, .len = value.len, .ensure_ascii = ensure_ascii, .error = reterr};
    size_t len;
    int r;

    *ret = NULL;
    w.to = open_memstream(ret, &len);
    if (!w.to)
        return -ENOMEM;
    r = write_value(&w, 0, false);
    if (r == 0 && w.at < w.len)
        r = refuse(&w, w.at, JSON_NOT_JSON, "extra octets behind the value");
    if (fclose(w.to) != 0)
        r = -ENOMEM;
    if (r != 0) {
        free(*ret);
        *ret = NULL;
    }
    return r;
}
