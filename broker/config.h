/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The configuration file: INI, with a section for the broker, one for its keys ([server]), one for
 * each pattern of queues or topics, and one for each user or group (rights/rights.h).
 *
 *     [broker]                  [queue mail.>]          [topic prices.*]
 *     bind = ipc:///run/ferry   max_attempts = 5        keep = 100
 *     max_body = 16M            retry = 10s
 *
 * config_read() reads the file once into a Config, which is plain data. config_apply() gives the
 * settings of queues and topics to their rooms. Both add the errors that they find to the Config.
 */

#include "broker/core/broker.h"
#include "broker/rights/rights.h"

enum {
    BINDS_MAX = 16,
    CONFIG_SETTINGS_MAX = 32,
    CONFIG_ERRORS_MAX = 50, /* errors of one file that are reported */
};

/* A setting of queues or topics. */
typedef struct ConfigRule {
    struct ConfigRule *next;
    int line;
    bool is_queue; /* true: a setting of queues; false: of topics */
    const char *pattern, *name, *value;
    char text[];
} ConfigRule;

typedef struct ConfigError {
    int line; /* 0: the error belongs to no line, for example because the file cannot be read */
    char *text;
} ConfigError;

typedef struct Config {
    char *path;
    char *binds[BINDS_MAX];
    size_t n_binds;
    char *data;
    char *store;       /* the URL of a Redis that keeps the queues; NULL: no Redis */
    char *advertise;   /* the broker's URL for the clients of others; NULL: from `binds` */
    char *cluster;     /* the name of the brokers of one URL; NULL: they have no name */
    char *web;         /* ADDRESS:PORT of the HTTP side; NULL: the broker has no HTTP side */
    unsigned ipc_mode; /* permissions of socket files */
    int log_level;     /* LogLevel; -1: the file does not set it */
    bool log_json;
    uint32_t drain_timeout_ms;
    Limits limits;
    int set_at[CONFIG_SETTINGS_MAX]; /* the number of the line that sets each size; 0: the file does
                                      * not set it */
    ConfigRule *rules;               /* in the order of the file */
    KeyPair *keys[CURVE_SERVER_KEYS_MAX]; /* keys of [server] */
    unsigned n_keys;
    int keys_at;                           /* the line of the first key */
    Rights *rights;                        /* NULL: the file has no [user] and no [group] */
    ConfigError errors[CONFIG_ERRORS_MAX]; /* in the order of their lines */
    size_t n_errors;
} Config;

void config_init(Config *config);
void config_deinit(Config *config);

/* Reads the file. 0; -EINVAL: config->errors has all errors; another error: the file cannot be
 * read, and config->errors has the reason. */
int config_read(Config *config, const char *path);

/* Why a broker cannot be advertised at this URL; NULL: it can. */
const char *config_advertise_problem(const char *url);

/* Why the broker cannot serve HTTP at this address; NULL: it can. */
const char *config_web_problem(const char *address);

/* Fits the limits to `memory`, the bytes that this process may use. Adds an error to the Config for
 * each size in the file that does not fit. */
void config_fit(Config *config, uint64_t memory);

/* Adds an error if the Config has no keys, because the broker listens beyond this machine. */
void config_require_keys(Config *config);

/* Gives the settings of queues and topics to their rooms. 0; -EINVAL: config->errors has all
 * errors, including those of config_read(). */
int config_apply(Config *config, Broker *broker);

/* Writes an error as "path:line: text", or as its text alone if it belongs to no line. */
void config_error_format(const Config *config, size_t i, char *to, size_t size);

static inline void config_deinitp(Config *config) {
    config_deinit(config);
}
