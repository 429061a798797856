/* ferry pub: publishes messages to a topic. */

#include "base/clock.h"
#include "clients/cli/commands.h"
#include "clients/cli/progress.h"
#include "clients/cli/source.h"

typedef struct Values {
    uint64_t count, every_ms;
    const char *file;
    bool retain;
} Values;

static const Option options[] = {
    OPTION_PLAIN(OPTION_FLAG, 0, "retain", Values, retain, NULL,
                 "keep it: whoever subscribes later gets it first; an empty body deletes it"),
    OPTION_PLAIN(OPTION_TEXT, 'f', "file", Values, file, "FILE",
                 "the body is this file's contents"),
    OPTION_RANGE(OPTION_COUNT, 'n', "count", Values, count, "N",
                 "publish it N times; of lines, the first N", 1, 0),
    OPTION_PLAIN(OPTION_MS, 0, "every", Values, every_ms, "T", "wait this long between two"),
    OPTION_END,
};

typedef struct Run {
    Cli *cli;
    const char *topic;
    const Values *values;
    ferry_client *client;
    Loop loop;
    Source source;
    Timer timer;
    ferry_bytes held; /* could not be taken yet */
    bool is_held;
    uint64_t n;
    Progress progress;
} Run;

static void pump(Run *run);

static void on_timer(Timer *timer, void *ctx) {
    (void)ctx;
    pump((Run *)((char *)timer - offsetof(Run, timer)));
}

static void on_input(Watch *watch, uint32_t events) {
    Run *run = (Run *)((char *)watch - offsetof(Run, source.watch));

    (void)events;
    source_ready(&run->source, &run->loop);
    pump(run);
}

/* True: go on with the next one. */
static bool publish(Run *run, ferry_bytes body) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    ferry_publish_options with = {.retain = run->values->retain};
    int r = ferry_publish(run->client, run->topic, body, &with, &error);

    run->is_held = r == -EAGAIN;
    if (run->is_held) {
        run->held = body;
        loop_arm(&run->loop, &run->timer, 1, on_timer);
        return false;
    }
    if (r < 0) {
        loop_end(&run->loop, cli_error(run->cli, &error));
        return false;
    }
    run->n++;
    progress_update(&run->progress, run->n, clock_us());
    if (run->values->every_ms == 0)
        return true;
    loop_arm(&run->loop, &run->timer, run->values->every_ms, on_timer);
    return false;
}

static void pump(Run *run) {
    /* Not for ever without a turn for the connection. */
    for (int i = 0; i < 512 && !run->loop.ended; i++) {
        ferry_bytes body;
        int r = 1;

        if (run->is_held)
            body = run->held;
        else
            r = source_next(&run->source, &run->loop, &body);
        if (r == -EAGAIN)
            return;
        if (r < 0)
            loop_end(&run->loop,
                     cli_fail(run->cli, EXIT_OTHER, "standard input: %s", strerror(-r)));
        if (r == 0)
            loop_end(&run->loop, EXIT_OK);
        if (r <= 0 || !publish(run, body))
            return;
    }
    loop_arm(&run->loop, &run->timer, 0, on_timer);
}

/* Publishing has no answer. The broker takes the messages of one session in order, so that its
 * answer to what comes behind them says that it has them. */
static int confirm(Run *run) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;

    loop_leave_signals();
    return ferry_flush(run->client, &error) < 0 ? cli_error(run->cli, &error) : EXIT_OK;
}

static int publish_all(Run *run) {
    int status = loop_init(&run->loop, run->cli);

    if (status == EXIT_OK)
        status = loop_add_client(&run->loop, run->client);
    if (status != EXIT_OK)
        return status;
    run->source.watch.fn = on_input;
    progress_start(&run->progress, run->cli->terminal_err && !run->cli->quiet ? stderr : NULL,
                   "published", run->values->count, clock_us());
    pump(run);
    status = loop_run(&run->loop);
    progress_end(&run->progress);
    return status == EXIT_OK ? confirm(run) : status;
}

static int run_pub(Cli *cli, const void *values, int argc, char **argv) {
    const Values *v = values;
    CLEANUP(ferry_close) ferry_client *client = NULL;
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    Run run = {.cli = cli, .topic = argv[0], .values = v};
    int status = source_open(&run.source, cli,
                             &(SourceOptions){argc > 1 ? argv[1] : NULL, v->file, v->count});

    if (status == EXIT_OK)
        status = cli_open(cli, NULL, &client);
    /* Messages for a broker that is not there are worth an error, not a wait for a better day. */
    if (status == EXIT_OK && ferry_ping(client, NULL, &error) < 0)
        status = cli_error(cli, &error);
    if (status == EXIT_OK) {
        run.client = client;
        status = publish_all(&run);
        client = ferry_close(client);
    }
    source_deinit(&run.source, &run.loop);
    loop_deinit(&run.loop);
    return status;
}

const Command command_pub = {
    .name = "pub",
    .usage = "TOPIC [BODY | - | --file FILE] [--retain] [--count N]",
    .summary = "publish messages to a topic",
    .help = "The body is an argument, a file, or with - each line of standard input; else empty.\n"
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
    .run = run_pub,
};
