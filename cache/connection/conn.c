/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a connection, its leader, and waiting. See conn.h and conn-private.h. */

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/cond.h"
#include "cache/connection/conn-private.h"

/* ---- life ---- */

int conn_new(Conn **ret, const ConnOptions *options) {
    Conn *conn = calloc(1, sizeof(*conn));

    if (!conn)
        return -ENOMEM;
    conn->options = *options;
    conn->fd = -1;
    conn->asks = options->n_sentinels > 0;
    conn->head = conn->sent = conn->tail = 1;
    conn->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (conn->wake_fd < 0) {
        free(conn);
        return -errno;
    }
    pthread_mutex_init(&conn->lock, NULL);
    *ret = conn;
    return 0;
}

Conn *conn_free(Conn *conn) {
    if (!conn)
        return NULL;
    conn_fail_until(conn, conn->tail, -ECANCELED, NULL);
    tls_free(conn->tls);
    if (conn->fd >= 0)
        close(conn->fd);
    close(conn->wake_fd);
    reply_reader_deinit(&conn->reader);
    resolve_deinit(&conn->resolve);
    free(conn->master.name);
    buffer_deinit(&conn->out);
    buffer_deinit(&conn->wire);
    pthread_mutex_destroy(&conn->lock);
    free(conn->watchers);
    free(conn->slots);
    free(conn);
    return NULL;
}

/* ---- one turn of the leader: called with the lock, which is released while it waits ---- */

static uint64_t sooner(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

static int wait_for(struct pollfd *fds, nfds_t n, uint64_t until_ns) {
    uint64_t now = clock_ns(), left = until_ns > now ? until_ns - now : 0;
    struct timespec wait = {.tv_sec = (time_t)(left / 1000000000),
                            .tv_nsec = (long)(left % 1000000000)};

    return ppoll(fds, n, &wait, NULL);
}

static void turn(Conn *conn, uint64_t until_ns) {
    struct pollfd fds[2];
    uint64_t stop_ns = until_ns, now = clock_ns();

    assert(!conn->leading);
    conn->leading = true;
    if (conn->state == CONN_RESOLVING || (conn->state == CONN_CLOSED && now >= conn->retry_ns))
        conn_start(conn, until_ns);
    if (conn->state == CONN_CLOSED)
        stop_ns = sooner(until_ns, conn->retry_ns);
    else if (conn->state != CONN_UP)
        stop_ns = sooner(until_ns, conn->attempt_ends_ns);

    fds[0] = (struct pollfd){.fd = conn->wake_fd, .events = POLLIN};
    fds[1] = (struct pollfd){.fd = conn->fd, .events = (short)conn_wanted_events(conn)};
    if (conn->state != CONN_RESOLVING) {
        conn_unlock(conn);
        if (wait_for(fds, conn->fd >= 0 ? 2 : 1, stop_ns) <= 0)
            fds[0].revents = fds[1].revents = 0;
        if (fds[0].revents) {
            uint64_t ignored;
            ssize_t n = read(conn->wake_fd, &ignored, sizeof(ignored));

            (void)n;
        }
        conn_lock(conn);
        if (conn->fd < 0)
            fds[1].revents = 0;
        if (fds[1].revents && conn->state == CONN_CONNECTING)
            conn_connected(conn);
        else if (fds[1].revents && conn->state == CONN_SECURING)
            conn_secure(conn);
        else if (fds[1].revents & ~POLLOUT && conn->state >= CONN_GREETING)
            conn_read_turn(conn);
    }
    if (conn->broken)
        conn_lose(conn, -ECONNRESET, NULL);
    else if (conn->state != CONN_UP && conn->state != CONN_CLOSED &&
             clock_ns() >= conn->attempt_ends_ns)
        conn_lose(conn, -ETIMEDOUT,
                  conn->state == CONN_SECURING
                      ? "no answer to the TLS handshake: does this server speak TLS?"
                      : NULL);
    if (fds[1].revents & POLLOUT || conn->blocked)
        conn_flush(conn);
    conn_watch_again(conn, EPOLL_CTL_MOD);
    conn->leading = false;
}

/* ---- waiting ---- */

void conn_waiter_init(ConnWaiter *waiter) {
    *waiter = (ConnWaiter){.pending = 0};
    cond_init(&waiter->wake);
}

void conn_waiter_deinit(ConnWaiter *waiter) {
    pthread_cond_destroy(&waiter->wake);
}

bool conn_wait(Conn *conn, ConnWaiter *waiter, uint64_t deadline_ns) {
    struct timespec deadline = {.tv_sec = (time_t)(deadline_ns / 1000000000),
                                .tv_nsec = (long)(deadline_ns % 1000000000)};
    bool in_time = true;

    conn_lock(conn);
    DL_PREPEND(conn->waiters, waiter);
    while (waiter->pending > 0) {
        if (clock_ns() >= deadline_ns) {
            conn_give_up(conn, waiter);
            in_time = false;
        } else if (!conn->leading) {
            turn(conn, deadline_ns);
        } else {
            pthread_cond_timedwait(&waiter->wake, &conn->lock, &deadline);
        }
    }

    DL_DELETE(conn->waiters, waiter);
    /* Wake a waiting thread: it becomes the leader. */
    if (!conn->leading && conn->waiters)
        pthread_cond_signal(&conn->waiters->wake);
    conn_unlock(conn);
    return in_time;
}

void conn_abandon(Conn *conn, ConnRequest *request, int status) {
    conn_lock(conn);
    if (request->seq != 0) {
        conn->slots[request->seq & conn->mask].request = NULL;
        conn_finish(request, NULL, status, NULL);
    }
    conn_unlock(conn);
}

void conn_process(Conn *conn) {
    conn_lock(conn);
    if (!conn->leading) {
        turn(conn, 0);
        if (conn->waiters)
            pthread_cond_signal(&conn->waiters->wake);
    }
    conn_unlock(conn);
}

void conn_reset(Conn *conn) {
    conn_lock(conn);
    if (conn->fd >= 0 && !conn->broken) {
        conn->broken = true;
        shutdown(conn->fd, SHUT_RDWR);
        conn_wake_leader(conn);
    }
    conn_unlock(conn);
}

ConnState conn_state(Conn *conn) {
    ConnState state;

    conn_lock(conn);
    state = (ConnState){conn->state == CONN_UP && !conn->broken, conn->connects, conn->heard_ns};
    conn_unlock(conn);
    return state;
}
