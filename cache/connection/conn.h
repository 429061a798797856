/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One connection to one Redis server. Many threads share it; no thread belongs to it. The commands
 * of all threads leave in one pipeline. One of the waiting threads leads: it polls the socket,
 * reads, and wakes the other threads when their replies have arrived. When the leader has its own
 * replies, another waiting thread becomes the leader.
 *
 * A command that cannot be sent yet waits until its own deadline while the connection is tried
 * again. If the connection is lost after a command was sent, the command fails with -ECONNRESET.
 * The reply to an abandoned command is dropped.
 */

#include <pthread.h>
#include <stdbool.h>

#include "base/buffer.h"
#include "cache/connection/reply.h"
#include "cache/connection/tls.h"
#include "cache/connection/url.h"

enum {
    CONN_PENDING_MAX = 1 << 18,       /* commands in flight */
    CONN_OUT_MAX = 128 * 1024 * 1024, /* unsent bytes */
    CONN_ATTEMPT_MS = 1000,           /* for one attempt to connect and to log in */
    CONN_RETRY_FIRST_US = 1000,       /* between attempts; doubles */
    CONN_RETRY_LONGEST_US = 64 * 1000,
};

typedef struct Conn Conn;
typedef struct ConnRequest ConnRequest;

/* A thread that waits for its requests on one connection. Initially all zero except the
 * condition. */
typedef struct ConnWaiter {
    pthread_cond_t wake;
    size_t pending;
    struct ConnWaiter *prev, *next; /* of conn->waiters */
} ConnWaiter;

/* A command in flight. The caller owns it and keeps it in place until it is done. */
struct ConnRequest {
    ConnWaiter *waiter; /* the thread that waits; NULL: done is called */
    /* Called with the connection locked; it must not use the connection. */
    void (*done)(ConnRequest *request);
    Reply *reply;        /* NULL: see status */
    int status;          /* 0, or a negative errno: the reason why there is no reply */
    const char *problem; /* static text beside status, or NULL */
    uint64_t seq;        /* 0: not in flight */
};

typedef struct ConnOptions {
    bool is_unix;
    CacheHost host; /* lent */
    Span login;     /* the command of conn_login_new(), lent; empty: no login */
    uint32_t db;
    TlsContext *tls; /* lent; NULL: without TLS */

    /* Sentinels that name the server; it must be a master. n_sentinels 0: host is the server. */
    const CacheHost *sentinels; /* lent */
    size_t n_sentinels;
    const char *master;  /* lent */
    Span sentinel_login; /* as login, for the Sentinels */

    /* Writes further commands for the start of each connection and returns their number. */
    unsigned (*greet)(Buffer *out, void *ctx);
    /* Receives the reply to command i of greet(). A negative errno refuses the connection. */
    int (*greeted)(unsigned i, const Reply *reply, void *ctx);
    /* The connection was up and has been lost. */
    void (*lost)(void *ctx);
    /* If set, every later reply is passed to this function, which then owns it. For a connection
     * that subscribes. */
    void (*push)(Reply *reply, void *ctx);
    void *ctx; /* all four are called with the connection locked */
} ConnOptions;

int conn_new(Conn **ret, const ConnOptions *options);
Conn *conn_free(Conn *conn); /* commands in flight fail with -ECANCELED */
DEFINE_CLEANUP(Conn *, conn_free);

/* Makes the command that logs in. user NULL: without a user, as in Redis before version 6. password
 * NULL: *ret is empty. The command lies in memory for secrets until conn_login_free(), and is sent
 * from there. 0, -ENOMEM. */
int conn_login_new(Span *ret, const char *user, const char *password);
void conn_login_free(Span login);

/* Appends a command in the Redis protocol. */
void conn_format(Buffer *to, const Span *args, size_t n);

void conn_lock(Conn *conn);
void conn_unlock(Conn *conn);

/* Appends a command to the pipeline; call it with the connection locked. 0; -ENOBUFS, -ENOMEM: the
 * command was not appended. */
int conn_put(Conn *conn, const Span *args, size_t n, ConnRequest *request);

/* As conn_put(), for a command whose reply is ignored. */
int conn_put_unanswered(Conn *conn, const Span *args, size_t n);

/* Sends a command on a connection that subscribes; the reply goes to options.push. Does nothing
 * while the connection is not up. Takes the lock itself. */
void conn_tell(Conn *conn, const Span *args, size_t n);

/* Sends the appended commands; call it before conn_unlock(). */
void conn_flush(Conn *conn);

void conn_waiter_init(ConnWaiter *waiter);
void conn_waiter_deinit(ConnWaiter *waiter);

/* Waits until all requests of the waiter are done, or until deadline_ns: the remaining requests are
 * then abandoned with the status -ETIMEDOUT, or -ENOTCONN without a connection, and the function
 * returns false. */
bool conn_wait(Conn *conn, ConnWaiter *waiter, uint64_t deadline_ns);

/* Abandons one request that has no waiter, unless it is done already. */
void conn_abandon(Conn *conn, ConnRequest *request, int status);

/* Connects, sends and reads as far as possible without waiting. */
void conn_process(Conn *conn);

/* Drops the connection; the next command opens a new one. */
void conn_reset(Conn *conn);

typedef struct ConnState {
    bool is_up;
    uint64_t connects;
    uint64_t heard_ns; /* time of the last received bytes */
} ConnState;

ConnState conn_state(Conn *conn);

/* Makes an epoll set wake when conn_process() has work. 0, -ENOMEM, -errno. */
int conn_watch(Conn *conn, int epoll_fd);
void conn_unwatch(Conn *conn, int epoll_fd);
