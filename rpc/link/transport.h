/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A client's connection to a broker, by ferry's own engine (client/engine.c) or by libzmq (zmq/):
 * batches out and in. Each session has a new one.
 */

#include <poll.h>

#include "rpc/link/inbox.h"
#include "rpc/link/outbox.h"
#include "rpc/zmtp/curve.h"

typedef struct Transport Transport;

/* A received batch; TransportKind.release() ends its life. */
typedef struct Batch {
    Span bytes;
    void *block;          /* owns the bytes; NULL: libzmq's frame does */
    uint64_t received_ms; /* when they were read from the socket */
    union {
        void *alignment;
        unsigned char bytes[64];
    } frame;
} Batch;

enum { TRANSPORT_FDS = 2 };

typedef struct TransportKind {
    /* Each link counts as one user of what all connections of the process share. */
    int (*start)(void);
    void (*stop)(void);
    /* Starts to connect. keys (may be NULL) must outlive the transport. epoll_fd watches its
     * descriptors until it is closed. */
    int (*open)(Transport **ret, const char *endpoint, const CurveKeys *keys, int epoll_fd);
    void (*close)(Transport *transport, bool in_order); /* in order: sent bytes still arrive */
    bool (*is_open)(Transport *transport); /* the connection is established, and takes batches */
    /* 1: a batch. 0: no batch now. A negative errno: the connection has ended, after its last
     * batch. -ECONNREFUSED: nothing listens there. -EPROTO: the other end does not speak ZMTP.
     * -EACCES: the keys of the two ends do not fit. */
    int (*receive)(Transport *transport, Batch *ret_batch, uint64_t now_ms);
    /* The block that owns the batch's bytes; it stays the batch's. NULL: out of memory. */
    void *(*hold)(Batch *batch);
    void (*release)(Batch *batch);
    /* Sends the batches that the outbox releases. 0: all of them. -EAGAIN: there is no room for
     * more. */
    int (*send)(Transport *transport, Outbox *outbox);
    /* True: there is something to do that its descriptors do not report. */
    bool (*has_input)(Transport *transport);
    /* The descriptors to wait for, and their number; 0: do not wait. */
    int (*poll_fds)(Transport *transport, struct pollfd fds[TRANSPORT_FDS]);
    uint64_t (*next_ms)(const Transport *transport); /* the latest time for the next receive() */
} TransportKind;

struct Transport {
    const TransportKind *kind;
    Inbox *inbox;        /* large bodies may be read straight into it; NULL: not */
    const char *problem; /* why it ended; NULL: its errno says all */
    size_t unsent;       /* bytes that left the outbox and are not sent yet */
    /* Results that hold until the next time of asking. */
    bool is_dry;  /* there is no input */
    bool is_full; /* there is no room for output */
};

extern const TransportKind transport_engine; /* client/engine.c */
