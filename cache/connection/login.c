/* SPDX-License-Identifier: Apache-2.0 */
/* Connecting, logging in, and losing the connection. See conn-private.h. */

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/random.h"
#include "cache/connection/conn-private.h"

static void close_socket(Conn *conn) {
    /* A send never blocks, so this takes microseconds. The descriptor must not be closed, and
     * reused, during the send. */
    while (conn->sending) {
        conn_unlock(conn);
        sched_yield();
        conn_lock(conn);
    }
    if (conn->fd >= 0)
        close(conn->fd);
    conn->fd = -1;
    conn->broken = conn->blocked = false;
    reply_reader_deinit(&conn->reader);
    buffer_reset(&conn->wire);
    conn->wire_at = 0;
}

void conn_lose(Conn *conn, int status, const char *problem) {
    ConnPhase was = conn->state;
    uint32_t pause_us = conn->pause_us;

    conn->broken = true; /* no thread begins to send now */
    close_socket(conn);
    conn->state = CONN_CLOSED;
    conn_fail_until(conn, conn->sent, status, problem);
    if (was == CONN_UP && conn->options.lost)
        conn->options.lost(conn->options.ctx);
    /* Half of the pause is random, so that many clients do not reconnect at once. */
    conn->retry_ns =
        clock_ns() + pause_us * UINT64_C(500) + random_below(pause_us * UINT64_C(500) + 1);
    conn->pause_us = pause_us == 0                          ? CONN_RETRY_FIRST_US
                     : pause_us * 2 > CONN_RETRY_LONGEST_US ? CONN_RETRY_LONGEST_US
                                                            : pause_us * 2;
}

void conn_refuse(Conn *conn, int status, const char *problem) {
    conn->pause_us = CONN_RETRY_LONGEST_US;
    conn_lose(conn, status, problem);
    conn->sent = conn->tail;
    conn->out.len = 0;
    conn_fail_until(conn, conn->tail, status, problem);
}

static void greet(Conn *conn) {
    const ConnOptions *options = &conn->options;
    Buffer *to = &conn->wire;

    if (reply_reader_init(&conn->reader) < 0) {
        conn_lose(conn, -ENOMEM, NULL);
        return;
    }
    conn->greetings = conn->greeting = 0;
    if (options->password) {
        const char *user = options->user ? options->user : "default";
        Span args[] = {{(const uint8_t *)"AUTH", 4},
                       {(const uint8_t *)user, strlen(user)},
                       {(const uint8_t *)options->password, strlen(options->password)}};

        /* Redis before version 6 has no users. */
        if (!options->user)
            args[1] = args[2];
        conn_format(to, args, options->user ? 3 : 2);
        conn->greetings++;
    }
    if (options->db > 0) {
        char db[16];
        int len = snprintf(db, sizeof(db), "%u", options->db);
        Span args[] = {{(const uint8_t *)"SELECT", 6}, {(const uint8_t *)db, (size_t)len}};

        conn_format(to, args, 2);
        conn->greetings++;
    }
    conn->n_own = options->greet ? options->greet(to, options->ctx) : 0;
    conn->greetings += conn->n_own;
    /* The PING always gets an answer, which shows whether the server is Redis. */
    conn_format(to, (Span[]){{(const uint8_t *)"PING", 4}}, 1);
    conn->greetings++;
    if (to->failed) {
        conn_lose(conn, -ENOMEM, NULL);
        return;
    }
    conn->state = CONN_GREETING;
    conn_flush(conn);
}

static int open_socket(Conn *conn) {
    struct sockaddr_un path = {.sun_family = AF_UNIX};
    const struct addrinfo *at = conn->resolve.at;
    const struct sockaddr *address = conn->options.is_unix ? (struct sockaddr *)&path : at->ai_addr;
    socklen_t len = conn->options.is_unix ? sizeof(path) : at->ai_addrlen;

    if (conn->options.is_unix)
        strncpy(path.sun_path, conn->options.host.name, sizeof(path.sun_path) - 1);
    else
        conn->resolve.at = at->ai_next;
    conn->fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (conn->fd < 0)
        return -errno;
    if (!conn->options.is_unix) {
        setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        setsockopt(conn->fd, SOL_SOCKET, SO_KEEPALIVE, &(int){1}, sizeof(int));
    }
    return connect(conn->fd, address, len) < 0 ? -errno : 0;
}

static void connect_next(Conn *conn) {
    int r = open_socket(conn);

    conn->state = CONN_CONNECTING;
    if (r == -EINPROGRESS || r == 0) {
        conn_watch_again(conn, EPOLL_CTL_ADD);
        if (r == 0)
            greet(conn);
        return;
    }
    conn_lose(conn, -ENOTCONN, NULL);
    if (conn->resolve.at && !conn->options.is_unix)
        conn->retry_ns = 0;
}

void conn_start(Conn *conn, uint64_t until_ns) {
    int r = 0;

    if (conn->state == CONN_CLOSED)
        conn->attempt_ends_ns = clock_ns() + CONN_ATTEMPT_MS * UINT64_C(1000000);
    if (!conn->options.is_unix && !conn->resolve.at) {
        conn_unlock(conn);
        r = conn->resolve.asked ? resolve_poll(&conn->resolve, until_ns)
                                : resolve_begin(&conn->resolve, &conn->options.host);
        if (r == -EINPROGRESS && until_ns > 0)
            r = resolve_poll(&conn->resolve, until_ns);
        conn_lock(conn);
    }
    if (r == -EINPROGRESS)
        conn->state = CONN_RESOLVING;
    else if (r < 0)
        conn_lose(conn, r, NULL);
    else
        connect_next(conn);
}

void conn_connected(Conn *conn) {
    int problem = 0;
    socklen_t len = sizeof(problem);

    if (getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &problem, &len) == 0 && problem == 0) {
        greet(conn);
        return;
    }
    conn_lose(conn, -ENOTCONN, NULL);
    if (conn->resolve.at)
        conn->retry_ns = 0; /* try the next address of the name */
}

/* AUTH and SELECT come first, then the commands of options.greet, then PING. */
void conn_take_greeting(Conn *conn, const Reply *reply) {
    unsigned i = conn->greeting++, first_own = conn->greetings - 1 - conn->n_own;

    if (i >= first_own && i < conn->greetings - 1) {
        int r = conn->options.greeted(i - first_own, reply, conn->options.ctx);

        if (r < 0)
            conn_refuse(conn, r, "Redis does not do what the near cache needs");
        return;
    }
    if (reply->type == REPLY_ERROR && span_begins(reply_span(reply), "NOAUTH"))
        conn_refuse(conn, -EACCES, "Redis wants a password");
    else if (reply->type == REPLY_ERROR && i < first_own && i == 0 && conn->options.password)
        conn_refuse(conn, -EACCES, "Redis refuses the user or password");
    else if (reply->type == REPLY_ERROR && i < first_own)
        conn_refuse(conn, -EINVAL, "Redis has no such database");
    else if (conn->greeting == conn->greetings) {
        conn->state = CONN_UP;
        conn->pause_us = 0;
        conn->connects++;
        conn_drop_given_up(conn);
        conn_flush(conn);
    }
}
