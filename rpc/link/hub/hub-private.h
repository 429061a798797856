/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The records and functions that these files share. A file calls only files above it in this list:
 *
 *   peers.c   a peer's life: its stages, deadlines, outbox and end
 *   places.c  limits of connections, and which one is closed for a new one
 *   open.c    creating the hub, listening, accepting
 *   hub.c     waiting, batches in and out
 */

#include <sys/epoll.h>

#include "base/spin.h"
#include "rpc/link/hub/hub.h"

enum {
    LISTENERS_MAX = 16,
    EVENTS_MAX = 64,
    ACCEPTS_PER_TURN = 16,
    PAUSE_LOOK_MS = 10,
    IDLE_ORIGINS_MAX = 4096, /* most records of addresses without connections */
};

/* Limits of the commands and events between two flushes. They end a turn that gets no batches, for
 * example if peers send only PINGs, or a refused peer continues to send. */
enum {
    STEPS_MAX = 8192,
    STEPS_OF_HANDSHAKE = 512, /* steps that one read counts for while the peer's keys are being
                                 checked: it may take 0.2 ms */
};

/* The data of an epoll event: a peer's address, or one of these numbers. */
enum { EVENT_OWN_FD = 0, EVENT_LISTENER = 1, EVENT_NUMBERS = EVENT_LISTENER + LISTENERS_MAX };

/* Each stage has a list of its peers, oldest first. The order is by the time at which peers entered
 * the stage, or for STAGE_HEARD by their last sign of life. */
typedef enum Stage {
    STAGE_GREETING, /* its handshake is in progress */
    STAGE_SILENT,   /* it has not sent a message yet */
    STAGE_HEARD,
    STAGE_LEAVING, /* it is being closed, or is gone */
    N_STAGES
} Stage;

typedef struct Listener {
    int fd;
    char path[108]; /* path of its socket file; "": no socket file */
    ino_t inode;
} Listener;

struct Hub {
    int epoll_fd, own_fd; /* own_fd: the caller's descriptor, which epoll watches */
    HubOptions options;
    size_t n_connections, n_heard;
    Listener listeners[LISTENERS_MAX];
    unsigned n_listeners;
    Origin *origins; /* uthash: the addresses of the other ends of connections */
    Origin *idle;    /* utlist: the origins without connections, the longest idle first */
    unsigned n_idle;
    ReadBuffer buffer;
    Budget no_budget; /* for a hub whose options have no budget: it has no limits */
    Peer *paused;     /* utlist: peers that the hub does not read from, the longest waiting first */
    struct epoll_event events[EVENTS_MAX];
    int n_events, at_event;
    unsigned n_steps; /* commands and events handled since the last flush, not counting batches */
    Peer *reading;    /* the peer whose input may contain another batch */
    Peer *lent;       /* the peer whose batch the caller of hub_receive() has */
    Peer *stages[N_STAGES];
    Peer *touched, *gone; /* utlist */
    uint64_t now_ms;      /* time of the last wait or flush */
    Timers timers;
    Timer look, accept_again;
    Spin spin;
};

/* The keys for a connection from this address; NULL: the connection has no keys. */
static inline const CurveKeys *hub_keys_for(const Hub *hub, const SocketAddress *address) {
    const CurveKeys *keys = hub->options.keys;

    return keys && keys->n_pairs > 0 && address->any.sa_family != AF_UNIX ? keys : NULL;
}

/* ---- open.c ---- */

void hub_accept(Hub *hub, Listener *listener);

/* ---- places.c ---- */

/* Counts a new connection from this address. *ret receives its record, to be passed to
 * place_leave(); NULL: the address is not counted. Returns NULL, or the reason why the connection
 * gets no place. */
const char *place_take(Hub *hub, const SocketAddress *address, Origin **ret);
void place_leave(Hub *hub, Origin *origin);
/* Call these for a peer with keys: place_check_keys() when its handshake begins,
 * place_checked_keys() when the handshake has ended in any way. */
void place_check_keys(Peer *peer);
void place_checked_keys(Peer *peer);
/* places_look() frees the records of addresses that have been without connections for long enough.
 * places_free() frees all records of addresses without connections. */
void places_look(Hub *hub);
void places_free(Hub *hub);

/* ---- peers.c ---- */

/* Takes over fd and its place. address is the address of the other end. */
void peer_new(Hub *hub, int fd, const SocketAddress *address, Origin *origin);
void peer_free(Peer *peer);
void peer_enter(Peer *peer, Stage stage);
/* Logs why the connection ends. */
void peer_report(const Peer *peer, const char *problem, bool is_harmless);
/* Closes the connection now; on_gone follows in hub_flush(). */
void peer_mark_gone(Peer *peer);
/* Logs the problem and closes the connection now. */
void peer_cut(Peer *peer, const char *problem);
/* Logs the problem and closes the connection, after the messages on its control lane are sent. */
void peer_refuse_it(Peer *peer, const char *problem);
/* Frees the peers that are gone. True: it freed at least one. */
bool hub_free_gone(Hub *hub);
/* Starts the timer that checks deadlines. */
void hub_begin_looking(Hub *hub);
/* Makes epoll watch for the events that this peer waits for. */
void peer_watch(Peer *peer);
/* True: the peer has used up its share of the budget, so the hub does not read from it for a
 * while. */
bool peer_must_wait(Peer *peer);
/* Reads again from paused peers whose memory is back within their share. */
void hub_resume_some(Hub *hub);
