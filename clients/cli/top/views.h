/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The views of `ferry top`, without a terminal: which lists there are, their columns, and the rows
 * of one sample after the other with rates, filtered and sorted.
 */

#include <stdbool.h>
#include <stdint.h>

#include "clients/cli/terminal/table.h"

typedef enum TopKind { TOP_SERVICES, TOP_QUEUES, TOP_TOPICS, TOP_SESSIONS, N_TOP_KINDS } TopKind;

typedef struct TopView {
    const char *method; /* of ferry.Broker, and the key in --json */
    const char *key;    /* tells rows apart */
    const Column *columns;
    unsigned sort_column; /* at first; numbers are sorted downwards */
} TopView;

const TopView *top_view(TopKind kind);

/* Adds KEY_rate, per second, for each counter of the view to the rows of a sample. previous: the
 * rows of the one before; NULL: all rates are 0. A row that is new, or whose counter began again,
 * has the rate of what it counts. Topics without a name (patterns) are removed. */
void top_add_rates(const TopView *view, json_t *rows, const json_t *previous, double seconds);

/* The same for the broker's counters, an object. */
void top_add_total_rates(json_t *stats, const json_t *previous, double seconds);

/* How rows are shown. */
typedef struct TopOrder {
    unsigned column;
    bool is_reversed;
    char filter[64]; /* part of the first column, in any case; empty: all rows */
} TopOrder;

/* A new list. NULL: out of memory. */
json_t *top_arrange(const TopView *view, const json_t *rows, const TopOrder *order);

unsigned top_n_columns(const TopView *view);
