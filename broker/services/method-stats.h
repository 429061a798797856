/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Statistics of the methods of one service: calls, latencies, errors. */

#include "broker/sessions/session.h"
#include "rpc/wire/latency.h"

typedef struct Method {
    UT_hash_handle hh;
    uint64_t calls, errors, total_us;
    char last_error[96];
    uint32_t *latency; /* LATENCY_BUCKETS counts; NULL: the method has no latency yet */
    size_t name_len;
    char name[];
} Method;

typedef struct Methods {
    Method *table, *last; /* table: uthash by name; last: the method that was found last */
    unsigned n;
    Budget *budget;
} Methods;

/* Finds the method, or adds it. NULL: there are too many methods, or the broker is out of memory,
 * so the method is not counted. */
Method *methods_get(Methods *methods, Span name);
void methods_free(Methods *methods);
/* Counts a call that is over. error: the type of its error; data NULL: success. method may be NULL.
 * all: LATENCY_BUCKETS counts in which the call is counted, too, or NULL. */
void method_ended(Method *method, uint64_t *all, uint64_t latency_us, Span error);

/* Counts of direct calls, which do not pass through the broker. */
typedef struct MethodCounts {
    uint64_t calls, errors, total_us;
    uint32_t latencies[LATENCY_BUCKETS];
    Span last_error;
} MethodCounts;

/* Adds the counts. method may be NULL. all: as in method_ended(). */
void methods_add(Method *method, uint64_t *all, const MethodCounts *counts);
/* Writes the counts as a list that ends with the last count above zero. */
void latencies_write(const uint64_t *counts, Buffer *to);
/* Writes a list of maps, the result of ferry.Broker.methods. */
void methods_write(const Methods *methods, Buffer *to);
