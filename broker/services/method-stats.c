/* SPDX-License-Identifier: Apache-2.0 */

/* Methods and their statistics. See method-stats.h. */

#include "broker/services/method-stats.h"

#include <stdlib.h>

enum { METHODS_MAX = 256, LATENCY_BYTES = LATENCY_BUCKETS * sizeof(uint32_t) };

/* Callers choose the names of methods. So the memory of a method's statistics is charged, and if
 * there is no room the method is not counted. */
static size_t memory_of(const Method *method) {
    return sizeof(*method) + method->name_len + LATENCY_BYTES;
}

/* The next call often has the same name: look at the last method first. */
Method *methods_get(Methods *methods, Span name) {
    Method *method = methods->last;

    if (method && name.len == method->name_len && memcmp(name.data, method->name, name.len) == 0)
        return method;
    HASH_FIND(hh, methods->table, name.data, name.len, method);
    if (method)
        methods->last = method;
    if (method || methods->n == METHODS_MAX)
        return method;
    if (!budget_allows(methods->budget, sizeof(*method) + name.len + LATENCY_BYTES))
        return NULL;
    method = calloc(1, sizeof(*method) + name.len + 1);
    if (!method)
        return NULL;
    memcpy(method->name, name.data, name.len);
    method->name_len = name.len;
    HASH_ADD_KEYPTR(hh, methods->table, method->name, name.len, method);
    if (!hash_added(method)) {
        free(method);
        return NULL;
    }
    methods->n++;
    methods->budget->bytes[BUDGET_SERVICES] += memory_of(method);
    return method;
}

void method_ended(Method *method, uint64_t *all, uint64_t latency_us, Span error) {
    if (all)
        all[latency_bucket(latency_us)]++;
    if (!method)
        return;
    method->total_us += latency_us;
    if (!method->latency)
        method->latency = calloc(LATENCY_BUCKETS, sizeof(*method->latency));
    if (method->latency)
        method->latency[latency_bucket(latency_us)]++;
    if (error.data) {
        method->errors++;
        snprintf(method->last_error, sizeof(method->last_error), "%s", shown(error));
    }
}

void methods_add(Method *method, uint64_t *all, const MethodCounts *counts) {
    for (unsigned i = 0; i < LATENCY_BUCKETS; i++)
        all[i] += counts->latencies[i];
    if (!method)
        return;
    method->calls += counts->calls;
    method->errors += counts->errors;
    method->total_us += counts->total_us;
    if (!method->latency)
        method->latency = calloc(LATENCY_BUCKETS, sizeof(*method->latency));
    for (unsigned i = 0; method->latency && i < LATENCY_BUCKETS; i++)
        method->latency[i] += counts->latencies[i];
    if (counts->last_error.len > 0)
        snprintf(method->last_error, sizeof(method->last_error), "%s", shown(counts->last_error));
}

static uint64_t percentile_us(const Method *method, unsigned percent) {
    uint64_t n = 0, seen = 0;

    for (unsigned i = 0; method->latency && i < LATENCY_BUCKETS; i++)
        n += method->latency[i];
    for (unsigned i = 0; n > 0 && i < LATENCY_BUCKETS; i++) {
        seen += method->latency[i];
        if (seen * 100 >= n * percent)
            return latency_us(i);
    }
    return 0;
}

void methods_free(Methods *methods) {
    Method *method, *next;

    HASH_ITER(hh, methods->table, method, next) {
        HASH_DEL(methods->table, method);
        methods->budget->bytes[BUDGET_SERVICES] -= memory_of(method);
        free(method->latency);
        free(method);
    }
    *methods = (Methods){.budget = methods->budget};
}

void latencies_write(const uint64_t *counts, Buffer *to) {
    uint32_t n = LATENCY_BUCKETS;

    while (n > 0 && counts[n - 1] == 0)
        n--;
    write_array(to, n);
    for (uint32_t i = 0; i < n; i++)
        write_uint(to, counts[i]);
}

static void write_latencies(const Method *method, Buffer *to) {
    uint64_t counts[LATENCY_BUCKETS] = {0};

    for (unsigned i = 0; method->latency && i < LATENCY_BUCKETS; i++)
        counts[i] = method->latency[i];
    latencies_write(counts, to);
}

void methods_write(const Methods *methods, Buffer *to) {
    const Method *method;

    write_array(to, methods->n);
    for (method = methods->table; method; method = method->hh.next) {
        write_map(to, 8);
        write_text(to, "method");
        write_text(to, method->name);
        write_pair(to, "calls", method->calls);
        write_pair(to, "errors", method->errors);
        write_pair(to, "p50_us", percentile_us(method, 50));
        write_pair(to, "p99_us", percentile_us(method, 99));
        write_text(to, "last_error");
        write_text(to, method->last_error);
        write_pair(to, "total_us", method->total_us);
        write_text(to, "latencies");
        write_latencies(method, to);
    }
}
