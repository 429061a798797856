/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The broker's end of all connections: it listens, accepts, reads batches and flushes each peer's
 * outbox, on the caller's thread. Only hub_wait() blocks.
 */

#include <ferry/base.h>

#include "base/timers.h"
#include "base/waker.h"
#include "rpc/address/socket.h"
#include "rpc/link/connection.h"
#include "rpc/link/inbox.h"

typedef struct Hub Hub;
typedef struct Origin Origin;

enum {
    CONNECTION_ADDRESS_MAX = SOCKET_TEXT_MAX,
    GREETING_MS = 5000,       /* from accepting a connection to the end of its handshake */
    HELLO_MS = 6000,          /* from the end of the handshake to the first message */
    HUB_PAUSE_MAX_MS = 30000, /* longest pause of a peer above its share; then it is cut */
};

/* One connection, from accept() to its end; the hub frees it. */
typedef struct Peer {
    Hub *hub;
    Connection connection;
    Outbox out;
    Inbox in;
    void *session;            /* belongs to the broker; NULL before HELLO */
    struct Peer *prev, *next; /* in the list of touched peers, or of peers that are gone */
    struct Peer *place_prev, *place_next; /* in the list of its stage: see hub-private.h */
    uint8_t stage;
    Timer close;                 /* ends the wait for the other end after peer_close() */
    uint64_t since_ms;           /* when it entered its stage */
    struct sockaddr_in6 address; /* also an IPv4 address, or AF_UNIX without an address */
    Origin *origin; /* record of the address, see places.c; NULL: the address is not counted */
    /* The process at the other end of a Unix socket, as the kernel reports it. pid is 0 if the
     * process is in another pid namespace. */
    pid_t pid;
    uid_t uid;
    bool has_uid;
    bool touched, was_heard, closing, gone;
    bool is_unfinished; /* its origin counts it among the unfinished handshakes */
    Account account;
    size_t input; /* memory of its connection's input that the account has counted */
    bool is_full; /* its socket has no room */
    bool paused;  /* the hub does not read from it, because it holds more than its share */
    uint64_t paused_ms;
    struct Peer *paused_prev, *paused_next; /* neighbours in hub->paused */
    uint32_t watched;                       /* the events that epoll reports */
    bool has_more; /* the broker has not handled all messages of the peer yet; on_gone waits until
                      it has */
} Peer;

typedef struct HubOptions {
    size_t max_body;
    Budget *budget; /* it counts the memory that peers make the process hold; NULL: no limits */
    unsigned max_connections; /* 0: the descriptor limit, less 64 in reserve */
    unsigned max_per_address; /* connections of one IPv4 address or IPv6 /64 network; 0: no limit */
    /* For connections with keys, limits of one address: handshakes begun in a second, and
     * unfinished handshakes; 0: no limit. */
    unsigned max_handshakes, max_unfinished;
    unsigned ipc_mode; /* permissions of socket files; 0: as the umask says */
    /* Keys for tcp:// endpoints; NULL, or without pairs: connections have no keys. The caller may
     * change them, and new connections use the changed keys. On ipc:// endpoints the kernel
     * identifies the peer. */
    const CurveKeys *keys;
    bool beats;       /* a thread sends a PING to each peer every 2 s: see heartbeat.h */
    unsigned spin_us; /* how long to poll before sleeping; 0: do not poll */
    Waker *waker;     /* a call ends a wait; its fd is watched by the caller; NULL: no calls */
    /* The peer's connection is gone: end peer->session. True: the hub frees the peer. False: the
     * hub calls on_gone again after each flush. */
    bool (*on_gone)(Peer *peer, void *ctx);
    /* Reports a connection that is closed because it broke the rules, or that ended during its
     * handshake. is_harmless is true if it may be a program that checks whether a port is open. The
     * hub may call it thousands of times a second. May be NULL. */
    void (*on_refused)(const char *problem, bool is_harmless, const char *address, void *ctx);
    void *ctx;
} HubOptions;

int hub_new(Hub **ret, const HubOptions *options, ferry_error *reterr);
Hub *hub_free(Hub *hub);

/* Fails with -EADDRINUSE or another errno, and a message that names the endpoint. ret_endpoint (may
 * be NULL) receives the bound endpoint: tcp://127.0.0.1:* picks a port. */
int hub_bind(Hub *hub, const char *endpoint, char ret_endpoint[SOCKET_ENDPOINT_MAX],
             ferry_error *reterr);

/* Sleeps until a message arrives, a connection ends, fd is readable, the waker is called, or
 * timeout_ms have passed (-1: no timeout). fd is the same in all calls; -1: no descriptor. 1: fd is
 * readable. */
int hub_wait(Hub *hub, int fd, int timeout_ms);

/* 1: a batch of *ret_peer, valid until the next call. 0: no more batches before the next
 * hub_flush() and hub_wait(). */
int hub_receive(Hub *hub, Peer **ret_peer, const uint8_t **ret_data, size_t *ret_len);

/* Appends a message to the peer's outbox, which is flushed at the end of the turn. */
int peer_put(Peer *peer, Lane lane, const Message *message, const void *block);

/* Grants the credit of a batch again: the caller has handled the batch that was charged to
 * peer->in. hub_receive() calls it for the last batch that it returned. */
void peer_handled(Peer *peer);

/* Updates the account with the memory of the peer's input and output. The hub itself calls it at
 * the end of each step. */
static inline void peer_weigh(Peer *peer) {
    Account *account = &peer->account;
    size_t input = connection_input_memory(&peer->connection);
    size_t output = peer->connection.sending_memory + peer->out.held;

    account->budget->bytes[BUDGET_INPUT] += input - peer->input;
    account->held += input - peer->input;
    peer->input = input;
    account->budget->bytes[BUDGET_OUTPUT] += output - account->output;
    account->output = output;
}

/* Marks the peer for hub_flush(). The caller needs it only after CREDIT arrived. */
void peer_touch(Peer *peer);

/* Closes the connection after the messages on its control lane are sent. on_gone follows. */
void peer_close(Peer *peer);

/* Writes the peer's address as text. Returns to. */
const char *peer_address(const Peer *peer, char to[CONNECTION_ADDRESS_MAX]);

/* Sends all data that credit and sockets allow to the touched peers, and reports peers that are
 * gone. */
void hub_flush(Hub *hub);

/* An epoll descriptor that is readable when hub_wait() would not sleep. Input that hub_has_input()
 * reports does not make it readable. */
int hub_fd(const Hub *hub);
bool hub_has_input(const Hub *hub);

/* The latest time for the next hub_flush(). */
uint64_t hub_next_ms(const Hub *hub);

/* The number of peers that have sent a message, and of all connections. */
size_t hub_n_peers(const Hub *hub);
size_t hub_n_connections(const Hub *hub);
