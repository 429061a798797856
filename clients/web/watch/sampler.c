/* SPDX-License-Identifier: Apache-2.0 */
/* Rates from counters. See sampler.h. */

#include "clients/web/watch/sampler.h"

#include <stdlib.h>

#include "base/clock.h"

static const char *const columns[ROW_COLUMNS] = {
    [RATE_CALLS] = "calls",         [RATE_ERRORS] = "errors",
    [RATE_PUBLISHED] = "published", [RATE_DELIVERED] = "delivered",
    [RATE_DROPPED] = "dropped",     [RATE_PUSHED] = "pushed",
    [RATE_ACKED] = "acked",         [RATE_REDELIVERED] = "redelivered",
    [RATE_DEAD] = "dead",           [ROW_P50_US] = "p50_us",
    [ROW_P99_US] = "p99_us",        [ROW_SESSIONS] = "sessions",
    [ROW_MEMORY] = "memory_used",
};

struct Sampler {
    Web *web;
    bool is_asking;
    uint64_t asked_ms;
    Sample last;     /* of the rates */
    Sample recorded; /* of the history's last row */
    uint64_t recorded_ms;
    SampleRow rates;
    size_t n_rows, next_row; /* a ring */
    SampleRow rows[HISTORY_ROWS];
};

/* ---- differences ---- */

Sample sample_of(const json_t *stats, uint64_t now_ms) {
    const json_t *latencies = json_object_get(stats, "latencies"), *one;
    Sample sample = {.at_ms = now_ms};
    size_t i;

    sample.epoch = (uint64_t)json_integer_value(json_object_get(stats, "epoch"));
    for (i = 0; i < RATES; i++)
        sample.counts[i] = (uint64_t)json_integer_value(json_object_get(stats, columns[i]));
    json_array_foreach((json_t *)latencies, i, one) if (i < LATENCIES_MAX) sample.latencies[i] =
        (uint64_t)json_integer_value(one);
    return sample;
}

/* The first latency of a bucket, in us: eight buckets for each power of two. */
static double bucket_start(size_t bucket) {
    size_t power = bucket / 8 + 2;

    return bucket < 8 ? (double)bucket : (double)((UINT64_C(8) + bucket % 8) << (power - 3));
}

double sample_percentile(const uint64_t *latencies, double share) {
    uint64_t n = 0, seen = 0;
    size_t i;

    for (i = 0; i < LATENCIES_MAX; i++)
        n += latencies[i];
    for (i = 0; n > 0 && i < LATENCIES_MAX; i++) {
        seen += latencies[i];
        if ((double)seen >= (double)n * share)
            return bucket_start(i);
    }
    return -1;
}

SampleRow sample_difference(const Sample *before, const Sample *now, const json_t *stats) {
    SampleRow row = {.is_known = before->at_ms > 0 && before->epoch == now->epoch &&
                                 now->at_ms > before->at_ms};
    uint64_t latencies[LATENCIES_MAX];
    double seconds = (double)(now->at_ms - before->at_ms) / 1000;

    if (!row.is_known)
        return row;
    for (size_t i = 0; i < RATES; i++)
        row.values[i] = now->counts[i] < before->counts[i]
                            ? 0
                            : (double)(now->counts[i] - before->counts[i]) / seconds;
    for (size_t i = 0; i < LATENCIES_MAX; i++)
        latencies[i] = now->latencies[i] - before->latencies[i];
    row.values[ROW_P50_US] = sample_percentile(latencies, 0.5);
    row.values[ROW_P99_US] = sample_percentile(latencies, 0.99);
    row.values[ROW_SESSIONS] = (double)json_integer_value(json_object_get(stats, "sessions"));
    row.values[ROW_MEMORY] = (double)json_integer_value(json_object_get(stats, "memory_used"));
    return row;
}

/* ---- sampling ---- */

Sampler *sampler_new(Web *web) {
    Sampler *sampler = calloc(1, sizeof(*sampler));

    if (sampler)
        sampler->web = web;
    return sampler;
}

Sampler *sampler_free(Sampler *sampler) {
    free(sampler);
    return NULL;
}

static void record(Sampler *sampler, const SampleRow *row) {
    sampler->rows[sampler->next_row] = *row;
    sampler->next_row = (sampler->next_row + 1) % HISTORY_ROWS;
    sampler->n_rows += sampler->n_rows < HISTORY_ROWS;
}

static void on_stats(json_t *stats, const ferry_error *error, void *ctx) {
    Sampler *sampler = ctx;
    uint64_t now_ms = clock_ms();
    Sample now = error ? (Sample){0} : sample_of(stats, now_ms);
    SampleRow row;

    sampler->is_asking = false;
    sampler->rates = sample_difference(&sampler->last, &now, stats);
    sampler->last = now;
    if (now_ms - sampler->recorded_ms < HISTORY_MS - SAMPLE_MS / 2)
        return;
    row = sample_difference(&sampler->recorded, &now, stats);
    if (sampler->recorded_ms > 0)
        record(sampler, &row);
    sampler->recorded = now;
    sampler->recorded_ms = now_ms;
}

void sampler_tick(Sampler *sampler, uint64_t now_ms, bool is_watched) {
    if (sampler->is_asking ||
        now_ms - sampler->asked_ms < (is_watched ? SAMPLE_MS : HISTORY_MS) / 2)
        return;
    if (!is_watched && now_ms - sampler->asked_ms < HISTORY_MS - SAMPLE_MS / 2)
        return;
    sampler->asked_ms = now_ms;
    sampler->is_asking = true;
    ask(sampler->web, on_stats, sampler, "stats", "");
}

/* ---- as JSON ---- */

static json_t *number_or_null(double value) {
    return value < 0 ? json_null() : json_real((double)(int64_t)(value * 100 + 0.5) / 100);
}

json_t *sampler_rates(const Sampler *sampler) {
    json_t *rates = sampler->rates.is_known ? json_object() : json_null();

    for (size_t i = 0; json_is_object(rates) && i <= ROW_P99_US; i++)
        json_object_set_new(rates, columns[i], number_or_null(sampler->rates.values[i]));
    return rates;
}

json_t *sampler_overview(Web *web, json_t *stats, const char *problem) {
    bool is_up = json_is_object(stats);

    if (is_up)
        json_object_del(stats, "latencies"); /* for the percentiles only */
    return json_pack(
        "{s:I, s:s, s:s, s:s, s:s, s:b, s:o, s:o}", "now_ms", (json_int_t)clock_wall_ms(),
        "version", FERRY_VERSION, "url", web->url, "broker", is_up ? "up" : "lost", "problem",
        is_up     ? ""
        : problem ? problem
                  : web->problem,
        "read_only", 0, "stats", stats, "rates", is_up ? sampler_rates(web->sampler) : json_null());
}

static void on_overview(json_t *stats, const ferry_error *error, void *ctx) {
    HttpRequest *request = ctx;

    if (!error)
        present(stats);
    http_reply_json(request, 200,
                    sampler_overview(http_ctx(request), error ? json_null() : json_incref(stats),
                                     error ? error->message : NULL));
}

void sampler_get_overview(HttpRequest *request) {
    Web *web = http_ctx(request);

    if (web->is_up)
        ask(web, on_overview, request, "stats", "");
    else
        http_reply_json(request, 200, sampler_overview(web, json_null(), NULL));
}

void sampler_get_history(HttpRequest *request) {
    const Sampler *sampler = ((Web *)http_ctx(request))->sampler;
    json_t *names = json_array(), *rows = json_array();
    size_t first = sampler->next_row + HISTORY_ROWS - sampler->n_rows;

    for (size_t i = 0; i < ROW_COLUMNS; i++)
        json_array_append_new(names, json_string(columns[i]));
    for (size_t i = 0; i < sampler->n_rows; i++) {
        const SampleRow *row = &sampler->rows[(first + i) % HISTORY_ROWS];
        json_t *values = row->is_known ? json_array() : json_null();

        for (size_t j = 0; row->is_known && j < ROW_COLUMNS; j++)
            json_array_append_new(values, number_or_null(row->values[j]));
        json_array_append_new(rows, values);
    }
    http_reply_json(request, 200,
                    json_pack("{s:i, s:I, s:o, s:o}", "interval_ms", HISTORY_MS, "t0_ms",
                              (json_int_t)(clock_wall_ms() - sampler->n_rows * HISTORY_MS),
                              "columns", names, "rows", rows));
}
