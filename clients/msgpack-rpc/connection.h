/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One connection of a msgpack-rpc client: its requests, their answers, its subscriptions. */

#include <sys/epoll.h>

#include "base/burst.h"
#include "clients/msgpack-rpc/gateway.h"
#include "clients/msgpack-rpc/scanner.h"
#include "rpc/address/socket.h"

typedef struct RpcConnection RpcConnection;
typedef struct RpcSubscription RpcSubscription;

enum {
    RPC_CALLS_MAX = 1024,        /* calls without an answer; at this number, reading pauses */
    RPC_SUBSCRIPTIONS_MAX = 256, /* subscriptions of one connection */
    RPC_OUT_PAUSE = 1 << 20,     /* with more unsent bytes, reading pauses */
    RPC_OUT_MAX = 16 << 20,      /* with more unsent bytes, the connection is closed */
    RPC_SUBSCRIBE_MS = 1000,     /* the longest wait for the broker's answer */
};

/* The state that all connections share. */
struct Gateway {
    ferry_client *client;
    const GatewayOptions *options;
    uint64_t max_message, max_memory, held; /* held: bytes of all buffers */
    uint32_t max_connections, n_connections;
    uint64_t last_number;
    int epoll_fd, wake_fd; /* wake: an eventfd, written when `dirty` begins */
    int spare_fd; /* closed when no descriptor is left, so that a connection can be accepted and
                     refused */
    int *listeners;
    size_t n_listeners;
    RpcConnection *connections; /* utlist */
    RpcConnection *dirty;       /* linked by next_dirty: connections with work outside callbacks */
    Burst log_rate;
    uint64_t n_unlogged;
};

struct RpcConnection {
    Gateway *gateway;
    RpcConnection *prev, *next, *next_dirty;
    ferry_client *handle;
    int fd;
    uint64_t number;
    uint32_t events; /* the events that epoll watches */
    bool dirty, ended;
    char peer[SOCKET_TEXT_MAX];
    RpcScanner scanner;
    Buffer in;               /* received bytes, from the beginning of the first incomplete value */
    size_t n_scanned, n_out; /* scanned bytes of `in`; sent bytes of `out` */
    Buffer out;
    uint64_t held; /* this connection's share of gateway->held */
    unsigned n_calls, n_subscriptions;
    uint64_t last_subscription;
    RpcSubscription *subscriptions; /* utlist */
};

/* Takes over the descriptor, also on failure. */
int rpc_connection_new(Gateway *gateway, int fd, const struct sockaddr *address);
void rpc_connection_free(RpcConnection *connection);

/* Call this when the descriptor is ready, or when the connection is dirty. May end the connection:
 * see `ended`. */
void rpc_connection_process(RpcConnection *connection, uint32_t events);

/* Closes the connection, with a line in the log. problem: a static text. */
void rpc_connection_cut(RpcConnection *connection, const char *problem);

/* Call this after writing to connection->out. */
void rpc_connection_wrote(RpcConnection *connection);

/* Answers a request with an error. A notification gets no answer. */
void rpc_connection_fail(RpcConnection *connection, const RpcMessage *message,
                         const ferry_error *error);
void rpc_connection_answer(RpcConnection *connection, const RpcMessage *message, Span value);

/* A call or push of this connection, until its answer. NULL: out of memory. */
typedef struct RpcPending {
    RpcConnection *connection;
    RpcMessage message; /* method and params are no longer valid */
} RpcPending;

RpcPending *rpc_pending_new(RpcConnection *connection, const RpcMessage *message);
void rpc_pending_free(RpcPending *call);

/* Writes a log line about a peer, at a limited rate. */
void gateway_log(Gateway *gateway, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- own-methods.c ---- */

/* The gateway's own methods: "ferry.subscribe" and so on. False: the method is not one of them. */
bool rpc_own_method(RpcConnection *connection, const RpcMessage *message);
void rpc_subscriptions_free(RpcConnection *connection);
