/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What these share: hub.c (batches in and out), open.c (making it, listening, accepting) and
 * peers.c (a peer's life: its stages, deadlines and end).
 */

#include <sys/epoll.h>

#include "rpc/link/hub/hub.h"
#include "rpc/link/socket.h"
#include "rpc/link/spin.h"

enum { LISTENERS_MAX = 16, EVENTS_MAX = 64, ACCEPTS_PER_TURN = 16 };

/* What epoll says of an event: a peer's address, or one of these numbers. */
enum { EVENT_OWN_FD = 0, EVENT_LISTENER = 1, EVENT_NUMBERS = EVENT_LISTENER + LISTENERS_MAX };

/* Each stage has a list, oldest first: by the time of entering it, for STAGE_HEARD by the last sign
 * of life. */
typedef enum Stage {
    STAGE_GREETING, /* its handshake is not over */
    STAGE_SILENT,   /* it has sent no message */
    STAGE_HEARD,
    STAGE_LEAVING, /* closing, or gone */
    N_STAGES
} Stage;

typedef struct Listener {
    int fd;
    char path[108]; /* of its socket file; "": none */
    ino_t inode;
} Listener;

struct Hub {
    int epoll_fd, own_fd; /* own_fd: of the caller, that epoll watches */
    HubOptions options;
    size_t max_connections, n_connections, n_heard;
    Listener listeners[LISTENERS_MAX];
    unsigned n_listeners;
    bool pauses_accepting; /* there was no descriptor left */
    ReadBuffer buffer;
    InboxTotal transfers;
    struct epoll_event events[EVENTS_MAX];
    int n_events, at_event;
    Peer *reading; /* there may be more in what was read from it */
    Peer *lent;    /* whose batch the caller of hub_receive() has */
    Peer *stages[N_STAGES];
    Peer *touched, *gone;
    uint64_t now_ms; /* of the last wait or flush */
    Timers timers;
    Timer look, accept_again;
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

/* ---- open.c ---- */

void hub_accept(Hub *hub, Listener *listener);

/* ---- peers.c ---- */

/* Takes over fd; address: of the other end. */
void peer_new(Hub *hub, int fd, const SocketAddress *address);
void peer_free(Peer *peer);
void peer_enter(Peer *peer, Stage stage);
/* Its connection is at its end: it is closed now, and on_gone follows in hub_flush(). */
void peer_mark_gone(Peer *peer);
/* Logs why, and closes it. */
void peer_refuse_it(Peer *peer, const char *problem);
/* Gives up those that are gone; true: there were some. */
bool hub_bury(Hub *hub);
/* Begins to look for deadlines that have passed. */
void hub_begin_looking(Hub *hub);
/* Makes room for a newcomer. False: all connections are of peers that have said something. */
bool hub_drop_oldest_stranger(Hub *hub);
/* Has epoll watch for what this peer waits for. */
void peer_watch(Peer *peer);
