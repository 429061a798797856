/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Prints JSON: on one line for programs, indented and coloured for people. Doubles are printed in
 * the shortest form that reads back as the same number.
 */

#include <stdbool.h>
#include <stdio.h>

#include <jansson.h>

typedef struct PrintStyle {
    bool indent;
    bool colour;
} PrintStyle;

/* Prints without a newline at the end. ferror() reports failures. */
void print_json(const json_t *json, PrintStyle style, FILE *to);

/* As print_json() with a newline; for programs, a list is printed one item per line, so that `grep`
 * and `wc` work without a parser. */
void print_json_rows(const json_t *json, PrintStyle style, FILE *to);

/* A string in quotes, as JSON. */
void print_json_text(const char *text, size_t len, FILE *to);
