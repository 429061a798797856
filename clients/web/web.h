/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The HTTP side of ferry: a dashboard, and JSON for scripts. It is an ordinary client of a broker,
 * and runs on one thread: that of web_run().
 */

#include <ferry/ferry.h>

#include "base/cleanup.h"

typedef struct Web Web;

typedef struct WebOptions {
    const char *listen; /* "127.0.0.1:5878", "[::1]:5878", "localhost:0"; NULL: the first one */
    const char *const *names; /* that the Host header may have, beside addresses and localhost */
    size_t n_names;
    const char *url; /* of the broker, as in ferry_open() */
    const char *key_file, *server_key;
} WebOptions;

/**
 * Listens, and begins to connect to the broker, which need not be there yet.
 *
 * @return 0, or
 *   -EINVAL      the address is malformed, or is not a loopback address; or as ferry_open();
 *   -EADDRINUSE  another program listens there;
 *   an error of bind(), ferry_open(), -ENOMEM.
 */
int web_open(const WebOptions *options, Web **ret, ferry_error *reterr);

/* The address with its real port: "127.0.0.1:5878". Lent. */
const char *web_address(const Web *web);

/* Serves until web_stop(). Returns 0, or an error that ended it: the broker refuses the client. */
int web_run(Web *web, ferry_error *reterr);

/* Ends web_run(), or the next one. Threads: any; also in a signal handler. */
void web_stop(Web *web);

/* NULL is allowed. Returns NULL. */
Web *web_close(Web *web);

DEFINE_CLEANUP(Web *, web_close);
