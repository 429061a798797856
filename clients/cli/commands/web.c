/* SPDX-License-Identifier: Apache-2.0 */
/* ferry web: serves the dashboard and the HTTP interface. */

#include "clients/web/web.h"

#include <signal.h>

#include "base/systemd.h"
#include "clients/cli/commands/commands.h"
#include "clients/cli/run/contexts.h"
#include "clients/cli/terminal/out.h"

typedef struct Values {
    const char *listen, *tokens, *tls_cert, *tls_key;
    Texts names;
} Values;

static const Option options[] = {
    OPTION_PLAIN(OPTION_TEXT, 'l', "listen", Values, listen, "ADDRESS:PORT",
                 "where to listen (default 127.0.0.1:5878); port 0: any free port"),
    OPTION_PLAIN(
        OPTION_LIST, 0, "name", Values, names, "HOST",
        "a name that browsers may use for this address, beside localhost; may be repeated"),
    OPTION_PLAIN(OPTION_TEXT, 0, "tokens", Values, tokens, "FILE",
                 "requests need a token of this file, and use the token's key"),
    OPTION_PLAIN(OPTION_TEXT, 0, "tls-cert", Values, tls_cert, "FILE",
                 "serve https with this certificate (PEM)"),
    OPTION_PLAIN(OPTION_TEXT, 0, "tls-key", Values, tls_key, "FILE",
                 "the private key of the certificate (PEM)"),
    OPTION_END,
};

static WebServer *running; /* for the signal handler */

static void on_signal(int signal) {
    (void)signal;
    web_stop(running);
}

static int serve(Cli *cli, WebServer *web) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    struct sigaction stop = {.sa_handler = on_signal, .sa_flags = SA_RESETHAND};

    running = web;
    sigaction(SIGINT, &stop, NULL);
    sigaction(SIGTERM, &stop, NULL);
    out_format(stdout, "http%s://%s/\n", web_is_secure(web) ? "s" : "", web_address(web));
    fflush(stdout);
    systemd_notify("READY=1");
    return web_run(web, &error) < 0 ? cli_error(cli, &error) : EXIT_OK;
}

static int run_web(Cli *cli, const void *values, int argc, char **argv) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    const Values *v = values;
    WebServer *web = NULL;
    int fd = systemd_listen_fd(), status = contexts_apply(cli);

    (void)argc;
    (void)argv;
    if (status != EXIT_OK)
        return status;
    if (cli->header_texts.n > 0)
        return cli_usage(cli, "ferry web sends no headers of its own");
    if (fd < 0)
        return cli_usage(cli, "the service manager passes several sockets, or a closed one: ferry "
                              "web takes one");
    if (fd > 0 && v->listen)
        return cli_usage(cli, "the service manager passes a socket: leave out --listen");
    if (web_open(&(WebOptions){.listen = v->listen,
                               .listen_fd = fd,
                               .names = v->names.v,
                               .n_names = v->names.n,
                               .url = cli->url,
                               .key_file = cli->key_file,
                               .server_key = cli->server_key,
                               .tokens = v->tokens,
                               .tls_cert = v->tls_cert,
                               .tls_key = v->tls_key},
                 &web, &error) < 0)
        return cli_error(cli, &error);
    status = serve(cli, web);
    web_close(web);
    return status;
}

const Command command_web = {
    .name = "web",
    .usage = "[--listen ADDRESS:PORT] [--name HOST]... [--tokens FILE] [--tls-cert FILE --tls-key "
             "FILE]",
    .summary = "serve the dashboard and the HTTP interface",
    .help =
        "Prints the address, and serves until SIGTERM or Ctrl-C. It may be started before the\n"
        "broker, and continues when the broker is lost. It listens on loopback addresses\n"
        "only, unless it has tokens and TLS.\n"
        "\n"
        "With a file of tokens, each request needs 'Authorization: Bearer SECRET', and acts as\n"
        "the user of the token's key. The file has a section for each token:\n"
        "  [token ci]\n"
        "  secret = a text of at least 16 bytes\n"
        "  key = /etc/ferry/ci.key\n"
        "\n"
        "Examples:\n"
        "  ferry web\n"
        "  ferry web --listen 127.0.0.1:0\n"
        "  curl -s http://127.0.0.1:5878/api/queues | jq .\n",
    .options = options,
    .values_size = sizeof(Values),
    .max_args = 0,
    .runs_on = true,
    .waits = true,
    .run = run_web,
};
