/* SPDX-License-Identifier: Apache-2.0 */

/* ferry push: pushes jobs to a queue and waits until each is stored. */

#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/container.h"
#include "base/error.h"
#include "base/text.h"
#include "clients/cli/bodies/feed.h"
#include "clients/cli/commands/commands.h"
#include "clients/cli/terminal/out.h"

enum { IN_FLIGHT = 1000, KEY_MAX = 255, TIMEOUT_MS = 30000 };

typedef struct Values {
    uint64_t count, delay_ms, ttl_ms, priority, timeout_ms;
    const char *key, *order, *at, *file, *pack;
    bool unique;
} Values;

static const Option options[] = {
    OPTION_PLAIN(OPTION_TEXT, 'k', "key", Values, key, "K",
                 "deduplicate: drop the job if K was pushed recently"),
    OPTION_PLAIN(OPTION_FLAG, 0, "unique", Values, unique, NULL,
                 "with --key: drop the job only while another one with K waits or is worked on"),
    OPTION_PLAIN(OPTION_TEXT, 0, "order", Values, order, "K",
                 "ordering key: jobs with the same K are worked on one at a time, in order"),
    OPTION_PLAIN(OPTION_MS, 0, "delay", Values, delay_ms, "T", "deliver after this time"),
    OPTION_PLAIN(OPTION_TEXT, 0, "at", Values, at, "TIME",
                 "deliver at this time, for example 2026-11-30T18:00Z or 18:00 (UTC)"),
    OPTION_RANGE(OPTION_COUNT, 'p', "priority", Values, priority, "N",
                 "0 to 9, higher first (default 0)", 0, 9),
    OPTION_PLAIN(OPTION_MS, 0, "ttl", Values, ttl_ms, "T",
                 "time to live: an undelivered job becomes a dead letter"),
    OPTION_PLAIN(OPTION_TEXT, 0, "pack", Values, pack, BODY_TYPE_ARG,
                 "pack the body, which is JSON, by TYPE: " BODY_TYPE_HELP),
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
    bool is_single; /* one job: its number is printed */
    uint64_t sent, stored;
    unsigned in_flight;
    Timer watchdog;
    uint64_t timeout_ms, waits_since_ms; /* since: the time since which pushes are in flight and no
                                            push was stored */
} Run;

static void pump(Feed *feed);

/* One push in flight. */
typedef struct Sent {
    Run *run;
    ferry_pushed pushed;
} Sent;

static void show(const Run *run, const ferry_pushed *pushed) {
    static const char *const durabilities[] = {
        [FERRY_DURABILITY_UNKNOWN] = "unknown",   [FERRY_DURABILITY_MEMORY] = "memory",
        [FERRY_DURABILITY_INTERVAL] = "interval", [FERRY_DURABILITY_DISK] = "disk",
        [FERRY_DURABILITY_REDIS] = "redis",
    };
    const Cli *cli = run->feed.cli;
    unsigned long long job = pushed->job;

    if (cli->json) {
        out_format(stdout, "{\"job\": %llu, \"duplicate\": %s, \"durability\": \"%s\"}\n", job,
                   pushed->duplicate ? "true" : "false", durabilities[pushed->durability]);
        return;
    }
    if (pushed->duplicate && job)
        cli_note(cli, "nothing was pushed: job %llu has the key '%s'", job, run->with.key);
    else if (pushed->duplicate)
        cli_note(cli, "nothing was pushed: an earlier job had the key '%s'", run->with.key);
    if (run->is_single && job)
        out_format(stdout, "%llu\n", job);
}

static void on_stored(const ferry_error *error, void *ctx) {
    Sent *sent = ctx;
    Run *run = sent->run;
    Feed *feed = &run->feed;

    run->in_flight--;
    run->waits_since_ms = clock_ms();
    if (!error)
        show(run, &sent->pushed);
    free(sent);
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
    Sent *sent = calloc(1, sizeof(*sent));
    int r = sent ? 0 : error_set_code(&error, -ENOMEM, NULL);

    if (sent) {
        sent->run = run;
        run->with.pushed = &sent->pushed;
        r = ferry_push_async(feed->client, run->queue, body, &run->with, on_stored, sent, &error);
    }
    if (r < 0)
        free(sent);
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

/* The library retries without limit; this command ends after --timeout without a stored job. */
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

static int check_options(Cli *cli, const Values *v, ferry_push_options *with) {
    struct timespec wall;

    if (v->key && (!*v->key || strlen(v->key) > KEY_MAX))
        return cli_usage(cli, "--key: a key has 1 to %d bytes", KEY_MAX);
    if (v->order && (!*v->order || strlen(v->order) > KEY_MAX))
        return cli_usage(cli, "--order: a key has 1 to %d bytes", KEY_MAX);
    if (v->unique && !v->key)
        return cli_usage(cli, "--unique needs --key");
    if (v->at && v->delay_ms)
        return cli_usage(cli, "use either --at or --delay");
    clock_gettime(CLOCK_REALTIME, &wall);
    if (v->at && text_parse_time(v->at, (uint64_t)wall.tv_sec * 1000, &with->at_ms) < 0)
        return cli_usage(
            cli,
            "--at: '%s' is not a time like 2026-11-30T18:00, 2026-11-30T18:00:00+01:00 "
            "or 18:00",
            v->at);
    return EXIT_OK;
}

static int run_push(Cli *cli, const void *values, int argc, char **argv) {
    const Values *v = values;
    Run run = {.feed = {.pump = pump},
               .queue = argv[0],
               .is_single = v->count <= 1 && (argc < 2 || strcmp(argv[1], "-") != 0),
               .timeout_ms = v->timeout_ms ? v->timeout_ms : TIMEOUT_MS,
               .with = {.key = v->key,
                        .ordering_key = v->order,
                        .unique = v->unique,
                        .delay_ms = v->delay_ms,
                        .ttl_ms = v->ttl_ms,
                        .priority = (uint32_t)v->priority}};
    int status = cli_check_queue(cli, run.queue);

    if (status == EXIT_OK)
        status = check_options(cli, v, &run.with);
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

static const Hint hints[] = {
    {"ferry.DeadlineExceeded",
     "allow more time with --timeout; 'ferry stats' shows why a store does not confirm pushes"},
    {"ferry.Overloaded",
     "try again later; 'ferry stats' shows why a store does not confirm pushes"},
    {NULL, NULL},
};

const Command command_push = {
    .name = "push",
    .usage =
        "QUEUE [BODY | - | --file FILE] [--key K [--unique]] [--order K] [--delay T | --at TIME] "
        "[--priority N] [--ttl T] [--count N] [--timeout T] [--pack TYPE]",
    .summary = "push jobs to a queue",
    .help =
        "Ends when the broker has stored all jobs as safely as the queue promises. The body is an\n"
        "argument, a file, each line of standard input (-), or empty. Prints the number of a "
        "single\n"
        "job, which 'ferry job' takes; for several jobs, --json prints a line for each. If the "
        "queue\n"
        "remembers the key, no job is stored, and the number of the earlier job is printed.\n"
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
    .hints = hints,
    .run = run_push,
};
