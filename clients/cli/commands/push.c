/* SPDX-License-Identifier: Apache-2.0 */

/* ferry push: pushes jobs to a queue and waits until each is stored. */

#include "base/clock.h"
#include "base/container.h"
#include "base/error.h"
#include "clients/cli/bodies/feed.h"
#include "clients/cli/commands/commands.h"

enum { IN_FLIGHT = 1000, KEY_MAX = 255, TIMEOUT_MS = 30000 };

typedef struct Values {
    uint64_t count, delay_ms, ttl_ms, priority, timeout_ms;
    const char *key, *file, *pack;
} Values;

static const Option options[] = {
    OPTION_PLAIN(OPTION_TEXT, 'k', "key", Values, key, "K",
                 "deduplicate: drop the job if K was pushed recently"),
    OPTION_PLAIN(OPTION_MS, 0, "delay", Values, delay_ms, "T", "deliver after this time"),
    OPTION_RANGE(OPTION_COUNT, 'p', "priority", Values, priority, "N",
                 "0 to 9, higher first (default 0)", 0, 9),
    OPTION_PLAIN(OPTION_MS, 0, "ttl", Values, ttl_ms, "T",
                 "time to live: an undelivered job becomes a dead letter"),
    OPTION_PLAIN(OPTION_TEXT, 0, "pack", Values, pack, BODY_TYPE_ARG,
                 "the body is JSON, packed: " BODY_TYPE_HELP),
    OPTION_PLAIN(OPTION_TEXT, 'f', "file", Values, file, "FILE", "read the body from this file"),
    OPTION_RANGE(OPTION_COUNT, 'n', "count", Values, count, "N",
                 "push N times; with -, the first N lines", 1, 0),
    OPTION_RANGE(OPTION_MS, 't', "timeout", Values, timeout_ms, "T",
                 "time limit for storing a job (default 30s)", 1, 3600000),
    OPTION_END,
};

typedef struct Run {
    Feed feed;
    const char *queue;
    ferry_push_options with;
    bool is_at_end;
    uint64_t sent, stored;
    unsigned in_flight;
    Timer watchdog;
    uint64_t timeout_ms,
        waits_since_ms; /* since: the time since which pushes are in flight and none was stored */
} Run;

static void pump(Feed *feed);

static void on_stored(const ferry_error *error, void *ctx) {
    Run *run = ctx;
    Feed *feed = &run->feed;

    run->in_flight--;
    run->waits_since_ms = clock_ms();
    if (error) {
        if (!feed->loop.ended)
            loop_end(&feed->loop, cli_error(feed->cli, error));
        return;
    }
    feed_done(feed, ++run->stored);
    if (run->in_flight == IN_FLIGHT / 2 || run->in_flight == 0 || feed->is_held)
        pump(feed);
}

static void push(Run *run, ferry_bytes body) {
    Feed *feed = &run->feed;
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    int r = ferry_push_async(feed->client, run->queue, body, &run->with, on_stored, run, &error);

    if (r == -EAGAIN) {
        feed_hold(feed, body);
        /* Otherwise the next stored push makes room. */
        if (run->in_flight == 0)
            feed_wake(feed, 1);
    } else if (r < 0) {
        loop_end(&feed->loop, cli_error(feed->cli, &error));
    } else {
        if (run->in_flight++ == 0)
            run->waits_since_ms = clock_ms();
        run->sent++;
    }
}

static void pump(Feed *feed) {
    Run *run = container_of(feed, Run, feed);

    while (!feed->loop.ended && !run->is_at_end && run->in_flight < IN_FLIGHT) {
        ferry_bytes body;
        int r = feed_next(feed, &body);

        if (r == 1)
            push(run, body);
        if (r < 0 || feed->is_held)
            return;
        run->is_at_end = r == 0;
    }
    if (run->is_at_end && run->in_flight == 0)
        loop_end(&feed->loop, EXIT_OK);
}

/* The library retries without limit; a person at a terminal needs an end. */
static void on_watchdog(Timer *timer, void *ctx) {
    Run *run = container_of(timer, Run, watchdog);
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    Loop *loop = &run->feed.loop;
    uint64_t now_ms = clock_ms(), ends_ms = run->waits_since_ms + run->timeout_ms;

    (void)ctx;
    if (run->in_flight == 0)
        ends_ms = now_ms + run->timeout_ms;
    if (ends_ms > now_ms) {
        loop_arm(loop, timer, ends_ms - now_ms, on_watchdog);
        return;
    }
    error_set(&error, "ferry.DeadlineExceeded", "nothing was confirmed for %llu ms",
              (unsigned long long)run->timeout_ms);
    error.outcome_unknown = true;
    loop_end(loop, cli_error(run->feed.cli, &error));
}

static int push_all(Run *run, uint64_t total) {
    const ferry_options with = {.timeout_ms = (uint32_t)run->timeout_ms};
    CLEANUP(ferry_close) ferry_client *handle = NULL;
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;

    if (ferry_with(run->feed.client, &with, &handle, NULL) < 0)
        return cli_fail(run->feed.cli, EXIT_OTHER, "out of memory");
    if (ferry_ping(handle, NULL, &error) < 0)
        return cli_error(run->feed.cli, &error);
    loop_arm(&run->feed.loop, &run->watchdog, run->timeout_ms, on_watchdog);
    return feed_run(&run->feed, "stored", total);
}

static int run_push(Cli *cli, const void *values, int argc, char **argv) {
    const Values *v = values;
    Run run = {.feed = {.pump = pump},
               .queue = argv[0],
               .timeout_ms = v->timeout_ms ? v->timeout_ms : TIMEOUT_MS,
               .with = {.key = v->key,
                        .delay_ms = v->delay_ms,
                        .ttl_ms = v->ttl_ms,
                        .priority = (uint32_t)v->priority}};
    int status = cli_check_queue(cli, run.queue);

    if (status == EXIT_OK && v->key && (!*v->key || strlen(v->key) > KEY_MAX))
        status = cli_usage(cli, "--key: a key has 1 to %d bytes", KEY_MAX);
    if (status == EXIT_OK)
        status = feed_open(&run.feed, cli,
                           &(SourceOptions){argc > 1 ? argv[1] : NULL, v->file, v->count}, v->pack);
    if (status == EXIT_OK)
        status = push_all(&run, v->count);
    if (status != EXIT_OK && run.stored > 0)
        cli_note(cli, "%llu of %llu jobs are stored", (unsigned long long)run.stored,
                 (unsigned long long)run.sent);
    feed_close(&run.feed);
    return status;
}

const Command command_push = {
    .name = "push",
    .usage = "QUEUE [BODY | - | --file FILE] [--key K] [--delay T] [--priority N] [--ttl T] "
             "[--count N] [--timeout T] [--pack TYPE]",
    .summary = "push jobs to a queue",
    .help =
        "Ends when the broker has stored all jobs as safely as the queue promises. The body is an\n"
        "argument, a file, each line of standard input (-), or empty.\n"
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
    .runs_on = true,
    .run = run_push,
};
