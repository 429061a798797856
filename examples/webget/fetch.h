/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One GET: its request, its response and its failure, in one form for all layers. */

#include "webget.h"

enum {
    FETCH_HEADERS_MAX = 100,
    FETCH_HEAD_MAX = 65536,
    FETCH_HOST_MAX = 256,
    FETCH_LIMIT_MAX = 16 << 20
};

typedef enum FetchFailure {
    FETCH_FINE,
    FETCH_UNREACHABLE, /* gai, error */
    FETCH_TLS,
    FETCH_MALFORMED, /* offset */
    FETCH_TRUNCATED, /* response.framing, expected, received */
    FETCH_TOO_LARGE,
    FETCH_NO_MEMORY
} FetchFailure;

typedef struct FetchText {
    char *data;
    size_t len, size;
} FetchText;

typedef struct Fetch {
    /* the request */
    char *url, *target; /* the target is path and query */
    char host[FETCH_HOST_MAX], port[8];
    bool tls;
    uint32_t timeout_ms;
    size_t limit;

    /* the response */
    FetchText request, head, body; /* the head ends with an empty line; headers point into it */
    char version[16], reason[128];
    webget_header headers[FETCH_HEADERS_MAX];
    size_t n_headers;
    int status;
    webget_framing framing;
    size_t length; /* of LENGTH */
    bool keep;     /* the connection may be used again */
    bool reused;

    /* the failure */
    FetchFailure failure;
    int gai, error;
    int64_t offset;
    char message[256];
} Fetch;

/* Adds bytes. False: out of memory. */
bool fetch_add(FetchText *text, const void *data, size_t len);

/* Records the failure, and returns false. */
bool fetch_fail(Fetch *fetch, FetchFailure failure, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Takes version, status, reason, headers and framing out of fetch->head. */
bool fetch_read_head(Fetch *fetch);

/* The three layers. False: fetch->failure says why. */
bool fetch_by_library(Fetch *fetch, webget_connections *count);
bool fetch_by_hand(Fetch *fetch, webget_connections *count);

void library_hang_up(void);
void hand_hang_up(void);
