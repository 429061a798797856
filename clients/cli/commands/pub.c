/* SPDX-License-Identifier: Apache-2.0 */
/* ferry pub: publishes messages to a topic. */

#include "base/container.h"
#include "clients/cli/bodies/feed.h"
#include "clients/cli/commands/commands.h"
#include "clients/cli/run/pattern.h"

enum { RECONNECT_MS = 100 };

typedef struct Values {
    uint64_t count, every_ms;
    const char *file, *pack;
    bool retain, confirm;
} Values;

static const Option options[] = {
    OPTION_PLAIN(OPTION_FLAG, 0, "retain", Values, retain, NULL,
                 "retain the message: later subscribers get it first; an empty body deletes it"),
    OPTION_PLAIN(OPTION_FLAG, 0, "confirm", Values, confirm, NULL,
                 "end when every queue that is bound to the topic has stored the message"),
    OPTION_PLAIN(OPTION_TEXT, 0, "pack", Values, pack, BODY_TYPE_ARG,
                 "pack the body, which is JSON, by TYPE: " BODY_TYPE_HELP),
    OPTION_PLAIN(OPTION_TEXT, 'f', "file", Values, file, "FILE", "read the body from this file"),
    OPTION_RANGE(OPTION_COUNT, 'n', "count", Values, count, "N",
                 "publish N times; with -, the first N lines", 1, 0),
    OPTION_PLAIN(OPTION_MS, 0, "every", Values, every_ms, "T", "time between two messages"),
    OPTION_END,
};

typedef struct Run {
    Feed feed;
    const char *topic;
    const Values *values;
    uint64_t n;
} Run;

/* True: continue with the next body. */
static bool publish(Run *run, ferry_bytes body) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    ferry_publish_options with = {.retain = run->values->retain, .confirm = run->values->confirm};
    int r = ferry_publish(run->feed.client, run->topic, body, &with, &error);

    if (r == -EAGAIN) {
        feed_hold(&run->feed, body);
        feed_wake(&run->feed, 1);
        return false;
    }
    /* `tail -f log | ferry pub logs -` continues when the broker is back. */
    if (r == -ENOTCONN && run->feed.source.is_lines) {
        feed_hold(&run->feed, body);
        feed_wake(&run->feed, RECONNECT_MS);
        return false;
    }
    if (r < 0) {
        loop_end(&run->feed.loop, cli_error(run->feed.cli, &error));
        return false;
    }
    feed_done(&run->feed, ++run->n);
    if (run->values->every_ms == 0)
        return true;
    feed_wake(&run->feed, run->values->every_ms);
    return false;
}

static void pump(Feed *feed) {
    Run *run = container_of(feed, Run, feed);

    /* Let the connection work after 512 bodies. */
    for (int i = 0; i < 512 && !feed->loop.ended; i++) {
        ferry_bytes body;
        int r = feed_next(feed, &body);

        if (r == 0)
            loop_end(&feed->loop, EXIT_OK);
        if (r <= 0 || !publish(run, body))
            return;
    }
    feed_wake(feed, 0);
}

/* A publish has no answer. The broker handles the messages of one session in order, so its answer
 * to a ping confirms all earlier messages. */
static int confirm(Run *run) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;

    loop_leave_signals();
    return ferry_flush(run->feed.client, &error) < 0 ? cli_error(run->feed.cli, &error) : EXIT_OK;
}

/* The broker does not answer publishes, so ask for the right first: a denied publish would be lost
 * without a report. */
static int check_right(const Run *run) {
    Cli *cli = run->feed.cli;
    CLEANUP(json_decref) json_t *decision = NULL;

    if (cli_manage(cli, run->feed.client, true, &decision, "check", "sss", "", "publish",
                   run->topic) != EXIT_OK ||
        !json_is_false(json_object_get(decision, "allowed")))
        return EXIT_OK;
    return cli_fail(cli, 4, "no right to publish '%s'", run->topic);
}

/* Prints the number of subscribers. A message without subscribers is not an error. */
static void tell_receivers(Run *run) {
    Cli *cli = run->feed.cli;
    CLEANUP(json_decref) json_t *rows = NULL;
    uint64_t n = 0;
    json_t *row;
    size_t i;

    if (!cli->terminal_err || cli->quiet || run->feed.source.is_lines ||
        cli_manage(cli, run->feed.client, true, &rows, "topics", "") != EXIT_OK)
        return;
    json_array_foreach(rows, i, row) {
        const char *pattern = json_string_value(json_object_get(row, "pattern"));

        if (pattern && pattern_covers(pattern, run->topic))
            n += (uint64_t)json_integer_value(json_object_get(row, "subscribers"));
    }
    if (n == 0)
        cli_note(cli, "no subscriber listens to '%s'", run->topic);
    else
        cli_note(cli, "%llu subscriber%s", (unsigned long long)n, n == 1 ? "" : "s");
}

static int run_pub(Cli *cli, const void *values, int argc, char **argv) {
    const Values *v = values;
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    Run run = {.feed = {.pump = pump}, .topic = argv[0], .values = v};
    int status = feed_open(&run.feed, cli,
                           &(SourceOptions){argc > 1 ? argv[1] : NULL, v->file, v->count}, v->pack);

    /* Without a broker the command fails at once instead of waiting. */
    if (status == EXIT_OK && ferry_ping(run.feed.client, NULL, &error) < 0)
        status = cli_error(cli, &error);
    if (status == EXIT_OK)
        status = check_right(&run);
    if (status == EXIT_OK)
        status = feed_run(&run.feed, "published", v->count);
    if (status == EXIT_OK)
        status = confirm(&run);
    if (status == EXIT_OK)
        tell_receivers(&run);
    feed_close(&run.feed);
    return status;
}

const Command command_pub = {
    .name = "pub",
    .usage = "TOPIC [BODY | - | --file FILE] [--retain] [--confirm] [--count N] [--pack TYPE]",
    .summary = "publish messages to a topic",
    .help =
        "The body is an argument, a file, each line of standard input (-), or empty. With -, the\n"
        "command waits for a lost broker, and continues.\n"
        "\n"
        "--confirm ends with an error if a queue that is bound to the topic ('ferry queue bind')\n"
        "cannot store a message, or if the connection is lost: the message may then be stored.\n"
        "\n"
        "Examples:\n"
        "  ferry pub orders.new '{\"id\": 42}'\n"
        "  ferry pub config.limits --file limits.json --retain\n"
        "  tail -f app.log | ferry pub logs.app -\n",
    .options = options,
    .values_size = sizeof(Values),
    .min_args = 1,
    .max_args = 2,
    .completes = NAMES_TOPICS,
    .runs_on = true,
    .run = run_pub,
};
