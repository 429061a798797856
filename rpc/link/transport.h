/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A client's connection to a broker: sends and receives batches, with ferry's own engine
 * (client/engine.c) or with libzmq (zmq/). Each session has a new transport.
 */

#include "rpc/link/inbox.h"
#include "rpc/link/outbox.h"
#include "rpc/zmtp/curve.h"

typedef struct Transport Transport;

/* A received batch. */
typedef struct Batch {
    Span bytes;
    const void *block;    /* the block with the bytes; the receiver frees it */
    uint64_t received_ms; /* time at which the bytes were read from the socket */
} Batch;

enum { TRANSPORT_FDS = 2 };

typedef struct TransportKind {
    /* Count the users of state that all connections of the process share. Each link is one user. */
    int (*start)(void);
    void (*stop)(void);
    /* Starts to connect. keys (may be NULL) must outlive the transport. epoll_fd watches the
     * transport's descriptors until the transport is closed. */
    int (*open)(Transport **ret, const char *endpoint, const CurveKeys *keys, int epoll_fd);
    void (*close)(Transport *transport, bool in_order); /* in order: sent bytes still arrive */
    /* 1: a batch. 0: no batch now. A negative errno: the connection has ended, after its last
     * batch. -ECONNREFUSED: no program listens at the endpoint. -EPROTO: the other end does not
     * speak ZMTP. -EACCES: the keys of the two ends do not match. */
    int (*receive)(Transport *transport, Batch *ret_batch, uint64_t now_ms);
    /* Sends the batches that the outbox releases. 0: all are sent. -EAGAIN: the socket has no
     * room. */
    int (*send)(Transport *transport, Outbox *outbox);
    /* True: receive() has work that the descriptors do not report. */
    bool (*has_input)(Transport *transport);
} TransportKind;

struct Transport {
    int fds[TRANSPORT_FDS]; /* the descriptors to wait for; -1: a place without a descriptor */
    Inbox *inbox;           /* large bodies may be read straight into it; NULL: no inbox */
    const char *problem;    /* why the connection ended; NULL: the errno is the whole reason */
    size_t unsent;          /* bytes taken out of the outbox that are not sent yet */
    uint64_t next_ms;       /* the latest time for the next receive() */
    bool is_open;           /* the connection is established and accepts batches */
    /* Results of the last read and write. The link resets them before it tries again. */
    bool is_dry;  /* the socket has no input */
    bool is_full; /* the socket has no room for output */
};

extern const TransportKind transport_engine; /* client/engine.c */
