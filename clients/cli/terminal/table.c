/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of JSON objects as a table. See table.h. */

#include "clients/cli/terminal/table.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "base/text.h"

enum { COLUMNS_MAX = 24, CELL_MAX = 4 * 160 + 8 };

size_t table_width(const char *text) {
    mbstate_t state = {0};
    size_t width = 0, left = strlen(text);

    while (left > 0) {
        wchar_t c;
        size_t n = mbrtowc(&c, text, left, &state);
        int columns = n > 0 && n <= left ? wcwidth(c) : 1;

        if (n == 0 || n > left) { /* invalid in this locale: one column per byte */
            n = 1;
            memset(&state, 0, sizeof(state));
        }
        width += columns > 0 ? (size_t)columns : 0;
        text += n;
        left -= n;
    }
    return width;
}

static void number_text(const Column *column, TableStyle style, uint64_t value, char *to) {
    if (column->kind == COLUMN_BYTES && style.for_people)
        text_format_bytes(to, value);
    else if (column->kind == COLUMN_MS && style.for_people)
        text_format_ms(to, value);
    else
        sprintf(to, "%" PRIu64, value);
}

static bool is_flag(const Column *column) {
    return column->kind == COLUMN_FLAG || column->kind == COLUMN_ALARM;
}

/* Names from strangers may contain any character except controls; a row must stay one line. */
static void cell_text(const json_t *row, const Column *column, TableStyle style, char *to) {
    const json_t *value = json_object_get(row, column->key);

    if (is_flag(column))
        strcpy(to, json_is_true(value) ? column->key : "-");
    else if (json_is_string(value) && json_string_length(value) > 0)
        text_escape(to, json_string_value(value), json_string_length(value));
    else if (json_is_integer(value) && json_integer_value(value) >= 0)
        number_text(column, style, (uint64_t)json_integer_value(value), to);
    else if (json_is_integer(value))
        sprintf(to, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else if (json_is_array(value))
        sprintf(to, "%zu", json_array_size(value));
    else if (json_is_real(value))
        sprintf(to, "%.3g", json_real_value(value));
    else if (json_is_boolean(value))
        strcpy(to, json_is_true(value) ? "yes" : "no");
    else
        strcpy(to, "-");
}

/* In a pipe texts are never shortened. */
static void print_plain(const json_t *row, const Column *column, FILE *to) {
    const json_t *value = json_object_get(row, column->key);
    char text[CELL_MAX];

    if (json_is_string(value) && json_string_length(value) > 0 && !is_flag(column)) {
        text_print_escaped(to, json_string_value(value), json_string_length(value));
        return;
    }
    cell_text(row, column, (TableStyle){0}, text);
    fputs(text, to);
}

/* Shortens a text to a width, with an ellipsis at its end. */
static void cut(char *text, size_t width) {
    size_t at = 0, len = strlen(text), next;

    if (table_width(text) <= width)
        return;
    for (;;) {
        char kept = text[at];

        next = at + 1;
        while (next < len && ((unsigned char)text[next] & 0xC0) == 0x80)
            next++;
        text[at] = '\0';
        if (table_width(text) >= width - 1)
            break;
        text[at] = kept;
        at = next;
    }
    strcpy(text + at, "…");
}

static void print_cell(const char *text, const Column *column, size_t width, bool is_last,
                       const char *colour, FILE *to) {
    int pad = (int)(width - table_width(text));
    bool is_right = column->kind != COLUMN_TEXT && !is_flag(column);

    fprintf(to, "%*s%s%s%s", is_right ? pad : 0, "", colour, text, *colour ? "\x1b[0m" : "");
    if (!is_last)
        fprintf(to, "%*s", (is_right ? 0 : pad) + 2, "");
}

static const char *colour_of(const json_t *row, const Column *column, TableStyle style) {
    bool is_bad =
        column->kind == COLUMN_ERRORS && json_integer_value(json_object_get(row, column->key)) > 0;

    bool is_set = column->kind == COLUMN_ALARM && json_is_true(json_object_get(row, column->key));

    return !style.colour ? "" : is_bad ? "\x1b[31m" : is_set ? "\x1b[33m" : "";
}

/* The column after this one that is shown; its heading is NULL at the end. */
static const Column *next_shown(const Column *columns, const Column *at, const size_t *widths) {
    do
        at++;
    while (at->heading && widths[at - columns] == 0);
    return at;
}

static void print_rows(const json_t *rows, const Column *columns, const size_t *widths,
                       TableStyle style, FILE *to) {
    char text[CELL_MAX];
    size_t index;
    json_t *row;

    json_array_foreach(rows, index, row) {
        for (const Column *column = columns; column->heading; column++) {
            bool is_last = !column[1].heading;

            if (style.for_people) {
                if (widths[column - columns] == 0)
                    continue;
                is_last = !next_shown(columns, column, widths)->heading;
                cell_text(row, column, style, text);
                cut(text, widths[column - columns]);
                print_cell(text, column, widths[column - columns], is_last,
                           colour_of(row, column, style), to);
            } else {
                print_plain(row, column, to);
                fputs(is_last ? "" : "\t", to);
            }
        }
        putc('\n', to);
    }
}

static void measure(const json_t *rows, const Column *columns, TableStyle style, size_t *widths) {
    char text[CELL_MAX];

    for (const Column *column = columns; column->heading; column++) {
        size_t *width = &widths[column - columns], index;
        json_t *row;

        *width = table_width(column->heading);
        json_array_foreach(rows, index, row) {
            cell_text(row, column, style, text);
            if (table_width(text) > *width)
                *width = table_width(text);
        }
    }
}

static int compare_rows(const void *a, const void *b, void *key) {
    const char *left = json_string_value(json_object_get(*(json_t *const *)a, key));
    const char *right = json_string_value(json_object_get(*(json_t *const *)b, key));

    return strcmp(left ? left : "", right ? right : "");
}

json_t *table_sorted(const json_t *rows, const Column *columns) {
    size_t n = json_array_size(rows);
    json_t **in_order = malloc((n + 1) * sizeof(*in_order)), *sorted = json_array();

    if (!in_order || !sorted) {
        free(in_order);
        json_decref(sorted);
        return NULL;
    }
    for (size_t i = 0; i < n; i++)
        in_order[i] = json_array_get(rows, i);
    if (columns->kind == COLUMN_TEXT)
        qsort_r(in_order, n, sizeof(*in_order), compare_rows, (void *)(uintptr_t)columns->key);
    for (size_t i = 0; i < n; i++)
        json_array_append(sorted, in_order[i]);
    free(in_order);
    return sorted;
}

static size_t total(const size_t *widths, size_t n) {
    size_t sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += widths[i] > 0 ? widths[i] + 2 : 0;
    return sum > 0 ? sum - 2 : 0;
}

/* True if no row has a value other than "-" and 0 there. */
static bool is_blank(const json_t *rows, const Column *column) {
    char text[CELL_MAX];
    size_t index;
    json_t *row;

    json_array_foreach(rows, index, row) {
        cell_text(row, column, (TableStyle){0}, text);
        if (strcmp(text, "-") != 0 && strcmp(text, "0") != 0)
            return false;
    }
    return true;
}

/* Makes text columns narrower, the last ones first, but no narrower than least. */
static void shorten(const Column *columns, size_t n, size_t width, size_t least, size_t *widths) {
    for (size_t i = n; i-- > 0 && total(widths, n) > width;)
        if (columns[i].kind == COLUMN_TEXT && widths[i] > least) {
            size_t over = total(widths, n) - width;

            widths[i] = widths[i] > least + over ? widths[i] - over : least;
        }
}

/* Sets widths, 0 for a column that is left out, so that the table fits. Returns the number of
 * columns left out. */
static size_t fit(const json_t *rows, const Column *columns, size_t n, size_t width,
                  size_t *widths) {
    size_t hidden = 0;

    if (width == 0)
        return 0;
    shorten(columns, n, width, 20, widths);
    for (size_t i = n; i-- > 1 && total(widths, n) > width;)
        if (is_blank(rows, &columns[i])) {
            widths[i] = 0;
            hidden++;
        }
    shorten(columns, n, width, 8, widths);
    for (size_t i = n; i-- > 1 && total(widths, n) > width;)
        if (widths[i] > 0) {
            widths[i] = 0;
            hidden++;
        }
    return hidden;
}

/* Returns the columns. If the rows name their brokers, the broker's column follows the first one.
 */
static const Column *with_broker(const json_t *rows, const Column *columns,
                                 Column copy[COLUMNS_MAX]) {
    size_t n = 0;

    if (!json_object_get(json_array_get(rows, 0), "broker"))
        return columns;
    while (columns[n].heading)
        n++;
    if (n + 2 > COLUMNS_MAX)
        return columns;
    copy[0] = columns[0];
    copy[1] = (Column){"BROKER", "broker", COLUMN_TEXT};
    memcpy(copy + 2, columns + 1, n * sizeof(*columns));
    return copy;
}

size_t table_print(const json_t *rows, const Column *given, TableStyle style, FILE *to) {
    Column copy[COLUMNS_MAX];
    const Column *columns = with_broker(rows, given, copy);
    size_t widths[COLUMNS_MAX] = {0}, n = 0, hidden = 0;

    while (n < COLUMNS_MAX && columns[n].heading)
        n++;
    if (style.for_people) {
        if (json_array_size(rows) == 0) {
            fputs("none\n", to);
            return 0;
        }
        measure(rows, columns, style, widths);
        hidden = fit(rows, columns, n, style.width, widths);
        for (const Column *column = columns; column->heading;
             column = next_shown(columns, column, widths))
            print_cell(column->heading, column, widths[column - columns],
                       !next_shown(columns, column, widths)->heading, style.colour ? "\x1b[1m" : "",
                       to);
        putc('\n', to);
    }
    print_rows(rows, columns, widths, style, to);
    return hidden;
}
