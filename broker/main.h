/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The broker as a program: `ferry broker`. */

#include <stdbool.h>
#include <stddef.h>

#include <ferry/ferry.h>

typedef struct BrokerOptions {
    const char *const *binds; /* endpoints; n_binds 0: those of the configuration */
    size_t n_binds;
    const char *default_bind; /* if neither has an endpoint; NULL or "":
                               * tcp://127.0.0.1:5877 */
    const char *data;         /* the broker's own folder; NULL: the broker has no data folder */
    const char *store;        /* the URL of a Redis that keeps the queues; NULL: no Redis */
    const char *advertise; /* the broker's URL for the clients of other brokers; NULL: that of the
                            * configuration, or an endpoint */
    const char *config;    /* the configuration file; NULL: there is no file */
    const char *log_level; /* NULL: the level of the configuration, or else info */
    const char *web;       /* ADDRESS:PORT of the HTTP side; NULL: the setting `web` of the
                            * configuration */
    /* Starts the HTTP side at an address, as a client of url. Called after the broker listens and
     * before it serves. 0, or a negative errno with *reterr. NULL: this program has no HTTP
     * side. */
    int (*start_web)(const char *address, const char *url, void *ctx, ferry_error *reterr);
    void *web_ctx;
    bool insecure;     /* listen on endpoints that other machines can reach, without keys */
    bool check_config; /* check the configuration, report its errors, and exit */
} BrokerOptions;

/* Runs the broker. The first SIGTERM or SIGINT drains it: it takes no new work and finishes open
 * work, for at most drain_timeout. A second one stops it at once. SIGHUP reads the configuration
 * again. Returns an exit status; errors are on standard error. */
int broker_main(const BrokerOptions *options);
