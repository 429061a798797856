/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The parts that these files share: link.c (creation and end, messages out, waiting), connect.c
 * (the life of one connection after another) and receive.c (messages in).
 */

#include <zmq.h>

#include "rpc/link/client/link.h"
#include "rpc/link/context.h"
#include "rpc/link/lookup.h"
#include "rpc/link/spin.h"

/* A batch whose messages are being passed to the layer above. */
typedef struct Reading {
    struct Reading *outer; /* the batch whose handler called link_process() */
    Reader reader;
    uint64_t batch, session;
    zmq_msg_t *frame; /* the batch's bytes… */
    Span bytes;       /* …as a Span */
    void *held;       /* the block that owns the bytes now; NULL: the frame owns them */
} Reading;

struct Link {
    char *url, *name;
    LinkHandlers handlers;
    LinkState state;
    void *context, *socket, *monitor; /* socket is NULL between two attempts */
    int epoll_fd, socket_fd, monitor_fd;
    Lookup *asking,
        *found; /* addresses of the host: the running lookup, and the last finished one */
    bool waits_for_address; /* the attempt waits for the lookup */
    unsigned next_address;  /* index of the next address to try */
    Outbox out;
    Inbox in;
    uint8_t client[WIRE_TOKEN], token[WIRE_TOKEN];
    bool has_token, hello_sent, hold_credit;
    uint64_t max_body;
    uint64_t attempt_ends_ms; /* without WELCOME by then, the attempt has failed */
    uint64_t next_attempt_ms; /* valid while socket is NULL */
    uint64_t backoff_ms;
    uint64_t monitor_read_ms;
    uint64_t session;          /* counts sockets: a message handler may have brought a new one */
    uint64_t n_batches, batch; /* batches received; number of the one in progress */
    Reading *reading;          /* the batch in progress; NULL: no batch */
    ferry_error problem;
    Spin spin;
};

/* ---- link.c ---- */

/* 0; -EAGAIN, -ENOMEM: the chunk is still the caller's. */
int link_send_chunk(Link *link, Chunk *chunk);

/* ---- connect.c ---- */

/* Makes a socket and starts to connect it. */
void link_attempt(Link *link, uint64_t now_ms);
/* Ends a lookup that has finished or took too long. */
void link_end_lookup(Link *link, uint64_t now_ms);
/* Sends HELLO as soon as the connection is established. */
void link_send_hello(Link *link);
/* Reads the monitor's events; if the connection has ended, reads its last messages and calls
 * link_lost(). */
void link_read_monitor(Link *link);
/* Ends the session, or the attempt. Another attempt follows after a pause. */
void link_lost(Link *link, const char *type, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void link_close_socket(Link *link);

/* ---- receive.c ---- */

/* Returns the number of messages passed on, about max_messages at most. */
int link_receive(Link *link, int max_messages);
