/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One connection, the same at both ends: a non-blocking stream socket that speaks ZMTP. It reads
 * frames into a block where they stay, sends what an outbox lets go, answers PINGs, and knows from
 * the bytes that move whether the other end is alive. It has no thread and no loop of its own.
 */

#include "rpc/link/outbox.h"
#include "rpc/zmtp/zmtp.h"

enum {
    CONNECTION_READ_MAX = 256 * 1024, /* bytes of one read */
    CONNECTION_PING_AFTER_MS = 2500,  /* silence after which the other end is sent a PING */
    CONNECTION_SILENCE_MAX_MS = 6000, /* silence after which it is given up */
};

/* What is read into while no frame is incomplete: a hub has one for all its connections. */
typedef struct ReadBuffer {
    uint8_t *data;
    size_t size;
} ReadBuffer;

typedef struct Connection {
    int fd; /* -1: closed */
    Zmtp zmtp;
    bool trusted; /* it may have a block of the size that a frame's head declares */
    /* Bytes that were read and not handled lie from at to end: in the block or in the ReadBuffer.
     */
    const ReadBuffer *buffer;
    uint8_t *block; /* of ferry_alloc(); NULL: no frame is incomplete */
    size_t cap;
    uint8_t *at, *end;
    /* Frames on their way into the socket, the first of them from sending_at on. */
    Chunk *sending, *last_sending;
    size_t sending_at, sending_bytes;
    unsigned n_sending;
    /* Signs of life. */
    uint64_t alive_ms;  /* the last one */
    uint64_t looked_ms; /* for the answer to a PING */
    int64_t written, acknowledged;
    int64_t ping_ends_at; /* in the bytes written; INT64_MAX: it waits; 0: no PING is out */
} Connection;

/* Takes over a connected or connecting socket. buffer may be NULL: then all is read into the block,
 * so that what comes can be held. */
void connection_open(Connection *connection, int fd, bool is_hub, const ReadBuffer *buffer,
                     uint64_t now_ms);

/* Closes the socket and forgets all that waits. */
void connection_close(Connection *connection);

/* Reads once. 1: something came. 0: nothing is there. A negative errno: the connection ended;
 * -ENODATA: the other end closed it in order. */
int connection_read(Connection *connection, uint64_t now_ms);

/* The next event in what was read; with ZMTP_EVENT_MESSAGE *ret_message lies where it was read,
 * until the next read. With ZMTP_EVENT_MORE, what is incomplete has moved out of the ReadBuffer.
 * -ENOMEM. */
int connection_next(Connection *connection, Span *ret_message);

/* Sends what the codec has to say and what the outbox lets go, with one system call unless that is
 * a great deal. 0: all of it is in the socket. -EAGAIN: the socket is full. Another negative errno:
 * the connection ended. */
int connection_send(Connection *connection, Outbox *outbox);

/* Is there something to send that needs no outbox? */
static inline bool connection_has_output(const Connection *connection) {
    return connection->sending || zmtp_has_output(&connection->zmtp);
}

/* To be called at connection_next_look(). False: the other end is silent, or takes nothing, for too
 * long. After true there may be a PING to send. */
bool connection_look(Connection *connection, uint64_t now_ms);
uint64_t connection_next_look(const Connection *connection);

/* Bytes that it holds: read and not handled, and on their way into the socket. */
static inline size_t connection_bytes(const Connection *connection) {
    return (connection->block ? connection->cap : 0) + connection->sending_bytes;
}
