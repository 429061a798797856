/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * W3C Trace Context: the headers traceparent ("00-TRACE-PARENT-FLAGS") and tracestate. Made at the
 * first hop, given a new parent id at each further one. Pure but for the seed.
 *
 * https://www.w3.org/TR/trace-context/
 */

#include "base/buffer.h"
#include "rpc/wire/message.h"

enum { TRACEPARENT_LEN = 55 };

/* Where ids come from: different in each client, and without a system call for each. */
typedef struct TraceIds {
    uint64_t state, salt; /* both 0: not seeded yet */
} TraceIds;

/* A value that a hop can go on from. Those of later versions are, by their beginning. */
bool traceparent_is_valid(Span value);

/* Begins a trace, sampled: TRACEPARENT_LEN bytes, no NUL. */
void traceparent_begin(TraceIds *ids, char *to);

/*
 * Appends the headers of calls made on behalf of a request with these headers: the same, with a new
 * parent id. A traceparent that is malformed is left out, and tracestate with it. Where there is
 * none (left), one is begun if `begin` and the limits allow.
 *
 * Returns 0, or -ENOMEM.
 */
int trace_headers_write(Buffer *to, Span headers, bool begin, TraceIds *ids);
