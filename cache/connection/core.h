#pragma once

/*
 * What the files of a connection share: conn.c (its life, who leads, waiting), pipeline.c
 * (commands from being put until their end), login.c (connecting and logging in), read.c
 * (replies). All is called with the connection locked; reading gives the lock away meanwhile.
 */

#include "cache/connection/conn.h"
#include "cache/connection/resolve.h"

enum { CONN_READ_BYTES = 64 * 1024 };

typedef enum ConnPhase {
    CONN_CLOSED,
    CONN_RESOLVING,
    CONN_CONNECTING,
    CONN_GREETING,
    CONN_UP
} ConnPhase;

typedef struct ConnSlot {
    Request *request; /* NULL: given up, or: */
    bool unanswered;  /* nobody ever wanted the reply, but it has to be sent */
    uint32_t size;    /* bytes of the command */
} ConnSlot;

struct Conn {
    pthread_mutex_t lock;
    ConnOptions options;
    ConnPhase state;
    int fd;      /* -1: none */
    int wake_fd; /* wakes who leads */

    bool leading; /* one thread polls and reads; what is marked (L) is its own */
    bool sending; /* one thread sends; (S) */
    bool blocked; /* the socket takes no more for now */
    bool broken;  /* whoever leads has to close it */

    Buffer out;      /* to be sent */
    Buffer wire;     /* being sent (S) */
    size_t wire_at;  /* (S) */
    ConnSlot *slots; /* a ring */
    size_t mask;     /* its size - 1 */
    uint64_t head;   /* the oldest that waits for its reply */
    uint64_t sent;   /* the first whose bytes are still in out */
    uint64_t tail;   /* one past the newest */
    ConnWaiter *waiters;

    Resolve resolve;    /* (L) */
    ReplyReader reader; /* (L) */
    unsigned greetings; /* replies to come before it is up */
    unsigned greeting;  /* the next one */
    unsigned n_own;     /* of these: from options.greet */
    uint64_t retry_ns;  /* no attempt before */
    uint64_t attempt_ends_ns;
    uint32_t pause_us;
    uint64_t connects, heard_ns;

    int *watchers; /* epoll descriptors */
    size_t n_watchers;
    uint32_t watched_events;

    uint8_t bytes[CONN_READ_BYTES]; /* (L) */
};

/* ---- watch.c ---- */

/* The events that the socket is polled for now. */
uint32_t conn_wanted_events(const Conn *conn);

/* Tells the epoll sets what is waited for; op is EPOLL_CTL_ADD for a new socket. */
void conn_watch_again(Conn *conn, int op);

/* ---- pipeline.c ---- */

/* A request has its reply, or its failure: whoever waits for it hears of it. */
void conn_finish(Request *request, Reply *reply, int status, const char *problem);

/* What is older than end fails. */
void conn_fail_until(Conn *conn, uint64_t end, int status, const char *problem);

/* A waiter's time is over: its requests end with -ETIMEDOUT or -ENOTCONN. */
void conn_give_up(Conn *conn, ConnWaiter *waiter);

/* Commands that nobody waits for any more are not sent late: a set that was given up a second ago
 * would undo what has been set since. */
void conn_drop_given_up(Conn *conn);

void conn_wake_leader(Conn *conn);

/* ---- login.c; by who leads ---- */

/* Begins an attempt, or goes on with a name that is being resolved until until_ns. */
void conn_start(Conn *conn, uint64_t until_ns);

/* connect() has ended. */
void conn_connected(Conn *conn);

/* One reply before the connection is up. */
void conn_take_greeting(Conn *conn, const Reply *reply);

/* Closes it. What was sent fails; the rest waits for the next attempt. */
void conn_lose(Conn *conn, int status, const char *problem);

/* The other end does not want us: there is no use in waiting for that to change. All fails. */
void conn_refuse(Conn *conn, int status, const char *problem);

/* ---- read.c; by who leads ---- */

/* Reads what has come, and loses the connection if that is nonsense, or its end. */
void conn_read_turn(Conn *conn);
