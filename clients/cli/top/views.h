/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The views of `ferry top`, without the terminal: the lists and their columns; the rows of each
 * sample, with rates, filtered and sorted.
 */

#include <stdbool.h>
#include <stdint.h>

#include "clients/cli/terminal/table.h"

typedef enum TopKind { TOP_SERVICES, TOP_QUEUES, TOP_TOPICS, TOP_SESSIONS, N_TOP_KINDS } TopKind;

typedef struct TopView {
    const char *method; /* of ferry.Broker, and the key in --json */
    const char *key;    /* of the field that identifies a row */
    const Column *columns;
    unsigned sort_column; /* the initial order; numbers are sorted in descending order */
} TopView;

const TopView *top_view(TopKind kind);

/* Adds KEY_rate, per second, for each counter of the view to the rows of a sample. previous: the
 * rows of the previous sample; NULL: all rates are 0. If a row is new, or its counter has
 * restarted, the rate counts from 0. Topics without a name (patterns) are removed. */
void top_add_rates(const TopView *view, json_t *rows, const json_t *previous, double seconds);

/* Adds the rates of the broker's counters, an object. */
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
