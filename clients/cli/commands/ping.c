/* SPDX-License-Identifier: Apache-2.0 */

/* ferry ping: measures the round trip to the broker, or to each server of a service. */

#include <inttypes.h>

#include "base/clock.h"
#include "base/text.h"
#include "clients/cli/commands/commands.h"
#include "clients/cli/run/pause.h"
#include "clients/cli/terminal/out.h"
#include "clients/cli/terminal/print.h"

typedef struct Values {
    uint64_t count, every_ms, timeout_ms;
} Values;

static const Option options[] = {
    OPTION_RANGE(OPTION_COUNT, 'n', "count", Values, count, "N", "ping N times (default 1)", 1, 0),
    OPTION_PLAIN(OPTION_MS, 0, "every", Values, every_ms, "T",
                 "time between two pings (default 1s)"),
    OPTION_RANGE(OPTION_MS, 't', "timeout", Values, timeout_ms, "T",
                 "time limit for an answer (default 5s)", 1, 3600000),
    OPTION_END,
};

static void show(const Cli *cli, const char *what, const char *name, uint64_t us) {
    if (cli->json) {
        out_format(stdout, "{\"%s\": ", what);
        print_json_text(name, strlen(name), stdout);
        printf(", \"us\": %" PRIu64 "}\n", us);
    } else {
        out_format(stdout, cli->terminal_out ? "%s  %.3f ms\n" : "%s\t%.3f\n", name,
                   (double)us / 1000);
    }
    fflush(stdout);
}

static int ping_broker(Cli *cli, ferry_client *client) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    uint64_t us = 0;

    if (ferry_ping(client, &us, &error) < 0)
        return cli_error(cli, &error);
    show(cli, "broker", cli_url(cli), us);
    return EXIT_OK;
}

/* True: the instance itself has answered, even with "no such method". Errors of the broker mean
 * that the instance is missing or silent. */
static bool is_answer(int r, const ferry_error *error) {
    return r == 0 || (error->type && (strcmp(error->type, "ferry.NoSuchMethod") == 0 ||
                                      strcmp(error->type, "ferry.InvalidArgument") == 0));
}

static int ping_instance(Cli *cli, ferry_client *client, const Values *values, const char *service,
                         const char *instance) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    CLEANUP(ferry_close) ferry_client *direct = NULL;
    char method[320];
    uint64_t start_us;
    int r;

    r = ferry_with(
        client,
        &(ferry_options){.instance = instance,
                         .timeout_ms = values->timeout_ms ? (uint32_t)values->timeout_ms : 5000},
        &direct, NULL);
    if (r < 0)
        return cli_fail(cli, EXIT_OTHER, "instance '%s': %s", instance, strerror(-r));
    snprintf(method, sizeof(method), "%.255s.ferry_ping", service);
    start_us = clock_us();
    r = ferry_call(direct, method, ferry_bytes_of("\x90", 1), NULL, &error);
    if (!is_answer(r, &error))
        return cli_error(cli, &error);
    show(cli, "instance", instance, clock_us() - start_us);
    return EXIT_OK;
}

static int ping_service(Cli *cli, ferry_client *client, const Values *values, const char *service) {
    CLEANUP(json_decref) json_t *found = NULL;
    int status = cli_manage(cli, client, false, &found, "describe", "s", service), worst = EXIT_OK;
    json_t *row;
    size_t index;

    if (status == 6)
        cli_did_you_mean(cli, client, NAMES_SERVICES, service);
    if (status != EXIT_OK)
        return status;
    json_array_foreach(json_object_get(found, "instances"), index, row) {
        const char *instance = json_string_value(json_object_get(row, "instance"));

        status = instance ? ping_instance(cli, client, values, service, instance) : EXIT_OK;
        worst = status != EXIT_OK ? status : worst;
    }
    if (json_array_size(json_object_get(found, "instances")) == 0)
        cli_note(cli, "'%s' has no instances to ping", service);
    return worst;
}

static int run_ping(Cli *cli, const void *values, int argc, char **argv) {
    const Values *v = values;
    CLEANUP(ferry_close) ferry_client *client = NULL;
    uint64_t count = v->count ? v->count : 1;
    int status = cli_open(
        cli, &(ferry_options){.timeout_ms = v->timeout_ms ? (uint32_t)v->timeout_ms : 5000},
        &client);

    for (uint64_t i = 0; status == EXIT_OK && i < count; i++) {
        if (i > 0)
            pause_for(v->every_ms ? v->every_ms : 1000);
        status = argc > 0 ? ping_service(cli, client, v, argv[0]) : ping_broker(cli, client);
    }
    return status;
}

const Command command_ping = {
    .name = "ping",
    .usage = "[SERVICE] [--count N] [--every T] [--timeout T]",
    .summary = "measure the round trip to the broker or to each server of a service",
    .help = "Prints the target and the round-trip time in milliseconds.\n"
            "\n"
            "Examples:\n  ferry ping\n  ferry ping calc.Calc --count 10\n",
    .options = options,
    .values_size = sizeof(Values),
    .max_args = 1,
    .completes = NAMES_SERVICES,
    .run = run_ping,
};
