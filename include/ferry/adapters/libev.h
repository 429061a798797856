/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ferry in a libev loop:
 *
 *     ev_io io;
 *
 *     ferry_ev_attach(EV_DEFAULT, &io, client);
 *     ev_run(EV_DEFAULT, 0);
 *
 * One client, one watcher, one loop, one thread. Before ferry_close(): ferry_ev_detach().
 */
#ifndef FERRY_ADAPTERS_LIBEV_H
#define FERRY_ADAPTERS_LIBEV_H

#include <ev.h>
#include <ferry/client.h>

static inline void ferry_ev_readable(struct ev_loop *loop, ev_io *io, int events) {
    (void)loop;
    (void)events;
    ferry_process((ferry_client *)io->data, NULL);
}

/* 0, or a negative errno of ferry_fd(). io is the caller's until it is detached. */
static inline int ferry_ev_attach(struct ev_loop *loop, ev_io *io, ferry_client *client) {
    int fd = ferry_fd(client);

    if (fd < 0)
        return fd;
    io->active = io->pending = 0;
    io->priority = 0;
    io->cb = ferry_ev_readable;
    io->fd = fd;
    io->events = EV_READ | EV__IOFDSET;
    io->data = client;
    ev_io_start(loop, io);
    return 0;
}

static inline void ferry_ev_detach(struct ev_loop *loop, ev_io *io) {
    ev_io_stop(loop, io);
}

#endif
