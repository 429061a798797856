/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ferry in a libev loop:
 *
 *     ev_io io;
 *
 *     ferry_ev_attach(EV_DEFAULT, &io, client);
 *     ev_run(EV_DEFAULT, 0);
 *
 * Each client has one watcher in one loop, and one thread uses it. Call ferry_ev_detach() before
 * ferry_close().
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

/* Watches the client. Returns 0, or a negative errno of ferry_fd(). The caller owns io and must
 * keep it until it is detached. */
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

/* Stops watching. The client stays open. */
static inline void ferry_ev_detach(struct ev_loop *loop, ev_io *io) {
    ev_io_stop(loop, io);
}

#endif
