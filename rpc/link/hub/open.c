/* SPDX-License-Identifier: Apache-2.0 */
/* Creates a hub, listens, accepts connections. See hub-private.h. */

#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/container.h"
#include "base/error.h"
#include "rpc/address/endpoint.h"
#include "rpc/link/hub/hub-private.h"

enum {
    FD_RESERVE = 64,         /* descriptors reserved for the broker itself */
    BUFFER_SIZE = 64 * 1024, /* a larger one would make other peers wait behind a busy peer */
    ACCEPT_PAUSE_MS = 100,   /* pause after the process has run out of descriptors */
};

static unsigned connection_limit(const HubOptions *options) {
    struct rlimit limit;
    unsigned most = 1024;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        most = limit.rlim_cur > 1000000 ? 1000000 : (unsigned)limit.rlim_cur;
    most = most > 2 * FD_RESERVE ? most - FD_RESERVE : most / 2;
    return options->max_connections > 0 && options->max_connections < most
               ? options->max_connections
               : most;
}

int hub_new(Hub **ret, const HubOptions *options, ferry_error *reterr) {
    Hub *hub = calloc(1, sizeof(*hub));
    int r = 0;

    if (!hub)
        return error_set_code(reterr, -ENOMEM, NULL);
    hub->options = *options;
    hub->own_fd = -1;
    hub->options.max_connections = connection_limit(options);
    if (!options->budget)
        hub->options.budget = &hub->no_budget;
    hub->spin.limit_us = options->spin_us;
    hub->now_ms = clock_ms();
    timers_init(&hub->timers, hub->now_ms);
    hub->buffer = (ReadBuffer){malloc(BUFFER_SIZE), BUFFER_SIZE};
    hub->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (hub->epoll_fd < 0)
        r = -errno;
    else if (!hub->buffer.data)
        r = -ENOMEM;
    else if (options->beats)
        r = heartbeat_ref();
    if (r < 0) {
        hub->options.beats = false; /* hub_free() has no heartbeats to release */
        hub_free(hub);
        return error_set_code(reterr, r, NULL);
    }
    hub_begin_looking(hub);
    *ret = hub;
    return 0;
}

/* Removes the socket file, unless another broker has replaced it by its own. */
static void close_listener(const Listener *listener) {
    struct stat status;

    close(listener->fd);
    if (listener->path[0] && stat(listener->path, &status) == 0 && status.st_ino == listener->inode)
        unlink(listener->path);
}

Hub *hub_free(Hub *hub) {
    if (!hub)
        return NULL;
    for (int stage = 0; stage < N_STAGES; stage++)
        while (hub->stages[stage])
            peer_free(hub->stages[stage]);
    places_free(hub);
    for (unsigned i = 0; i < hub->n_listeners; i++)
        close_listener(&hub->listeners[i]);
    if (hub->options.beats)
        heartbeat_unref();
    if (hub->epoll_fd >= 0)
        close(hub->epoll_fd);
    free(hub->buffer.data);
    free(hub);
    return NULL;
}

/* ---- listening ---- */

static int bind_error(const char *endpoint, int r, ferry_error *reterr) {
    switch (r) {
    case -EADDRINUSE:
        return error_set_code(
            reterr, r, "%s is taken: another broker, or another program, listens there", endpoint);
    case -EEXIST:
        return error_set(reterr, "ferry.AlreadyExists",
                         "cannot listen on %s: a file of that name exists and is not a socket",
                         endpoint);
    default:
        return error_set_code(reterr, r, "cannot listen on %s: %s", endpoint,
                              r == -ENODEV ? "its host was not found" : strerror(-r));
    }
}

int hub_bind(Hub *hub, const char *endpoint, char ret_endpoint[SOCKET_ENDPOINT_MAX],
             ferry_error *reterr) {
    Listener *listener = &hub->listeners[hub->n_listeners];
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = EVENT_LISTENER + hub->n_listeners};
    const char *path = endpoint_path(endpoint);
    char bound[SOCKET_ENDPOINT_MAX];
    struct stat status;
    int r;

    if (hub->n_listeners == LISTENERS_MAX)
        return error_set_code(reterr, -ENOSPC, "a broker listens on at most %d endpoints",
                              LISTENERS_MAX);
    r = socket_listen(endpoint, hub->options.ipc_mode, &listener->fd, bound);
    if (r < 0)
        return bind_error(endpoint, r, reterr);
    if (epoll_ctl(hub->epoll_fd, EPOLL_CTL_ADD, listener->fd, &event) < 0) {
        r = -errno;
        close(listener->fd);
        return bind_error(endpoint, r, reterr);
    }
    snprintf(listener->path, sizeof(listener->path), "%s", path ? path : "");
    listener->inode = path && stat(path, &status) == 0 ? status.st_ino : 0;
    hub->n_listeners++;
    if (ret_endpoint)
        snprintf(ret_endpoint, SOCKET_ENDPOINT_MAX, "%s", bound);
    return 0;
}

/* ---- accepting ---- */

static void watch_listeners(Hub *hub, uint32_t events) {
    for (unsigned i = 0; i < hub->n_listeners; i++) {
        struct epoll_event event = {.events = events, .data.u64 = EVENT_LISTENER + i};

        epoll_ctl(hub->epoll_fd, EPOLL_CTL_MOD, hub->listeners[i].fd, &event);
    }
}

static void on_accept_again(Timer *timer, void *ctx) {
    (void)ctx;
    watch_listeners(container_of(timer, Hub, accept_again), EPOLLIN);
}

/* Without a free descriptor the connection stays in the kernel's queue, and epoll would report it
 * again at once. */
static void pause_accepting(Hub *hub) {
    watch_listeners(hub, 0);
    timer_arm(&hub->timers, &hub->accept_again, hub->now_ms + ACCEPT_PAUSE_MS, on_accept_again);
}

static void accept_one(Hub *hub, int fd, const SocketAddress *address) {
    Origin *origin = NULL;
    const char *problem = place_take(hub, address, &origin);
    char text[SOCKET_TEXT_MAX];

    if (!problem) {
        peer_new(hub, fd, address, origin);
        return;
    }
    socket_text(fd, &address->any, text);
    if (hub->options.on_refused)
        hub->options.on_refused(problem, false, text, hub->options.ctx);
    close(fd);
}

void hub_accept(Hub *hub, Listener *listener) {
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        SocketAddress address = {0};
        socklen_t len = sizeof(address);
        int fd = accept4(listener->fd, &address.any, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return;
        if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)) {
            pause_accepting(hub);
            return;
        }
        if (fd < 0)
            continue;
        socket_unmap(&address);
        accept_one(hub, fd, &address);
    }
}
