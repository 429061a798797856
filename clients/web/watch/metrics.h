/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * GET /metrics: the broker's counters for Prometheus, as OpenMetrics where the Accept header has
 * it, else in Prometheus's own text format.
 *
 * The number of series is bounded: callers choose names of methods, queues and topics.
 */

#include "base/buffer.h"
#include "clients/web/core/core.h"

enum {
    METRICS_ROWS_MAX = 500, /* labelled samples of one family; others are left out, and counted */
    METRICS_SERVICES_MAX = 100, /* services whose methods are asked for */
};

/* The broker's answers; a list that could not be fetched is NULL. */
typedef struct MetricsInput {
    const json_t *stats, *services, *queues, *topics, *sessions, *users;
    const json_t *methods; /* {SERVICE: its rows} */
    bool is_plain;         /* not OpenMetrics */
} MetricsInput;

/* Appends the whole text. */
void metrics_write(const MetricsInput *input, Buffer *to);

/* The handler of the route. */
void metrics_get(HttpRequest *request);
