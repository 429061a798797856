/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Rows of JSON objects as a table: aligned, with a heading, on a terminal; tab-separated values in
 * a pipe, for `cut` and `awk`.
 */

#include <stdbool.h>
#include <stdio.h>

#include <jansson.h>

typedef enum ColumnKind {
    COLUMN_TEXT,
    COLUMN_NUMBER,
    COLUMN_BYTES,  /* for people 1.5 MiB, in a pipe 1572864 */
    COLUMN_MS,     /* for people 2.0 min, in a pipe 120000 */
    COLUMN_COUNT,  /* the length of a list, or a number */
    COLUMN_FLAG,   /* true: the key; false: "-" */
    COLUMN_ALARM,  /* a flag, yellow when it is true */
    COLUMN_ERRORS, /* a number of errors, red when it is not 0 */
} ColumnKind;

typedef struct Column {
    const char *heading; /* NULL ends the table */
    const char *key;     /* key in the row's object; absent values are shown as "-" */
    ColumnKind kind;
} Column;

typedef struct TableStyle {
    bool for_people;
    bool colour;
    size_t width; /* columns of the terminal; 0: no limit */
} TableStyle;

/* Sorts the rows by name, if the first column is a name. NULL: out of memory. */
json_t *table_sorted(const json_t *rows, const Column *columns);

/* If the rows have a "broker", it is the second column. Returns the number of columns that are not
 * shown because the terminal is too narrow. First texts are shortened to 20 columns, then columns
 * without any value are left out, then the last ones. An empty table prints nothing in a pipe,
 * "none" for people. */
size_t table_print(const json_t *rows, const Column *columns, TableStyle style, FILE *to);

/* The number of terminal columns of a UTF-8 text. */
size_t table_width(const char *text);
