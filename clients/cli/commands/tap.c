/* SPDX-License-Identifier: Apache-2.0 */

/* ferry tap: prints the messages of others that pass through the broker, saves them, reads them
 * back. */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#include "base/buffer.h"
#include "base/text.h"
#include "clients/cli/bodies/capture.h"
#include "clients/cli/bodies/show.h"
#include "clients/cli/commands/commands.h"
#include "clients/cli/run/loop.h"
#include "clients/cli/terminal/out.h"
#include "clients/cli/terminal/print.h"
#include "clients/json/base64.h"

typedef struct Values {
    Texts services, topics, queues;
    const char *method, *save, *read;
    uint64_t session, count, max_body;
} Values;

static const Option options[] = {
    OPTION_PLAIN(OPTION_LIST, 's', "service", Values, services, "PATTERN",
                 "calls of services that match; may be repeated"),
    OPTION_PLAIN(OPTION_LIST, 't', "topic", Values, topics, "PATTERN",
                 "messages of topics that match; may be repeated"),
    OPTION_PLAIN(OPTION_LIST, 'Q', "queue", Values, queues, "PATTERN",
                 "jobs of queues that match; may be repeated"),
    OPTION_PLAIN(OPTION_TEXT, 'm', "method", Values, method, "NAME", "only calls of this method"),
    OPTION_RANGE(OPTION_COUNT, 0, "session", Values, session, "N",
                 "only messages from and to this session (see 'ferry sessions')", 1, 0),
    OPTION_RANGE(OPTION_COUNT, 'n', "count", Values, count, "N", "end after N messages", 1, 0),
    OPTION_RANGE(OPTION_BYTES, 'b', "bytes", Values, max_body, "BYTES",
                 "bytes of each body to show (default 256)", 0, 65536),
    OPTION_PLAIN(OPTION_TEXT, 0, "save", Values, save, "FILE",
                 "write the messages to a pcapng file instead of printing them"),
    OPTION_PLAIN(OPTION_TEXT, 0, "read", Values, read, "FILE",
                 "print the messages of a file that --save has written"),
    OPTION_END,
};

typedef struct Run {
    Cli *cli;
    const Values *values;
    Loop loop;
    FILE *file; /* of --save */
    ferry_stream *stream;
    uint64_t n, missed;
} Run;

/* ---- one record ---- */

static const char *text_of(const json_t *record, const char *key) {
    const char *text = json_string_value(json_object_get(record, key));

    return text ? text : "";
}

static uint64_t number_of(const json_t *record, const char *key) {
    return (uint64_t)json_integer_value(json_object_get(record, key));
}

/* "PUBLISH orders.new", "CALL calc.Calc.add". */
static void summarise(const json_t *record, char to[CAPTURE_SUMMARY_MAX]) {
    static const char *const kinds[] = {"service", "topic", "queue"};
    const char *name = "", *method = text_of(record, "method");

    for (size_t i = 0; i < 3 && !*name; i++)
        name = text_of(record, kinds[i]);
    snprintf(to, CAPTURE_SUMMARY_MAX, "%s %s%s%s", text_of(record, "message"), name,
             *method ? "." : "", method);
}

/* "14:03:27.000123  > 7 worker  PUSH mail #12, 30 B  body". */
static void print_record(const json_t *record) {
    uint64_t time_us = number_of(record, "time_us"), id = number_of(record, "id");
    time_t seconds = (time_t)(time_us / 1000000);
    char summary[CAPTURE_SUMMARY_MAX], clock[16], size[16];
    const char *body = json_string_value(json_object_get(record, "body"));
    struct tm at;

    localtime_r(&seconds, &at);
    strftime(clock, sizeof(clock), "%H:%M:%S", &at);
    summarise(record, summary);
    out_format(stdout, "%s.%06u  %s %" PRIu64 " ", clock, (unsigned)(time_us % 1000000),
               json_is_true(json_object_get(record, "sent")) ? "to  " : "from",
               number_of(record, "session"));
    text_print_escaped(stdout, text_of(record, "client"), strlen(text_of(record, "client")));
    fputs("  ", stdout);
    text_print_escaped(stdout, summary, strlen(summary));
    if (id)
        printf(" #%" PRIu64, id);
    out_format(stdout, ", %s", text_format_bytes(size, number_of(record, "bytes")));
    if (body) {
        fputs("  ", stdout);
        text_print_escaped(stdout, body, strlen(body));
    } else {
        fputs("  ", stdout);
        print_json(json_object_get(record, "body"), (PrintStyle){.indent = false}, stdout);
    }
    putchar('\n');
}

/* Replaces base64 by a JSON value in calls, whose bodies are MessagePack, and by a string where the
 * body is text. */
static void make_readable(json_t *record) {
    const char *base64 =
        json_string_value(json_object_get(json_object_get(record, "body"), "$bin"));
    json_t *readable = NULL;
    uint8_t *data;
    size_t len;

    if (!base64 || base64_decode(base64, strlen(base64), &data, &len) < 0)
        return;
    if (*text_of(record, "service") && len == number_of(record, "bytes") && len > 0)
        value_to_json(ferry_bytes_of(data, len), &readable, NULL);
    if (!readable && text_is_utf8(data, len))
        readable = json_stringn((const char *)data, len);
    if (readable)
        json_object_set_new(record, "body", readable);
    free(data);
}

static int take(Run *run, ferry_bytes bytes) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    CLEANUP(json_decref) json_t *record = NULL;
    char summary[CAPTURE_SUMMARY_MAX];
    uint64_t missed;

    if (value_to_json(bytes, &record, &error) < 0)
        return cli_error(run->cli, &error);
    missed = number_of(record, "missed");
    if (missed > 0)
        cli_note(run->cli, "missed %" PRIu64 " messages before this one", missed);
    run->missed += missed;
    if (run->values->method && strcmp(run->values->method, text_of(record, "method")) != 0)
        return EXIT_OK;
    run->n++;
    if (run->file) {
        summarise(record, summary);
        capture_write(run->file, bytes, number_of(record, "time_us"),
                      json_is_true(json_object_get(record, "sent")), summary);
        return ferror(run->file) ? cli_fail(run->cli, EXIT_OTHER, "cannot write '%s': %s",
                                            run->values->save, strerror(errno))
                                 : EXIT_OK;
    }
    make_readable(record);
    if (run->cli->json)
        print_json(record, (PrintStyle){.indent = false}, stdout), putchar('\n');
    else
        print_record(record);
    return EXIT_OK;
}

/* ---- from a file ---- */

static int read_file(Run *run) {
    FILE *from = fopen(run->values->read, "rb");
    CaptureReader reader;
    ferry_bytes record;
    int status = EXIT_OK, r;

    if (!from)
        return cli_fail(run->cli, EXIT_OTHER, "cannot open '%s': %s", run->values->read,
                        strerror(errno));
    r = capture_open(&reader, from);
    while (r >= 0 && status == EXIT_OK && (r = capture_next(&reader, &record)) == 1)
        status = take(run, record);
    if (r == -EPROTO)
        status = cli_fail(run->cli, EXIT_OTHER, "'%s', byte %" PRIu64 ": %s", run->values->read,
                          reader.offset, reader.problem);
    else if (r < 0)
        status = cli_fail(run->cli, EXIT_OTHER, "'%s': %s", run->values->read, strerror(-r));
    capture_close(&reader);
    fclose(from);
    return status;
}

/* ---- from the broker ---- */

static void on_records(ferry_stream *stream, void *ctx) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    Run *run = ctx;
    ferry_bytes record;
    int r = 0;

    while (!run->loop.ended && (r = ferry_stream_next(stream, &record, &error)) == 1) {
        int status = take(run, record);

        if (status != EXIT_OK || (run->values->count && run->n == run->values->count))
            loop_end(&run->loop, status);
    }
    if (!run->loop.ended && r < 0 && r != -EAGAIN)
        loop_end(&run->loop, cli_error(run->cli, &error));
    fflush(run->file ? run->file : stdout);
}

static json_t *list_of(const Texts *texts) {
    json_t *list = json_array();

    for (size_t i = 0; i < texts->n; i++)
        json_array_append_new(list, json_string(texts->v[i]));
    return list;
}

static int open_tap(Run *run, ferry_client *client) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    CLEANUP(buffer_deinit) Buffer args = {0};
    const Values *v = run->values;
    CLEANUP(json_decref)
    json_t *list = json_pack("[o, o, o, I, I]", list_of(&v->services), list_of(&v->topics),
                             list_of(&v->queues), (json_int_t)v->session,
                             (json_int_t)(v->max_body ? v->max_body : 256));

    if (!list || value_from_json(list, &args, &error) < 0)
        return cli_error(run->cli, &error);
    if (ferry_stream_open(client, "ferry.Broker.tap", ferry_bytes_of(args.data, args.len),
                          FERRY_RECEIVE, &run->stream, &error) < 0)
        return cli_error(run->cli, &error);
    ferry_stream_watch(run->stream, on_records, run);
    if (run->cli->terminal_err)
        cli_note(run->cli, "watching %s", cli_url(run->cli));
    return EXIT_OK;
}

static int watch(Run *run) {
    CLEANUP(ferry_close) ferry_client *client = NULL;
    int status = cli_loop_init(&run->loop, run->cli);

    /* A tap waits for messages without limit: the longest timeout of a stream, and no retries. */
    if (status == EXIT_OK)
        status = cli_open(run->cli, &(ferry_options){.timeout_ms = 3600000}, &client);
    if (status == EXIT_OK)
        status = loop_add_client(&run->loop, client);
    if (status == EXIT_OK)
        status = open_tap(run, client);
    if (status == EXIT_OK) {
        loop_watch_output(&run->loop);
        status = loop_run(&run->loop);
    }
    ferry_stream_close(run->stream);
    client = ferry_close(client);
    cli_loop_deinit(&run->loop);
    return status;
}

static int run_tap(Cli *cli, const void *values, int argc, char **argv) {
    Run run = {.cli = cli, .values = values};
    const Values *v = values;
    int status;

    (void)argc;
    (void)argv;
    if (v->read && (v->save || v->session || v->services.n + v->topics.n + v->queues.n > 0))
        return cli_usage(cli, "--read prints a whole file: it takes --method and --json only");
    if (v->read)
        return read_file(&run);
    if (v->save) {
        run.file = fopen(v->save, "wb");
        if (!run.file)
            return cli_fail(cli, EXIT_OTHER, "cannot open '%s': %s", v->save, strerror(errno));
        capture_begin(run.file);
    }
    status = watch(&run);
    if (run.file && fclose(run.file) != 0 && status == EXIT_OK)
        status = cli_fail(cli, EXIT_OTHER, "cannot write '%s': %s", v->save, strerror(errno));
    if (run.file)
        cli_note(cli, "saved %" PRIu64 " messages", run.n);
    if (run.missed > 0)
        cli_note(cli, "missed %" PRIu64 " messages in total: they came faster than they were read",
                 run.missed);
    return status;
}

const Command command_tap = {
    .name = "tap",
    .usage = "[--service PATTERN] [--topic PATTERN] [--queue PATTERN] [--session N] [--save FILE]\n"
             "--read FILE",
    .summary = "watch the messages of others, save them, read them back",
    .help =
        "Prints the messages that pass through the broker, one per line: the time, the session\n"
        "that sends or receives, the kind of message, its name and id, and the first bytes of the\n"
        "body. Without --service, --topic or --queue it watches all names. In a pattern, * "
        "matches\n"
        "one token and > at the end one or more.\n"
        "\n"
        "--save writes a pcapng file, which Wireshark and tshark open as well. If this command is\n"
        "slower than the traffic, it misses messages and reports how many; clients never wait.\n"
        "\n"
        "Examples:\n"
        "  ferry tap --topic 'orders.>'\n"
        "  ferry tap --service calc.Calc --method add --count 10\n"
        "  ferry tap --session 7 --save session-7.pcapng\n"
        "  ferry tap --read session-7.pcapng --json | jq .body\n",
    .options = options,
    .values_size = sizeof(Values),
    .max_args = 0,
    .run = run_tap,
};
