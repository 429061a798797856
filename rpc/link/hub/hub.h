#pragma once

/*
 * The broker's end: one ROUTER socket, many peers, each with its outbox. Learns of dead peers by
 * the rules that libzmq 4.3 leaves: ROUTER_MANDATORY, a monitor, probes; no heartbeats of its own.
 */

#include <ferry/base.h>

#include "base/timers.h"
#include "rpc/link/hub/connections.h"
#include "rpc/link/inbox.h"
#include "rpc/link/outbox.h"

typedef struct Hub Hub;

/* One connection. Made when its first message arrives, freed by the hub when it is gone. */
typedef struct Peer {
    Hub *hub;
    Outbox out;
    Inbox in;
    void *session;              /* the broker's; NULL before HELLO */
    struct Peer *next, **link;  /* touched or blocked peers */
    Timer check;                /* the next probe, or the cut after peer_close() */
    uint8_t suspect;            /* probes made */
    uint8_t n_unread;           /* looks in a row that found bytes it had not read */
    uint64_t looked_at;         /* batches_in at the last look */
    uint64_t gone_dry, gone_ms; /* when it was found to be gone */
    uint64_t bytes_in, bytes_out, batches_in, batches_out;
    int fd;          /* of its connection; -1: not known for certain */
    int supposed_fd; /* then: what it seems to be, and the number of who had it at that time */
    uint64_t supposed_number;
    bool touched, closing, cut, gone;
    bool has_more; /* the broker has still to handle some of what it said: it is given up later */
    bool asked;    /* it was sent something after its descriptor had been supposed */
    uint8_t id_len;
    uint8_t id[];
} Peer;

typedef struct HubOptions {
    size_t max_body;
    /* Of large bodies that are arriving, from all peers together; 0: no bound. */
    uint64_t max_transfer_bytes;
    unsigned max_connections; /* 0: what the descriptor limit allows, less 64 in reserve */
    unsigned spin_us;         /* how long to look before sleeping; 0: not at all */
    /* The peer's connection is gone; peer->session should go too. The peer is freed afterwards. */
    void (*on_gone)(Peer *peer, void *ctx);
    /* A connection never became a peer, or sent what no peer sends. Not for every one of thousands:
     * what is done with it should be bounded. May be NULL. */
    void (*on_refused)(Refusal refusal, const char *address, void *ctx);
    void *ctx;
} HubOptions;

int hub_new(Hub **ret, const HubOptions *options, ferry_error *reterr);
Hub *hub_free(Hub *hub);

/* -EADDRINUSE and others, with a message that names the endpoint. ret_endpoint (may be NULL)
 * receives what was really bound: tcp://127.0.0.1:* picks a port. */
int hub_bind(Hub *hub, const char *endpoint, char ret_endpoint[256], ferry_error *reterr);

/* Sleeps until something is to be done: a message, a connection that ended, fd (-1: none)
 * readable, or timeout_ms (-1: for ever). */
int hub_wait(Hub *hub, int fd, int timeout_ms);

/* 1: a batch of *ret_peer, lent until the next call. 0: none now. Junk closes its connection here.
 */
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

/* Where it comes from, as text, as far as it is known. Returns to. */
const char *peer_address(const Peer *peer, char to[CONNECTION_ADDRESS_MAX]);

/* Is it still there? If not, on_gone follows in the next hub_flush(). Costs about 10 us. */
void peer_probe(Peer *peer);

/* Sends what may be sent to all touched peers, and tells of those that are gone. */
void hub_flush(Hub *hub);

/* When hub_flush() is due at the latest: sends that wait for ZeroMQ, probes. */
uint64_t hub_next_ms(const Hub *hub);

/* Peers with a connection, and connections that have said nothing yet. */
size_t hub_n_peers(const Hub *hub);
size_t hub_n_connections(const Hub *hub);
