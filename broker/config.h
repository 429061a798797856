#pragma once

/*
 * The configuration file: INI, one section for the broker, one for each pattern of queues or
 * topics.
 *
 *     [broker]                  [queue mail.>]          [topic prices.*]
 *     bind = ipc:///run/ferry   max_attempts = 5        keep = 100
 *     max_body = 16M            retry = 10s
 */

#include "broker/core/broker.h"
#include "broker/loop/placement.h"

enum { BINDS_MAX = 16 };

typedef struct Config {
    char *binds[BINDS_MAX];
    size_t n_binds;
    char *data;
    int log_level; /* LogLevel; -1: not set */
    uint32_t drain_timeout_ms;
    Together together;
    Limits limits;
} Config;

void config_init(Config *config);
void config_deinit(Config *config);

/* Reads the file and, unless broker is NULL, hands the [queue …] and [topic …] sections to its
 * rooms. -EINVAL: problem says what is wrong, with file and line. */
int config_read(Config *config, const char *path, Broker *broker, ferry_error *reterr);

static inline void config_deinitp(Config *config) {
    config_deinit(config);
}
