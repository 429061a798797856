/* ferry push: pushes jobs to a queue and waits until each is stored. */

#include "base/clock.h"
#include "clients/cli/commands.h"
#include "clients/cli/progress.h"
#include "clients/cli/source.h"

enum { IN_FLIGHT = 1000, KEY_MAX = 255 };

typedef struct Values {
    uint64_t count, delay_ms, ttl_ms, priority;
    const char *key, *file;
} Values;

static const Option options[] = {
    OPTION_PLAIN(OPTION_TEXT, 'k', "key", Values, key, "K",
                 "store it once: a job with a key that was pushed lately is dropped"),
    OPTION_PLAIN(OPTION_MS, 0, "delay", Values, delay_ms, "T", "deliver it no earlier"),
    OPTION_RANGE(OPTION_COUNT, 'p', "priority", Values, priority, "N",
                 "0 to 9, higher first (default 0)", 0, 9),
    OPTION_PLAIN(OPTION_MS, 0, "ttl", Values, ttl_ms, "T",
                 "not delivered by then, it goes to the dead letters"),
    OPTION_PLAIN(OPTION_TEXT, 'f', "file", Values, file, "FILE",
                 "the body is this file's contents"),
    OPTION_RANGE(OPTION_COUNT, 'n', "count", Values, count, "N",
                 "push it N times; of lines, the first N", 1, 0),
    OPTION_END,
};

typedef struct Run {
    Cli *cli;
    const char *queue;
    ferry_push_options with;
    ferry_client *client;
    Loop loop;
    Source source;
    Timer timer;
    ferry_bytes held; /* could not be taken yet */
    bool is_held, is_at_end;
    uint64_t sent, stored;
    unsigned in_flight;
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

static void on_stored(const ferry_error *error, void *ctx) {
    Run *run = ctx;

    run->in_flight--;
    if (error) {
        if (!run->loop.ended)
            loop_end(&run->loop, cli_error(run->cli, error));
        return;
    }
    run->stored++;
    progress_update(&run->progress, run->stored, clock_us());
    if (run->is_at_end && run->in_flight == 0)
        loop_end(&run->loop, EXIT_OK);
    else if (run->in_flight == IN_FLIGHT / 2)
        pump(run);
}

static void push(Run *run, ferry_bytes body) {
    int r = ferry_push_async(run->client, run->queue, body, &run->with, on_stored, run);
    ferry_error error = {.code = r};

    run->is_held = r == -EAGAIN;
    if (run->is_held) {
        run->held = body;
        if (run->in_flight == 0)
            loop_arm(&run->loop, &run->timer, 1, on_timer);
    } else if (r < 0) {
        loop_end(&run->loop, cli_error(run->cli, &error));
    } else {
        run->in_flight++;
        run->sent++;
    }
}

static void pump(Run *run) {
    run->is_held = run->is_held && !run->loop.ended;
    while (!run->loop.ended && !run->is_at_end && run->in_flight < IN_FLIGHT) {
        ferry_bytes body;
        int r = 1;

        if (run->is_held)
            body = run->held;
        else
            r = source_next(&run->source, &run->loop, &body);
        if (r == 1)
            push(run, body);
        if (r == -EAGAIN || run->is_held)
            return;
        if (r < 0)
            loop_end(&run->loop,
                     cli_fail(run->cli, EXIT_OTHER, "standard input: %s", strerror(-r)));
        run->is_at_end = r == 0;
    }
    if (run->is_at_end && run->in_flight == 0)
        loop_end(&run->loop, EXIT_OK);
}

static int push_all(Run *run, uint64_t total) {
    int status = loop_init(&run->loop, run->cli);

    if (status == EXIT_OK)
        status = loop_add_client(&run->loop, run->client);
    if (status != EXIT_OK)
        return status;
    run->source.watch.fn = on_input;
    progress_start(&run->progress, run->cli->terminal_err && !run->cli->quiet ? stderr : NULL,
                   "stored", total, clock_us());
    pump(run);
    status = loop_run(&run->loop);
    progress_end(&run->progress);
    if (status != EXIT_OK && run->stored > 0)
        cli_note(run->cli, "%llu of %llu jobs are stored", (unsigned long long)run->stored,
                 (unsigned long long)run->sent);
    return status;
}

static int run_push(Cli *cli, const void *values, int argc, char **argv) {
    const Values *v = values;
    CLEANUP(ferry_close) ferry_client *client = NULL;
    Run run = {.cli = cli,
               .queue = argv[0],
               .with = {.key = v->key,
                        .delay_ms = v->delay_ms,
                        .ttl_ms = v->ttl_ms,
                        .priority = (uint32_t)v->priority}};
    int status = cli_check_queue(cli, run.queue);

    if (status == EXIT_OK && v->key && (!*v->key || strlen(v->key) > KEY_MAX))
        status = cli_usage(cli, "--key: a key has 1 to %d bytes", KEY_MAX);
    if (status == EXIT_OK)
        status = source_open(&run.source, cli,
                             &(SourceOptions){argc > 1 ? argv[1] : NULL, v->file, v->count});
    if (status == EXIT_OK)
        status = cli_open(cli, NULL, &client);
    if (status == EXIT_OK) {
        run.client = client;
        status = push_all(&run, v->count);
        client = ferry_close(client);
    }
    source_deinit(&run.source, &run.loop);
    loop_deinit(&run.loop);
    return status;
}

const Command command_push = {
    .name = "push",
    .usage = "QUEUE [BODY | - | --file FILE] [--key K] [--delay T] [--priority N] [--ttl T] "
             "[--count N]",
    .summary = "push jobs to a queue",
    .help =
        "Ends when the broker has stored all of them as safely as the queue promises. The body\n"
        "is an argument, a file, or with - each line of standard input; else empty.\n"
        "\n"
        "Examples:\n"
        "  ferry push mail '{\"to\": \"me@example.org\"}'\n"
        "  find photos -name '*.jpg' | ferry push resize -\n"
        "  ferry push reports monthly --delay 1h --key reports-2026-11\n",
    .options = options,
    .values_size = sizeof(Values),
    .min_args = 1,
    .max_args = 2,
    .completes = NAMES_QUEUES,
    .run = run_push,
};
