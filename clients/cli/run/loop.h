#pragma once

/*
 * The loop of the commands that run on: clients, children, standard input, timers and signals, all
 * in one epoll. Nothing in it blocks, but writing to standard output when its reader is slow: then
 * the broker, which counts what we miss, has to know.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/timers.h"
#include "clients/cli/run/cli.h"

typedef struct Loop Loop;
typedef struct Watch Watch;

/* Lives inside what it watches. */
struct Watch {
    int fd;
    void (*fn)(Watch *watch, uint32_t events);
};

enum { LOOP_CLIENTS_MAX = 4 };

struct Loop {
    Cli *cli;
    int epoll_fd;
    int status;
    bool ended;
    Timers timers;
    Watch signals, output;
    struct LoopClient {
        Watch watch;
        Loop *loop;
        ferry_client *client;
    } clients[LOOP_CLIENTS_MAX];
    size_t n_clients;

    /* SIGINT (also for SIGHUP) or SIGTERM. NULL: the loop ends, with 130 or 0. The second SIGINT
     * always ends it. */
    void (*on_signal)(Loop *loop, int signal, void *ctx);
    void *ctx;
    unsigned interrupts;
};

/* An exit status. */
int loop_init(Loop *loop, Cli *cli);
void loop_deinit(Loop *loop); /* also of one that is zero, or was not to be had */

/* Ends the loop when whoever reads standard output has gone, and not only at the next write: in
 * `ferry sub news | head -1` that may never come. */
void loop_watch_output(Loop *loop);

/* Puts the client in loop mode. It must outlive the loop's run. An exit status. */
int loop_add_client(Loop *loop, ferry_client *client);

/* 0; -EPERM: a regular file, which is always ready; other errors of epoll_ctl(). */
int loop_watch(Loop *loop, Watch *watch, uint32_t events);
void loop_unwatch(Loop *loop, Watch *watch);

void loop_arm(Loop *loop, Timer *timer, uint64_t delay_ms, TimerFn fn); /* ctx: the loop */
void loop_disarm(Loop *loop, Timer *timer);

/* Until loop_end(). The exit status. From its beginning on, SIGINT, SIGTERM and SIGHUP come to the
 * loop alone: what stands before it may wait, and is ended by them as anything else is. */
int loop_run(Loop *loop);

/* The same for what stands behind it. */
void loop_leave_signals(void);

/* The first one decides the status. */
void loop_end(Loop *loop, int status);
