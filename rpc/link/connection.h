/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One connection, the same at both ends: a non-blocking stream socket that speaks ZMTP. It reads
 * frames into a block where they stay, sends the frames that an outbox releases, answers PINGs, and
 * knows from the bytes that move whether the other end is alive. It has no thread and no loop of
 * its own.
 */

#include "rpc/link/inbox.h"
#include "rpc/link/outbox.h"
#include "rpc/zmtp/curve.h"

enum {
    CONNECTION_READ_MAX = 256 * 1024, /* bytes of one read */
    CONNECTION_PING_AFTER_MS = 2500,  /* silence after which a PING is sent */
    CONNECTION_SILENCE_MAX_MS = 6000, /* silence after which the connection is closed */
};

/* Receives input while no frame is incomplete: a hub has one for all its connections. */
typedef struct ReadBuffer {
    uint8_t *data;
    size_t size;
} ReadBuffer;

typedef struct Connection {
    int fd; /* -1: closed */
    Zmtp zmtp;
    Curve *curve; /* the state of zmtp; NULL: the connection has no keys */
    bool trusted; /* the peer may have a block of the size that a frame's head declares */
    /* Bytes that were read and not yet handled lie from at to end: in the block or in the
     * ReadBuffer. */
    const ReadBuffer *buffer;
    uint8_t *block; /* of ferry_alloc(); NULL: no frame is incomplete */
    size_t cap;
    uint8_t *at, *end;
    uint8_t *landing;    /* the next bytes go there: the rest of a PART's body */
    size_t landing_left; /* 0: no body is landing */
    bool is_drained;     /* the last read left no bytes in the socket */
    /* Frames that are being sent, the first of them from sending_at on. */
    Chunk *sending, *last_sending;
    Chunk *spent; /* sent, but their bodies are not released yet: the owner's thread does this */
    size_t sending_at, sending_bytes;
    size_t sending_memory; /* of these frames */
    unsigned n_sending;
    /* Signs of life. */
    uint64_t alive_ms;  /* the last one */
    uint64_t looked_ms; /* last check for the answer to a PING */
    int64_t written, acknowledged;
    int64_t ping_ends_at; /* position among the written bytes; INT64_MAX: the PING waits; 0: no PING
                             is in flight */
} Connection;

/* Takes over a connected or connecting socket. If buffer is NULL, all input is read into the block,
 * so that it can be held. keys: NULL: the connection is neither encrypted nor authenticated.
 * -ENOMEM: fd is still the caller's. */
int connection_open(Connection *connection, int fd, bool is_hub, const ReadBuffer *buffer,
                    const CurveKeys *keys, uint64_t now_ms);

/* The public key that the other end of a hub's connection has proved to own; NULL: it has no key,
 * or its handshake is not over. */
static inline const uint8_t *connection_key(const Connection *connection) {
    bool has_key =
        connection->curve && connection->zmtp.is_server && connection->zmtp.stage == ZMTP_OPEN;

    return has_key ? connection->curve->client_key : NULL;
}

/* Closes the socket and drops all waiting data. */
void connection_close(Connection *connection);

/* Reads once. 1: bytes arrived. 0: no bytes to read. A negative errno: the connection ended;
 * -ENODATA: the other end closed it in order. */
int connection_read(Connection *connection, uint64_t now_ms);

/* The next event in the bytes that were read. With ZMTP_EVENT_MESSAGE, *ret_message lies in these
 * bytes until the next read. With ZMTP_EVENT_MORE, the incomplete frame has moved out of the
 * ReadBuffer. If the frame is a PART of a transfer that the inbox (may be NULL) has, the rest of
 * its body is read into the transfer, and the message has an empty body in its place. -ENOMEM. */
int connection_next(Connection *connection, Inbox *inbox, Span *ret_message);

/* Gives back a large block without unhandled bytes: for a connection that expects none soon. */
void connection_trim(Connection *connection);

/* Sends the output of the codec and the chunks that the outbox (may be NULL) releases, with one
 * system call unless they are very many. 0: all of it is in the socket. -EAGAIN: the socket is
 * full. Another negative errno: the connection ended. */
int connection_send(Connection *connection, Outbox *outbox);

/* Sends the rest of what connection_send() began, and a PING between two frames. Another thread may
 * call it while the owner reads, but not while the owner sends, looks or closes. */
void connection_beat(Connection *connection);

/* True: there is something to send that does not come from the outbox. */
static inline bool connection_has_output(const Connection *connection) {
    return connection->sending || zmtp_has_output(&connection->zmtp);
}

/* To be called at connection_next_look(). False: for too long, the other end has been silent or has
 * taken no bytes. After true there may be a PING to send. */
bool connection_look(Connection *connection, uint64_t now_ms);
uint64_t connection_next_look(const Connection *connection);

/* Memory of bytes that were read and not handled. */
static inline size_t connection_input_memory(const Connection *connection) {
    return connection->block ? connection->cap : 0;
}
