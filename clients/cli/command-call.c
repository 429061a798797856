/* ferry call: calls a method and prints its result as JSON. */

#include <stdlib.h>

#include "base/clock.h"
#include "clients/cli/arguments.h"
#include "clients/cli/commands.h"
#include "clients/cli/loop.h"
#include "clients/cli/print.h"
#include "clients/cli/progress.h"

typedef struct Values {
    uint64_t timeout_ms, count, in_flight;
    const char *instance;
    bool idempotent, raw, time, template;
} Values;

static const Option options[] = {
    OPTION_RANGE(OPTION_MS, 't', "timeout", Values, timeout_ms, "T",
                 "how long to wait (default 30s, or the method's own)", 1, 3600000),
    OPTION_RANGE(OPTION_COUNT, 'n', "count", Values, count, "N", "call it N times", 1, 0),
    OPTION_RANGE(OPTION_COUNT, 0, "in-flight", Values, in_flight, "N",
                 "with --count: so many at once (default 1)", 1, 65536),
    OPTION_PLAIN(OPTION_TEXT, 'i', "instance", Values, instance, "NAME",
                 "this instance of the service alone"),
    OPTION_PLAIN(OPTION_FLAG, 0, "idempotent", Values, idempotent, NULL,
                 "may be done twice: tried again when a server is lost"),
    OPTION_PLAIN(OPTION_FLAG, 'r', "raw", Values, raw, NULL,
                 "print the result's MessagePack bytes"),
    OPTION_PLAIN(OPTION_FLAG, 0, "time", Values, time, NULL, "tell how long each call took"),
    OPTION_PLAIN(OPTION_FLAG, 0, "template", Values, template, NULL,
                 "print a skeleton of the arguments instead of calling"),
    OPTION_END,
};

typedef struct Run {
    Cli *cli;
    const Values *values;
    const char *method;
    ferry_client *client;
    ferry_bytes args;
    Loop loop;
    uint64_t started, ended, count;
    uint64_t start_us; /* of the latest call */
    bool is_starting;
} Run;

static void start_calls(Run *run);

static int print_result(Run *run, ferry_bytes body) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    CLEANUP(json_decref) json_t *json = NULL;
    const Cli *cli = run->cli;

    if (run->values->raw) {
        fwrite(body.data, 1, body.len, stdout);
        return EXIT_OK;
    }
    /* A method without a result answers with no body at all. */
    if (body.len == 0)
        body = ferry_bytes_of("\xc0", 1);
    if (value_to_json(body, &json, &error) < 0)
        return cli_error(run->cli, &error);
    print_json(json, (PrintStyle){cli->terminal_out && !cli->json, cli->colour_out}, stdout);
    putchar('\n');
    return EXIT_OK;
}

static int tell_failure(Run *run, const ferry_error *error) {
    int status = cli_error(run->cli, error);

    if (error->type && strcmp(error->type, "ferry.NoSuchService") == 0) {
        char service[256];
        const char *dot = strrchr(run->method, '.');

        snprintf(service, sizeof(service), "%.*s", (int)(dot - run->method), run->method);
        cli_did_you_mean(run->cli, run->client, NAMES_SERVICES, service);
    }
    return status;
}

static void on_reply(const ferry_reply *reply, const ferry_error *error, void *ctx) {
    Run *run = ctx;
    int status = EXIT_OK;

    run->ended++;
    if (run->loop.ended)
        return;
    if (run->values->time)
        cli_note(run->cli, "%.3f ms", (double)(clock_us() - run->start_us) / 1000);
    status = error ? tell_failure(run, error) : print_result(run, reply->body);
    if (status != EXIT_OK || run->ended == run->count)
        loop_end(&run->loop, status);
    else
        start_calls(run);
}

static void start_calls(Run *run) {
    uint64_t window = run->values->in_flight ? run->values->in_flight : 1;
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;

    while (!run->loop.ended && run->started < run->count && run->started - run->ended < window) {
        int r;

        run->start_us = clock_us();
        r = ferry_call_async(run->client, run->method, run->args, on_reply, run);
        if (r == -EAGAIN)
            return; /* an answer makes room */
        if (r < 0) {
            error.code = r;
            loop_end(&run->loop,
                     r == -EINVAL ? cli_usage(run->cli,
                                              "'%s' is no name of a method: SERVICE.METHOD, tokens "
                                              "parted by dots, no spaces",
                                              run->method)
                                  : cli_error(run->cli, &error));
            return;
        }
        run->started++;
    }
}

static int call(Run *run) {
    int status = loop_init(&run->loop, run->cli);

    if (status == EXIT_OK)
        status = loop_add_client(&run->loop, run->client);
    if (status == EXIT_OK) {
        start_calls(run);
        status = loop_run(&run->loop);
    }
    return status;
}

static int run_call(Cli *cli, const void *values, int argc, char **argv) {
    const Values *v = values;
    CLEANUP(ferry_close) ferry_client *client = NULL;
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    CLEANUP(buffer_deinit) Buffer packed = {0};
    const char *dot = strrchr(argv[0], '.');
    Run run = {.cli = cli, .values = v, .method = argv[0], .count = v->count ? v->count : 1};
    int status;

    if (!dot || dot == argv[0] || !dot[1])
        return cli_usage(cli, "'%s' names no method: SERVICE.METHOD, as in calc.Calc.add", argv[0]);
    status = cli_open(cli,
                      &(ferry_options){.timeout_ms = (uint32_t)v->timeout_ms,
                                       .instance = v->instance,
                                       .idempotent = v->idempotent},
                      &client);
    if (status != EXIT_OK)
        return status;
    if (v->template)
        return arguments_template(cli, client, argv[0]);
    if (arguments_pack(argv + 1, argc - 1, argv[0], &packed, &error) < 0)
        return cli_error(cli, &error);
    run.client = client;
    run.args = ferry_bytes_of(packed.data, packed.len);
    status = call(&run);
    client = ferry_close(client);
    loop_deinit(&run.loop);
    return status;
}

const Command command_call = {
    .name = "call",
    .usage = "SERVICE.METHOD [JSON | @FILE | -]... [--timeout T] [--count N] [--idempotent]",
    .summary = "call a method, print its result",
    .help =
        "Each argument is a JSON value, @FILE a file that holds one, - one from standard input.\n"
        "Texts need their quotes: '\"hello\"'. What JSON has no word for: {\"$bin\": \"BASE64\"} "
        "is\n"
        "bytes, {\"$int\": \"18446744073709551615\"} a large integer, {\"$float\": \"nan\"}.\n"
        "\n"
        "An error is told with its type, causes and trace; the exit status says which kind it "
        "was.\n"
        "\n"
        "Examples:\n"
        "  ferry call calc.Calc.add 2 3\n"
        "  ferry call mail.Mail.send '\"me@example.org\"' @message.json --timeout 5s\n"
        "  echo '{\"low\": 1, \"high\": 9}' | ferry call calc.Calc.squares -\n",
    .options = options,
    .values_size = sizeof(Values),
    .min_args = 1,
    .max_args = -1,
    .completes = NAMES_SERVICES,
    .run = run_call,
};
