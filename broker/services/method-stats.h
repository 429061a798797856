#pragma once

/* How the methods of one service do: how often they are called, how long they take, what fails. */

#include "broker/sessions/session.h"

/* Latencies in buckets of an eighth of a power of two, from 1 us up. */
enum { LATENCY_BUCKETS = 8 * 28 };

typedef struct Method {
    UT_hash_handle hh;
    uint64_t calls, errors;
    char last_error[96];
    uint32_t *latency; /* LATENCY_BUCKETS counts; NULL before the first */
    size_t name_len;
    char name[];
} Method;

typedef struct Methods {
    Method *table, *last; /* uthash by name; last: that was asked for */
    unsigned n;
} Methods;

/* Made when it is new. NULL: there are too many, or no memory: it is not counted. */
Method *methods_get(Methods *methods, Span name);
void methods_free(Methods *methods);
/* One call is over. error: its type; data NULL: it has succeeded. method may be NULL. */
void method_ended(Method *method, uint64_t latency_us, Span error);
uint64_t method_percentile_us(const Method *method, unsigned percent);
/* A list of maps, as ferry.Broker.methods has them. */
void methods_write(const Methods *methods, Buffer *to);
