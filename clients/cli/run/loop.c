/* SPDX-License-Identifier: Apache-2.0 */
/* The event loop of long-running commands. See loop.h. */

#include "clients/cli/run/loop.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/container.h"

void loop_end(Loop *loop, int status) {
    if (!loop->ended)
        loop->status = status;
    loop->ended = true;
}

static void on_signal(Watch *watch, uint32_t events) {
    Loop *loop = container_of(watch, Loop, signals);
    struct signalfd_siginfo info;

    (void)events;
    if (read(watch->fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
        return;
    if (info.ssi_signo == SIGCHLD) {
        if (loop->on_child)
            loop->on_child();
        return;
    }
    /* The terminal is gone, so no second signal will come from a person. */
    if (info.ssi_signo == SIGHUP)
        info.ssi_signo = SIGINT;
    loop->interrupts += info.ssi_signo == SIGINT;
    if (loop->on_signal && loop->interrupts < 2)
        loop->on_signal(loop, (int)info.ssi_signo, loop->ctx);
    else
        loop_end(loop, info.ssi_signo == SIGINT ? EXIT_INTERRUPTED : EXIT_OK);
}

/* nohup(1) makes a program ignore SIGHUP; blocking the signal would undo that. */
static bool is_ignored(int signal) {
    struct sigaction action;

    return sigaction(signal, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

int loop_watch(Loop *loop, Watch *watch, uint32_t events) {
    struct epoll_event event = {.events = events, .data.ptr = watch};

    return epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, watch->fd, &event) < 0 ? -errno : 0;
}

void loop_unwatch(Loop *loop, Watch *watch) {
    epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
}

static sigset_t handled_signals(void) {
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    if (!is_ignored(SIGHUP))
        sigaddset(&set, SIGHUP);
    if (getpid() == 1)
        sigaddset(&set, SIGCHLD);
    return set;
}

int cli_loop_init(Loop *loop, Cli *cli) {
    sigset_t set = handled_signals();
    int r;

    *loop = (Loop){.cli = cli, .epoll_fd = -1, .signals = {-1, on_signal}};
    timers_init(&loop->timers, clock_ms());
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    loop->signals.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    r = loop->epoll_fd < 0 || loop->signals.fd < 0 ? -errno
                                                   : loop_watch(loop, &loop->signals, EPOLLIN);
    if (r == 0)
        return EXIT_OK;
    cli_loop_deinit(loop);
    return cli_fail(cli, EXIT_OTHER, "cannot create an event loop: %s", strerror(-r));
}

void cli_loop_deinit(Loop *loop) {
    /* The loop was never opened: its descriptors are still 0, which is standard input. */
    if (!loop->cli)
        return;
    if (loop->epoll_fd >= 0)
        close(loop->epoll_fd);
    if (loop->signals.fd >= 0)
        close(loop->signals.fd);
    loop->epoll_fd = loop->signals.fd = -1;
}

static void on_output_gone(Watch *watch, uint32_t events) {
    Loop *loop = container_of(watch, Loop, output);

    (void)events;
    loop_end(loop, 128 + SIGPIPE);
}

void loop_watch_output(Loop *loop) {
    loop->output = (Watch){STDOUT_FILENO, on_output_gone};
    /* Ignore a failure: a regular file cannot be watched, and has no reader that could close it. */
    loop_watch(loop, &loop->output, 0);
}

static void on_client(Watch *watch, uint32_t events) {
    struct LoopClient *one = (struct LoopClient *)watch;
    ferry_error error = FERRY_ERROR_INIT;

    (void)events;
    if (ferry_process(one->client, &error) < 0)
        loop_end(one->loop, cli_error(one->loop->cli, &error));
    ferry_error_clear(&error);
}

int loop_add_client(Loop *loop, ferry_client *client) {
    struct LoopClient *one;
    int fd = ferry_fd(client), r;

    if (fd < 0)
        return cli_fail(loop->cli, EXIT_OTHER, "the client has no descriptor to wait for: %s",
                        strerror(-fd));
    if (loop->n_clients == LOOP_CLIENTS_MAX)
        abort();
    one = &loop->clients[loop->n_clients++];
    *one = (struct LoopClient){{fd, on_client}, loop, client};
    r = loop_watch(loop, &one->watch, EPOLLIN);
    if (r < 0)
        return cli_fail(loop->cli, EXIT_OTHER, "cannot wait for the client: %s", strerror(-r));
    return EXIT_OK;
}

void loop_arm(Loop *loop, Timer *timer, uint64_t delay_ms, TimerFn fn) {
    timer_arm(&loop->timers, timer, clock_ms() + delay_ms, fn);
}

void loop_disarm(Loop *loop, Timer *timer) {
    timer_disarm(&loop->timers, timer);
}

static int time_to_wait(const Loop *loop) {
    uint64_t next = timers_next(&loop->timers), now = clock_ms();

    return next == UINT64_MAX   ? -1
           : next <= now        ? 0
           : next - now > 60000 ? 60000
                                : (int)(next - now);
}

/* Ends the loop in order when the reader of standard output is gone, like SIGPIPE. */
static void flush_output(Loop *loop) {
    if (fflush(stdout) != 0 || ferror(stdout))
        loop_end(loop, errno == EPIPE
                           ? 128 + SIGPIPE
                           : cli_fail(loop->cli, EXIT_OTHER, "cannot write: %s", strerror(errno)));
}

void loop_leave_signals(void) {
    sigset_t set = handled_signals();

    sigprocmask(SIG_UNBLOCK, &set, NULL);
}

int loop_run(Loop *loop) {
    sigset_t set = handled_signals();
    struct epoll_event event;

    sigprocmask(SIG_BLOCK, &set, NULL);
    while (!loop->ended) {
        flush_output(loop);

        /* One event per turn: handling it may free the object of the next one. */
        int n = loop->ended ? 0 : epoll_wait(loop->epoll_fd, &event, 1, time_to_wait(loop));

        if (n < 0 && errno != EINTR)
            loop_end(loop, cli_fail(loop->cli, EXIT_OTHER, "epoll: %s", strerror(errno)));
        if (n > 0)
            ((Watch *)event.data.ptr)->fn(event.data.ptr, event.events);
        if (!loop->ended)
            timers_run(&loop->timers, clock_ms(), loop);
    }
    return loop->status;
}
