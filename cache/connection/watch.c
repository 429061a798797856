/* SPDX-License-Identifier: Apache-2.0 */

/* The lock of a connection, and the epoll sets that watch its socket. See conn-private.h. */

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "cache/connection/conn-private.h"

void conn_lock(Conn *conn) {
    pthread_mutex_lock(&conn->lock);
}

void conn_unlock(Conn *conn) {
    pthread_mutex_unlock(&conn->lock);
}

uint32_t conn_wanted_events(const Conn *conn) {
    return EPOLLIN | (conn->state == CONN_CONNECTING || conn->blocked ? (uint32_t)EPOLLOUT : 0u);
}

void conn_watch_again(Conn *conn, int op) {
    struct epoll_event event = {.events = conn_wanted_events(conn)};

    if (conn->fd < 0 || (op == EPOLL_CTL_MOD && event.events == conn->watched_events))
        return;
    conn->watched_events = event.events;
    for (size_t i = 0; i < conn->n_watchers; i++)
        epoll_ctl(conn->watchers[i], op, conn->fd, &event);
}

int conn_watch(Conn *conn, int epoll_fd) {
    int *more;
    int r = 0;

    conn_lock(conn);
    more = realloc(conn->watchers, (conn->n_watchers + 1) * sizeof(int));
    if (more) {
        struct epoll_event event = {.events = conn_wanted_events(conn)};

        conn->watchers = more;
        conn->watchers[conn->n_watchers++] = epoll_fd;
        conn->watched_events = event.events;
        if (conn->fd >= 0 && epoll_ctl(epoll_fd, EPOLL_CTL_ADD, conn->fd, &event) < 0)
            r = -errno;
    } else {
        r = -ENOMEM;
    }
    conn_unlock(conn);
    return r;
}

void conn_unwatch(Conn *conn, int epoll_fd) {
    conn_lock(conn);
    for (size_t i = 0; i < conn->n_watchers; i++)
        if (conn->watchers[i] == epoll_fd) {
            conn->watchers[i] = conn->watchers[--conn->n_watchers];
            if (conn->fd >= 0)
                epoll_ctl(epoll_fd, EPOLL_CTL_DEL, conn->fd, NULL);
            break;
        }
    conn_unlock(conn);
}
