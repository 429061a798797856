/* SPDX-License-Identifier: Apache-2.0 */
/* Views of `ferry top`: columns, rates, filter, order. See views.h. */

#include "clients/cli/top/views.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const Column service_columns[] = {
    {"SERVICE", "name", COLUMN_TEXT},           {"CALLS/S", "calls_rate", COLUMN_NUMBER},
    {"ERRORS/S", "errors_rate", COLUMN_ERRORS}, {"SERVERS", "instances", COLUMN_NUMBER},
    {"SLOTS", "slots", COLUMN_NUMBER},          {"BUSY", "busy", COLUMN_NUMBER},
    {"WAITING", "waiting", COLUMN_NUMBER},      {"CALLS", "calls", COLUMN_NUMBER},
    {"ERRORS", "errors", COLUMN_ERRORS},        {"NOT READY", "not_ready", COLUMN_NUMBER},
    {"EJECTED", "ejected", COLUMN_NUMBER},      {NULL, NULL, COLUMN_TEXT},
};

static const Column queue_columns[] = {
    {"QUEUE", "name", COLUMN_TEXT},          {"PUSHED/S", "pushed_rate", COLUMN_NUMBER},
    {"DONE/S", "acked_rate", COLUMN_NUMBER}, {"READY", "ready", COLUMN_NUMBER},
    {"DELAYED", "delayed", COLUMN_NUMBER},   {"HELD", "held", COLUMN_NUMBER},
    {"DEAD", "dead", COLUMN_ERRORS},         {"SIZE", "bytes", COLUMN_BYTES},
    {"WORKERS", "workers", COLUMN_NUMBER},   {"PAUSED", "paused", COLUMN_ALARM},
    {"DEGRADED", "degraded", COLUMN_TEXT},   {NULL, NULL, COLUMN_TEXT},
};

static const Column topic_columns[] = {
    {"TOPIC", "name", COLUMN_TEXT},
    {"PUBLISHED/S", "published_rate", COLUMN_NUMBER},
    {"PUBLISHED", "published", COLUMN_NUMBER},
    {"KEPT", "kept", COLUMN_NUMBER},
    {"RETAINED", "retained", COLUMN_FLAG},
    {NULL, NULL, COLUMN_TEXT},
};

static const Column session_columns[] = {
    {"NAME", "name", COLUMN_TEXT},
    {"SESSION", "session", COLUMN_NUMBER},
    {"IN/S", "in_rate", COLUMN_NUMBER},
    {"OUT/S", "out_rate", COLUMN_NUMBER},
    {"DROPPED/S", "dropped_rate", COLUMN_ERRORS},
    {"CALLS", "calls", COLUMN_NUMBER},
    {"REQUESTS", "requests", COLUMN_NUMBER},
    {"WAITING", "waiting", COLUMN_BYTES},
    {"MEMORY", "memory", COLUMN_BYTES},
    {"AGE", "age_ms", COLUMN_MS},
    {"USER", "user", COLUMN_TEXT},
    {"ADDRESS", "address", COLUMN_TEXT},
    {NULL, NULL, COLUMN_TEXT},
};

static const TopView views[N_TOP_KINDS] = {
    [TOP_SERVICES] = {"services", "name", service_columns, 1},
    [TOP_QUEUES] = {"queues", "name", queue_columns, 1},
    [TOP_TOPICS] = {"topics", "name", topic_columns, 1},
    [TOP_SESSIONS] = {"sessions", "session", session_columns, 2},
};

const TopView *top_view(TopKind kind) {
    return &views[kind];
}

unsigned top_n_columns(const TopView *view) {
    unsigned n = 0;

    while (view->columns[n].heading)
        n++;
    return n;
}

/* ---- rates ---- */

enum { NAME_SIZE = 640 }; /* bytes of a row's name and the URL of its broker */

static void add_rate(json_t *row, const json_t *before, const char *counter, double seconds) {
    json_int_t now = json_integer_value(json_object_get(row, counter));
    json_int_t then = json_integer_value(json_object_get(before, counter));
    char name[64];
    double rate;

    /* A row that is new, and a counter that began again, count from 0. */
    rate = (double)(now >= then ? now - then : now) / seconds;
    snprintf(name, sizeof(name), "%s_rate", counter);
    json_object_set_new(row, name, json_integer((json_int_t)(rate + 0.5)));
}

/* The name of a row: its key, and its broker if the list is of several brokers. */
static void write_name(char to[NAME_SIZE], const json_t *row, const char *key) {
    const json_t *value = json_object_get(row, key);
    const char *broker = json_string_value(json_object_get(row, "broker"));

    if (json_is_string(value))
        snprintf(to, NAME_SIZE, "%s %s", json_string_value(value), broker ? broker : "");
    else
        snprintf(to, NAME_SIZE, "%" JSON_INTEGER_FORMAT " %s", json_integer_value(value),
                 broker ? broker : "");
}

/* Makes a map from name to row, so that a thousand sessions are not searched one by one. */
static json_t *by_name(const json_t *rows, const char *key) {
    json_t *map = json_object(), *row;
    char name[NAME_SIZE];
    size_t index;

    json_array_foreach(rows, index, row) {
        write_name(name, row, key);
        json_object_set(map, name, row);
    }
    return map;
}

static bool ends_with(const char *text, const char *end) {
    size_t len = strlen(text), n = strlen(end);

    return len > n && strcmp(text + len - n, end) == 0;
}

static void add_rates_of_row(const TopView *view, json_t *row, const json_t *map, double seconds) {
    const json_t *before;
    char name[NAME_SIZE];

    write_name(name, row, view->key);
    before = json_object_get(map, name);
    for (const Column *column = view->columns; column->heading; column++) {
        char counter[64];

        if (!ends_with(column->key, "_rate"))
            continue;
        snprintf(counter, sizeof(counter), "%.*s", (int)(strlen(column->key) - strlen("_rate")),
                 column->key);
        add_rate(row, map ? before : row, counter, seconds);
    }
}

void top_add_rates(const TopView *view, json_t *rows, const json_t *previous, double seconds) {
    json_t *map = previous ? by_name(previous, view->key) : NULL;

    for (size_t i = json_array_size(rows); i-- > 0;) {
        json_t *row = json_array_get(rows, i);

        if (json_object_get(row, view->key))
            add_rates_of_row(view, row, map, seconds);
        else
            json_array_remove(rows, i);
    }
    json_decref(map);
}

void top_add_total_rates(json_t *stats, const json_t *previous, double seconds) {
    static const char *const counters[] = {"calls",  "errors", "published", "delivered",
                                           "pushed", "acked",  "dropped"};

    for (size_t i = 0; i < sizeof(counters) / sizeof(*counters); i++)
        add_rate(stats, previous ? previous : stats, counters[i], seconds);
}

/* ---- filter and order ---- */

static bool is_kept(const TopView *view, const json_t *row, const TopOrder *order) {
    const char *text = json_string_value(json_object_get(row, view->columns[0].key));

    return !*order->filter || (text && strcasestr(text, order->filter));
}

/* Compares for sorting: texts in ascending order, numbers and flags in descending order. */
static int compare(const json_t *a, const json_t *b) {
    if (json_is_string(a) || json_is_string(b)) {
        const char *left = json_string_value(a), *right = json_string_value(b);

        return strcmp(left ? left : "", right ? right : "");
    }
    if (json_is_integer(a) || json_is_integer(b)) {
        json_int_t left = json_integer_value(a), right = json_integer_value(b);

        return (left < right) - (left > right);
    }
    return json_is_true(b) - json_is_true(a);
}

typedef struct Sorting {
    const TopView *view;
    const TopOrder *order;
} Sorting;

static int compare_rows(const void *a, const void *b, void *ctx) {
    const Sorting *sorting = ctx;
    const json_t *left = *(json_t *const *)a, *right = *(json_t *const *)b;
    const Column *columns = sorting->view->columns;
    const char *key = columns[sorting->order->column].key;
    int result = compare(json_object_get(left, key), json_object_get(right, key));

    if (sorting->order->is_reversed)
        result = -result;
    /* Equal rows keep their places from one sample to the next. */
    if (result == 0)
        result =
            compare(json_object_get(left, columns[0].key), json_object_get(right, columns[0].key));
    return result;
}

json_t *top_arrange(const TopView *view, const json_t *rows, const TopOrder *order) {
    size_t n = 0, all = json_array_size(rows);
    json_t **kept = malloc((all + 1) * sizeof(*kept)), *arranged = json_array();

    if (!kept || !arranged) {
        free(kept);
        json_decref(arranged);
        return NULL;
    }
    for (size_t i = 0; i < all; i++)
        if (is_kept(view, json_array_get(rows, i), order))
            kept[n++] = json_array_get(rows, i);
    qsort_r(kept, n, sizeof(*kept), compare_rows, &(Sorting){view, order});
    for (size_t i = 0; i < n; i++)
        json_array_append(arranged, kept[i]);
    free(kept);
    return arranged;
}
