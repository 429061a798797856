/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One call or request that an interceptor sees, from `before` to `after`. */

#include "base/buffer.h"
#include "clients/c/core/core.h"

/* The first member is the interceptor's view of the call: the program has a pointer to it. */
typedef struct Intercepted {
    ferry_interception view;
    ferry_interceptor by; /* a copy: the handle, or the service, may end before the call */
    Span inherited;       /* the headers of a call, before `before` adds headers */
    Buffer headers;       /* all headers, with the added ones; empty: `before` added no header */
    uint64_t began_us;
    char method[];
} Intercepted;

static inline bool interceptor_is_set(const ferry_interceptor *interceptor) {
    return interceptor->before || interceptor->after;
}

/* Runs `before`. request: NULL for a call of this client, whose headers are then `headers`. *ret is
 * set on success and on refusal. 0; the error of `before`; -ENOMEM: *ret is NULL. */
int intercept_begin(Intercepted **ret, const ferry_interceptor *by, Span service, Span method,
                    ferry_request *request, Span headers);

/* The headers to send. */
Span intercept_headers(const Intercepted *intercepted);

/* Runs `after` and frees *intercepted, which is NULL afterwards; does nothing if it is NULL. */
void intercept_end(Intercepted **intercepted, const ferry_error *error);
