/* SPDX-License-Identifier: Apache-2.0 */
/* Connecting, logging in, and losing the connection. See conn-private.h. */

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/random.h"
#include "base/secret.h"
#include "cache/connection/conn-private.h"
#include "cache/connection/number.h"

static void close_socket(Conn *conn) {
    /* Wait for the sending thread, so that the descriptor is not closed and reused during its send.
     * A send never blocks, so this takes microseconds. */
    while (conn->sending) {
        conn_unlock(conn);
        sched_yield();
        conn_lock(conn);
    }
    conn->tls = tls_free(conn->tls);
    if (conn->fd >= 0)
        close(conn->fd);
    conn->fd = -1;
    conn->broken = conn->blocked = false;
    reply_reader_deinit(&conn->reader);
    conn->login = (Span){NULL, 0};
    buffer_reset(&conn->wire);
    conn->wire_at = 0;
}

/* The server may have moved, so the next attempt begins with a Sentinel: with another one, if this
 * Sentinel did not answer. */
static void ask_next(Conn *conn, ConnPhase was) {
    if (conn->options.n_sentinels == 0)
        return;
    if (conn->asks && was != CONN_CLOSED)
        conn->sentinel++;
    conn->asks = true;
    conn->resolve.at = NULL;
}

void conn_lose(Conn *conn, int status, const char *problem) {
    ConnPhase was = conn->state;
    uint32_t pause_us = conn->pause_us;

    conn->broken = true; /* no thread begins to send now */
    close_socket(conn);
    conn->state = CONN_CLOSED;
    conn->problem = problem;
    conn_fail_until(conn, conn->sent, status, problem);
    if (was == CONN_UP && conn->options.lost)
        conn->options.lost(conn->options.ctx);
    ask_next(conn, was);
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

static Span word(const char *text) {
    return (Span){(const uint8_t *)text, strlen(text)};
}

int conn_login_new(Span *ret, const char *user, const char *password) {
    Span args[] = {word("AUTH"), word(user ? user : ""), word(password ? password : "")};
    Buffer command = {.cap = CONN_FORMAT_MAX(3) + args[0].len + args[1].len + args[2].len};

    *ret = (Span){NULL, 0};
    if (!password)
        return 0;
    command.data = secret_alloc(command.cap);
    if (!command.data)
        return -ENOMEM;
    if (!user)
        args[1] = args[2];
    conn_format(&command, args, user ? 3 : 2);
    *ret = (Span){command.data, command.len};
    return 0;
}

void conn_login_free(Span login) {
    secret_free((void *)(uintptr_t)login.data);
}

static void begin_login(Conn *conn, Span login) {
    conn->login = login;
    conn->greetings += login.len > 0;
}

static void format_question(Conn *conn) {
    begin_login(conn, conn->options.sentinel_login);
    conn_format(
        &conn->wire,
        (Span[]){word("SENTINEL"), word("get-master-addr-by-name"), word(conn->options.master)}, 3);
    conn->greetings++;
}

static void format_greeting(Conn *conn) {
    const ConnOptions *options = &conn->options;
    Buffer *to = &conn->wire;

    begin_login(conn, options->login);
    if (options->db > 0) {
        char db[16];
        int len = snprintf(db, sizeof(db), "%u", options->db);
        Span args[] = {{(const uint8_t *)"SELECT", 6}, {(const uint8_t *)db, (size_t)len}};

        conn_format(to, args, 2);
        conn->greetings++;
    }
    if (options->n_sentinels > 0) {
        conn_format(to, (Span[]){word("ROLE")}, 1);
        conn->greetings++;
    }
    conn->n_own = options->greet ? options->greet(to, options->ctx) : 0;
    conn->greetings += conn->n_own;
    /* The PING always gets an answer, which shows whether the server is Redis. */
    conn_format(to, (Span[]){word("PING")}, 1);
    conn->greetings++;
}

static void greet(Conn *conn) {
    if (reply_reader_init(&conn->reader) < 0) {
        conn_lose(conn, -ENOMEM, NULL);
        return;
    }
    conn->greetings = conn->greeting = 0;
    if (conn->asks)
        format_question(conn);
    else
        format_greeting(conn);
    if (conn->wire.failed) {
        conn_lose(conn, -ENOMEM, NULL);
        return;
    }
    conn->state = CONN_GREETING;
    conn_flush(conn);
}

/* Returns the server of this attempt: a Sentinel, the master that a Sentinel named, or the only
 * host. */
static const CacheHost *current_host(const Conn *conn) {
    const ConnOptions *options = &conn->options;

    if (conn->asks)
        return &options->sentinels[conn->sentinel % options->n_sentinels];
    return options->n_sentinels > 0 ? &conn->master : &options->host;
}

void conn_secure(Conn *conn) {
    bool wants_write = false;
    int r = tls_handshake(conn->tls, &wants_write);

    conn->blocked = wants_write;
    conn->state = CONN_SECURING;
    if (r == 0) {
        greet(conn);
    } else if (r != -EAGAIN) {
        const char *problem = tls_problem(conn->tls);

        if (problem && !conn->asks)
            conn_refuse(conn, r, problem);
        else
            conn_lose(conn, r, problem);
    }
}

static void begin(Conn *conn) {
    if (!conn->options.tls) {
        greet(conn);
    } else if (tls_new(&conn->tls, conn->options.tls, conn->fd, current_host(conn)->name) < 0) {
        conn_lose(conn, -ENOMEM, NULL);
    } else {
        conn_secure(conn);
    }
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
            begin(conn);
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
                                : resolve_begin(&conn->resolve, current_host(conn));
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
        begin(conn);
        return;
    }
    conn_lose(conn, -ENOTCONN, NULL);
    if (conn->resolve.at)
        conn->retry_ns = 0; /* try the next address of the name */
}

/* ---- the replies ---- */

static int take_address(Conn *conn, const Reply *reply) {
    Span host, port;
    CacheHost master = {0};
    int64_t number;

    if (reply->type != REPLY_ARRAY || reply->n != 2)
        return -EPROTO;
    host = reply_span(reply->elements[0]);
    port = reply_span(reply->elements[1]);
    if (host.len == 0 || host.len > 255 || memchr(host.data, 0, host.len) ||
        number_parse(port, &number) < 0 || number < 1 || number > UINT16_MAX)
        return -EPROTO;
    master = (CacheHost){strndup((const char *)host.data, host.len), (uint16_t)number};
    if (!master.name)
        return -ENOMEM;
    free(conn->master.name);
    conn->master = master;
    return 0;
}

/* The reply of a Sentinel: the next attempt connects to the server that it names. */
static void take_sentinel_reply(Conn *conn, const Reply *reply) {
    int r;

    if (reply->type == REPLY_ERROR && span_begins(reply_span(reply), "NOAUTH"))
        conn_refuse(conn, -EACCES,
                    "the Sentinel requires a password: add sentinel_login to the URL");
    else if (reply->type == REPLY_ERROR && conn->greeting < conn->greetings)
        conn_refuse(conn, -EACCES, "the Sentinel refuses the user or password");
    else if (conn->greeting < conn->greetings)
        return;
    else if (reply->type == REPLY_NIL)
        conn_refuse(conn, -EINVAL, "the Sentinel does not know a master of this name");
    else if (reply->type == REPLY_ERROR)
        conn_refuse(conn, -EPROTO, "the server is not a Sentinel");
    else if ((r = take_address(conn, reply)) < 0)
        conn_lose(conn, r, "the Sentinel's answer is not an address");
    else {
        conn_lose(conn, 0, NULL);
        conn->asks = false;
        conn->retry_ns = 0;
    }
}

static bool is_master(const Reply *reply) {
    return reply->type == REPLY_ARRAY && reply->n > 0 &&
           span_begins(reply_span(reply->elements[0]), "master");
}

/* AUTH, SELECT and ROLE come first, then the commands of options.greet, then PING. */
void conn_take_greeting(Conn *conn, const Reply *reply) {
    unsigned i = conn->greeting++, first_own = conn->greetings - 1 - conn->n_own;

    if (conn->asks) {
        take_sentinel_reply(conn, reply);
        return;
    }

    if (i >= first_own && i < conn->greetings - 1) {
        int r = conn->options.greeted(i - first_own, reply, conn->options.ctx);

        if (r < 0)
            conn_refuse(conn, r, "this Redis does not support the commands of the near cache");
        return;
    }
    if (reply->type == REPLY_ERROR && span_begins(reply_span(reply), "NOAUTH"))
        conn_refuse(conn, -EACCES, "Redis requires a password");
    else if (reply->type == REPLY_ERROR && i < first_own && i == 0 && conn->options.login.len > 0)
        conn_refuse(conn, -EACCES, "Redis refuses the user or password");
    else if (i + 1 == first_own && conn->options.n_sentinels > 0) {
        if (!is_master(reply))
            conn_lose(conn, -ENOTCONN, "a Sentinel named a server that is not a master");
    } else if (reply->type == REPLY_ERROR && i < first_own)
        conn_refuse(conn, -EINVAL, "Redis has no database of this number");
    else if (conn->greeting == conn->greetings) {
        conn->state = CONN_UP;
        conn->problem = NULL;
        conn->pause_us = 0;
        conn->connects++;
        conn_drop_given_up(conn);
        conn_flush(conn);
    }
}
