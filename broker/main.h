/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The broker as a program: `ferry broker`. */

#include <stdbool.h>
#include <stddef.h>

typedef struct BrokerOptions {
    const char *const *binds; /* endpoints; n_binds 0: the endpoints of the configuration */
    size_t n_binds;
    const char *usual_bind; /* if both have none; NULL or "": tcp://127.0.0.1:5877 */
    const char *data;       /* the broker's own folder; NULL: it has none */
    const char *config;     /* the configuration file; NULL: none */
    const char *log_level;  /* NULL: the level of the configuration, or info */
    bool insecure;          /* listen on other than local endpoints without keys */
    bool check_config;      /* check the configuration, report its errors, and end */
} BrokerOptions;

/* Runs the broker. The first SIGTERM or SIGINT drains it: it takes no new work and finishes the
 * rest, for at most drain_timeout. A second one ends it at once. SIGHUP reads the configuration
 * again. Returns an exit status; errors are on standard error. */
int broker_main(const BrokerOptions *options);
