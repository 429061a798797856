/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Opens the endpoints of the broker: those of the command line, else of the configuration, else the
 * usual one. */

#include "broker/config.h"
#include "broker/main.h"

typedef struct BrokerEndpoints {
    Broker *broker;
    const BrokerOptions *options;
    const Config *config;
} BrokerEndpoints;

typedef struct BrokerListening {
    bool is_open;  /* other machines can reach an endpoint */
    char url[256]; /* for clients in this process: the first ipc:// endpoint, else the first one */
} BrokerListening;

/* -EACCES: they could, and the broker has no
 * keys, and its options do not allow that; -EADDRINUSE: another broker has an endpoint; -EINVAL. */
int listen_all(const BrokerEndpoints *listening, BrokerListening *ret, ferry_error *reterr);

/* Starts the HTTP side where the options or the configuration say so. 0, or a negative errno. */
int listen_web(const BrokerEndpoints *listening, const char *url, ferry_error *reterr);
