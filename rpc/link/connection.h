/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One connection: a non-blocking stream socket that speaks ZMTP. Clients and brokers use the same
 * code. It reads frames into a block without copying them again, sends the frames that an outbox
 * releases, answers PINGs, and checks by the bytes that move whether the other end is alive. It has
 * no thread and no loop of its own.
 */

#include "rpc/link/heartbeat.h"
#include "rpc/link/inbox.h"
#include "rpc/link/outbox.h"
#include "rpc/zmtp/curve.h"

enum {
    CONNECTION_READ_MAX = 256 * 1024, /* most bytes of one read */
    CONNECTION_PING_AFTER_MS = 2500,  /* silence after which a PING is sent */
    CONNECTION_SILENCE_MAX_MS = 6000, /* silence after which the connection is closed */
};

/* Memory for input while no frame is incomplete. A hub shares one among all its connections. */
typedef struct ReadBuffer {
    uint8_t *data;
    size_t size;
} ReadBuffer;

typedef struct Connection {
    int fd; /* -1: closed */
    Zmtp zmtp;
    Curve *curve; /* state of the encryption; NULL: the connection has no keys */
    bool trusted; /* the peer gets a block of the size that a frame's head declares */
    /* Received bytes that are not handled yet: from `at` to `end`, in the block or in the
     * ReadBuffer. */
    const ReadBuffer *buffer;
    uint8_t *block; /* of ferry_alloc(); NULL: no frame is incomplete */
    size_t cap;
    uint8_t *at, *end;
    uint8_t *landing;    /* memory for the rest of a PART's body, which is read next */
    size_t landing_left; /* 0: no body is landing */
    bool is_drained;     /* the last read left no bytes in the socket */
    /* Frames that are being sent. The first one continues at byte sending_at. */
    Chunk *sending; /* utlist */
    Chunk *spent;   /* sent; the owner's thread will release their bodies */
    size_t sending_at, sending_bytes;
    size_t sending_memory; /* memory of the frames in `sending` and `spent` */
    unsigned n_sending;
    size_t unsent; /* bytes that the last connection_send() left in `sending` */
    /* Signs of life. */
    Heart heart;        /* for heart_start(); connection_close() stops it */
    uint64_t alive_ms;  /* the last one */
    uint64_t looked_ms; /* last check for the answer to a PING */
    int64_t written, acknowledged;
    int64_t ping_ends_at; /* position of the PING's end among the written bytes; INT64_MAX: the PING
                             is not sent yet; 0: no PING is in flight */
} Connection;

/* Takes over a connected or connecting socket. If buffer is NULL, all input is read into the block,
 * so that it can be held. If keys is NULL, the connection is neither encrypted nor authenticated.
 * -ENOMEM: the caller still owns fd. */
int connection_open(Connection *connection, int fd, bool is_hub, const ReadBuffer *buffer,
                    const CurveKeys *keys, uint64_t now_ms);

/* For a hub's connection: the public key that the client has proved to own; NULL: the client has no
 * key, or its handshake is not over. */
static inline const uint8_t *connection_key(const Connection *connection) {
    bool has_key =
        connection->curve && connection->zmtp.is_server && connection->zmtp.stage == ZMTP_OPEN;

    return has_key ? connection->curve->client_key : NULL;
}

/* Closes the socket and drops all waiting data. */
void connection_close(Connection *connection);

/* Reads once. 1: bytes arrived. 0: no bytes to read. A negative errno: the connection ended;
 * -ENODATA: the other end closed the connection in order. */
int connection_read(Connection *connection, uint64_t now_ms);

/* Returns the next event in the received bytes. With ZMTP_EVENT_MESSAGE, *ret_message points into
 * these bytes and is valid until the next read. With ZMTP_EVENT_MORE, an incomplete frame has moved
 * out of the ReadBuffer. If that frame is a PART of a transfer that the inbox (may be NULL) knows,
 * the rest of its body is read straight into the transfer, and the message has an empty body.
 * -ENOMEM. */
int connection_next(Connection *connection, Inbox *inbox, Span *ret_message);

/* Frees a large block without unhandled bytes. For a connection that expects no input soon. */
void connection_trim(Connection *connection);

/* Sends ZMTP's own output and the chunks that the outbox (may be NULL) releases, with one system
 * call for each SEND_MAX bytes. 0: the socket has taken all of it. -EAGAIN: the socket is full.
 * Another negative errno: the connection ended. */
int connection_send(Connection *connection, Outbox *outbox);

/* Sends the rest of the frames that connection_send() began, and then a PING. The thread of the
 * heartbeats calls it with the heart's lock. */
void connection_beat(Connection *connection);

/* True: frames from outside the outbox wait to be sent. */
static inline bool connection_has_output(const Connection *connection) {
    return connection->unsent > 0 || zmtp_has_output(&connection->zmtp);
}

/* Call it at the time that connection_next_look() returns. False: the other end has been silent, or
 * has accepted no bytes, for too long. After true a PING may wait to be sent. */
bool connection_look(Connection *connection, uint64_t now_ms);
uint64_t connection_next_look(const Connection *connection);

/* Memory of received bytes that are not handled yet. */
static inline size_t connection_input_memory(const Connection *connection) {
    return connection->block ? connection->cap : 0;
}
