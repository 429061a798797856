/* SPDX-License-Identifier: Apache-2.0 */
/* Sending a sequence of bodies. See feed.h. */

#include "clients/cli/bodies/feed.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/container.h"

static void on_timer(Timer *timer, void *ctx) {
    Feed *feed = container_of(timer, Feed, timer);

    (void)ctx;
    feed->pump(feed);
}

static void on_input(Watch *watch, uint32_t events) {
    Feed *feed = container_of(watch, Feed, source.watch);

    (void)events;
    source_ready(&feed->source, &feed->loop);
    feed->pump(feed);
}

int feed_open(Feed *feed, Cli *cli, const SourceOptions *options, const char *pack) {
    int status = cli_loop_init(&feed->loop, cli);

    feed->cli = cli;
    if (status == EXIT_OK)
        status = body_type_open(&feed->pack, cli, "pack", pack);
    if (status == EXIT_OK)
        status = source_open(&feed->source, cli, options);
    feed->source.watch.fn = on_input;
    return status == EXIT_OK ? cli_open(cli, NULL, &feed->client) : status;
}

void feed_close(Feed *feed) {
    feed->client = ferry_close(feed->client);
    source_deinit(&feed->source, &feed->loop);
    body_type_close(&feed->pack);
    buffer_deinit(&feed->packed);
    cli_loop_deinit(&feed->loop);
}

/* 1, or -EINVAL, which was reported. */
static int pack(Feed *feed, ferry_bytes *body) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    char line[40] = "";

    feed->n_read++;
    buffer_reset(&feed->packed);
    if (body_type_pack(&feed->pack, *body, &feed->packed, &error) == 0) {
        *body = ferry_bytes_of(feed->packed.data, feed->packed.len);
        return 1;
    }
    if (feed->source.is_lines)
        snprintf(line, sizeof(line), "line %llu: ", (unsigned long long)feed->n_read);
    loop_end(&feed->loop, cli_fail(feed->cli, cli_status(&error), "%s%s", line, error.message));
    return -EINVAL;
}

int feed_next(Feed *feed, ferry_bytes *ret) {
    int r;

    if (feed->is_held) {
        feed->is_held = false;
        *ret = feed->held;
        return 1;
    }
    r = source_next(&feed->source, &feed->loop, ret);
    if (r < 0 && r != -EAGAIN)
        loop_end(&feed->loop, cli_fail(feed->cli, EXIT_OTHER, "standard input: %s", strerror(-r)));
    return r == 1 && feed->pack.is_set ? pack(feed, ret) : r;
}

void feed_hold(Feed *feed, ferry_bytes body) {
    feed->held = body;
    feed->is_held = true;
}

void feed_wake(Feed *feed, uint64_t delay_ms) {
    loop_arm(&feed->loop, &feed->timer, delay_ms, on_timer);
}

void feed_done(Feed *feed, uint64_t n) {
    progress_update(&feed->progress, n, clock_us());
}

int feed_run(Feed *feed, const char *what, uint64_t total) {
    int status = loop_add_client(&feed->loop, feed->client);

    if (status != EXIT_OK)
        return status;
    progress_start(&feed->progress, feed->cli->terminal_err && !feed->cli->quiet ? stderr : NULL,
                   what, total, clock_us());
    feed->pump(feed);
    status = loop_run(&feed->loop);
    progress_end(&feed->progress);
    return status;
}
