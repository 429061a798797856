/* SPDX-License-Identifier: Apache-2.0 */
/* Reads replies from the socket and completes their commands. See conn-private.h. */

#include <errno.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "cache/connection/conn-private.h"

enum {
    SLICE = 4096, /* bytes fed to the parser at once */
    READS_PER_TURN = 16,
    BATCH = 64, /* replies completed under one lock */
};

static int take_reply(Conn *conn, Reply *reply) {
    ConnSlot *slot;

    if (conn->state == CONN_GREETING) {
        conn_take_greeting(conn, reply);
        reply_free(reply);
        return conn->fd >= 0 ? 0 : -ECONNRESET;
    }
    if (conn->options.push) {
        conn->options.push(reply, conn->options.ctx);
        return 0;
    }
    if (conn->head == conn->sent) {
        reply_free(reply);
        return -EPROTO; /* a reply without a command */
    }
    slot = &conn->slots[conn->head++ & conn->mask];
    if (slot->request)
        conn_finish(slot->request, reply, 0, NULL);
    else
        reply_free(reply);
    return 0;
}

/* Completes the commands of all parsed replies. Call it without the lock; it takes the lock itself.
 */
static int take_replies(Conn *conn) {
    Reply *batch[BATCH];
    size_t n;
    int r;

    do {
        int taken = 0;

        r = 0;
        for (n = 0; n < BATCH; n++) {
            r = reply_reader_next(&conn->reader, &batch[n]);
            if (r < 0 || !batch[n])
                break;
        }
        conn_lock(conn);
        for (size_t i = 0; i < n; i++)
            if (taken < 0)
                reply_free(batch[i]);
            else
                taken = take_reply(conn, batch[i]);
        conn_unlock(conn);
        r = r < 0 ? r : taken;
    } while (r >= 0 && n == BATCH);
    return r;
}

/* Parses in slices, because hiredis 0.14 moves its whole buffer to the front after every kilobyte.
 */
static int parse(Conn *conn, size_t n) {
    for (size_t at = 0; at < n;) {
        size_t left = n - at,
               slice = conn->reader.guard.bulk_left > SLICE || left < SLICE ? left : SLICE;
        int fed = reply_reader_feed(&conn->reader, conn->bytes + at, slice);
        int taken = take_replies(conn); /* replies before a malformed one are still valid */

        if (fed < 0 || taken < 0)
            return fed < 0 ? fed : taken;
        at += slice;
    }
    return 0;
}

/* Reads and parses the available bytes, within bounds. 0, or a negative errno: the connection must
 * be closed. The lock is not held. */
static int receive(Conn *conn) {
    for (int i = 0; i < READS_PER_TURN; i++) {
        ssize_t n = conn->tls ? tls_receive(conn->tls, conn->bytes, sizeof(conn->bytes))
                              : recv(conn->fd, conn->bytes, sizeof(conn->bytes), MSG_DONTWAIT);
        int r;

        if (n == 0)
            return -ECONNRESET;
        if (n < 0)
            return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? 0 : -ECONNRESET;
        r = parse(conn, (size_t)n);
        if (r < 0)
            return r;
        /* TLS returns one record at a time. */
        if (!conn->tls && (size_t)n < sizeof(conn->bytes))
            return 0;
    }
    return 0;
}

void conn_read_turn(Conn *conn) {
    int r;

    conn_unlock(conn);
    r = receive(conn);
    conn_lock(conn);
    conn->heard_ns = clock_ns();
    if (r == 0 || conn->fd < 0)
        return; /* a refused greeting has already closed the connection */
    if (r == -ECONNRESET && conn->state == CONN_GREETING && conn->tls && tls_problem(conn->tls))
        conn_refuse(conn, -EACCES, tls_problem(conn->tls));
    else if (r == -EPROTO && conn->state == CONN_GREETING)
        conn_refuse(conn, r,
                    conn->reader.problem ? conn->reader.problem : "the server is not Redis");
    else if (r == -EPROTO)
        conn_lose(conn, r,
                  conn->reader.problem ? conn->reader.problem : "a reply without a command");
    else
        conn_lose(conn, r, NULL);
}
