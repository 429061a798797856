/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Clients and the handles on them. */

#include "clients/c/core/core.h"

/* Opens a client that drives these parts: see ferry_open(). core: memory of malloc(), all zero
 * except the leader and the pointers to the state of the parts; the function takes it over. */
int client_open(Core *core, const Part *const *parts, size_t n_parts, const char *url,
                const ferry_options *options, ferry_client **ret, ferry_error *reterr);

/* ferry_open() for a member of this leader (NULL: the client has no leader); in open.c. */
int client_open_member(Core *leader, const char *url, const ferry_options *options,
                       ferry_client **ret, ferry_error *reterr);

/* Makes a handle for calls on behalf of the request with this id in the current session. It has no
 * options of its own. NULL: out of memory. */
ferry_client *client_for_request(Core *core, Request *request, uint64_t id, Span headers,
                                 uint64_t deadline_ms);
void client_drop(ferry_client *client);

/* Returns the headers for one message through this handle. If the handle begins traces, the message
 * gets a new trace. */
static inline Span client_headers(ferry_client *client) {
    if (__builtin_expect(client->traceparent != NULL, 0))
        traceparent_begin(&client->core->trace_ids, client->traceparent);
    return client->headers;
}
