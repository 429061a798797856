/* SPDX-License-Identifier: Apache-2.0 */
/* ferry call of a method with streams. See call.h. */

#include "base/clock.h"
#include "base/container.h"
#include "clients/cli/bodies/source.h"
#include "clients/cli/commands/arguments.h"
#include "clients/cli/commands/call.h"

typedef struct Streaming {
    CallRun *run;
    ferry_stream *stream;
    BodySource source;
    Buffer item;     /* the packed item to send */
    bool is_held;    /* item waits for credit */
    bool is_sending; /* the direction to the server is open */
    uint64_t n_lines;
} Streaming;

static const ferry_type *type_in(const CallRun *run) {
    return run->declared ? run->declared->stream_in : NULL;
}

/* ---- from the server ---- */

static void finish(Streaming *s) {
    CallRun *run = s->run;
    ferry_bytes result = {NULL, 0, NULL};
    int status = EXIT_OK;

    /* A method that streams from the server has no other result. */
    if ((!run->declared || !run->declared->stream_out) &&
        ferry_stream_result(s->stream, &result, NULL) == 0 && (run->declared || result.len > 0))
        status = call_show(run, run->declared ? run->declared->result : NULL, result);
    if (run->values->time)
        cli_note(run->cli, "%.3f ms", (double)(clock_us() - run->start_us) / 1000);
    loop_end(&run->loop, status);
}

/* True: try again later. A server may also throw ferry.WouldBlock, and then the stream has
 * ended. */
static bool is_later(int r, const ferry_error *error) {
    return r == -EAGAIN && !ferry_error_origin(error);
}

static void receive(Streaming *s) {
    const ferry_type *type = s->run->declared ? s->run->declared->stream_out : NULL;
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    ferry_bytes item;
    int r;

    while (!s->run->loop.ended &&
           !is_later(r = ferry_stream_next(s->stream, &item, &error), &error)) {
        int status = r == 1 ? call_show(s->run, type, item) : EXIT_OK;

        if (r == 0)
            finish(s);
        else if (r < 0)
            loop_end(&s->run->loop, call_tell(s->run, &error));
        else if (status != EXIT_OK)
            loop_end(&s->run->loop, status);
    }
}

/* ---- to the server ---- */

static int pack_line(Streaming *s, ferry_bytes line) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    CallRun *run = s->run;

    s->n_lines++;
    buffer_reset(&s->item);
    if (arguments_item(line, type_in(run), &s->item, &error) == 0)
        return EXIT_OK;
    return cli_fail(run->cli, cli_status(&error), "standard input, line %llu: %s",
                    (unsigned long long)s->n_lines, error.message);
}

/* Packs the next line into item. False: there is no line now, or the input has ended. */
static bool next_line(Streaming *s) {
    CallRun *run = s->run;
    ferry_bytes line;
    int r = source_next(&s->source, &run->loop, &line), status = EXIT_OK;

    if (r == 1)
        status = pack_line(s, line);
    else if (r < 0 && r != -EAGAIN)
        status = cli_fail(run->cli, EXIT_OTHER, "standard input: %s", strerror(-r));
    if (status != EXIT_OK)
        loop_end(&run->loop, status);
    s->is_held = r == 1 && status == EXIT_OK;
    /* If END has to wait for the connection, this function is called again. */
    if (r == 0 && ferry_stream_end(s->stream, NULL) != -EAGAIN)
        s->is_sending = false;
    return s->is_held;
}

static void send_items(Streaming *s) {
    while (s->is_sending && !s->run->loop.ended && (s->is_held || next_line(s))) {
        int r = ferry_stream_send(s->stream, ferry_bytes_of(s->item.data, s->item.len), NULL);

        if (r == -EAGAIN)
            break;
        /* The stream reports the error. */
        s->is_held = false;
        s->is_sending = r == 0;
    }
}

static void on_change(ferry_stream *stream, void *ctx) {
    Streaming *s = ctx;

    (void)stream;
    receive(s);
    send_items(s);
}

static void on_input(Watch *watch, uint32_t events) {
    Streaming *s = container_of(watch, Streaming, source.watch);

    (void)events;
    source_ready(&s->source, &s->run->loop);
    send_items(s);
}

/* ---- the whole call ---- */

static int start(Streaming *s, unsigned directions) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    CallRun *run = s->run;
    int status = source_open(&s->source, run->cli, &(SourceOptions){.argument = "-"});

    if (status == EXIT_OK)
        status = cli_loop_init(&run->loop, run->cli);
    if (status == EXIT_OK)
        status = loop_add_client(&run->loop, run->client);
    if (status != EXIT_OK)
        return status;
    s->source.watch.fn = on_input;
    run->start_us = clock_us();
    if (ferry_stream_open(run->client, run->method, run->args, directions, &s->stream, &error) < 0)
        return call_tell(run, &error);
    ferry_stream_watch(s->stream, on_change, s);
    loop_watch_output(&run->loop);
    return EXIT_OK;
}

int call_stream(CallRun *run, unsigned directions) {
    Streaming s = {.run = run, .is_sending = directions & FERRY_SEND};
    int status = start(&s, directions);

    if (status == EXIT_OK)
        status = loop_run(&run->loop);
    ferry_stream_close(s.stream);
    source_deinit(&s.source, &run->loop);
    buffer_deinit(&s.item);
    return status;
}
