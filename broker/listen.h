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

/* *ret_is_open: other machines can reach an endpoint. -EACCES: they could, and the broker has no
 * keys, and its options do not allow that; -EADDRINUSE: another broker has an endpoint; -EINVAL. */
int listen_all(const BrokerEndpoints *listening, bool *ret_is_open, ferry_error *reterr);
