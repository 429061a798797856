/* SPDX-License-Identifier: Apache-2.0 */

/* The common part of all commands. See cli.h. */

#include "clients/cli/run/cli.h"

#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "clients/cli/run/contexts.h"
#include "clients/cli/run/probe.h"
#include "clients/cli/terminal/backtrace.h"
#include "clients/cli/terminal/out.h"
#include "clients/cli/terminal/print.h"
#include "clients/json/error-json.h"
#include "rpc/wire/name.h"

const Option cli_options[] = {
    OPTION_PLAIN(OPTION_TEXT, 'u', "url", Cli, url, "URL",
                 "the broker (default $FERRY_URL, else tcp://127.0.0.1:5877)"),
    OPTION_PLAIN(OPTION_TEXT, 0, "context", Cli, context, "NAME",
                 "URL and keys of 'ferry context' (default $FERRY_CONTEXT)"),
    OPTION_PLAIN(OPTION_TEXT, 0, "key", Cli, key_file, "FILE",
                 "the file of your key, as 'ferry key new' writes it (default $FERRY_KEY)"),
    OPTION_PLAIN(OPTION_TEXT, 0, "server-key", Cli, server_key, "KEY",
                 "the broker's public key (default $FERRY_SERVER_KEY)"),
    OPTION_RANGE(OPTION_MS, 0, "wait", Cli, wait_ms, "T",
                 "wait this long for the broker (default: until a connection is refused; "
                 "serve, work and sub wait without limit)",
                 1, 0),
    OPTION_PLAIN(OPTION_LIST, 'H', "header", Cli, header_texts, "NAME:VALUE",
                 "a header to send; may be repeated"),
    OPTION_PLAIN(OPTION_FLAG, 'j', "json", Cli, json, NULL, "print JSON, for programs"),
    OPTION_PLAIN(OPTION_FLAG, 'q', "quiet", Cli, quiet, NULL, "print no notes on standard error"),
    OPTION_PLAIN(OPTION_FLAG, 'h', "help", Cli, help, NULL, "print this help"),
    OPTION_PLAIN(OPTION_FLAG, 'V', "version", Cli, version, NULL, "print the version"),
    OPTION_END,
};

/* Hints for people about errors of the broker and the library. */
static const Hint usual_hints[] = {
    {"ferry.NotConnected", "is a broker running there? Start one with 'ferry broker', or name it "
                           "with --url or $FERRY_URL"},
    {"ferry.ConnectionLost", "the connection to the broker was lost: requests without an answer "
                             "may have been executed"},
    {"ferry.NoSuchService", "'ferry services' lists the services"},
    {"ferry.Overloaded", "try again later, or start more servers"},
    {"ferry.Full", "a limit is reached: try again later, or see 'ferry queue list'"},
    {"ferry.DeadlineExceeded", "allow more time with --timeout"},
    {"ferry.Draining", "the broker is shutting down: use another one, or try again later"},
    {NULL, NULL},
};

const char *cli_url(const Cli *cli) {
    const char *url = cli->url ? cli->url : getenv("FERRY_URL");

    return url && *url ? url : "tcp://127.0.0.1:5877";
}

/* Prints {"error": …}, one line on standard error, for programs. Takes error; NULL: out of
 * memory. */
static void say_json(json_t *error) {
    CLEANUP(json_decref)
    json_t *json = json_pack("{s:o}", "error", error ? error : json_object());

    fflush(stdout);
    if (json) {
        print_json(json, (PrintStyle){false, false}, stderr);
        putc('\n', stderr);
    }
}

/* "ferry call: " before each message. */
static void say_name(const Cli *cli, const char *colour) {
    if (cli->colour_err)
        out_raw(stderr, ferry_str(colour));
    out_format(stderr, "ferry%s%s:", cli->command ? " " : "",
               cli->command ? cli->command->name : "");
    fputs(cli->colour_err ? "\x1b[0m " : " ", stderr);
}

static void say(const Cli *cli, const char *colour, const char *format, va_list args) {
    fflush(stdout);
    say_name(cli, colour);
    out_formatv(stderr, format, args);
    putc('\n', stderr);
}

int cli_fail(Cli *cli, int status, const char *format, ...) {
    va_list args;

    va_start(args, format);
    if (cli->json)
        say_json(json_pack("{s:o}", "message", json_vsprintf(format, args)));
    else
        say(cli, "\x1b[31m", format, args);
    va_end(args);
    return status;
}

int cli_usage(Cli *cli, const char *format, ...) {
    va_list args;

    va_start(args, format);
    say(cli, "\x1b[31m", format, args);
    va_end(args);
    if (cli->command && !cli->quiet) {
        command_print_usage(cli->command, stderr);
        out_format(stderr, "see 'ferry help %s'\n", cli->command->name);
    }
    return EXIT_USAGE;
}

int cli_check_queue(Cli *cli, const char *name) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    const char *problem = ferry_name_problem(name);
    char shown[TEXT_ESCAPED_MAX];

    text_escape(shown, name, strlen(name));
    if (problem)
        return cli_usage(cli, "invalid queue name '%s': %s", shown, problem);
    if (!name_is_reserved(name, strlen(name)))
        return EXIT_OK;
    error_set(&error, "ferry.PermissionDenied",
              "'%s' is reserved: names that begin with 'ferry.' belong to the broker", shown);
    return cli_error(cli, &error);
}

void cli_note(const Cli *cli, const char *format, ...) {
    va_list args;

    if (cli->quiet)
        return;
    va_start(args, format);
    say(cli, "\x1b[2m", format, args);
    va_end(args);
}

int cli_status(const ferry_error *error) {
    const ErrorType *type = error->type ? error_type_by_name(error->type) : NULL;

    if (type)
        return type->exit_status;
    /* A type outside the standard ones: a remote exception. */
    if (error->type)
        return EXIT_REMOTE;
    return error->code == 0 ? EXIT_OTHER : error_type_by_code(error->code)->exit_status;
}

int cli_error(Cli *cli, const ferry_error *error) {
    return cli_exception(cli, error, NULL);
}

static const char *hint_in(const Hint *hints, const char *type) {
    for (; hints && hints->type; hints++)
        if (strcmp(hints->type, type) == 0)
            return hints->hint;
    return NULL;
}

/* NULL: no hint. Errors that a service has thrown get the hints of the command only. */
static const char *hint_for(const Cli *cli, const ferry_error *error) {
    const Hint *own = cli->command ? cli->command->hints : NULL;
    const char *hint = hint_in(own, error->type);

    if (hint)
        return hint;
    return ferry_error_origin(error) ? NULL : hint_in(usual_hints, error->type);
}

int cli_exception(Cli *cli, const ferry_error *error, const ferry_type *type) {
    const char *hint;

    fflush(stdout);
    if (cli->json) {
        say_json(error_json_new(error));
        return cli_status(error);
    }
    if (!error->type)
        return cli_fail(cli, cli_status(error), "%s",
                        strerror(error->code < 0 ? -error->code : EIO));
    say_name(cli, "\x1b[31m");
    backtrace_print(error, type, cli->colour_err, stderr);
    hint = cli->quiet ? NULL : hint_for(cli, error);
    if (hint)
        out_format(stderr, "    %s\n", hint);
    return cli_status(error);
}

/* Splits "name:value" or "name: value"; the names share one allocation. */
static int split_headers(Cli *cli) {
    size_t size = 1;
    char *at;

    if (cli->header_names)
        return EXIT_OK;
    for (size_t i = 0; i < cli->header_texts.n; i++)
        size += strlen(cli->header_texts.v[i]) + 1;
    at = cli->header_names = malloc(size);
    if (!at)
        return cli_fail(cli, EXIT_OTHER, "out of memory");
    for (size_t i = 0; i < cli->header_texts.n; i++) {
        const char *text = cli->header_texts.v[i];
        size_t n = strcspn(text, ":");

        if (n == 0 || text[n] != ':')
            return cli_usage(cli, "-H '%s': a header is NAME:VALUE", text);
        memcpy(at, text, n);
        at[n] = '\0';
        text += n + 1;
        cli->headers[cli->n_headers++] = (ferry_header){at, *text == ' ' ? text + 1 : text};
        at += n + 1;
    }
    return EXIT_OK;
}

/* A command continues if one of several brokers refuses the client. */
static bool has_brokers(const Cli *cli) {
    const char *url = cli_url(cli);

    return url && (strchr(url, ',') || strstr(url, "+dns://") || strstr(url, "+srv://"));
}

/* Reports disconnects and reconnects of long-running commands. */
static void tell_event(int event, const ferry_error *error, void *ctx) {
    Cli *cli = ctx;

    if (event == FERRY_EVENT_UP)
        cli->is_up = true;
    cli->n_lost += event == FERRY_EVENT_DOWN;
    cli->n_failed += event == FERRY_EVENT_RETRY;
    if (event == FERRY_EVENT_RETRY)
        snprintf(cli->problem, sizeof(cli->problem), "%s", error->message);
    if (!cli->command->runs_on)
        return;
    if (event == FERRY_EVENT_DOWN)
        cli_note(cli, "%s: trying again", error->message);
    else if (event == FERRY_EVENT_REFUSED)
        cli_note(cli, "refused, trying again: %s", error->message);
    else if (event == FERRY_EVENT_CLOSED && has_brokers(cli))
        cli_note(cli, "left out: %s", error->message);
    else if (event == FERRY_EVENT_UP && cli->was_down)
        cli_note(cli, "connected again");
    cli->was_down = event == FERRY_EVENT_DOWN || (cli->was_down && event != FERRY_EVENT_UP);
}

/* The attempts after which a command that is run once gives up: one for each broker of the URL. It
 * is not known how many brokers a name has. */
static unsigned n_attempts(const Cli *cli) {
    enum { OF_A_NAME = 4 };
    unsigned n = 1;

    for (const char *at = cli_url(cli); at && (at = strchr(at, ',')); at++)
        n++;
    return n == 1 && has_brokers(cli) ? OF_A_NAME : n;
}

/* Waits for the broker. A command that is run once does not wait where nothing listens; GRACE_MS is
 * for the other addresses of a host, and for a broker that is just being started. */
static int wait_for_broker(Cli *cli, ferry_client *client, uint64_t timeout_ms) {
    enum { GRACE_MS = 300, USUAL_MS = 5000 };
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    struct pollfd input = {.fd = ferry_fd(client), .events = POLLIN};
    bool waits = cli->command->waits || cli->wait_ms > 0, is_told = false;
    uint64_t now_ms = clock_ms(), start_ms = now_ms, end_ms = UINT64_MAX;
    char shown[TEXT_ESCAPED_MAX];

    if (cli->wait_ms > 0)
        end_ms = now_ms + cli->wait_ms;
    else if (!waits)
        end_ms = now_ms + (timeout_ms > 0 && timeout_ms < USUAL_MS ? timeout_ms : USUAL_MS);
    while (input.fd >= 0 && !cli->is_up && now_ms < end_ms) {
        bool is_late = now_ms - start_ms >= GRACE_MS;

        if (is_late && !is_told) {
            is_told = true;
            if (probe_finds_other(cli_url(cli), cli->problem, sizeof(cli->problem)))
                break;
            if (waits || !*cli->problem)
                cli_note(cli, "%s: waiting",
                         *cli->problem ? cli->problem : text_escape_url(shown, cli_url(cli)));
        }
        if (is_late && !waits && cli->n_failed >= n_attempts(cli))
            break;
        poll(&input, 1, end_ms - now_ms < 100 ? (int)(end_ms - now_ms) : 100);
        if (ferry_process(client, &error) < 0)
            return cli_error(cli, &error);
        now_ms = clock_ms();
    }
    if (cli->is_up)
        return EXIT_OK;
    if (*cli->problem)
        error_set(&error, "ferry.NotConnected", "%s", cli->problem);
    else
        error_set(&error, "ferry.NotConnected", "nothing answers at %s",
                  text_escape_url(shown, cli_url(cli)));
    return cli_error(cli, &error);
}

int cli_open(Cli *cli, const ferry_options *options, ferry_client **ret) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    CLEANUP(ferry_close) ferry_client *client = NULL;
    ferry_options mine = options ? *options : (ferry_options){0};
    char name[64];
    int status = split_headers(cli);

    if (status == EXIT_OK)
        status = contexts_apply(cli);
    if (status != EXIT_OK)
        return status;
    snprintf(name, sizeof(name), "ferry %.20s/%d", cli->command->name, (int)getpid());
    if (!mine.name)
        mine.name = name;
    mine.key_file = cli->key_file;
    mine.server_key = cli->server_key;
    mine.n_headers = cli->n_headers;
    mine.headers = cli->headers;
    mine.on_event = tell_event;
    mine.ctx = cli;
    cli->is_up = false;
    if (ferry_open(cli->url, &mine, &client, &error) < 0) {
        /* Before the first message only the command line can be wrong. */
        status = cli_error(cli, &error);
        return status == EXIT_OTHER ? EXIT_CONNECT : status;
    }
    status = wait_for_broker(cli, client, mine.timeout_ms);
    if (status == EXIT_OK)
        *ret = steal(&client);
    return status;
}

static int pack_arguments(Buffer *to, const char *format, va_list args, ferry_error *reterr) {
    CLEANUP(json_decref) json_t *list = json_array();

    for (; list && *format; format++) {
        json_t *one = *format == 's' ? json_string(va_arg(args, const char *))
                                     : json_integer((json_int_t)va_arg(args, uint64_t));

        if (json_array_append_new(list, one) < 0)
            return error_set(reterr, "ferry.InvalidArgument", "a name is not UTF-8");
    }
    return list ? value_from_json(list, to, reterr) : error_set_code(reterr, -ENOMEM, NULL);
}

int cli_manage(Cli *cli, ferry_client *client, bool quiet, json_t **ret, const char *method,
               const char *format, ...) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    CLEANUP(buffer_deinit) Buffer packed = {0};
    CLEANUP(ferry_free) ferry_reply *reply = NULL;
    char name[64];
    va_list args;
    int r;

    va_start(args, format);
    r = pack_arguments(&packed, format, args, &error);
    va_end(args);
    snprintf(name, sizeof(name), "ferry.Broker.%s", method);
    if (r == 0)
        r = ferry_call(client, name, ferry_bytes_of(packed.data, packed.len), &reply, &error);
    if (r == 0)
        r = value_to_json(reply->body, ret, &error);
    return r == 0 ? EXIT_OK : quiet ? cli_status(&error) : cli_error(cli, &error);
}

json_t *cli_live_names(Cli *cli, ferry_client *client, Names kind) {
    static const char *const methods[] = {
        [NAMES_SERVICES] = "services", [NAMES_TOPICS] = "topics", [NAMES_QUEUES] = "queues"};
    CLEANUP(json_decref) json_t *rows = NULL;
    json_t *names, *row;
    size_t index;

    if (kind != NAMES_SERVICES && kind != NAMES_TOPICS && kind != NAMES_QUEUES)
        return NULL;
    if (cli_manage(cli, client, true, &rows, methods[kind], "") != EXIT_OK)
        return NULL;
    names = json_array();
    json_array_foreach(rows, index, row) {
        json_t *name = json_object_get(row, "name");

        if (json_is_string(name))
            json_array_append(names, name);
    }
    if (kind == NAMES_SERVICES)
        json_array_append_new(names, json_string("ferry.Broker"));
    return names;
}

void cli_did_you_mean(Cli *cli, ferry_client *client, Names kind, const char *name) {
    CLEANUP(json_decref)
    json_t *names = cli->quiet || cli->json ? NULL : cli_live_names(cli, client, kind);
    size_t n = json_array_size(names), index;
    const char **texts = n > 0 ? calloc(n, sizeof(*texts)) : NULL, *near;
    json_t *one;

    if (!texts)
        return;
    json_array_foreach(names, index, one) texts[index] = json_string_value(one);
    near = text_nearest(name, texts, n);
    if (near)
        out_format(stderr, "    did you mean '%s'?\n", near);
    free(texts);
}
