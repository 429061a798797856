/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The check of an endpoint that a server announces for direct calls: callers connect there, so a
 * server may announce only itself. Pure.
 */

#include "rpc/wire/message.h"

enum { DIRECT_ENDPOINT_MAX = 128 }; /* bytes, including the NUL */

/* The origin of a server's own session. */
typedef struct DirectOrigin {
    const char *host; /* "192.0.2.7", "[2001:db8::7]"; "" over a Unix socket */
    bool needs_key;   /* the broker has keys: tcp:// endpoints have them, too */
} DirectOrigin;

/* Writes the endpoint that callers are told: the host 0.0.0.0 or [::] becomes the server's. Returns
 * NULL, or the reason why it is not announced: a static text. */
const char *direct_endpoint(Span announced, Span key, const DirectOrigin *origin,
                            char ret[DIRECT_ENDPOINT_MAX]);
