/* SPDX-License-Identifier: Apache-2.0 */
/* ferry broker: runs the broker in this process. Only this file and store.c include headers of the
 * broker. */

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/text.h"
#include "base/thread.h"
#include "broker/main.h"
#include "clients/cli/commands/commands.h"
#include "clients/cli/terminal/out.h"
#ifdef FERRY_WITH_WEB
#include "clients/web/web.h"
#endif

typedef struct Values {
    Texts binds;
    const char *data, *store, *advertise, *config, *log_level, *web;
    bool insecure, check_config;
} Values;

static const Option options[] = {
    OPTION_PLAIN(
        OPTION_LIST, 'b', "bind", Values, binds, "ENDPOINT",
        "where to listen (default --url, $FERRY_URL, else tcp://127.0.0.1:5877); may be repeated"),
    OPTION_PLAIN(OPTION_TEXT, 'd', "data", Values, data, "DIR",
                 "keep queues in this folder (default: in memory)"),
    OPTION_PLAIN(OPTION_TEXT, 's', "store", Values, store, "URL",
                 "keep queues in Redis: redis://, redis+sentinel:// or redis+cluster://"),
    OPTION_PLAIN(OPTION_TEXT, 0, "advertise", Values, advertise, "URL",
                 "where clients of other brokers with the same --store reach this one"),
    OPTION_PLAIN(OPTION_TEXT, 'c', "config", Values, config, "FILE", "the configuration file"),
    OPTION_ROW(OPTION_TEXT, 'l', "log-level", Values, log_level, "L",
               "error, warning, info (default) or debug", 0, 0, "error|warning|info|debug"),
#ifdef FERRY_WITH_WEB
    OPTION_PLAIN(OPTION_TEXT, 0, "web", Values, web, "ADDRESS:PORT",
                 "also serve the dashboard at this address, like 'ferry web'"),
#endif
    OPTION_PLAIN(OPTION_FLAG, 0, "insecure", Values, insecure, NULL,
                 "listen beyond this machine without keys: every peer may use the broker"),
    OPTION_PLAIN(OPTION_FLAG, 0, "check-config", Values, check_config, NULL,
                 "check the configuration, print its errors, and exit"),
    OPTION_END,
};

#ifdef FERRY_WITH_WEB
/* The HTTP server of --web. It has its own thread and its own client, so the broker's loop never
 * waits for it. */
typedef struct WebThread {
    const Cli *cli;
    WebServer *server;
    pthread_t thread;
    bool is_running;
} WebThread;

static void *serve_web(void *ctx) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;

    if (web_run(ctx, &error) < 0)
        log_error("the HTTP side has ended, and the broker continues without it: %s",
                  error.message);
    return NULL;
}

static int start_web(const char *address, const char *url, void *ctx, ferry_error *reterr) {
    WebThread *web = ctx;
    int r = web_open(&(WebOptions){.listen = address,
                                   .url = url,
                                   .key_file = web->cli->key_file,
                                   .server_key = web->cli->server_key},
                     &web->server, reterr);

    if (r < 0)
        return r;
    r = thread_start(&web->thread, serve_web, web->server);
    if (r < 0)
        return error_set_code(reterr, r, "no thread for the HTTP side: %s", strerror(-r));
    web->is_running = true;
    log_info("the dashboard is at http://%s/", web_address(web->server));
    return 0;
}

static void stop_web(WebThread *web) {
    if (web->is_running) {
        web_stop(web->server);
        pthread_join(web->thread, NULL);
    }
    web_close(web->server);
}
#endif

static int run_broker(Cli *cli, const void *values, int argc, char **argv) {
    const Values *v = values;
#ifdef FERRY_WITH_WEB
    WebThread web = {.cli = cli};
#endif
    char *store = NULL; /* its URL may contain a password */
    BrokerOptions broker = {.binds = v->binds.v,
                            .n_binds = v->binds.n,
                            .default_bind = cli->url ? cli->url : getenv("FERRY_URL"),
                            .data = v->data,
                            .advertise = v->advertise,
                            .config = v->config,
                            .log_level = v->log_level ? v->log_level
                                         : cli->quiet ? "warning"
                                                      : NULL,
                            .web = v->web,
                            .insecure = v->insecure,
                            .check_config = v->check_config};
    int status;

    (void)argc;
    (void)argv;
    if (cli->header_texts.n > 0)
        return cli_usage(
            cli, "--header is for commands that send messages: a broker sends none of its own");
    if (v->store) {
        store = secret_alloc(strlen(v->store) + 1);
        if (!store)
            return cli_fail(cli, EXIT_OTHER, "out of memory");
        broker.store = strcpy(store, v->store);
        text_hide_login((char *)(uintptr_t)v->store);
    }
#ifdef FERRY_WITH_WEB
    broker.start_web = start_web;
    broker.web_ctx = &web;
#endif
    status = broker_main(&broker);
#ifdef FERRY_WITH_WEB
    stop_web(&web);
#endif
    secret_free(store);
    return status;
}

const Command command_broker = {
    .name = "broker",
    .usage = "[--bind ENDPOINT]... [--data DIR] [--store URL] [--advertise URL] "
             "[--config FILE] [--log-level L]"
#ifdef FERRY_WITH_WEB
             " [--web ADDRESS:PORT]"
#endif
    ,
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
