#pragma once

/*
 * What these share: hub.c (batches in and out), open.c (the socket, and where it listens), and
 * liveness.c (who is still there).
 */

#include <zmq.h>

#include "base/id-map.h"
#include "rpc/link/context.h"
#include "rpc/link/hub/hub.h"

struct Hub {
    void *context, *socket;
    int socket_fd;
    HubOptions options;
    Connections connections;
    InboxTotal transfers;
    IdMap peers; /* by routing id */
    Peer *touched, *blocked, *gone;
    Timers timers;
    zmq_msg_t batch; /* lent to the caller of hub_receive() */
    Peer *batch_peer;
    bool batch_open;
    uint64_t last_retry_ms;
    Timer look;
    Spin spin;
};

/* Lists of peers by next, link. */
static inline void link_in(Peer **list, Peer *peer) {
    peer->next = *list;
    if (peer->next)
        peer->next->link = &peer->next;
    peer->link = list;
    *list = peer;
}

static inline void link_out(Peer *peer) {
    if (!peer->link)
        return;
    *peer->link = peer->next;
    if (peer->next)
        peer->next->link = peer->link;
    peer->link = NULL;
    peer->next = NULL;
}

/* ---- hub.c ---- */

/* Of the table of peers; 0: no ferry client's id. */
uint64_t peer_key(const uint8_t *id, size_t len);
/* Out of every list, but not of the table. */
void peer_free(Peer *peer);

/* ---- liveness.c ---- */

/* Begins to look for peers that were stopped. */
void liveness_begin(Hub *hub);
/* As Connections.on_ended. */
void peer_connection_ended(void *peer);
/* A message of this peer came by this descriptor. */
void peer_learn_fd(Peer *peer, int fd);
/* It cannot be reached any more. */
void peer_mark_gone(Peer *peer);
/* Gives up those that are gone; true: there were any. */
bool hub_bury(Hub *hub, uint64_t now_ms);
