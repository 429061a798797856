/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Opens the endpoints of the broker: the endpoints of the command line, else of the configuration,
 * else the default endpoint. */

#include "broker/config.h"
#include "broker/main.h"

typedef struct BrokerEndpoints {
    Broker *broker;
    const BrokerOptions *options;
    const Config *config;
} BrokerEndpoints;

typedef struct BrokerListening {
    bool is_open;         /* other machines can reach an endpoint */
    char url[256];        /* for clients in this process: the first ipc:// endpoint; else the first
                           * endpoint */
    char advertised[256]; /* for clients of other brokers: `advertise` of the command line or the
                           * configuration; else the first endpoint with a host that other machines
                           * can reach; else the first endpoint */
} BrokerListening;

/* -EACCES: other machines could reach an endpoint, the broker has no keys, and its options do not
 * allow that; -EADDRINUSE: another broker has an endpoint; -EINVAL: an endpoint is malformed. */
int listen_all(const BrokerEndpoints *listening, BrokerListening *ret, ferry_error *reterr);

/* Starts the HTTP side if the options or the configuration ask for it. 0, or a negative errno. */
int listen_web(const BrokerEndpoints *listening, const char *url, ferry_error *reterr);
