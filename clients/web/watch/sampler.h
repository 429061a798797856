/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Samples of the broker's counters: the rates of the last second (of the last 5 s if no dashboard
 * is open), and the rates of the last hour.
 */

#include "clients/web/core/core.h"

/* Rates in the order of the columns of /api/history. */
enum {
    RATE_CALLS,
    RATE_ERRORS,
    RATE_PUBLISHED,
    RATE_DELIVERED,
    RATE_DROPPED,
    RATE_PUSHED,
    RATE_ACKED,
    RATE_REDELIVERED,
    RATE_DEAD,
    RATES, /* their number; latencies and gauges follow in a row of the history */
    ROW_P50_US = RATES,
    ROW_P99_US,
    ROW_SESSIONS,
    ROW_MEMORY,
    ROW_COLUMNS,
};

enum {
    SAMPLE_MS = 1000,
    HISTORY_MS = 5000,
    HISTORY_ROWS = 720,     /* an hour */
    LATENCIES_MAX = 8 * 28, /* buckets, as the broker counts them */
};

/* The counters at one moment. */
typedef struct Sample {
    uint64_t at_ms; /* 0: no sample */
    uint64_t epoch; /* of the broker: a new one begins to count at zero */
    uint64_t counts[RATES];
    uint64_t latencies[LATENCIES_MAX];
} Sample;

/* The difference of two samples, as a row of the history. A latency below 0: no call has ended in
 * this time. */
typedef struct SampleRow {
    bool is_known; /* false: the broker was away, or was restarted */
    double values[ROW_COLUMNS];
} SampleRow;

typedef struct Sampler Sampler;

Sampler *sampler_new(Web *web);
Sampler *sampler_free(Sampler *sampler);

/* To be called each second. is_watched: sample each second. */
void sampler_tick(Sampler *sampler, uint64_t now_ms, bool is_watched);

/* The member "rates" of an overview: an object, or null. */
json_t *sampler_rates(const Sampler *sampler);

/* Makes an overview with these counters. Takes ownership of stats; it is null if the broker cannot
 * be asked because of `problem` (NULL: the problem of the connection). */
json_t *sampler_overview(Web *web, json_t *stats, const char *problem);

/* Reads the counters of ferry.Broker.stats. */
Sample sample_of(const json_t *stats, uint64_t now_ms);
SampleRow sample_difference(const Sample *before, const Sample *now, const json_t *stats);

/* The latency in us that a share (0 to 1) of the calls does not exceed; below 0: no calls. */
double sample_percentile(const uint64_t *latencies, double share);

/* Handlers of routes. */
void sampler_get_overview(HttpRequest *request);
void sampler_get_history(HttpRequest *request);
