/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The records and functions that these files share. A file calls only files above it in this list:
 *
 *   peers.c   a peer's life: its stages, deadlines, outbox and end
 *   places.c  how many connections there may be, and which one leaves for a new one
 *   open.c    creating the hub, listening, accepting
 *   hub.c     waiting, batches in and out
 */

#include <sys/epoll.h>

#include "rpc/link/hub/hub.h"
#include "rpc/link/socket.h"
#include "rpc/link/spin.h"

enum {
    LISTENERS_MAX = 16,
    EVENTS_MAX = 64,
    ACCEPTS_PER_TURN = 16,
    PAUSE_LOOK_MS = 10,
    IDLE_ORIGINS_MAX = 4096, /* records of addresses without connections */
};

/* Commands and events between two flushes. PINGs, and what a refused peer still sends, give no
 * batch that would end the turn. */
enum {
    STEPS_MAX = 8192,
    STEPS_OF_HANDSHAKE =
        512, /* of reading from a peer whose keys are being checked: up to 0.2 ms */
};

/* The data of an epoll event: a peer's address, or one of these numbers. */
enum { EVENT_OWN_FD = 0, EVENT_LISTENER = 1, EVENT_NUMBERS = EVENT_LISTENER + LISTENERS_MAX };

/* Each stage has a list, oldest first: by the time of entering it, or for STAGE_HEARD by the last
 * sign of life. */
typedef enum Stage {
    STAGE_GREETING, /* its handshake is not over */
    STAGE_SILENT,   /* it has sent no message */
    STAGE_HEARD,
    STAGE_LEAVING, /* closing, or gone */
    N_STAGES
} Stage;

typedef struct Listener {
    int fd;
    char path[108]; /* of its socket file; "": no socket file */
    ino_t inode;
} Listener;

struct Hub {
    int epoll_fd, own_fd; /* own_fd: the caller's descriptor, which epoll watches */
    HubOptions options;
    size_t max_connections, n_connections, n_heard;
    Listener listeners[LISTENERS_MAX];
    unsigned n_listeners;
    Origin *origins; /* uthash: the addresses that connections come from */
    Origin *idle;    /* utlist: those without connections now, the longest idle first */
    unsigned n_idle;
    bool pauses_accepting; /* the process has no free descriptor */
    ReadBuffer buffer;
    Budget no_budget; /* without limits */
    Peer *paused;     /* utlist: peers that are not read from, the longest waiting first */
    struct epoll_event events[EVENTS_MAX];
    int n_events, at_event;
    unsigned n_steps; /* commands and events handled since the last flush, batches aside */
    Peer *reading;    /* its input may contain another batch */
    Peer *lent;       /* the caller of hub_receive() has a batch of this peer */
    Peer *stages[N_STAGES];
    Peer *touched, *gone;
    uint64_t now_ms; /* of the last wait or flush */
    Timers timers;
    Timer look, accept_again;
    Spin spin;
};

/* The keys of a connection from this address; NULL: it has none. */
static inline const CurveKeys *hub_keys_for(const Hub *hub, const SocketAddress *address) {
    const CurveKeys *keys = hub->options.keys;

    return keys && keys->n_pairs > 0 && address->any.sa_family != AF_UNIX ? keys : NULL;
}

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

/* ---- places.c ---- */

/* Counts a new connection from this address. *ret: to be given back by place_leave(); NULL: the
 * address is not counted. Returns NULL, or the reason why the connection has no place. */
const char *place_take(Hub *hub, const SocketAddress *address, Origin **ret);
void place_leave(Hub *hub, Origin *origin);
/* The handshake of this peer, whose keys are to be checked, begins; and has ended in some way. */
void place_check_keys(Peer *peer);
void place_checked_keys(Peer *peer);
/* Forgets addresses that have been without connections for long enough, or all of these. */
void places_look(Hub *hub);
void places_free(Hub *hub);

/* ---- peers.c ---- */

/* Takes over fd and its place; address: address of the other end. */
void peer_new(Hub *hub, int fd, const SocketAddress *address, Origin *origin);
void peer_free(Peer *peer);
void peer_enter(Peer *peer, Stage stage);
/* Closes the connection now; on_gone follows in hub_flush(). */
void peer_mark_gone(Peer *peer);
/* Logs the problem and closes the connection now. */
void peer_cut(Peer *peer, const char *problem);
/* Logs the problem and closes the connection, after the messages on its control lane are sent. */
void peer_refuse_it(Peer *peer, const char *problem);
/* Frees the peers that are gone; true: there were some. */
bool hub_bury(Hub *hub);
/* Starts to check for deadlines that have passed. */
void hub_begin_looking(Hub *hub);
/* Makes epoll watch for the events that this peer waits for. */
void peer_watch(Peer *peer);
/* True: the peer has used up its share of the budget, and is not read from for a while. */
bool peer_must_wait(Peer *peer);
/* Reads again from peers that are in their share again. */
void hub_resume_some(Hub *hub);
