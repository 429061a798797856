/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A stream in both directions, through the broker: the server sends every item back. Measures the
 * time, and the largest memory of each of the three processes.
 */

#include <string.h>

#include "bench/ferry.h"

static const char *const echo_method = "bench.Streams.echo";

static int echo(ferry_request *request, void *ctx) {
    ferry_bytes item;
    int r;

    (void)ctx;
    while ((r = ferry_request_receive(request, &item)) > 0) {
        r = ferry_request_yield(request, item);
        if (r < 0)
            return r;
    }
    return r < 0 ? r : ferry_request_return(request, ferry_str("\xc0"));
}

static void start_server(const LabArgs *args) {
    ferry_error error = FERRY_ERROR_INIT;
    ferry_client *client;

    if (lab_fork() > 0) {
        lab_wait_ready(1);
        return;
    }
    client = open_client(args);
    check(ferry_serve_method(client, echo_method, NULL, echo, NULL, NULL, &error), &error);
    run_for_ever(client);
}

typedef struct Sender {
    ferry_client *client;
    ferry_bytes item;
    LabStream stream;
} Sender;

/* Sends and receives as much as possible now. */
static void on_change(ferry_stream *stream, void *ctx) {
    Sender *sender = ctx;
    ferry_error error = FERRY_ERROR_INIT;
    ferry_bytes item;
    int r = 0;

    while (r == 0 && lab_stream_left(&sender->stream) > 0) {
        r = ferry_stream_send(stream, sender->item, &error);
        if (r == 0)
            lab_stream_sent(&sender->stream, sender->item.len);
        if (r == 0 && lab_stream_left(&sender->stream) == 0)
            check(ferry_stream_end(stream, &error), &error);
    }
    if (r != -EAGAIN)
        check(r, &error);
    ferry_error_clear(&error);
    while ((r = ferry_stream_next(stream, &item, &error)) > 0)
        lab_stream_back(&sender->stream, item.len);
    if (r == 0)
        ferry_stop(sender->client);
    else if (r != -EAGAIN)
        check(r, &error);
    ferry_error_clear(&error);
}

void streams_echo(const LabArgs *args) {
    char *block = ferry_alloc(args->size);
    Sender sender = {.item = ferry_shared(block, args->size)};
    ferry_error error = FERRY_ERROR_INIT;
    ferry_stream *stream;

    LAB_CHECK(block);
    memcpy(block, args->payload, args->size);
    start_server(args);
    sender.client = open_client(args);
    check(ferry_stream_open(sender.client, echo_method, ferry_str("\x90"),
                            FERRY_SEND | FERRY_RECEIVE, &stream, &error),
          &error);
    lab_stream_start(&sender.stream);
    check(ferry_stream_watch(stream, on_change, &sender), NULL);
    check(ferry_run(sender.client, &error), &error);
    lab_stream_report(&sender.stream, args);
    ferry_stream_close(stream);
    ferry_close(sender.client);
    ferry_free(block);
}
