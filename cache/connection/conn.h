#pragma once

/*
 * One connection to one Redis, used by many threads at once, with no thread of its own. Commands of
 * all threads leave in one pipeline. Of those who wait for replies one leads: it polls the socket,
 * reads, and wakes the others when their replies have come; when it has its own, another one leads.
 *
 * A command that cannot be sent yet waits for the connection, which is tried again and again, until
 * its own deadline. One that was sent when the connection is lost fails with -ECONNRESET. A reply
 * to a command that was given up is dropped when it comes.
 */

#include <pthread.h>
#include <stdbool.h>

#include "base/buffer.h"
#include "cache/connection/reply.h"
#include "cache/connection/url.h"

enum {
    CONN_PENDING_MAX = 1 << 18,       /* commands on their way */
    CONN_OUT_MAX = 128 * 1024 * 1024, /* bytes that wait to be sent */
    CONN_ATTEMPT_MS = 1000,           /* for one attempt to connect and to log in */
    CONN_RETRY_FIRST_US = 1000,       /* between attempts; doubles */
    CONN_RETRY_LONGEST_US = 64 * 1000,
};

typedef struct Conn Conn;
typedef struct Request Request;

/* Who waits for some requests on one connection. All zero but the condition to begin with. */
typedef struct ConnWaiter {
    pthread_cond_t wake;
    size_t pending;
    struct ConnWaiter *next, **link;
} ConnWaiter;

/* A command on its way. Belongs to the caller, who keeps it in place until it is done. */
struct Request {
    ConnWaiter *waiter;             /* a thread that waits, or NULL: */
    void (*done)(Request *request); /* called with the connection locked; must not use it */
    Reply *reply;                   /* NULL: see status */
    int status;                     /* 0, or why there is no reply: a negative errno */
    const char *problem;            /* static text beside status, or NULL */
    uint64_t seq;                   /* 0: not on its way */
};

typedef struct ConnOptions {
    bool is_unix;
    CacheHost host;       /* lent */
    const char *user;     /* lent */
    const char *password; /* lent */
    uint32_t db;

    /* More commands for the beginning of each connection: writes them and returns how many. */
    unsigned (*greet)(Buffer *out, void *ctx);
    /* Their replies. A negative errno makes the connection useless. */
    int (*greeted)(unsigned i, const Reply *reply, void *ctx);
    /* It was up and is not any more. */
    void (*lost)(void *ctx);
    /* Set: every later reply goes here, the callee's. For a connection that subscribes. */
    void (*push)(Reply *reply, void *ctx);
    void *ctx; /* all four are called with the connection locked */
} ConnOptions;

int conn_new(Conn **ret, const ConnOptions *options);
Conn *conn_free(Conn *conn); /* what is on its way fails with -ECANCELED */
DEFINE_CLEANUP(Conn *, conn_free);

/* A command in the Redis protocol. */
void conn_format(Buffer *to, const Span *args, size_t n);

void conn_lock(Conn *conn);
void conn_unlock(Conn *conn);

/* Between these two: puts a command into the pipeline. 0; -ENOBUFS, -ENOMEM: it is not on its way.
 */
int conn_put(Conn *conn, const Span *args, size_t n, Request *request);

/* The same for a command whose reply nobody wants. */
int conn_put_unanswered(Conn *conn, const Span *args, size_t n);

/* Says something on a connection that subscribes; the answer goes to options.push. Nothing happens
 * while it is not up. Takes the lock itself. */
void conn_tell(Conn *conn, const Span *args, size_t n);

/* Sends what was put; before conn_unlock(). */
void conn_flush(Conn *conn);

void conn_waiter_init(ConnWaiter *waiter);
void conn_waiter_deinit(ConnWaiter *waiter);

/* Until all requests of the waiter are done, or deadline_ns: then they are given up and have the
 * status -ETIMEDOUT, or -ENOTCONN if there was no connection. Returns false if that happened. */
bool conn_wait(Conn *conn, ConnWaiter *waiter, uint64_t deadline_ns);

/* Gives up one request that has no waiter, unless it is done already. */
void conn_abandon(Conn *conn, Request *request, int status);

/* What can be done at once is done: connecting, sending, reading. */
void conn_process(Conn *conn);

/* Drops the connection; the next one to use it makes another. */
void conn_reset(Conn *conn);

typedef struct ConnState {
    bool is_up;
    uint64_t connects;
    uint64_t heard_ns; /* of the last bytes received */
} ConnState;

ConnState conn_state(Conn *conn);

/* Lets an epoll set wake when conn_process() has something to do. 0, -ENOMEM, -errno. */
int conn_watch(Conn *conn, int epoll_fd);
void conn_unwatch(Conn *conn, int epoll_fd);
