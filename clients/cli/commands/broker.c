/* SPDX-License-Identifier: Apache-2.0 */
/* ferry broker: runs the broker in this process. This file and store.c know the broker. */

#include <stdlib.h>

#include "broker/main.h"
#include "clients/cli/commands/commands.h"

typedef struct Values {
    Texts binds;
    const char *data, *config, *log_level;
    bool insecure, check_config;
} Values;

static const Option options[] = {
    OPTION_PLAIN(
        OPTION_LIST, 'b', "bind", Values, binds, "ENDPOINT",
        "where to listen (default --url, $FERRY_URL, else tcp://127.0.0.1:5877); may be repeated"),
    OPTION_PLAIN(OPTION_TEXT, 'd', "data", Values, data, "DIR",
                 "keep queues in this folder (default: in memory)"),
    OPTION_PLAIN(OPTION_TEXT, 'c', "config", Values, config, "FILE", "the configuration file"),
    OPTION_ROW(OPTION_TEXT, 'l', "log-level", Values, log_level, "L",
               "error, warning, info (default) or debug", 0, 0, "error|warning|info|debug"),
    OPTION_PLAIN(OPTION_FLAG, 0, "insecure", Values, insecure, NULL,
                 "listen beyond this machine without keys: every peer may use the broker"),
    OPTION_PLAIN(OPTION_FLAG, 0, "check-config", Values, check_config, NULL,
                 "check the configuration, print its errors, and exit"),
    OPTION_END,
};

static int run_broker(Cli *cli, const void *values, int argc, char **argv) {
    const Values *v = values;

    (void)argc;
    (void)argv;
    if (cli->header_texts.n > 0)
        return cli_usage(cli, "a broker sends no headers of its own");
    return broker_main(&(BrokerOptions){.binds = v->binds.v,
                                        .n_binds = v->binds.n,
                                        .usual_bind = cli->url ? cli->url : getenv("FERRY_URL"),
                                        .data = v->data,
                                        .config = v->config,
                                        .log_level = v->log_level ? v->log_level
                                                     : cli->quiet ? "warning"
                                                                  : NULL,
                                        .insecure = v->insecure,
                                        .check_config = v->check_config});
}

const Command command_broker = {
    .name = "broker",
    .usage = "[--bind ENDPOINT]... [--data DIR] [--config FILE] [--log-level L]",
    .summary = "run the broker",
    .help =
        "Endpoints are tcp://ADDRESS:PORT or ipc://PATH. SIGTERM drains: the broker takes no new\n"
        "work and ends when all work in progress is done. SIGHUP reads the configuration again.\n"
        "\n"
        "Examples:\n"
        "  ferry broker\n"
        "  ferry broker --bind ipc:///run/ferry.sock --bind tcp://127.0.0.1:5877\n",
    .options = options,
    .values_size = sizeof(Values),
    .run = run_broker,
};
