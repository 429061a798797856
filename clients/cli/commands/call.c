/* SPDX-License-Identifier: Apache-2.0 */

/* ferry call: calls a method and prints its result as JSON. */

#include <assert.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/text.h"
#include "clients/cli/commands/arguments.h"
#include "clients/cli/commands/call.h"
#include "clients/cli/commands/commands.h"
#include "clients/cli/terminal/out.h"

static const Option options[] = {
    OPTION_RANGE(OPTION_MS, 't', "timeout", CallValues, timeout_ms, "T",
                 "time limit (default 30s, or that of the method)", 1, 3600000),
    OPTION_RANGE(OPTION_COUNT, 'n', "count", CallValues, count, "N", "call it N times", 1, 0),
    OPTION_RANGE(OPTION_COUNT, 0, "in-flight", CallValues, in_flight, "N",
                 "with --count: calls in flight at once (default 1)", 1, 65536),
    OPTION_PLAIN(OPTION_TEXT, 'i', "instance", CallValues, instance, "NAME",
                 "call only this instance of the service"),
    OPTION_PLAIN(OPTION_FLAG, 0, "idempotent", CallValues, idempotent, NULL,
                 "the call may run twice: retry it when a server is lost"),
    OPTION_PLAIN(OPTION_FLAG, 0, "wait-for-server", CallValues, wait_for_server, NULL,
                 "if no server offers the service, wait for one, within --timeout"),
    OPTION_PLAIN(OPTION_FLAG, 'r', "raw", CallValues, raw, NULL,
                 "print the result's MessagePack bytes"),
    OPTION_PLAIN(OPTION_FLAG, 0, "time", CallValues, time, NULL, "print the time of each call"),
    OPTION_PLAIN(OPTION_FLAG, 0, "template", CallValues, template, NULL,
                 "print a template of the arguments instead of calling"),
    OPTION_ROW(OPTION_TEXT, 0, "stream", CallValues, stream, "WHICH",
               "for a method without description: stream items in, out or both ways", 0, 0,
               "in|out|both"),
    OPTION_PLAIN(OPTION_FLAG, 0, "unchecked", CallValues, unchecked, NULL,
                 "do not fetch the service's description first"),
    OPTION_END,
};

static void start_calls(CallRun *run);

/* One call in flight. */
typedef struct Started {
    CallRun *run;
    uint64_t start_us;
} Started;

static void on_reply(const ferry_reply *reply, const ferry_error *error, void *ctx) {
    Started *started = ctx;
    CallRun *run = started->run;
    uint64_t start_us = started->start_us;
    int status = EXIT_OK;

    free(started);
    run->ended++;
    if (run->loop.ended)
        return;
    if (run->values->time)
        cli_note(run->cli, "%.3f ms", (double)(clock_us() - start_us) / 1000);
    status = error ? call_tell(run, error)
                   : call_show(run, run->declared ? run->declared->result : NULL, reply->body);
    if (status != EXIT_OK || run->ended == run->count)
        loop_end(&run->loop, status);
    else
        start_calls(run);
}

static void start_calls(CallRun *run) {
    uint64_t window = run->values->in_flight ? run->values->in_flight : 1;
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;

    while (!run->loop.ended && run->started < run->count && run->started - run->ended < window) {
        Started *started = malloc(sizeof(*started));
        int r = -ENOMEM;

        if (started) {
            *started = (Started){run, clock_us()};
            r = ferry_call_async(run->client, run->method, run->args, on_reply, started, &error);
        }
        if (r < 0)
            free(started);
        if (r == -EAGAIN)
            return; /* continue after the next answer */
        if (r < 0) {
            loop_end(&run->loop, started ? cli_error(run->cli, &error)
                                         : cli_fail(run->cli, EXIT_OTHER, "out of memory"));
            return;
        }
        run->started++;
    }
}

static int call(CallRun *run) {
    int status = cli_loop_init(&run->loop, run->cli);

    if (status == EXIT_OK)
        status = loop_add_client(&run->loop, run->client);
    if (status == EXIT_OK) {
        start_calls(run);
        status = loop_run(&run->loop);
    }
    return status;
}

/* A oneway method has no answer: the call is done when the broker has taken it, and the broker
 * takes the messages of one connection in order. */
static int call_oneway(CallRun *run) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    CLEANUP(ferry_free) void *args = NULL;
    int r = ferry_value_unpack(run->declared->args, run->args, &args, &error);

    for (uint64_t i = 0; r == 0 && i < run->count; i++)
        r = ferry_method_call(run->client, run->service, run->declared, args, NULL, &error);
    if (r == 0)
        r = ferry_ping(run->client, NULL, &error);
    return r < 0 ? call_tell(run, &error) : EXIT_OK;
}

/* ---- the description of the method ---- */

static int no_such_method(CallRun *run, const char *name) {
    const ferry_service *service = run->description->service;
    const char **names = calloc(service->n_methods + 1, sizeof(*names)), *near = NULL;

    cli_fail(run->cli, 6, "'%s' has no method '%s': see 'ferry describe %s'", run->service, name,
             run->service);
    for (uint32_t i = 0; names && i < service->n_methods; i++)
        names[i] = service->methods[i].name;
    if (names && !run->cli->quiet && !run->cli->json)
        near = text_nearest(name, names, service->n_methods);
    if (near)
        out_format(stderr, "    did you mean '%s.%s'?\n", run->service, near);
    free(names);
    return 6;
}

static void tell_deprecated(const CallRun *run) {
    const ferry_notes *notes = run->declared->notes;

    for (uint32_t i = 0; notes && i < notes->n_annotations; i++) {
        const char *why = notes->annotations[i].value;

        if (strcmp(notes->annotations[i].name, "deprecated") == 0)
            cli_note(run->cli, "'%s' is deprecated%s%s", run->method,
                     why && strcmp(why, "1") != 0 ? ": " : "",
                     why && strcmp(why, "1") != 0 ? why : "");
    }
}

/* Fetches the description of the instance that will be called: instances may differ. */
static int describe(CallRun *run, ferry_client *client, ferry_error *reterr) {
    CLEANUP(ferry_close) ferry_client *one = NULL;

    if (!run->values->instance ||
        ferry_with(client, &(ferry_options){.instance = run->values->instance}, &one, NULL) < 0)
        return ferry_describe(client, run->service, &run->description, reterr);
    return ferry_describe(one, run->service, &run->description, reterr);
}

/* Fetches the description. Returns an exit status; a missing service is reported by the call
 * itself. */
static int look_up(CallRun *run, ferry_client *client) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    const char *name = run->method + strlen(run->service) + 1;
    int r;

    if (run->values->unchecked)
        return EXIT_OK;
    r = describe(run, client, &error);
    run->is_absent = r == -ENOENT;
    if (r == -ENOENT || r == -EACCES)
        return EXIT_OK;
    if (r < 0)
        return cli_error(run->cli, &error);
    assert(run->description);
    if (run->description->problem)
        cli_note(run->cli, "'%s' sent a description that cannot be read: %s", run->service,
                 run->description->problem);
    if (!run->description->service)
        return EXIT_OK;
    run->declared = ferry_method_find(run->description->service, name);
    if (!run->declared)
        return no_such_method(run, name);
    tell_deprecated(run);
    return EXIT_OK;
}

/* Waits until a server offers the service, so that its description can be fetched. */
static int wait_for_server(CallRun *run, ferry_client *client) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    CLEANUP(ferry_close) ferry_client *waiting = NULL;
    char method[sizeof(run->service) + sizeof(".ferry_ping")];
    int r;

    cli_note(run->cli, "waiting for a server of '%s'", run->service);
    snprintf(method, sizeof(method), "%s.ferry_ping", run->service);
    r = ferry_with(client, &(ferry_options){.wait_for_server = true}, &waiting, &error);
    if (r == 0)
        r = ferry_call(waiting, method, ferry_bytes_of("\x90", 1), NULL, &error);
    /* -ENOSYS: the server uses another library, which has no ferry_ping. It is running
     * nevertheless. */
    return r == 0 || r == -ENOSYS ? look_up(run, client) : cli_error(run->cli, &error);
}

/* Prints the signature: "add(i32 a, i32 b)". */
static void tell_signature(const CallRun *run) {
    const ferry_type *args = run->declared ? run->declared->args : NULL;
    char text[200];

    if (!args || run->cli->quiet || run->cli->json)
        return;
    out_format(stderr, "    it takes %s(", run->declared->name);
    for (uint32_t i = 0; i < args->n; i++) {
        const ferry_field *field = &args->fields[i];

        out_format(stderr, "%s%s%s %s", i > 0 ? ", " : "",
                   field->flags & FERRY_OPTIONAL || field->value ? "optional " : "",
                   ferry_type_format(field->type, text, sizeof(text)), field->name);
    }
    out_format(stderr, "): see 'ferry describe %s', or --template\n", run->service);
}

/* Reports wrong arguments. If the service is missing, the types are unknown, so the missing service
 * is reported instead. */
static int refuse_arguments(CallRun *run, const ferry_error *error) {
    if (!run->is_absent) {
        int status = cli_error(run->cli, error);

        tell_signature(run);
        return status;
    }
    cli_fail(run->cli, 6, "no server offers '%s': see 'ferry services'", run->service);
    cli_did_you_mean(run->cli, run->client, NAMES_SERVICES, run->service);
    return 6;
}

/* ---- the command ---- */

/* Opens a client for the calls only: the request for the description must reach the broker, not an
 * instance of the service. */
static int open_for_calls(CallRun *run, ferry_client *client) {
    const CallValues *v = run->values;
    const ferry_method *method = run->declared;
    uint64_t timeout_ms = v->timeout_ms ? v->timeout_ms : method ? method->timeout_ms : 0;
    int r = ferry_with(client,
                       &(ferry_options){.timeout_ms = (uint32_t)timeout_ms,
                                        .instance = v->instance,
                                        .idempotent = v->idempotent ||
                                                      (method && method->flags & FERRY_IDEMPOTENT),
                                        .wait_for_server = v->wait_for_server,
                                        .n_headers = run->cli->n_headers,
                                        .headers = run->cli->headers},
                       &run->client, NULL);

    if (r == -EINVAL)
        return cli_usage(run->cli, "--instance: invalid name '%s': %s",
                         v->instance ? v->instance : "",
                         ferry_name_problem(v->instance ? v->instance : ""));
    return r < 0 ? cli_fail(run->cli, EXIT_OTHER, "%s", strerror(-r)) : EXIT_OK;
}

/* The directions of the method's streams; 0 for a method without streams. */
static unsigned directions_of(const CallRun *run) {
    const char *word = run->values->stream;
    unsigned flags = run->declared ? run->declared->flags : 0;

    if (run->declared)
        return (flags & FERRY_STREAM_IN ? FERRY_SEND : 0u) |
               (flags & FERRY_STREAM_OUT ? FERRY_RECEIVE : 0u);
    return !word                     ? 0
           : strcmp(word, "in") == 0 ? FERRY_SEND
           : *word == 'o'            ? FERRY_RECEIVE
                                     : FERRY_SEND | FERRY_RECEIVE;
}

static bool reads_input(char *const *words, int n) {
    for (int i = 0; i < n; i++) {
        const char *equals = strchr(words[i], '=');

        if (strcmp(words[i], "-") == 0 || (equals && strcmp(equals, "=-") == 0))
            return true;
    }
    return false;
}

static int check_streams(CallRun *run, unsigned directions, int argc, char **argv) {
    if (directions && run->values->count)
        return cli_usage(run->cli, "--count is for methods that answer once: '%s' has a stream",
                         run->method);
    if (directions & FERRY_SEND && reads_input(argv, argc))
        return cli_usage(run->cli,
                         "standard input is for the items of '%s': give this argument as a "
                         "value or as @FILE",
                         run->method);
    return EXIT_OK;
}

/* Prints a template of the arguments and of stream items. */
static int show_template(CallRun *run) {
    const ferry_method *method = run->declared;
    char text[200];

    if (!method || !method->args)
        return cli_fail(run->cli, EXIT_OTHER, "'%s' does not describe its methods: no template",
                        run->service);
    if (method->stream_in)
        cli_note(run->cli, "items are read from standard input, one per line: %s",
                 ferry_type_format(method->stream_in, text, sizeof(text)));
    return arguments_template(run->cli, method);
}

static int call_with(CallRun *run, ferry_client *client, int argc, char **argv) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    int status = look_up(run, client);

    unsigned directions;

    if (status == EXIT_OK && run->is_absent && run->values->wait_for_server)
        status = wait_for_server(run, client);
    if (status != EXIT_OK)
        return status;
    if (run->values->template)
        return show_template(run);
    directions = directions_of(run);
    status = check_streams(run, directions, argc, argv);
    if (status == EXIT_OK)
        status = open_for_calls(run, client);
    if (status != EXIT_OK)
        return status;
    if (!run->values->unchecked &&
        arguments_pack(argv, argc, run->method, run->declared, &run->packed, &error) < 0)
        return refuse_arguments(run, &error);
    run->args = ferry_bytes_of(run->packed.data, run->packed.len);
    if (directions)
        status = call_stream(run, directions);
    else if (run->declared && run->declared->flags & FERRY_ONEWAY)
        status = call_oneway(run);
    else
        status = call(run);
    run->client = ferry_close(run->client);
    return status;
}

static int run_call(Cli *cli, const void *values, int argc, char **argv) {
    const CallValues *v = values;
    CLEANUP(ferry_close) ferry_client *client = NULL;
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    const char *dot = strrchr(argv[0], '.');
    CallRun run = {.cli = cli, .values = v, .method = argv[0], .count = v->count ? v->count : 1};
    int status = EXIT_OK;

    if (!dot || dot == argv[0] || !dot[1] || (size_t)(dot - argv[0]) >= sizeof(run.service))
        return cli_usage(cli, "'%s' is not a method: write SERVICE.METHOD, as in calc.Calc.add",
                         argv[0]);
    if (ferry_name_problem(argv[0]))
        return cli_usage(cli, "invalid method name '%s': %s", argv[0], ferry_name_problem(argv[0]));
    memcpy(run.service, argv[0], (size_t)(dot - argv[0]));
    /* Without a description, mistakes are found without a broker. */
    if (v->unchecked && arguments_pack(argv + 1, argc - 1, argv[0], NULL, &run.packed, &error) < 0)
        status = cli_error(cli, &error);
    if (status == EXIT_OK)
        status = cli_open(cli, &(ferry_options){.timeout_ms = (uint32_t)v->timeout_ms}, &client);
    if (status == EXIT_OK)
        status = call_with(&run, client, argc - 1, argv + 1);
    run.client = ferry_close(run.client);
    client = ferry_close(client);
    cli_loop_deinit(&run.loop);
    ferry_free(run.description);
    buffer_deinit(&run.packed);
    return status;
}

const Command command_call = {
    .name = "call",
    .usage = "SERVICE.METHOD [JSON | NAME=VALUE | @FILE | -]... [--timeout T] [--count N] "
             "[--idempotent] [--wait-for-server]",
    .summary = "call a method and print its result",
    .help =
        "Each argument is a JSON value, @FILE (a file with a JSON value) or - (standard input).\n"
        "If the service describes its methods, arguments are checked before they are sent, may be\n"
        "given as NAME=VALUE, and texts need no quotes; one object may hold all of them by name.\n"
        "Otherwise texts need quotes: '\"hello\"'. Values that JSON lacks: {\"$bin\": \"BASE64\"} "
        "is\n"
        "bytes, {\"$int\": \"18446744073709551615\"} a large integer, {\"$float\": \"nan\"}.\n"
        "\n"
        "A method with streams reads its items from standard input and prints received items, one\n"
        "per line; --timeout then bounds the wait for each item.\n"
        "\n"
        "An error is printed with its type, causes and trace; the exit status shows its kind.\n"
        "\n"
        "Examples:\n"
        "  ferry call calc.Calc.add 2 3\n"
        "  ferry call calc.Calc.add b=3 a=2\n"
        "  ferry call calc.Calc.squares --template > range.json\n"
        "  seq 10 | ferry call calc.Calc.sum\n"
        "  ferry call mail.Mail.send '\"me@example.org\"' @message.json --timeout 5s\n"
        "  echo '{\"low\": 1, \"high\": 9}' | ferry call calc.Calc.squares -\n",
    .options = options,
    .values_size = sizeof(CallValues),
    .min_args = 1,
    .max_args = -1,
    .completes = NAMES_SERVICES,
    .run = run_call,
};
