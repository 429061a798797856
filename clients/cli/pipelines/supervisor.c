/* SPDX-License-Identifier: Apache-2.0 */
/* The processes of a pipeline. See supervisor.h. */

#include "clients/cli/pipelines/supervisor.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/container.h"
#include "base/text.h"
#include "clients/cli/run/keeper.h"
#include "clients/cli/run/loop.h"
#include "clients/cli/terminal/out.h"

extern char **environ;

enum {
    PAUSE_MS = 200, /* before a dead worker is started again; doubled each time it dies at once */
    PAUSE_MAX_MS = 30000,
    AT_ONCE_MS = 10000, /* a worker that lived longer did not die at once */
    LOOK_MS = 250,      /* between two requests for the counters of the queues */
    PLAIN_MS = 2000,    /* between two lines of a stage, where there is no terminal */
    KILL_MS = 2000,     /* from SIGTERM to SIGKILL, when the pipeline is interrupted */
    RELAY_SIZE = 4096,
    ARGUMENTS_MAX = 40 + 2 * TEXTS_MAX,
};

typedef struct Supervisor Supervisor;
typedef struct Line Line;

/* Copies a worker's standard output or error to the same descriptor of this process. */
typedef struct Relay {
    Watch watch; /* fd -1: closed */
    Supervisor *run;
    FILE *to;
} Relay;

/* A worker process, or the place of one that is started again later. */
typedef struct StageWorker {
    Watch process; /* a pidfd; fd -1: no process */
    Line *line;
    pid_t pid;
    Relay out, err;
    Timer restart;
    uint64_t started_ms, pause_ms;
} StageWorker;

typedef struct QueueCounts {
    uint64_t ready, held, delayed, dead, acked;
} QueueCounts;

typedef enum LineState { LINE_RUNS, LINE_STOPS, LINE_STOPPED } LineState;

/* A stage that runs. */
struct Line {
    Supervisor *run;
    const PipelineStage *stage;
    StageWorker *workers;
    LineState state;
    unsigned n_running;
    uint64_t n_restarts;
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

static void check_ends(Supervisor *run);

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
             line->n_running, counts->ready, counts->held, counts->delayed, n_done(line),
             counts->dead, line->n_restarts);
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
        if ((int)strlen(run->lines[i].stage->name) > width)
            width = (int)strlen(run->lines[i].stage->name);
    erase(run);
    draw_line("%-*s WORKERS  WAITING  HELD  DELAYED      DONE  DEAD  RESTARTS", width, "STAGE");
    for (size_t i = 0; i < run->n; i++) {
        const Line *line = &run->lines[i];

        draw_line("%-*s %7u %8" PRIu64 " %5" PRIu64 " %8" PRIu64 " %9" PRIu64 " %5" PRIu64
                  " %9" PRIu64,
                  width, line->stage->name, line->n_running, line->counts.ready, line->counts.held,
                  line->counts.delayed, n_done(line), line->counts.dead, line->n_restarts);
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
        cli_note(run->cli, "%s: %s", line->stage->name, text);
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

static void note(Supervisor *run, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void note(Supervisor *run, const char *format, ...) {
    char text[300];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    erase(run);
    cli_note(run->cli, "%s", text);
}

/* ---- output of workers ---- */

static void relay_close(Relay *relay) {
    if (relay->watch.fd < 0)
        return;
    loop_unwatch(&relay->run->loop, &relay->watch);
    close(relay->watch.fd);
    relay->watch.fd = -1;
}

static void relay_some(Relay *relay, bool all) {
    char text[RELAY_SIZE];

    while (relay->watch.fd >= 0) {
        ssize_t n = read(relay->watch.fd, text, sizeof(text));

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0) {
            relay_close(relay);
            return;
        }
        erase(relay->run);
        text_print_safe(relay->to, text, (size_t)n);
        fflush(relay->to);
        if (!all)
            return;
    }
}

static void on_relay(Watch *watch, uint32_t events) {
    (void)events;
    relay_some(container_of(watch, Relay, watch), false);
}

static int relay_open(Relay *relay, Supervisor *run, FILE *to, int *ret_end) {
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    *relay = (Relay){{ends[0], on_relay}, run, to};
    *ret_end = ends[1];
    return loop_watch(&run->loop, &relay->watch, EPOLLIN);
}

/* ---- workers ---- */

typedef struct Arguments {
    const char *v[ARGUMENTS_MAX + 1];
    size_t n;
    char numbers[4][24];
    size_t n_numbers;
} Arguments;

static void add(Arguments *arguments, const char *option, const char *value) {
    if (!value)
        return;
    arguments->v[arguments->n++] = option;
    arguments->v[arguments->n++] = value;
}

static void add_number(Arguments *arguments, const char *option, uint64_t number,
                       const char *unit) {
    char *to = arguments->numbers[arguments->n_numbers++];

    snprintf(to, sizeof(arguments->numbers[0]), "%" PRIu64 "%s", number, unit);
    add(arguments, option, to);
}

/* As a person would write it: `ferry work QUEUE --exec CMD --then QUEUE …`. */
static void arguments_of(Arguments *arguments, const Cli *cli, const PipelineStage *stage) {
    *arguments = (Arguments){.v = {"ferry", "work"}, .n = 2};
    add(arguments, "--exec", stage->command);
    add(arguments, "--call", stage->call);
    add(arguments, "--then", stage->then);
    add_number(arguments, "--slots", stage->slots, "");
    add_number(arguments, "--retries", stage->retries, "");
    if (stage->delay_ms)
        add_number(arguments, "--delay", stage->delay_ms, "ms");
    if (stage->timeout_ms)
        add_number(arguments, "--timeout", stage->timeout_ms, "ms");
    add(arguments, "--url", cli->url);
    for (size_t i = 0; i < cli->header_texts.n; i++)
        add(arguments, "--header", cli->header_texts.v[i]);
    if (cli->quiet)
        arguments->v[arguments->n++] = "--quiet";
    add(arguments, "--", stage->queue);
}

static int spawn(StageWorker *worker, int out, int err) {
    Supervisor *run = worker->line->run;
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t no_signals, defaults;
    Arguments arguments;
    int r;

    arguments_of(&arguments, run->cli, worker->line->stage);
    sigemptyset(&no_signals);
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    sigaddset(&defaults, SIGINT);
    sigaddset(&defaults, SIGTERM);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    if (out >= 0)
        posix_spawn_file_actions_adddup2(&actions, out, 1);
    posix_spawn_file_actions_adddup2(&actions, err, 2);
    /* Each worker has its own process group, so that Ctrl-C reaches only the pipeline, which stops
     * its stages in order. */
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                              POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setsigmask(&attributes, &no_signals);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    r = -posix_spawn(&worker->pid, "/proc/self/exe", &actions, &attributes,
                     (char *const *)arguments.v, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return r;
}

static void on_restart(Timer *timer, void *ctx);

static void start_later(StageWorker *worker) {
    worker->pause_ms = clock_ms() - worker->started_ms > AT_ONCE_MS || !worker->pause_ms
                           ? PAUSE_MS
                           : worker->pause_ms * 2;
    if (worker->pause_ms > PAUSE_MAX_MS)
        worker->pause_ms = PAUSE_MAX_MS;
    loop_arm(&worker->line->run->loop, &worker->restart, worker->pause_ms, on_restart);
}

/* Call this after waitpid() for the process. */
static void ended(StageWorker *worker) {
    relay_some(&worker->out, true);
    relay_some(&worker->err, true);
    relay_close(&worker->out);
    relay_close(&worker->err);
    keeper_remove(worker->pid);
    if (worker->process.fd >= 0) {
        loop_unwatch(&worker->line->run->loop, &worker->process);
        close(worker->process.fd);
    }
    worker->process.fd = -1;
    worker->pid = 0;
    worker->line->n_running--;
}

static void on_exited(Watch *watch, uint32_t events) {
    StageWorker *worker = container_of(watch, StageWorker, process);
    Line *line = worker->line;
    char how[80], pause[24];
    int status = 0;

    (void)events;
    if (waitpid(worker->pid, &status, WNOHANG) != worker->pid)
        return;
    ended(worker);
    if (WIFSIGNALED(status))
        snprintf(how, sizeof(how), "was killed by signal %d (%s)", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    else
        snprintf(how, sizeof(how), "ended with exit status %d", WEXITSTATUS(status));
    if (line->state == LINE_RUNS) {
        start_later(worker);
        note(line->run, "a worker of the stage '%s' %s; it is started again in %s",
             line->stage->name, how, text_format_ms(pause, worker->pause_ms));
    } else if (WIFSIGNALED(status)) {
        note(line->run, "a worker of the stage '%s' %s; its jobs are in the queue again",
             line->stage->name, how);
    }
    check_ends(line->run);
}

static int start(StageWorker *worker) {
    Supervisor *run = worker->line->run;
    int out = -1, err = -1, r = relay_open(&worker->err, run, stderr, &err);

    /* Results that go to a file or a pipe are written by the worker itself, before it acknowledges
     * the job. */
    if (r == 0 && run->cli->terminal_out)
        r = relay_open(&worker->out, run, stdout, &out);
    if (r == 0)
        r = spawn(worker, out, err);
    if (out >= 0)
        close(out);
    if (err >= 0)
        close(err);
    if (r < 0) {
        relay_close(&worker->out);
        relay_close(&worker->err);
        worker->pid = 0;
        return r;
    }
    worker->started_ms = clock_ms();
    worker->line->n_running++;
    keeper_add(worker->pid);
    worker->process = (Watch){pidfd_open(worker->pid, 0), on_exited};
    r = worker->process.fd < 0 ? -errno : loop_watch(&run->loop, &worker->process, EPOLLIN);
    if (r < 0) {
        kill(-worker->pid, SIGKILL);
        waitpid(worker->pid, NULL, 0);
        ended(worker);
    }
    return r;
}

static void on_restart(Timer *timer, void *ctx) {
    StageWorker *worker = container_of(timer, StageWorker, restart);
    Line *line = worker->line;
    int r;

    (void)ctx;
    if (line->state != LINE_RUNS)
        return;
    line->n_restarts++;
    r = start(worker);
    if (r < 0) {
        start_later(worker);
        note(line->run, "cannot start a worker of the stage '%s': %s", line->stage->name,
             strerror(-r));
    }
}

/* ---- stopping in order ---- */

static bool earlier_have_stopped(const Line *line) {
    const Supervisor *run = line->run;

    for (size_t i = 0; i < run->n; i++)
        if (run->lines[i].state != LINE_STOPPED &&
            stage_is_next_of(line->stage, run->lines[i].stage))
            return false;
    return true;
}

static bool is_first(const Line *line) {
    const Supervisor *run = line->run;

    for (size_t i = 0; i < run->n; i++)
        if (stage_is_next_of(line->stage, run->lines[i].stage))
            return false;
    return true;
}

/* Stops the workers of a stage; they finish the jobs that they have. */
static void stop(Line *line) {
    line->state = LINE_STOPS;
    for (uint64_t i = 0; i < line->stage->workers; i++) {
        StageWorker *worker = &line->workers[i];

        if (timer_armed(&worker->restart))
            loop_disarm(&line->run->loop, &worker->restart);
        if (worker->pid > 0)
            kill(worker->pid, SIGTERM);
    }
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
        if (line->state == LINE_STOPS && line->n_running == 0) {
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
    CLEANUP(json_decref) json_t *list = json_pack("[s]", line->stage->queue);

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

static int init_lines(Supervisor *run, const PipelineFile *file) {
    for (; run->n < file->n_stages; run->n++) {
        Line *line = &run->lines[run->n];
        const PipelineStage *stage = &file->stages[run->n];

        *line = (Line){.run = run, .stage = stage};
        line->workers = calloc(stage->workers, sizeof(StageWorker));
        if (!line->workers)
            return -ENOMEM;
        for (uint64_t i = 0; i < stage->workers; i++) {
            line->workers[i].line = line;
            line->workers[i].process.fd = -1;
            line->workers[i].out.watch.fd = line->workers[i].err.watch.fd = -1;
        }
    }
    return 0;
}

/* Starts the last stage first, so that a result finds workers at the next stage. */
static int start_all(Supervisor *run) {
    for (size_t i = run->n; i-- > 0;)
        for (uint64_t j = 0; j < run->lines[i].stage->workers; j++) {
            int r = start(&run->lines[i].workers[j]);

            if (r < 0)
                return cli_fail(run->cli, EXIT_OTHER, "cannot start a worker of the stage '%s': %s",
                                run->lines[i].stage->name, strerror(-r));
        }
    return EXIT_OK;
}

static void signal_all(Supervisor *run, int signal) {
    for (size_t i = 0; i < run->n; i++)
        for (uint64_t j = 0; run->lines[i].workers && j < run->lines[i].stage->workers; j++)
            if (run->lines[i].workers[j].pid > 0)
                kill(run->lines[i].workers[j].pid, signal);
}

/* After an interrupt: SIGINT makes the workers return their jobs and end their commands. */
static void end_workers(Supervisor *run) {
    uint64_t until_ms = clock_ms() + KILL_MS;

    signal_all(run, SIGINT);
    for (size_t i = 0; i < run->n; i++)
        for (uint64_t j = 0; run->lines[i].workers && j < run->lines[i].stage->workers; j++) {
            StageWorker *worker = &run->lines[i].workers[j];

            if (worker->pid <= 0)
                continue;
            while (waitpid(worker->pid, NULL, WNOHANG) == 0) {
                relay_some(&worker->out, true);
                relay_some(&worker->err, true);
                if (clock_ms() >= until_ms)
                    kill(-worker->pid, SIGKILL);
                usleep(5000);
            }
            ended(worker);
        }
}

/* Reads the counters once more: the last jobs ended after the latest look at the queues. */
static void count_at_end(Supervisor *run) {
    for (size_t i = 0; i < run->n; i++) {
        CLEANUP(json_decref) json_t *found = NULL;

        if (cli_manage(run->cli, run->client, true, &found, "queue", "s",
                       run->lines[i].stage->queue) == EXIT_OK)
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
        free(run->lines[i].workers);
    free(run);
    return status;
}
