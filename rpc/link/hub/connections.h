#pragma once

/*
 * The connections of a listening socket, by descriptor: whose each is, and where it comes from.
 * libzmq's monitor tells of their beginnings and ends; what it owns is never closed here, only shut
 * down, and only while it is certain whose it is.
 */

#include <ferry/base.h>

typedef struct Connection Connection;

/* Why a connection was cut, or ended, that never became a peer. */
typedef enum Refusal {
    REFUSED_GREETING,   /* what it sent is no ZMTP */
    REFUSED_SLOWNESS,   /* its handshake took too long */
    REFUSED_SILENCE,    /* it said nothing after its handshake */
    REFUSED_ROUTING_ID, /* it chose its own, as no ferry client does */
    REFUSED_FRAMES,     /* a message of more than one frame */
    REFUSED_FULL,       /* as many connections as may be */
    LEFT_EARLY,         /* it went away in the middle of its handshake */
} Refusal;

const char *refusal_text(Refusal refusal);

enum {
    CONNECTION_ADDRESS_MAX = 64,
    HANDSHAKE_MS = 5000,
    UNCLAIMED_LOOKS = 7, /* after which a connection that nobody claimed is cut */
};

typedef struct Connections {
    void *monitor;
    int monitor_fd; /* readable: connections_read() has something to do */
    int fd_limit;   /* connections from this descriptor on are cut */
    Connection *by_fd;
    size_t n_fds, n_open;
    uint64_t n_dry;   /* times that nothing was left to receive: the caller counts */
    uint16_t failure; /* the event that told of a failed handshake, until the next tells whose */
    /* The connection of this owner has ended. */
    void (*on_ended)(void *owner);
    /* address: of the other end, as text */
    void (*on_refused)(Refusal refusal, const char *address, void *ctx);
    void *ctx; /* of on_refused, which may be NULL */
} Connections;

/* Begins to watch a socket; the other fields are the caller's to set. A negative errno. */
int connections_init(Connections *connections, void *context, void *socket);
void connections_deinit(Connections *connections, void *socket);

/* Takes in what the monitor has to tell. */
void connections_read(Connections *connections);

/*
 * Whose connection had this descriptor when a message came in on it that is received just now: from
 * now on owner's. False: it has ended meanwhile, or may have ended, and another one may have the
 * descriptor by now.
 */
bool connections_claim(Connections *connections, int fd, void *owner);

/* The system's number of the connection that has this descriptor now; 0: none has. */
uint64_t connections_number(Connections *connections, int fd);

/* As connections_claim(), some time later, for an owner that has been sent something since: it is
 * there still, and so its connection is the one that had this number when its message came in. */
bool connections_claim_late(Connections *connections, int fd, uint64_t number, void *owner);

void connections_release(Connections *connections, int fd, const void *owner);

/* Cuts the owner's connection, if it has not ended yet. */
void connections_cut(Connections *connections, int fd, const void *owner);

/* Where it comes from; fd may be -1, and what comes of it "unknown". Returns to. */
const char *connections_address(const Connections *connections, int fd,
                                char to[CONNECTION_ADDRESS_MAX]);

/* Cuts those that nobody claimed in time: they hold descriptors for nothing. To be called each
 * look: after a pause of the whole process, however long, what has come meanwhile is received
 * before the next one. */
void connections_cut_unclaimed(Connections *connections);

/* Tells on_refused of what came on this descriptor, or -1: nobody knows which. */
void connections_tell(const Connections *connections, int fd, Refusal refusal);

/* Cuts a connection nobody claimed, for a message from it that is received just now, if it is
 * certain that it is still the same one, else it is left until its next message, or until its time
 * is over; tells on_refused in any case. */
void connections_refuse(Connections *connections, int fd, Refusal refusal);
