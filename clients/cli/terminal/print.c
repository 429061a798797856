/* SPDX-License-Identifier: Apache-2.0 */
/* JSON as text. See print.h. */

#include "clients/cli/terminal/print.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

/* SGR codes: names blue, texts green, numbers cyan, words yellow. */
#define NAME_COLOUR   "34"
#define TEXT_COLOUR   "32"
#define NUMBER_COLOUR "36"
#define WORD_COLOUR   "33"

static void colour(PrintStyle style, const char *code, FILE *to) {
    if (style.colour)
        fprintf(to, "\x1b[%sm", code);
}

static void newline(PrintStyle style, unsigned depth, FILE *to) {
    if (style.indent)
        fprintf(to, "\n%*s", (int)(2 * depth), "");
}

/* Prints a character that is not ASCII, or is a control character, and returns its length.
 * Characters that could control a terminal, or change the direction of text, are escaped. A byte
 * that is not UTF-8, which JSON cannot have, becomes U+FFFD. */
static size_t print_letter(const char *text, size_t left, FILE *to) {
    unsigned c = (unsigned char)text[0];
    size_t n = c < 0x80 ? 1 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;

    n = n < left ? n : left;
    if (!text_is_utf8(text, n)) {
        fputs("\xEF\xBF\xBD", to);
        return 1;
    }
    if (text_is_safe(text, n)) {
        fwrite(text, 1, n, to);
        return n;
    }
    if (n == 2)
        c = (c & 0x1F) << 6 | ((unsigned char)text[1] & 0x3F);
    else if (n == 3)
        c = (c & 0x0F) << 12 | ((unsigned char)text[1] & 0x3Fu) << 6 |
            ((unsigned char)text[2] & 0x3F);
    fprintf(to, "\\u%04x", c);
    return n;
}

void print_json_text(const char *text, size_t len, FILE *to) {
    putc('"', to);
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];

        switch (c) {
        case '"':
        case '\\':
            fprintf(to, "\\%c", c);
            break;
        case '\n':
            fputs("\\n", to);
            break;
        case '\r':
            fputs("\\r", to);
            break;
        case '\t':
            fputs("\\t", to);
            break;
        default:
            if (c >= 0x20 && c < 0x7F)
                putc(c, to);
            else
                i += print_letter(text + i, len - i, to) - 1;
        }
    }
    putc('"', to);
}

static void print_real(double value, FILE *to) {
    char text[40];

    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    fputs(text, to);
    /* Keep a double a double when it is read back. */
    if (!strpbrk(text, ".eE"))
        fputs(".0", to);
}

static void print_value(const json_t *json, PrintStyle style, unsigned depth, FILE *to);

static void print_object(const json_t *json, PrintStyle style, unsigned depth, FILE *to) {
    const char *key;
    json_t *value;
    bool is_first = true;

    putc('{', to);
    json_object_foreach((json_t *)json, key, value) {
        if (!is_first)
            fputs(style.indent ? "," : ", ", to);
        is_first = false;
        newline(style, depth + 1, to);
        colour(style, NAME_COLOUR, to);
        print_json_text(key, strlen(key), to);
        colour(style, "0", to);
        fputs(": ", to);
        print_value(value, style, depth + 1, to);
    }
    if (!is_first)
        newline(style, depth, to);
    putc('}', to);
}

/* Lists of scalars stay on one line even when indented: [1, 2, 3] is easier to read. */
static bool is_flat(const json_t *array) {
    size_t index;
    json_t *item;

    if (json_array_size(array) > 16)
        return false;
    json_array_foreach(array, index, item) if (json_is_object(item) || json_is_array(item) ||
                                               json_string_length(item) > 40) return false;
    return true;
}

static void print_array(const json_t *json, PrintStyle style, unsigned depth, FILE *to) {
    PrintStyle inner = style;
    size_t index;
    json_t *item;

    inner.indent = style.indent && !is_flat(json);
    putc('[', to);
    json_array_foreach(json, index, item) {
        if (index > 0)
            fputs(inner.indent ? "," : ", ", to);
        newline(inner, depth + 1, to);
        print_value(item, style, depth + 1, to);
    }
    if (json_array_size(json) > 0)
        newline(inner, depth, to);
    putc(']', to);
}

static void print_scalar(const json_t *json, FILE *to) {
    switch (json_typeof(json)) {
    case JSON_STRING:
        print_json_text(json_string_value(json), json_string_length(json), to);
        break;
    case JSON_INTEGER:
        fprintf(to, "%" JSON_INTEGER_FORMAT, json_integer_value(json));
        break;
    case JSON_REAL:
        print_real(json_real_value(json), to);
        break;
    case JSON_TRUE:
        fputs("true", to);
        break;
    case JSON_FALSE:
        fputs("false", to);
        break;
    default:
        fputs("null", to);
    }
}

static void print_value(const json_t *json, PrintStyle style, unsigned depth, FILE *to) {
    if (json_is_object(json)) {
        print_object(json, style, depth, to);
    } else if (json_is_array(json)) {
        print_array(json, style, depth, to);
    } else {
        colour(style,
               json_is_string(json)   ? TEXT_COLOUR
               : json_is_number(json) ? NUMBER_COLOUR
                                      : WORD_COLOUR,
               to);
        print_scalar(json, to);
        colour(style, "0", to);
    }
}

void print_json(const json_t *json, PrintStyle style, FILE *to) {
    print_value(json, style, 0, to);
}

void print_json_rows(const json_t *json, PrintStyle style, FILE *to) {
    size_t index;
    json_t *item;

    if (style.indent || !json_is_array(json) || json_array_size(json) == 0) {
        print_json(json, style, to);
        putc('\n', to);
        return;
    }
    json_array_foreach(json, index, item) {
        fputs(index == 0 ? "[" : ",\n", to);
        print_json(item, style, to);
    }
    fputs("]\n", to);
}
