/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Decides whether a request may come from where it comes from.
 *
 * The listener has no cookies and answers no preflight, so a page of another site can do nothing
 * that needs one: it cannot send application/json, nor a header of its own, and it cannot read an
 * answer. The checks here do not rely on that alone. The Host header must be an address, localhost
 * or a configured name: a site whose name resolves to this machine (DNS rebinding) has another
 * name. Browsers say where a request comes from, in Origin and Sec-Fetch-Site.
 */

#include <stdbool.h>
#include <stddef.h>

typedef struct GuardRequest {
    const char *host, *origin, *fetch_site; /* NULL: the request has no such header */
    const char *content_type, *ferry_request;
    bool is_page;     /* GET of a page or its files: a link on another site may lead here */
    bool is_read;     /* GET or HEAD */
    bool is_action;   /* it needs Ferry-Request: 1 */
    bool takes_bytes; /* it takes application/octet-stream and application/msgpack, too */
} GuardRequest;

typedef struct GuardNames {
    const char *const *v; /* names that the Host header may have, beside addresses and localhost */
    size_t n;
    const char *scheme; /* "http" or "https" */
} GuardNames;

/* Returns the status to refuse the request with, and the reason; 0: the request may go on. */
unsigned guard_check(const GuardRequest *request, const GuardNames *names, const char **ret_why);

/* True if the Content-Type header is of this type, whatever its parameters. NULL is of no type. */
bool guard_type_is(const char *content_type, const char *type);
