/* SPDX-License-Identifier: Apache-2.0 */
/* The commands of a connection, from conn_put() to their reply or failure. See conn-private.h. */

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cache/connection/conn-private.h"

enum { BUFFER_KEPT = 1024 * 1024 /* a larger buffer is freed when it is empty */ };

/* ---- putting ---- */

static uint8_t *put_count(uint8_t *to, char type, size_t n) {
    char digits[20];
    int len = 0;

    *to++ = (uint8_t)type;
    do
        digits[len++] = (char)('0' + n % 10);
    while ((n /= 10) > 0);
    while (len > 0)
        *to++ = (uint8_t)digits[--len];
    *to++ = '\r';
    *to++ = '\n';
    return to;
}

void conn_format(Buffer *to, const Span *args, size_t n) {
    size_t size = CONN_FORMAT_MAX(n);
    uint8_t *at, *start;

    for (size_t i = 0; i < n; i++)
        size += args[i].len;
    start = at = buffer_reserve(to, size);
    if (!at)
        return;
    at = put_count(at, '*', n);
    for (size_t i = 0; i < n; i++) {
        at = put_count(at, '$', args[i].len);
        if (args[i].len > 0)
            memcpy(at, args[i].data, args[i].len);
        at += args[i].len;
        *at++ = '\r';
        *at++ = '\n';
    }
    to->len += (size_t)(at - start);
}

static int grow_slots(Conn *conn) {
    size_t n = conn->slots ? (conn->mask + 1) * 2 : 64;
    ConnSlot *slots = malloc(n * sizeof(*slots));

    if (!slots)
        return -ENOMEM;
    for (uint64_t seq = conn->head; conn->slots && seq < conn->tail; seq++)
        slots[seq & (n - 1)] = conn->slots[seq & conn->mask];
    free(conn->slots);
    conn->slots = slots;
    conn->mask = n - 1;
    return 0;
}

static int put_slot(Conn *conn, const Span *args, size_t n, ConnRequest *request) {
    size_t before = conn->out.len;

    if (conn->tail - conn->head >= CONN_PENDING_MAX || conn->out.len > CONN_OUT_MAX)
        return -ENOBUFS;
    if ((!conn->slots || conn->tail - conn->head > conn->mask) && grow_slots(conn) < 0)
        return -ENOMEM;
    conn_format(&conn->out, args, n);
    if (conn->out.failed) {
        conn->out.failed = false;
        conn->out.len = before;
        return -ENOMEM;
    }
    conn->slots[conn->tail++ & conn->mask] =
        (ConnSlot){request, !request, (uint32_t)(conn->out.len - before)};
    return 0;
}

int conn_put(Conn *conn, const Span *args, size_t n, ConnRequest *request) {
    int r = put_slot(conn, args, n, request);

    if (r < 0)
        return r;
    request->reply = NULL;
    request->status = 0;
    request->problem = NULL;
    request->seq = conn->tail - 1;
    if (request->waiter)
        request->waiter->pending++;
    return 0;
}

int conn_put_unanswered(Conn *conn, const Span *args, size_t n) {
    return put_slot(conn, args, n, NULL);
}

/* ---- sending ---- */

void conn_wake_leader(Conn *conn) {
    uint64_t one = 1;
    ssize_t ignored = write(conn->wake_fd, &one, sizeof(one));

    (void)ignored; /* a full counter means that the leader is awake */
}

void conn_tell(Conn *conn, const Span *args, size_t n) {
    conn_lock(conn);
    if (conn->state == CONN_UP && conn->out.len < CONN_OUT_MAX) {
        conn_format(&conn->out, args, n);
        conn->out.failed = false;
        conn_flush(conn);
    }
    conn_unlock(conn);
}

static void next_wire(Conn *conn) {
    Buffer empty = conn->wire;

    if (empty.cap > BUFFER_KEPT)
        buffer_deinit(&empty);
    buffer_reset(&empty);
    conn->wire = conn->out;
    conn->wire_at = 0;
    conn->out = empty;
    conn->sent = conn->tail;
}

/* Returns the bytes to send now. The login is sent from its own memory. Until the connection is up,
 * only the greeting is sent, which is in wire. */
static Span next_bytes(Conn *conn) {
    if (conn->login.len > 0)
        return conn->login;
    if (conn->wire_at == conn->wire.len && conn->state == CONN_UP)
        next_wire(conn);
    return (Span){conn->wire.data + conn->wire_at, conn->wire.len - conn->wire_at};
}

static void were_sent(Conn *conn, size_t n) {
    if (conn->login.len > 0)
        conn->login = (Span){conn->login.data + n, conn->login.len - n};
    else
        conn->wire_at += n;
    conn->blocked = false;
}

/* Commands that other threads append during a send leave with the next send of this thread. */
void conn_flush(Conn *conn) {
    Span bytes;

    if (conn->sending || conn->broken || (conn->state != CONN_UP && conn->state != CONN_GREETING))
        return;
    conn->sending = true;
    while (!conn->broken && (bytes = next_bytes(conn)).len > 0) {
        int fd = conn->fd;
        Tls *tls = conn->tls;
        ssize_t n;
        int problem;

        conn_unlock(conn);
        n = tls ? tls_send(tls, bytes.data, bytes.len)
                : send(fd, bytes.data, bytes.len, MSG_NOSIGNAL | MSG_DONTWAIT);
        problem = errno;
        conn_lock(conn);
        if (n >= 0) {
            were_sent(conn, (size_t)n);
        } else if (problem == EAGAIN || problem == EWOULDBLOCK) {
            conn->blocked = true;
            conn_wake_leader(conn);
            break;
        } else if (problem != EINTR) {
            conn->broken = true;
            shutdown(fd, SHUT_RDWR); /* wakes the leader */
        }
    }
    conn->sending = false;
    conn_watch_again(conn, EPOLL_CTL_MOD);
}

/* ---- the end of commands ---- */

void conn_finish(ConnRequest *request, Reply *reply, int status, const char *problem) {
    request->reply = reply;
    request->status = status;
    request->problem = problem;
    request->seq = 0;
    if (!request->waiter) {
        request->done(request);
        return;
    }
    /* The request may be freed as soon as the lock is released. */
    if (--request->waiter->pending == 0)
        pthread_cond_signal(&request->waiter->wake);
}

void conn_fail_until(Conn *conn, uint64_t end, int status, const char *problem) {
    for (; conn->head < end; conn->head++) {
        ConnSlot *slot = &conn->slots[conn->head & conn->mask];

        if (slot->request)
            conn_finish(slot->request, NULL, status, problem);
    }
}

void conn_drop_given_up(Conn *conn) {
    size_t from = 0, to = 0;
    uint64_t kept = conn->head;

    assert(conn->head == conn->sent);
    if (conn->options.push)
        conn->out.len = 0;
    for (uint64_t seq = conn->head; seq < conn->tail; seq++) {
        ConnSlot slot = conn->slots[seq & conn->mask];

        if (slot.request || slot.unanswered) {
            memmove(conn->out.data + to, conn->out.data + from, slot.size);
            to += slot.size;
            if (slot.request)
                slot.request->seq = kept;
            conn->slots[kept++ & conn->mask] = slot;
        }
        from += slot.size;
    }
    conn->out.len = to;
    conn->tail = kept;
}

void conn_give_up(Conn *conn, ConnWaiter *waiter) {
    int status = conn->state == CONN_UP ? -ETIMEDOUT : -ENOTCONN;

    for (uint64_t seq = conn->head; seq < conn->tail && waiter->pending > 0; seq++) {
        ConnSlot *slot = &conn->slots[seq & conn->mask];

        if (slot->request && slot->request->waiter == waiter) {
            ConnRequest *request = slot->request;

            slot->request = NULL;
            /* An unsent command was certainly not executed. */
            conn_finish(request, NULL, seq < conn->sent ? -ETIMEDOUT : status, conn->problem);
        }
    }
    if (conn->state != CONN_UP && conn->head == conn->sent)
        conn_drop_given_up(conn);
}
