/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The event loop of long-running commands: clients, children, standard input, timers and signals in
 * one epoll set. It blocks only in writes to standard output whose reader is slow. That is
 * intended: the broker then sees a slow subscriber, and counts the messages that it misses.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/timers.h"
#include "clients/cli/run/cli.h"

typedef struct Loop Loop;
typedef struct Watch Watch;

/* A member of the object that it watches. */
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

    /* Called for SIGINT (also on SIGHUP) and SIGTERM. NULL: the loop ends, with status 130 or 0.
     * The second SIGINT always ends the loop. */
    void (*on_signal)(Loop *loop, int signal, void *ctx);
    void *ctx;
    unsigned interrupts;
    void (*on_child)(void); /* as process 1: called when a child has ended; may be NULL */
};

/* Returns an exit status. */
int cli_loop_init(Loop *loop, Cli *cli);
void cli_loop_deinit(Loop *loop); /* accepts a zero loop, and one whose cli_loop_init() failed */

/* Ends the loop when the reader of standard output is gone, without waiting for the next write: in
 * `ferry sub news | head -1` there may be no next write. */
void loop_watch_output(Loop *loop);

/* Puts the client in loop mode. It must outlive loop_run(). Returns an exit status. */
int loop_add_client(Loop *loop, ferry_client *client);

/* 0; -EPERM: a regular file, which is always ready; other errors of epoll_ctl(). */
int loop_watch(Loop *loop, Watch *watch, uint32_t events);
void loop_unwatch(Loop *loop, Watch *watch);

void loop_arm(Loop *loop, Timer *timer, uint64_t delay_ms, TimerFn fn); /* ctx: the loop */
void loop_disarm(Loop *loop, Timer *timer);

/* Runs until loop_end() and returns the exit status. From here on SIGINT, SIGTERM and SIGHUP are
 * delivered to the loop; before, they end the process as usual. */
int loop_run(Loop *loop);

/* Restores the default signals for the code after the loop. */
void loop_leave_signals(void);

/* The first call decides the status. */
void loop_end(Loop *loop, int status);
