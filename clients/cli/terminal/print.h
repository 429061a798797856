#pragma once

/*
 * JSON as text: on a line of its own for programs, indented and coloured for people. Doubles in the
 * shortest form that reads back as the same number.
 */

#include <stdbool.h>
#include <stdio.h>

#include <jansson.h>

typedef struct PrintStyle {
    bool indent;
    bool colour;
} PrintStyle;

/* Without a newline at the end. Failures are the stream's: ferror(). */
void print_json(const json_t *json, PrintStyle style, FILE *to);

/* A list for programs: an item a line, so that `grep` and `wc` can do without a parser. Else the
 * same. With a newline at the end. */
void print_json_rows(const json_t *json, PrintStyle style, FILE *to);

/* A string in quotes, as JSON. */
void print_json_text(const char *text, size_t len, FILE *to);
