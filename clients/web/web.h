/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The HTTP side of ferry: a dashboard, and JSON for scripts. It is an ordinary client of a broker,
 * and runs on one thread: that of web_run().
 */

#include <ferry/ferry.h>

#include "base/cleanup.h"

typedef struct WebServer WebServer;

typedef struct WebOptions {
    const char *listen; /* "127.0.0.1:5878", "[::1]:5878", "localhost:0"; NULL: the first one */
    /* In place of `listen`: a listening socket, which the server takes over; 0: not given. */
    int listen_fd;
    /* Names that the Host header may have, besides addresses and localhost. */
    const char *const *names;
    size_t n_names;
    const char *url; /* of the broker, as in ferry_open() */
    const char *key_file, *server_key;
    const char *tokens;             /* a file, see tokens.h; NULL: requests need no token */
    const char *tls_cert, *tls_key; /* PEM files; both or neither */
} WebOptions;

/**
 * Listens, and begins to connect to the broker, which may be started later.
 *
 * @return 0, or
 *   -EINVAL      the address is malformed, or is not a loopback address and tokens or TLS are
 *                missing; a file is malformed; or as ferry_open();
 *   -EADDRINUSE  another program listens there;
 *   -EACCES      other users can read a file with secrets; or as ferry_open();
 *   an error of bind() or ferry_open(), -ENOMEM.
 */
int web_open(const WebOptions *options, WebServer **ret, ferry_error *reterr);

/* Returns the address with the actual port: "127.0.0.1:5878". Borrowed. */
const char *web_address(const WebServer *server);
bool web_is_secure(const WebServer *server); /* https */

/* Serves until web_stop(). Returns 0, or the error that ended the loop: the broker refuses the only
 * client. */
int web_run(WebServer *server, ferry_error *reterr);

/* Ends web_run(), or the next one. Threads: any; also in a signal handler. */
void web_stop(WebServer *server);

/* NULL is allowed. Returns NULL. */
WebServer *web_close(WebServer *server);

DEFINE_CLEANUP(WebServer *, web_close);
