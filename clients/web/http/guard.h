/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Checks the origin of requests, against attacks by pages of other sites.
 *
 * The server uses no cookies and answers no preflight, so a page of another site cannot send
 * application/json or custom headers, and cannot read an answer. The checks here are a second
 * defence. The Host header must be an address, localhost or a configured name: a site whose name
 * resolves to this machine (DNS rebinding) has another name. Browsers send the origin of a request
 * in Origin and Sec-Fetch-Site.
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
    bool takes_lines; /* it takes application/x-ndjson, too */
} GuardRequest;

typedef struct GuardNames {
    const char *const *v; /* names that the Host header may have, besides addresses and localhost */
    size_t n;
    const char *scheme; /* "http" or "https" */
} GuardNames;

/* Returns the status with which to refuse the request, and the reason; 0: the request is allowed.
 */
unsigned guard_check(const GuardRequest *request, const GuardNames *names, const char **ret_why);

/* True: the Content-Type header has this type, with any parameters. NULL has no type. */
bool guard_type_is(const char *content_type, const char *type);
