/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What these share: link.c (its making and end, messages out, waiting), connect.c (one
 * connection after the other) and receive.c (what comes in).
 */

#include <zmq.h>

#include "rpc/link/client/link.h"
#include "rpc/link/context.h"
#include "rpc/link/lookup.h"
#include "rpc/link/spin.h"

/* A batch whose messages are being handed on. */
typedef struct Reading {
    struct Reading *outer; /* whose handler asked for more */
    Reader reader;
    uint64_t batch, session;
    zmq_msg_t *frame; /* its bytes… */
    Span bytes;       /* …which are these */
    void *held;       /* a block that has taken them over; NULL: none */
} Reading;

struct Link {
    char *url, *name;
    LinkHandlers handlers;
    LinkState state;
    void *context, *socket, *monitor; /* no socket: between two attempts */
    int epoll_fd, socket_fd, monitor_fd;
    Lookup *asking, *found; /* the host's addresses: being looked up; as last found */
    bool waits_for_address; /* that is what the attempt is at */
    unsigned next_address;  /* of those found, to try */
    Outbox out;
    Inbox in;
    uint8_t client[WIRE_TOKEN], token[WIRE_TOKEN];
    bool has_token, hello_sent, hold_credit;
    uint64_t max_body;
    uint64_t attempt_ends_ms; /* no WELCOME by then: it failed */
    uint64_t next_attempt_ms; /* while there is no socket */
    uint64_t backoff_ms;
    uint64_t monitor_read_ms;
    uint64_t session;          /* counts sockets: a message handler may have brought a new one */
    uint64_t n_batches, batch; /* received; the one being handed on */
    Reading *reading;          /* that one, while it is; NULL: none */
    ferry_error problem;
    Spin spin;
};

/* ---- link.c ---- */

/* 0, or the chunk is still the caller's: -EAGAIN, -ENOMEM. */
int link_send_chunk(Link *link, Chunk *chunk);

/* ---- connect.c ---- */

/* Makes a socket, and begins to connect it. */
void link_attempt(Link *link, uint64_t now_ms);
/* The host's addresses are there, or it took too long. */
void link_end_lookup(Link *link, uint64_t now_ms);
/* As soon as the connection stands. */
void link_send_hello(Link *link);
/* What came last, if that was the end: link_lost(). */
void link_read_monitor(Link *link);
/* The session, or the attempt at one, is over. Another attempt follows after a while. */
void link_lost(Link *link, const char *type, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void link_close_socket(Link *link);

/* ---- receive.c ---- */

/* Returns how many messages were handed on, about max_messages at most. */
int link_receive(Link *link, int max_messages);
