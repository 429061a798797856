/* SPDX-License-Identifier: Apache-2.0 */
/* ferry gateway: other protocols in front of the broker. Only this file includes headers of the
 * gateways. */

#include <sys/epoll.h>

#include "base/container.h"
#include "base/log.h"
#include "clients/cli/commands/commands.h"
#include "clients/cli/run/loop.h"
#include "clients/msgpack-rpc/gateway.h"

typedef struct Values {
    Texts listen;
    const char *service, *errors;
    bool insecure;
    uint64_t timeout_ms, max_connections, max_message;
} Values;

static const Option options[] = {
    OPTION_PLAIN(OPTION_LIST, 'l', "listen", Values, listen, "ADDRESS",
                 "tcp://HOST:PORT or unix:PATH; may be repeated"),
    OPTION_PLAIN(OPTION_TEXT, 's', "service", Values, service, "SERVICE",
                 "the service of methods whose names have no dot"),
    OPTION_ROW(OPTION_TEXT, 0, "errors", Values, errors, "FORM",
               "pair (default): [code, text], as Neovim shows it; or map: all fields", 0, 0,
               "pair|map"),
    OPTION_PLAIN(OPTION_MS, 't', "timeout", Values, timeout_ms, "T",
                 "time limit of each call (default 30s)"),
    OPTION_ROW(OPTION_COUNT, 0, "max-connections", Values, max_connections, "N",
               "maximum number of connections (default 256)", 1, 65536, NULL),
    OPTION_ROW(OPTION_BYTES, 0, "max-message", Values, max_message, "SIZE",
               "maximum size of a request (default 8M)", 1024, 64 << 20, NULL),
    OPTION_PLAIN(OPTION_FLAG, 0, "insecure", Values, insecure, NULL,
                 "listen beyond this machine: every peer may call, as this program's user"),
    OPTION_END,
};

typedef struct Run {
    Loop loop;
    Watch watch;
    Gateway *gateway;
} Run;

static void on_ready(Watch *watch, uint32_t events) {
    Run *run = container_of(watch, Run, watch);

    (void)events;
    gateway_process(run->gateway);
}

static bool is_connected(void *ctx) {
    const Cli *cli = ctx;

    return cli->is_up && !cli->was_down;
}

static int serve(Cli *cli, Run *run, ferry_client *client, const GatewayOptions *gateway_options) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    int status = loop_add_client(&run->loop, client);

    if (status != EXIT_OK)
        return status;
    if (gateway_new(&run->gateway, client, gateway_options, &error) < 0)
        return cli_error(cli, &error);
    run->watch = (Watch){gateway_fd(run->gateway), on_ready};
    if (loop_watch(&run->loop, &run->watch, EPOLLIN) < 0)
        status = cli_fail(cli, EXIT_OTHER, "out of memory");
    else
        status = loop_run(&run->loop);
    loop_unwatch(&run->loop, &run->watch);
    run->gateway = gateway_free(run->gateway);
    return status;
}

static int run_gateway(Cli *cli, const void *values, int argc, char **argv) {
    CLEANUP(ferry_close) ferry_client *client = NULL;
    const Values *v = values;
    GatewayOptions gateway_options = {
        .listen = v->listen.v,
        .n_listen = v->listen.n,
        .insecure = v->insecure,
        .service = v->service,
        .errors = v->errors && strcmp(v->errors, "map") == 0 ? RPC_ERRORS_MAP : RPC_ERRORS_PAIR,
        .timeout_ms = (uint32_t)v->timeout_ms,
        .max_connections = (uint32_t)v->max_connections,
        .max_message = v->max_message,
        .is_connected = is_connected,
        .ctx = cli,
    };
    Run run = {0};
    int status;

    (void)argc;
    if (strcmp(argv[0], "msgpack-rpc") != 0)
        return cli_usage(cli, "'%s' is not a protocol of the gateway: write msgpack-rpc", argv[0]);
    if (v->listen.n == 0)
        return cli_usage(cli, "--listen: tcp://HOST:PORT or unix:PATH");
    if (v->service && ferry_name_problem(v->service))
        return cli_usage(cli, "--service '%s': %s", v->service, ferry_name_problem(v->service));
    if (cli->quiet)
        log_level = LOG_LEVEL_WARNING;
    status = cli_loop_init(&run.loop, cli);
    if (status == EXIT_OK)
        status = cli_open(cli, NULL, &client);
    if (status == EXIT_OK)
        status = serve(cli, &run, client, &gateway_options);
    client = ferry_close(client);
    cli_loop_deinit(&run.loop);
    return status;
}

const Command command_gateway = {
    .name = "gateway",
    .usage = "msgpack-rpc --listen ADDRESS... [--service SERVICE] [--errors pair|map]",
    .summary = "let clients of msgpack-rpc call services",
    .help =
        "A request of msgpack-rpc for 'calc.Calc.div' calls the method div of the service\n"
        "calc.Calc. The gateway answers four methods itself:\n"
        "  ferry.subscribe(PATTERN, {method, args, unpack})   returns a number; messages come as\n"
        "      notifications: ferry.message(topic, body), or method(args..., [topic, body])\n"
        "  ferry.unsubscribe(NUMBER)\n"
        "  ferry.publish(TOPIC, BODY)\n"
        "  ferry.push(QUEUE, BODY)\n"
        "Bodies are the bytes of texts; with unpack = true messages are read as MessagePack.\n"
        "\n"
        "Examples:\n"
        "  ferry gateway msgpack-rpc --listen unix:/run/user/1000/ferry.sock\n"
        "  ferry gateway msgpack-rpc --listen tcp://127.0.0.1:6666 --service calc.Calc\n"
        "  nvim: let ch = sockconnect('tcp', '127.0.0.1:6666', {'rpc': v:true})\n"
        "        echo rpcrequest(ch, 'calc.Calc.add', 2, 3)\n",
    .options = options,
    .values_size = sizeof(Values),
    .min_args = 1,
    .max_args = 1,
    .words = "msgpack-rpc",
    .runs_on = true,
    .waits = true,
    .run = run_gateway,
};
