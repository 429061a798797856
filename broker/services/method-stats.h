/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Statistics of the methods of one service: calls, latencies, errors. */

#include "broker/sessions/session.h"

/* Latency buckets: eight for each power of two, from 1 us up. */
enum { LATENCY_BUCKETS = 8 * 28 };

typedef struct Method {
    UT_hash_handle hh;
    uint64_t calls, errors, total_us;
    char last_error[96];
    uint32_t *latency; /* LATENCY_BUCKETS counts; NULL before the first */
    size_t name_len;
    char name[];
} Method;

typedef struct Methods {
    Method *table, *last; /* uthash by name; last: the last one found */
    unsigned n;
    Budget *budget;
} Methods;

/* Finds the method, or adds it. NULL: too many methods, or out of memory; the method is not
 * counted. */
Method *methods_get(Methods *methods, Span name);
void methods_free(Methods *methods);
/* One call is over. error: the type of its error; data NULL: success. method may be NULL. all:
 * LATENCY_BUCKETS counts, which count the call, too; NULL: none. */
void method_ended(Method *method, uint64_t *all, uint64_t latency_us, Span error);
/* The counts as a list that ends with the last one that is not zero. */
void latencies_write(const uint64_t *counts, Buffer *to);
/* A list of maps, as ferry.Broker.methods has them. */
void methods_write(const Methods *methods, Buffer *to);
