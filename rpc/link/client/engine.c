/* SPDX-License-Identifier: Apache-2.0 */
/* A client's connection through ferry's own ZMTP engine. See rpc/link/transport.h. */

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/block.h"
#include "base/clock.h"
#include "rpc/address/socket.h"
#include "rpc/link/connection.h"
#include "rpc/link/transport.h"

enum {
    CONNECT_MS = 3000,
    READS_MAX = 16, /* the turn ends after this many reads without a batch */
};

typedef struct Engine {
    Transport base;
    Connection connection;
    int epoll_fd;
    bool has_bytes;    /* some of the received bytes are not handled yet */
    bool watches_room; /* epoll reports room in the socket */
} Engine;

/* ---- opening and closing ---- */

static int open_engine(Transport **ret, const char *endpoint, const CurveKeys *keys, int epoll_fd) {
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT};
    Engine *engine = calloc(1, sizeof(*engine));
    uint64_t now_ms = clock_ms();
    int fd = -1, r;

    if (!engine)
        return -ENOMEM;
    engine->base.is_full = true; /* until the socket is connected */
    engine->watches_room = true;
    engine->base.next_ms = now_ms + CONNECT_MS;
    engine->epoll_fd = epoll_fd;
    r = socket_connect(endpoint, &fd);
    event.data.fd = fd;
    if (r == 0 && (r = connection_open(&engine->connection, fd, false, NULL, keys, now_ms)) < 0)
        close(fd);
    if (r == 0 && epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) {
        r = -errno;
        connection_close(&engine->connection);
    }
    if (r < 0) {
        free(engine);
        return r == -ENOENT ? -ECONNREFUSED : r;
    }
    engine->base.fds[0] = fd;
    engine->base.fds[1] = -1;
    *ret = &engine->base;
    return 0;
}

/* If a socket is closed with unread input, the kernel drops bytes that it has not sent yet. */
static void shut_in_order(int fd) {
    char bytes[4096];
    int n = 0;

    shutdown(fd, SHUT_WR);
    while (n++ < READS_MAX && recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
        continue;
}

static void close_engine(Transport *base, bool in_order) {
    Engine *engine = (Engine *)base;

    epoll_ctl(engine->epoll_fd, EPOLL_CTL_DEL, engine->connection.fd, NULL);
    if (in_order)
        shut_in_order(engine->connection.fd);
    connection_close(&engine->connection);
    free(engine);
}

/* ---- out ---- */

static void watch_room(Engine *engine) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = engine->connection.fd};

    if (engine->base.is_full == engine->watches_room)
        return;
    engine->watches_room = engine->base.is_full;
    if (engine->base.is_full)
        event.events |= EPOLLOUT;
    epoll_ctl(engine->epoll_fd, EPOLL_CTL_MOD, engine->connection.fd, &event);
}

/* outbox may be NULL. The caller may ignore an error of the connection: the read after the last
 * input returns it again. */
static int send_frames(Transport *base, Outbox *outbox) {
    Engine *engine = (Engine *)base;
    int r;

    if (base->is_full)
        return -EAGAIN;
    r = connection_send(&engine->connection, outbox);
    base->unsent = engine->connection.unsent;
    base->is_full = r == -EAGAIN;
    watch_room(engine);
    return r;
}

/* ---- in ---- */

/* 1: bytes arrived. 0: no bytes. A negative errno: the connection has ended. */
static int read_bytes(Engine *engine) {
    int r;

    if (engine->base.is_dry)
        return 0;
    r = connection_read(&engine->connection, clock_ms());
    engine->has_bytes |= r > 0;
    engine->base.is_dry = r >= 0 && engine->connection.is_drained;
    return r;
}

/* Ends a turn without further input: sends the engine's own output and checks the deadlines. */
static int rest(Engine *engine, uint64_t now_ms) {
    if (engine->base.is_open && !connection_look(&engine->connection, now_ms)) {
        engine->base.problem = "the broker was silent for too long";
        return -ETIMEDOUT;
    }
    connection_trim(&engine->connection);
    if (engine->base.unsent > 0 || zmtp_has_output(&engine->connection.zmtp))
        send_frames(&engine->base, NULL);
    if (engine->connection.zmtp.stage == ZMTP_GREETING && engine->connection.written == 0)
        return now_ms < engine->base.next_ms ? 0 : -ETIMEDOUT; /* it is not connected yet */
    engine->base.next_ms =
        engine->base.is_open ? connection_next_look(&engine->connection) : UINT64_MAX;
    return 0;
}

/* A broker may send any text as its reason. Only known reasons are translated and shown. */
static const char *problem_of(const Zmtp *zmtp, Span reason) {
    if (zmtp->is_denied && span_is(reason, CURVE_UNKNOWN_CLIENT))
        return "it does not know the key of this client";
    if (zmtp->is_denied && span_is(reason, CURVE_WRONG_SERVER))
        return "its key is not the server key that was given";
    return zmtp->problem;
}

static int receive(Transport *base, Batch *ret_batch, uint64_t now_ms) {
    Engine *engine = (Engine *)base;
    Connection *connection = &engine->connection;

    for (int n_reads = 0; n_reads < READS_MAX;) {
        int event = engine->has_bytes ? connection_next(connection, base->inbox, &ret_batch->bytes)
                                      : ZMTP_EVENT_MORE;
        int r;

        switch (event) {
        case ZMTP_EVENT_MESSAGE:
            ret_batch->block = ferry_keep(connection->block);
            ret_batch->received_ms = connection->alive_ms;
            return 1;
        case ZMTP_EVENT_READY:
            base->is_open = connection->trusted = true;
            heart_start(&connection->heart);
            break;
        case ZMTP_EVENT_FAILED:
            base->problem = problem_of(&connection->zmtp, ret_batch->bytes);
            send_frames(base, NULL);
            return connection->zmtp.is_denied ? -EACCES : -EPROTO;
        case -ENOMEM:
            return -ENOMEM;
        case ZMTP_EVENT_MORE:
            engine->has_bytes = false;
            r = read_bytes(engine);
            if (r < 0)
                return r;
            if (r == 0)
                return rest(engine, now_ms);
            n_reads++;
            break;
        default:
            break;
        }
    }
    return 0;
}

/* ---- waiting ---- */

static bool has_input(Transport *base) {
    return ((Engine *)base)->has_bytes;
}

const TransportKind transport_engine = {
    .start = heartbeat_ref,
    .stop = heartbeat_unref,
    .open = open_engine,
    .close = close_engine,
    .receive = receive,
    .send = send_frames,
    .has_input = has_input,
};
