#pragma once

/*
 * Rows of JSON objects as a table: aligned, with a heading, on a terminal; lines of tab-separated
 * values in a pipe, where `cut` and `awk` are at home.
 */

#include <stdbool.h>
#include <stdio.h>

#include <jansson.h>

typedef enum ColumnKind {
    COLUMN_TEXT,
    COLUMN_NUMBER,
    COLUMN_BYTES,   /* for people 1.5 MiB, in a pipe 1572864 */
    COLUMN_MS,      /* for people 2.0 min, in a pipe 120000 */
    COLUMN_COUNT,   /* the length of a list, or a number */
    COLUMN_FLAG,    /* true: its key; false: "-" */
    COLUMN_TROUBLE, /* a number, red when it is not 0 */
} ColumnKind;

typedef struct Column {
    const char *heading; /* NULL: the end */
    const char *key;     /* of the row's object; absent values are shown as "-" */
    ColumnKind kind;
} Column;

typedef struct TableStyle {
    bool for_people;
    bool colour;
} TableStyle;

/* The rows by name, where names are their first column. NULL: out of memory. */
json_t *table_sorted(const json_t *rows, const Column *columns);

/* -ENOMEM. An empty table prints nothing in a pipe, "none" for people. */
int table_print(const json_t *rows, const Column *columns, TableStyle style, FILE *to);

/* How many places of a terminal the UTF-8 text takes. */
size_t table_width(const char *text);
