/* SPDX-License-Identifier: Apache-2.0 */

/* Formats for one-line calls. See pack-format.h. */

#include "clients/c/core/pack-format.h"

#include <ferry/pack.h>

#include "base/error.h"
#include "base/text.h"
#include "clients/c/core/names.h"
#include "rpc/wire/writer.h"

/* The position in a format. The va_list is in a struct so that its address can be passed on. */
typedef struct Cursor {
    const char *format;
    const char *at;
    va_list args;
    ferry_error *reterr;
} Cursor;

static int bad_format(const Cursor *cursor, const char *problem) {
    return error_set(cursor->reterr, "ferry.Misuse", "format \"%s\", at %zu: %s", cursor->format,
                     (size_t)(cursor->at - cursor->format), problem);
}

/* Counts the values up to the closing bracket or the end. -1: the brackets do not match. */
static int count_values(const char *at, char end) {
    int n = 0, depth = 0;
    char stack[WIRE_DEPTH_MAX];

    for (; *at && !(depth == 0 && *at == end); at++) {
        if (*at == '[' || *at == '{') {
            if (depth == WIRE_DEPTH_MAX - 1)
                return -1;
            n += depth == 0;
            stack[depth++] = *at == '[' ? ']' : '}';
        } else if (*at == ']' || *at == '}') {
            if (depth == 0 || stack[--depth] != *at)
                return -1;
        } else {
            n += depth == 0;
        }
    }
    return depth == 0 && *at == end ? n : -1;
}

/* ---- packing ---- */

static int pack_values(Cursor *cursor, Buffer *to, int n);

static int pack_text(Cursor *cursor, Buffer *to) {
    const char *text = va_arg(cursor->args, const char *);

    if (!text)
        return bad_format(cursor, "the string is NULL");
    if (!text_is_utf8(text, strlen(text)))
        return bad_format(cursor, "the string is not UTF-8: pack bytes with y");
    write_text(to, text);
    return 0;
}

static int pack_bytes(Cursor *cursor, Buffer *to) {
    ferry_bytes bytes = va_arg(cursor->args, ferry_bytes);

    if (!bytes.data && bytes.len > 0)
        return bad_format(cursor, "the data of the bytes is NULL, but their length is not 0");
    write_bin(to, bytes.data, bytes.len);
    return 0;
}

static int pack_group(Cursor *cursor, Buffer *to, char end) {
    int n = count_values(cursor->at, end), r;

    if (n < 0)
        return bad_format(cursor, "the brackets do not match, or are nested too deep");
    if (end == '}' && n % 2 != 0)
        return bad_format(cursor, "a map needs pairs of key and value, as in {si}");
    if (end == '}')
        write_map(to, (uint32_t)n / 2);
    else
        write_array(to, (uint32_t)n);
    for (int i = 0; i < n; i++) {
        if (end == '}' && i % 2 == 0 && *cursor->at != 's')
            return bad_format(cursor, "the keys of a map are strings");
        r = pack_values(cursor, to, 1);
        if (r < 0)
            return r;
    }
    cursor->at++;
    return 0;
}

static int pack_values(Cursor *cursor, Buffer *to, int n) {
    int r = 0;

    for (int i = 0; i < n && r == 0; i++) {
        switch (*cursor->at++) {
        case 'b':
            write_bool(to, va_arg(cursor->args, int) != 0);
            break;
        case 'i':
            write_int(to, va_arg(cursor->args, int32_t));
            break;
        case 'l':
            write_int(to, va_arg(cursor->args, int64_t));
            break;
        case 'u':
            write_uint(to, va_arg(cursor->args, uint64_t));
            break;
        case 'd':
            write_double(to, va_arg(cursor->args, double));
            break;
        case 's':
            r = pack_text(cursor, to);
            break;
        case 'y':
            r = pack_bytes(cursor, to);
            break;
        case 'n':
            write_nil(to);
            break;
        case '[':
            r = pack_group(cursor, to, ']');
            break;
        case '{':
            r = pack_group(cursor, to, '}');
            break;
        default:
            cursor->at--;
            return bad_format(cursor, "unknown character: use b i l u d s y n [ ] { }");
        }
    }
    return r;
}

int format_pack(Buffer *to, const char *format, va_list args, ferry_error *reterr) {
    Cursor cursor = {.format = format ? format : "", .reterr = reterr};
    int n, r;

    cursor.at = cursor.format;
    n = count_values(cursor.at, '\0');
    if (n < 0)
        return bad_format(&cursor, "the brackets do not match, or are nested too deep");
    va_copy(cursor.args, args);
    write_array(to, (uint32_t)n);
    r = pack_values(&cursor, to, n);
    va_end(cursor.args);
    return r == 0 && to->failed ? error_set_code(reterr, -ENOMEM, NULL) : r;
}

/* ---- unpacking ---- */

static int unpack_value(Cursor *cursor, Reader *from);

static int mismatch(const Cursor *cursor, const char *problem) {
    return error_set(cursor->reterr, "ferry.Protocol", "format \"%s\", at %zu: %s", cursor->format,
                     (size_t)(cursor->at - cursor->format), problem);
}

static int unpack_text(Cursor *cursor, Reader *from) {
    Span text = reader_str(from);
    char **to = va_arg(cursor->args, char **), *copy;

    if (!from->problem && text.len > 0 && memchr(text.data, '\0', text.len))
        reader_fail(from, "the string contains a NUL: unpack it with y");
    if (from->problem || !to)
        return 0;
    copy = ferry_alloc(text.len + 1);
    if (!copy)
        return error_set_code(cursor->reterr, -ENOMEM, NULL);
    if (text.len > 0)
        memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    *to = copy;
    return 0;
}

static void unpack_int32(Cursor *cursor, Reader *from) {
    int64_t value = reader_int(from);
    int32_t *to = va_arg(cursor->args, int32_t *);

    if (!from->problem && (value < INT32_MIN || value > INT32_MAX))
        reader_fail(from, "the integer does not fit into 32 bits");
    else if (!from->problem && to)
        *to = (int32_t)value;
}

/* NOLINTBEGIN(bugprone-macro-parentheses): a type cannot stand in parentheses */
#define UNPACK(type, read)                                                                         \
    do {                                                                                           \
        type value_ = read(from);                                                                  \
        type *to_ = va_arg(cursor->args, type *);                                                  \
        if (to_ && !from->problem)                                                                 \
            *to_ = value_;                                                                         \
    } while (0)
/* NOLINTEND(bugprone-macro-parentheses) */

static int unpack_list(Cursor *cursor, Reader *from) {
    int n = count_values(cursor->at, ']'), r = 0;
    uint32_t there = reader_array(from);

    if (n < 0)
        return bad_format(cursor, "the brackets do not match, or are nested too deep");
    if (!from->problem && there != (uint32_t)n)
        return mismatch(cursor, "the length of the list differs");
    for (int i = 0; i < n && r == 0 && !from->problem; i++)
        r = unpack_value(cursor, from);
    cursor->at++;
    return r;
}

/* Finds the value of a key. Each search begins at the start of the map (the reader is a copy),
 * because keys may be in any order. */
static bool find_key(Reader map, const char *key, Reader *ret) {
    uint32_t left = reader_map(&map);
    Span found;

    while (pairs_next(&map, &left, &found)) {
        if (span_is(found, key)) {
            *ret = map;
            return true;
        }
        reader_value(&map);
    }
    return false;
}

static int unpack_map(Cursor *cursor, Reader *from) {
    int n = count_values(cursor->at, '}'), r = 0;
    Reader map = *from;

    if (n < 0 || n % 2 != 0)
        return bad_format(cursor, "a map needs pairs of key and value, as in {si}");
    if (reader_peek(from) != WIRE_MAP)
        return mismatch(cursor, "expected a map");
    for (int i = 0; i < n && r == 0; i += 2) {
        const char *key;
        Reader value;

        if (*cursor->at++ != 's')
            return bad_format(cursor, "the keys of a map are strings");
        key = va_arg(cursor->args, const char *);
        if (!key || !find_key(map, key, &value))
            return mismatch(cursor, "the map does not have this key");
        r = unpack_value(cursor, &value);
        if (r == 0 && value.problem)
            return mismatch(cursor, value.problem);
    }
    cursor->at++;
    reader_value(from);
    return r;
}

static int unpack_value(Cursor *cursor, Reader *from) {
    switch (*cursor->at++) {
    case 'b': {
        bool value = reader_bool(from);
        int *to = va_arg(cursor->args, int *);

        if (to && !from->problem)
            *to = value;
        return 0;
    }
    case 'i':
        unpack_int32(cursor, from);
        return 0;
    case 'l':
        UNPACK(int64_t, reader_int);
        return 0;
    case 'u':
        UNPACK(uint64_t, reader_uint);
        return 0;
    case 'd':
        UNPACK(double, reader_double);
        return 0;
    case 's':
        return unpack_text(cursor, from);
    case 'y': {
        Span bytes = reader_bin(from);
        ferry_bytes *to = va_arg(cursor->args, ferry_bytes *);

        if (to && !from->problem)
            *to = ferry_bytes_of(bytes.data, bytes.len);
        return 0;
    }
    case 'n':
        if (!reader_nil(from))
            reader_fail(from, "expected nil");
        return 0;
    case '[':
        return unpack_list(cursor, from);
    case '{':
        return unpack_map(cursor, from);
    default:
        cursor->at--;
        return bad_format(cursor, "unknown character: use b i l u d s y n [ ] { }");
    }
}

int format_unpack(ferry_bytes body, const char *format, va_list args, ferry_error *reterr) {
    Cursor cursor = {.format = format ? format : "", .reterr = reterr};
    Reader from = reader_of(body.data ? body.data : "", body.len);
    int n, r = 0;

    cursor.at = cursor.format;
    n = count_values(cursor.at, '\0');
    if (n < 1)
        return bad_format(&cursor, n == 0 ? "the format is empty" : "the brackets do not match");
    /* Several values are packed as a list, like arguments. */
    if (n > 1 && reader_array(&from) != (uint32_t)n && !from.problem)
        return mismatch(&cursor, "the length of the list differs");
    va_copy(cursor.args, args);
    for (int i = 0; i < n && r == 0 && !from.problem; i++)
        r = unpack_value(&cursor, &from);
    va_end(cursor.args);
    if (r == 0 && from.problem)
        return mismatch(&cursor, from.problem);
    if (r == 0 && from.at != from.end)
        return mismatch(&cursor, "there are more bytes after the value");
    return r;
}

/* ---- the functions ---- */

int ferry_unpack(ferry_bytes body, ferry_error *reterr, const char *format, ...) {
    va_list args;
    int r;

    va_start(args, format);
    r = format_unpack(body, format, args, reterr);
    va_end(args);
    return r;
}
