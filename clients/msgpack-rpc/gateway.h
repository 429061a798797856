/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A gateway for programs that speak msgpack-rpc: each request is a call of a service, by its name.
 * It is an ordinary client of the broker: each connection has a handle of its own on one client, so
 * that the end of a connection cancels its calls and ends its subscriptions.
 *
 *     gateway_new(&gateway, client, &options, reterr);
 *     … when gateway_fd() is readable: gateway_process(gateway);
 *
 * Only a subscription waits: for the broker's answer, at most RPC_SUBSCRIBE_MS.
 */

#include "clients/msgpack-rpc/protocol.h"

typedef struct Gateway Gateway;

enum {
    GATEWAY_CONNECTIONS = 256,
    GATEWAY_MESSAGE = 8 << 20,  /* bytes of a request */
    GATEWAY_MEMORY = 256 << 20, /* bytes that the gateway holds for all connections together */
};

typedef struct GatewayOptions {
    const char *const *listen; /* "tcp://HOST:PORT" or "unix:PATH" */
    size_t n_listen;
    bool insecure;       /* other machines may connect: msgpack-rpc has no keys */
    const char *service; /* the service of methods without a dot; NULL: such methods are refused */
    RpcErrors errors;
    uint32_t timeout_ms;      /* of calls; 0: the timeout of the method, or the default */
    uint32_t max_connections; /* 0 here and below: the constants above */
    uint64_t max_message, max_memory;
    /* True: the client is connected to the broker. */
    bool (*is_connected)(void *ctx);
    void *ctx;
} GatewayOptions;

/* Listens. The client is in loop mode, and outlives the gateway; the options are not copied. */
int gateway_new(Gateway **ret, ferry_client *client, const GatewayOptions *options,
                ferry_error *reterr);
Gateway *gateway_free(Gateway *gateway);

/* Readable when gateway_process() has something to do. */
int gateway_fd(const Gateway *gateway);
void gateway_process(Gateway *gateway);
