/* SPDX-License-Identifier: Apache-2.0 */

/* Interceptors, of calls and of requests. See intercept.h. */

#include "clients/c/core/intercept.h"

#include <stdlib.h>

#include "base/container.h"

int intercept_begin(Intercepted **ret, const ferry_interceptor *by, Span service, Span method,
                    ferry_request *request, Span headers) {
    Intercepted *intercepted = calloc(1, sizeof(*intercepted) + service.len + method.len + 2);
    char *name;

    *ret = intercepted;
    if (!intercepted)
        return -ENOMEM;
    name = intercepted->method;
    memcpy(name, service.data, service.len);
    name[service.len] = '.';
    memcpy(name + service.len + 1, method.data, method.len);
    intercepted->view.method = name;
    intercepted->view.request = request;
    intercepted->by = *by;
    intercepted->inherited = headers;
    intercepted->began_us = clock_us();
    return by->before ? by->before(&intercepted->view, by->ctx) : 0;
}

Span intercept_headers(const Intercepted *intercepted) {
    return intercepted->headers.len > 0
               ? span_of(intercepted->headers.data, intercepted->headers.len)
               : intercepted->inherited;
}

void intercept_end(Intercepted **intercepted, const ferry_error *error) {
    Intercepted *mine = *intercepted;

    if (!mine)
        return;
    *intercepted = NULL;
    mine->view.elapsed_us = clock_us() - mine->began_us;
    if (mine->by.after)
        mine->by.after(&mine->view, error, mine->by.ctx);
    buffer_deinit(&mine->headers);
    free(mine);
}

int ferry_interception_header(ferry_interception *call, const char *name, const char *value) {
    Intercepted *mine = call ? container_of(call, Intercepted, view) : NULL;
    Buffer headers = {0};
    int r;

    /* Headers can be added only by `before`, and only at the caller. */
    if (!mine || call->request || call->elapsed_us > 0)
        return -EINVAL;
    r = headers_write(&headers, intercept_headers(mine), 1, &(ferry_header){name, value}, NULL);
    if (r < 0) {
        buffer_deinit(&headers);
        return r;
    }
    buffer_deinit(&mine->headers);
    mine->headers = headers;
    return 0;
}
