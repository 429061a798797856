/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * W3C Trace Context: the headers traceparent ("00-TRACE-PARENT-FLAGS") and tracestate. The first
 * hop makes them; each later hop sets a new parent id. Pure, except for the seed.
 *
 * https://www.w3.org/TR/trace-context/
 */

#include "base/buffer.h"
#include "rpc/wire/message.h"

enum { TRACEPARENT_LEN = 55 };

/* The generator of ids: different in each client, and without a system call for each id. */
typedef struct TraceIds {
    uint64_t state, salt; /* both 0: not seeded yet */
} TraceIds;

/* True: a hop can continue this trace. A later version is accepted if its beginning is valid. */
bool traceparent_is_valid(Span value);

/* Begins a sampled trace: writes TRACEPARENT_LEN bytes without NUL. */
void traceparent_begin(TraceIds *ids, char *to);

/*
 * Appends the headers for calls on behalf of a request with these headers: the same headers with a
 * new parent id. A malformed traceparent is omitted, and tracestate with it. If no traceparent
 * remains, a trace is begun if `begin` is set and the limits allow it.
 *
 * Returns 0, or -ENOMEM.
 */
int trace_headers_write(Buffer *to, Span headers, bool begin, TraceIds *ids);
