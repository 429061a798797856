/* SPDX-License-Identifier: Apache-2.0 */
/* The processes of a pipeline. See supervisor.h. */

#include "clients/cli/pipelines/supervisor.h"

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "base/clock.h"
#include "base/container.h"
#include "clients/cli/pipelines/stage-workers.h"
#include "clients/cli/run/loop.h"
#include "clients/cli/terminal/out.h"

enum {
    LOOK_MS = 250,   /* between two requests for the counters of the queues */
    PLAIN_MS = 2000, /* between two lines of a stage, where there is no terminal */
    KILL_MS = 2000,  /* from SIGTERM to SIGKILL, when the pipeline is interrupted */
};

typedef struct Supervisor Supervisor;
typedef struct Line Line;

typedef struct QueueCounts {
    uint64_t ready, held, delayed, dead, acked;
} QueueCounts;

typedef enum LineState { LINE_RUNS, LINE_STOPS, LINE_STOPPED } LineState;

/* A stage that runs. */
struct Line {
    Supervisor *run;
    StageWorkers workers;
    LineState state;
    QueueCounts counts;
    uint64_t acked_before; /* when the pipeline began, or the broker started again */
    uint64_t done_before;  /* by earlier brokers */
    bool is_counted;       /* counts were read */
    bool is_asking;
    bool earlier_had_stopped; /* when the counters were requested */
    char shown[160];
};

struct Supervisor {
    Cli *cli;
    ferry_client *client;
    Loop loop;
    Line lines[PIPELINE_STAGES_MAX];
    size_t n;
    Timer look;
    uint64_t printed_ms;
    size_t n_drawn; /* lines of the live table on the terminal */
    bool is_live, is_stopping, is_drain;
    bool stops_all; /* after SIGTERM: all stages stop at once */
};

/* ---- the counters on the terminal ---- */

static uint64_t n_done(const Line *line) {
    return line->done_before + line->counts.acked - line->acked_before;
}

static void erase(Supervisor *run) {
    if (run->n_drawn > 0)
        fprintf(stderr, "\033[%zuA\r\033[J", run->n_drawn);
    run->n_drawn = 0;
}

static void format_line(const Line *line, char *to, size_t size) {
    const QueueCounts *counts = &line->counts;

    snprintf(to, size,
             "workers=%u waiting=%" PRIu64 " held=%" PRIu64 " delayed=%" PRIu64 " done=%" PRIu64
             " dead=%" PRIu64 " restarts=%" PRIu64,
             line->workers.n_running, counts->ready, counts->held, counts->delayed, n_done(line),
             counts->dead, line->workers.n_restarts);
}

/* Prints one line, cut at the width of the terminal: erase() counts lines. */
static void draw_line(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void draw_line(const char *format, ...) {
    struct winsize size = {0};
    char text[200];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 &&
        size.ws_col < sizeof(text))
        text[size.ws_col] = '\0';
    out_format(stderr, "%s\n", text);
}

static void draw(Supervisor *run) {
    int width = 5;

    for (size_t i = 0; i < run->n; i++)
        if ((int)strlen(run->lines[i].workers.stage->name) > width)
            width = (int)strlen(run->lines[i].workers.stage->name);
    erase(run);
    draw_line("%-*s WORKERS  WAITING  HELD  DELAYED      DONE  DEAD  RESTARTS", width, "STAGE");
    for (size_t i = 0; i < run->n; i++) {
        const Line *line = &run->lines[i];

        draw_line("%-*s %7u %8" PRIu64 " %5" PRIu64 " %8" PRIu64 " %9" PRIu64 " %5" PRIu64
                  " %9" PRIu64,
                  width, line->workers.stage->name, line->workers.n_running, line->counts.ready,
                  line->counts.held, line->counts.delayed, n_done(line), line->counts.dead,
                  line->workers.n_restarts);
    }
    run->n_drawn = run->n + 1;
}

/* Without a terminal: prints a line for each stage whose counters have changed. */
static void print_changed(Supervisor *run, bool is_end) {
    uint64_t now_ms = clock_ms();

    if (!is_end && now_ms < run->printed_ms + PLAIN_MS)
        return;
    run->printed_ms = now_ms;
    for (size_t i = 0; i < run->n; i++) {
        Line *line = &run->lines[i];
        char text[sizeof(line->shown)];

        format_line(line, text, sizeof(text));
        if (!line->is_counted || (!is_end && strcmp(text, line->shown) == 0))
            continue;
        memcpy(line->shown, text, sizeof(text));
        cli_note(run->cli, "%s: %s", line->workers.stage->name, text);
    }
}

static void show(Supervisor *run, bool is_end) {
    if (run->cli->quiet)
        return;
    if (run->is_live)
        draw(run);
    else
        print_changed(run, is_end);
}

static void note(Supervisor *run, const char *text) {
    erase(run);
    cli_note(run->cli, "%s", text);
}

/* ---- stopping in order ---- */

static bool earlier_have_stopped(const Line *line) {
    const Supervisor *run = line->run;

    for (size_t i = 0; i < run->n; i++)
        if (run->lines[i].state != LINE_STOPPED &&
            stage_is_next_of(line->workers.stage, run->lines[i].workers.stage))
            return false;
    return true;
}

static bool is_first(const Line *line) {
    const Supervisor *run = line->run;

    for (size_t i = 0; i < run->n; i++)
        if (stage_is_next_of(line->workers.stage, run->lines[i].workers.stage))
            return false;
    return true;
}

static void stop(Line *line) {
    line->state = LINE_STOPS;
    workers_stop(&line->workers);
}

/* Stops the stages that are due, and ends the loop when all stages have stopped. */
static void check_ends(Supervisor *run) {
    bool is_done = true;

    for (size_t i = 0; i < run->n; i++) {
        Line *line = &run->lines[i];

        /* The queue of a first stage is filled from outside: it keeps its jobs. */
        if (run->is_stopping && line->state == LINE_RUNS && earlier_have_stopped(line) &&
            (run->stops_all || (!run->is_drain && is_first(line))))
            stop(line);
        if (line->state == LINE_STOPS && line->workers.n_running == 0) {
            line->state = LINE_STOPPED;
            i = (size_t)-1; /* the next ones may stop now */
            is_done = true;
            continue;
        }
        is_done &= line->state == LINE_STOPPED;
    }
    if (is_done)
        loop_end(&run->loop, EXIT_OK);
}

/* ---- looking at the queues ---- */

static uint64_t counter(const json_t *status, const char *key) {
    return (uint64_t)json_integer_value(json_object_get(status, key));
}

static void take_counts(Line *line, const json_t *status) {
    QueueCounts counts = {.ready = counter(status, "ready"),
                          .held = counter(status, "held"),
                          .delayed = counter(status, "delayed"),
                          .dead = counter(status, "dead"),
                          .acked = counter(status, "acked")};

    if (!line->is_counted) {
        line->acked_before = counts.acked;
    } else if (counts.acked < line->counts.acked) { /* the broker has started again */
        line->done_before += line->counts.acked - line->acked_before;
        line->acked_before = 0;
    }
    line->counts = counts;
    line->is_counted = true;
}

static void on_status(const ferry_reply *reply, const ferry_error *error, void *ctx) {
    CLEANUP(json_decref) json_t *status = NULL;
    Line *line = ctx;
    Supervisor *run = line->run;
    bool is_missing = error && error->type && strcmp(error->type, "ferry.NotFound") == 0;
    bool is_empty;

    line->is_asking = false;
    if (run->loop.ended)
        return;
    if (!is_missing && (!reply || value_to_json(reply->body, &status, NULL) < 0))
        return; /* asked again */
    take_counts(line, status);
    is_empty = line->counts.ready == 0 && line->counts.held == 0;
    if (run->is_stopping && line->state == LINE_RUNS && line->earlier_had_stopped && is_empty)
        stop(line);
    check_ends(run);
}

static void ask(Line *line) {
    CLEANUP(buffer_deinit) Buffer args = {0};
    CLEANUP(json_decref) json_t *list = json_pack("[s]", line->workers.stage->queue);

    if (line->is_asking || !list || value_from_json(list, &args, NULL) < 0)
        return;
    line->earlier_had_stopped = earlier_have_stopped(line);
    line->is_asking =
        ferry_call_async(line->run->client, "ferry.Broker.queue",
                         ferry_bytes_of(args.data, args.len), on_status, line, NULL) == 0;
}

static void on_look(Timer *timer, void *ctx) {
    Supervisor *run = container_of(timer, Supervisor, look);

    (void)ctx;
    for (size_t i = 0; i < run->n; i++)
        ask(&run->lines[i]);
    show(run, false);
    loop_arm(&run->loop, timer, LOOK_MS, on_look);
}

/* ---- the whole pipeline ---- */

/* SIGINT: stop in order, and let the later stages do the results of the earlier ones. SIGTERM: stop
 * all stages. A second SIGINT ends the loop. */
static void on_signal(Loop *loop, int signal, void *ctx) {
    Supervisor *run = ctx;

    (void)loop;
    run->is_stopping = true;
    run->is_drain = false;
    if (signal == SIGTERM) {
        note(run, "stopping: the workers finish the jobs that they have");
        run->stops_all = true;
    } else {
        note(run, "draining: the stages stop in order; Ctrl-C again returns their jobs");
    }
    check_ends(run);
}

static void on_output(void *ctx) {
    Line *line = ctx;

    erase(line->run);
}

static void on_note(void *ctx, const char *text) {
    Line *line = ctx;

    note(line->run, text);
}

static void on_ended(void *ctx) {
    Line *line = ctx;

    check_ends(line->run);
}

static int init_lines(Supervisor *run, const PipelineFile *file) {
    while (run->n < file->n_stages) {
        const PipelineStage *stage = &file->stages[run->n];
        Line *line = &run->lines[run->n++];

        *line = (Line){.run = run,
                       .workers = {.loop = &run->loop,
                                   .cli = run->cli,
                                   .before_output = on_output,
                                   .note = on_note,
                                   .ended = on_ended,
                                   .ctx = line}};
        if (workers_init(&line->workers, stage) < 0)
            return -ENOMEM;
    }
    return 0;
}

/* Starts the last stage first, so that a result finds workers at the next stage. */
static int start_all(Supervisor *run) {
    for (size_t i = run->n; i-- > 0;) {
        int r = workers_start(&run->lines[i].workers);

        if (r < 0)
            return cli_fail(run->cli, EXIT_OTHER, "cannot start a worker of the stage '%s': %s",
                            run->lines[i].workers.stage->name, strerror(-r));
    }
    return EXIT_OK;
}

/* After an interrupt: SIGINT makes the workers return their jobs and end their commands. */
static void end_workers(Supervisor *run) {
    uint64_t until_ms = clock_ms() + KILL_MS;

    for (size_t i = 0; i < run->n; i++)
        workers_signal(&run->lines[i].workers, SIGINT);
    for (size_t i = 0; i < run->n; i++)
        workers_wait(&run->lines[i].workers, until_ms);
}

/* Reads the counters once more: the last jobs ended after the latest look at the queues. */
static void count_at_end(Supervisor *run) {
    for (size_t i = 0; i < run->n; i++) {
        CLEANUP(json_decref) json_t *found = NULL;

        if (cli_manage(run->cli, run->client, true, &found, "queue", "s",
                       run->lines[i].workers.stage->queue) == EXIT_OK)
            take_counts(&run->lines[i], found);
    }
}

int supervisor_run(Cli *cli, ferry_client *client, const PipelineFile *file, bool is_drain) {
    Supervisor *run = calloc(1, sizeof(*run));
    int status;

    if (!run)
        return cli_fail(cli, EXIT_OTHER, "out of memory");
    run->cli = cli;
    run->client = client;
    run->is_drain = run->is_stopping = is_drain;
    run->is_live = cli->terminal_err && !cli->quiet;
    status = cli_loop_init(&run->loop, cli);
    if (status == EXIT_OK)
        status = loop_add_client(&run->loop, client);
    run->loop.on_signal = on_signal;
    run->loop.ctx = run;
    if (status == EXIT_OK && init_lines(run, file) < 0)
        status = cli_fail(cli, EXIT_OTHER, "out of memory");
    if (status == EXIT_OK)
        status = start_all(run);
    if (status == EXIT_OK) {
        loop_arm(&run->loop, &run->look, 0, on_look);
        status = loop_run(&run->loop);
    }
    end_workers(run);
    if (status == EXIT_OK && !cli->quiet)
        count_at_end(run);
    show(run, true);
    /* No callback comes after this. */
    ferry_close(client);
    cli_loop_deinit(&run->loop);
    for (size_t i = 0; i < run->n; i++)
        workers_deinit(&run->lines[i].workers);
    free(run);
    return status;
}
