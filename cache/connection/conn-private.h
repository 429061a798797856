/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The internals of a connection, from the bottom up: watch.c (the lock, epoll sets), pipeline.c (a
 * command from conn_put() to its reply or failure), login.c (connecting and logging in), read.c
 * (replies), conn.c (life, leader, waiting). All functions are called with the connection locked;
 * read.c releases the lock while it parses.
 */

#include "cache/connection/conn.h"
#include "cache/connection/resolve.h"

enum { CONN_READ_BYTES = 64 * 1024 };

/* Bytes that conn_format() adds to the bytes of n arguments, at most. */
#define CONN_FORMAT_MAX(n) (32 + 32 * (n))

typedef enum ConnPhase {
    CONN_CLOSED,
    CONN_RESOLVING,
    CONN_CONNECTING,
    CONN_SECURING,
    CONN_GREETING,
    CONN_UP
} ConnPhase;

typedef struct ConnSlot {
    ConnRequest *request; /* NULL: abandoned, or unanswered */
    bool unanswered;      /* the reply is ignored, but the command must be sent */
    uint32_t size;        /* bytes of the command */
} ConnSlot;

struct Conn {
    pthread_mutex_t lock;
    ConnOptions options;
    ConnPhase state;
    int fd;      /* -1: no socket */
    int wake_fd; /* wakes the leader */

    bool leading; /* a thread leads: it polls and reads. Only the leader uses the fields marked (L)
                   */
    bool sending; /* a thread sends. Only this thread uses the fields marked (S) */
    bool blocked; /* the socket's send buffer is full */
    const char *problem; /* the reason why the last attempt failed: static text, or NULL */
    bool broken;         /* the leader must close the connection */
    bool asks;           /* this attempt asks a Sentinel for the address of the server */
    Tls *tls;            /* NULL: no TLS */

    Span login;      /* the part of options.login that must be sent before wire (S) */
    Buffer out;      /* unsent */
    Buffer wire;     /* being sent (S) */
    size_t wire_at;  /* (S) */
    ConnSlot *slots; /* a ring */
    size_t mask;     /* its size - 1 */
    uint64_t head;   /* the oldest command without a reply */
    uint64_t sent;   /* the first command whose bytes are still in out */
    uint64_t tail;   /* one past the newest command */
    ConnWaiter *waiters;

    Resolve resolve;    /* (L) */
    size_t sentinel;    /* the Sentinel to ask, modulo their number (L) */
    CacheHost master;   /* the master that a Sentinel named; owned (L) */
    ReplyReader reader; /* (L) */
    unsigned greetings; /* replies needed before the connection is up */
    unsigned greeting;  /* index of the next greeting reply */
    unsigned n_own;     /* how many of the greetings come from options.greet */
    uint64_t retry_ns;  /* the earliest time of the next attempt */
    uint64_t attempt_ends_ns;
    uint32_t pause_us;
    uint64_t connects, heard_ns;

    int *watchers; /* epoll descriptors */
    size_t n_watchers;
    uint32_t watched_events;

    uint8_t bytes[CONN_READ_BYTES]; /* (L) */
};

/* ---- watch.c ---- */

/* Returns the events for which the socket must be polled now. */
uint32_t conn_wanted_events(const Conn *conn);

/* Updates the events in the epoll sets; op is EPOLL_CTL_ADD for a new socket. */
void conn_watch_again(Conn *conn, int op);

/* ---- pipeline.c ---- */

/* Completes a request with its reply or its failure and wakes its waiter. */
void conn_finish(ConnRequest *request, Reply *reply, int status, const char *problem);

/* Fails all commands before end. */
void conn_fail_until(Conn *conn, uint64_t end, int status, const char *problem);

/* Abandons the requests of a waiter whose deadline has passed, with -ETIMEDOUT or -ENOTCONN. */
void conn_give_up(Conn *conn, ConnWaiter *waiter);

/* Removes abandoned commands that were not sent yet. If an abandoned SET were sent late, it would
 * undo newer writes. */
void conn_drop_given_up(Conn *conn);

void conn_wake_leader(Conn *conn);

/* ---- login.c; called by the leader ---- */

/* Begins a connection attempt, or continues a name look-up, which may wait until until_ns. */
void conn_start(Conn *conn, uint64_t until_ns);

/* connect() has finished. */
void conn_connected(Conn *conn);

/* Continues the handshake of TLS. */
void conn_secure(Conn *conn);

/* Takes one reply to the greeting, before the connection is up. */
void conn_take_greeting(Conn *conn, const Reply *reply);

/* Closes the connection. Sent commands fail; unsent ones wait for the next attempt. */
void conn_lose(Conn *conn, int status, const char *problem);

/* The server refuses this client permanently: all commands fail. */
void conn_refuse(Conn *conn, int status, const char *problem);

/* ---- read.c; called by the leader ---- */

/* Reads the available replies. Loses the connection at end of file and on malformed replies. */
void conn_read_turn(Conn *conn);
