/* SPDX-License-Identifier: Apache-2.0 */
/* The worker processes of a stage. See stage-workers.h. */

#include "clients/cli/pipelines/stage-workers.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/container.h"
#include "base/text.h"
#include "clients/cli/run/keeper.h"

extern char **environ;

enum {
    PAUSE_MS = 200, /* before a dead worker is started again; doubled each time it dies at once */
    PAUSE_MAX_MS = 30000,
    AT_ONCE_MS = 10000, /* a worker that lived longer did not die at once */
    RELAY_SIZE = 4096,
    ARGUMENTS_MAX = 40 + 2 * TEXTS_MAX,
};

/* Copies a worker's standard output or error to the same descriptor of this process. */
typedef struct Relay {
    Watch watch; /* fd -1: closed */
    StageWorkers *workers;
    FILE *to;
} Relay;

/* A worker process, or the place of one that is started again later. */
struct StageWorker {
    Watch process; /* a pidfd; fd -1: no process */
    StageWorkers *workers;
    pid_t pid;
    Relay out, err;
    Timer restart;
    uint64_t started_ms, pause_ms;
};

/* ---- output of workers ---- */

static void relay_close(Relay *relay) {
    if (relay->watch.fd < 0)
        return;
    loop_unwatch(relay->workers->loop, &relay->watch);
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
        relay->workers->before_output(relay->workers->ctx);
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

static int relay_open(Relay *relay, StageWorkers *workers, FILE *to, int *ret_end) {
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    *relay = (Relay){{ends[0], on_relay}, workers, to};
    *ret_end = ends[1];
    return loop_watch(workers->loop, &relay->watch, EPOLLIN);
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

/* Each worker has its own process group, so that Ctrl-C reaches only the pipeline, which stops its
 * stages in order. */
static int spawn(StageWorker *worker, int out, int err) {
    Arguments arguments;
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC), r;

    if (null < 0)
        return -errno;
    arguments_of(&arguments, worker->workers->cli, worker->workers->stage);
    r = keeper_spawn(
        &(KeptProgram){"/proc/self/exe", (char *const *)arguments.v, environ, null, out, err},
        &worker->pid);
    close(null);
    return r;
}

static void on_restart(Timer *timer, void *ctx);

static void start_later(StageWorker *worker) {
    worker->pause_ms = clock_ms() - worker->started_ms > AT_ONCE_MS || !worker->pause_ms
                           ? PAUSE_MS
                           : worker->pause_ms * 2;
    if (worker->pause_ms > PAUSE_MAX_MS)
        worker->pause_ms = PAUSE_MAX_MS;
    loop_arm(worker->workers->loop, &worker->restart, worker->pause_ms, on_restart);
}

/* Call this after waitpid() for the process. */
static void ended(StageWorker *worker) {
    relay_some(&worker->out, true);
    relay_some(&worker->err, true);
    relay_close(&worker->out);
    relay_close(&worker->err);
    keeper_remove(worker->pid);
    if (worker->process.fd >= 0) {
        loop_unwatch(worker->workers->loop, &worker->process);
        close(worker->process.fd);
    }
    worker->process.fd = -1;
    worker->pid = 0;
    worker->workers->n_running--;
}

static void note(const StageWorkers *workers, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void note(const StageWorkers *workers, const char *format, ...) {
    char text[300];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    workers->note(workers->ctx, text);
}

static void on_exited(Watch *watch, uint32_t events) {
    StageWorker *worker = container_of(watch, StageWorker, process);
    StageWorkers *workers = worker->workers;
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
    if (!workers->is_stopping) {
        start_later(worker);
        note(workers, "a worker of the stage '%s' %s; it is started again in %s",
             workers->stage->name, how, text_format_ms(pause, worker->pause_ms));
    } else if (WIFSIGNALED(status)) {
        note(workers, "a worker of the stage '%s' %s; its jobs are in the queue again",
             workers->stage->name, how);
    }
    workers->ended(workers->ctx);
}

static int start(StageWorker *worker) {
    StageWorkers *workers = worker->workers;
    int out = -1, err = -1, r = relay_open(&worker->err, workers, stderr, &err);

    /* Results that go to a file or a pipe are written by the worker itself, before it acknowledges
     * the job. */
    if (r == 0 && workers->cli->terminal_out)
        r = relay_open(&worker->out, workers, stdout, &out);
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
    worker->workers->n_running++;
    worker->process = (Watch){pidfd_open(worker->pid, 0), on_exited};
    r = worker->process.fd < 0 ? -errno : loop_watch(workers->loop, &worker->process, EPOLLIN);
    if (r < 0) {
        kill(-worker->pid, SIGKILL);
        waitpid(worker->pid, NULL, 0);
        ended(worker);
    }
    return r;
}

static void on_restart(Timer *timer, void *ctx) {
    StageWorker *worker = container_of(timer, StageWorker, restart);
    StageWorkers *workers = worker->workers;
    int r;

    (void)ctx;
    if (workers->is_stopping)
        return;
    workers->n_restarts++;
    r = start(worker);
    if (r < 0) {
        start_later(worker);
        note(workers, "cannot start a worker of the stage '%s': %s", workers->stage->name,
             strerror(-r));
    }
}

/* ---- the workers of a stage ---- */

int workers_init(StageWorkers *workers, const PipelineStage *stage) {
    workers->stage = stage;
    workers->v = calloc(stage->workers, sizeof(*workers->v));
    if (!workers->v)
        return -ENOMEM;
    workers->n = (size_t)stage->workers;
    for (size_t i = 0; i < workers->n; i++) {
        StageWorker *worker = &workers->v[i];

        worker->workers = workers;
        worker->process.fd = -1;
        worker->out.watch.fd = worker->err.watch.fd = -1;
    }
    return 0;
}

void workers_deinit(StageWorkers *workers) {
    free(workers->v);
}

int workers_start(StageWorkers *workers) {
    for (size_t i = 0; i < workers->n; i++) {
        int r = start(&workers->v[i]);

        if (r < 0)
            return r;
    }
    return 0;
}

void workers_stop(StageWorkers *workers) {
    workers->is_stopping = true;
    for (size_t i = 0; i < workers->n; i++)
        if (timer_armed(&workers->v[i].restart))
            loop_disarm(workers->loop, &workers->v[i].restart);
    workers_signal(workers, SIGTERM);
}

void workers_signal(const StageWorkers *workers, int signal) {
    for (size_t i = 0; i < workers->n; i++)
        if (workers->v[i].pid > 0)
            kill(workers->v[i].pid, signal);
}

void workers_wait(StageWorkers *workers, uint64_t until_ms) {
    for (size_t i = 0; i < workers->n; i++) {
        StageWorker *worker = &workers->v[i];

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
