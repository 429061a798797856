/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The broker's end of all connections: it listens, accepts, reads batches and flushes each peer's
 * outbox, on the caller's thread. Nothing here blocks but hub_wait().
 */

#include <ferry/base.h>
#include <netinet/in.h>

#include "base/timers.h"
#include "rpc/link/connection.h"
#include "rpc/link/inbox.h"

typedef struct Hub Hub;

enum {
    CONNECTION_ADDRESS_MAX = 64,
    GREETING_MS = 5000, /* from accepting a connection to the end of its handshake */
    HELLO_MS = 6000,    /* from there to its first message */
};

/* One connection, from accepting it to its end; the hub frees it. */
typedef struct Peer {
    Hub *hub;
    Connection connection;
    Outbox out;
    Inbox in;
    void *session;             /* the broker's; NULL before HELLO */
    struct Peer *next, **link; /* in the list of touched peers, or of those that are gone */
    struct Peer *place_prev, *place_next; /* in the list of its stage: see core.h */
    uint8_t stage;
    Timer close; /* ends the wait for the other end after peer_close() */
    uint64_t since_ms, gone_ms;
    struct sockaddr_in6 address; /* or an IPv4 one, or no more than AF_UNIX */
    pid_t pid;                   /* of the process at the other end of a Unix socket */
    bool touched, was_heard, closing, gone;
    bool is_full, watches_room; /* its socket takes no more; epoll tells when it does */
    bool has_more; /* the broker has still to handle a part of what it said: on_gone waits for it */
} Peer;

typedef struct HubOptions {
    size_t max_body;
    /* Of large bodies that are arriving, from all peers together; 0: no bound. */
    uint64_t max_transfer_bytes;
    unsigned max_connections; /* 0: what the descriptor limit allows, less 64 in reserve */
    unsigned spin_us;         /* how long to look before sleeping; 0: not at all */
    /* The peer's connection is gone; peer->session should go too. The peer is freed afterwards. */
    void (*on_gone)(Peer *peer, void *ctx);
    /* A connection broke the rules and is cut, or ended before its handshake did (is_harmless: as
     * when somebody looks whether a port is open). Thousands a second may; may be NULL. */
    void (*on_refused)(const char *problem, bool is_harmless, const char *address, void *ctx);
    void *ctx;
} HubOptions;

int hub_new(Hub **ret, const HubOptions *options, ferry_error *reterr);
Hub *hub_free(Hub *hub);

/* -EADDRINUSE and others, with a message that names the endpoint. ret_endpoint (may be NULL)
 * receives what was really bound: tcp://127.0.0.1:* picks a port. */
int hub_bind(Hub *hub, const char *endpoint, char ret_endpoint[256], ferry_error *reterr);

/* Sleeps until something is to be done: a message, a connection that ended, fd (-1: none; the same
 * in all calls) readable, or timeout_ms (-1: for ever). 1: fd is readable. */
int hub_wait(Hub *hub, int fd, int timeout_ms);

/* 1: a batch of *ret_peer, lent until the next call. 0: no more before the next hub_wait(). */
int hub_receive(Hub *hub, Peer **ret_peer, const uint8_t **ret_data, size_t *ret_len);

/* Appends to the peer's outbox and has it flushed at the end of the turn. */
int peer_put(Peer *peer, Lane lane, const Message *message, const void *block);

/* What was charged to peer->in is handled: its credit goes back. hub_receive() does so for the
 * batch that it lent last. */
void peer_handled(Peer *peer);

/* Marks for hub_flush(); needed only after credit came. */
void peer_touch(Peer *peer);

/* Cuts the connection after what waits for it on the control lane was sent. on_gone follows. */
void peer_close(Peer *peer);

/* Where it comes from, as text. Returns to. */
const char *peer_address(const Peer *peer, char to[CONNECTION_ADDRESS_MAX]);

/* Sends what may be sent to all touched peers, and tells of those that are gone. */
void hub_flush(Hub *hub);

/* When hub_flush() is due at the latest. */
uint64_t hub_next_ms(const Hub *hub);

/* Peers that have said something, and all connections. */
size_t hub_n_peers(const Hub *hub);
size_t hub_n_connections(const Hub *hub);
