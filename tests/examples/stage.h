/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Each test here begins with a broker, one example's server on a thread, and a client of it. */

#include "server.h"
#include "support/broker.h"
#include "support/suite.h"

typedef struct Stage {
    TestBroker broker;
    Runner runner;
    start_fn *start;
    ferry_client *client;
    ferry_error error;
} Stage;

static inline int stage_start_server(ferry_client *client, void *ctx) {
    return ((Stage *)ctx)->start(client, NULL);
}

static inline void stage_open(Stage *stage, start_fn *start) {
    *stage = (Stage){.start = start, .error = FERRY_ERROR_INIT};
    broker_spawn(&stage->broker);
    runner_start(&stage->runner, &stage->broker, stage_start_server, stage);
    stage->client = connect_client(&stage->broker);
}

static inline void stage_close(Stage *stage) {
    ferry_error_clear(&stage->error);
    ferry_close(stage->client);
    runner_stop(&stage->runner);
    broker_terminate(&stage->broker);
}

/* Both ends of a TCP connection over loopback: to show the faults of a program without ferry. */
void tcp_pair(int fds[2]);
