/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A small broker and a small client for the tests of hub.c and link.c, in one thread and over real
 * sockets. The broker answers a HELLO, and answers each CALL with the call's own body.
 */

#include "rpc/link/client/link.h"
#include "rpc/link/hub/hub.h"

enum { MINI_TURNS_MAX = 120000 };

typedef struct MiniBroker {
    Hub *hub;
    char endpoint[256];
    uint64_t welcome_bytes; /* credit that WELCOME grants; 0: WIRE_CREDIT */
    unsigned n_hello, n_calls, n_gone, n_batches;
    unsigned n_landed;  /* PARTs whose bodies were read straight into their transfer */
    unsigned n_not_yet; /* on_gone returns false this many times */
    bool mute;          /* accepts all messages and answers none of them */
    Peer *last;         /* the peer with the last HELLO; NULL after it is gone */
} MiniBroker;

typedef struct MiniClient {
    Link *link;
    unsigned n_up, n_down, n_messages, n_wrong;
    size_t last_len;
    uint64_t last_id;
} MiniClient;

/* endpoint: tcp://127.0.0.1:* picks a port. */
void mini_broker_open(MiniBroker *broker, const char *endpoint);
void mini_broker_close(MiniBroker *broker);

/* The handlers for a link that a test creates itself. */
LinkHandlers mini_handlers(MiniClient *client);
void mini_client_open(MiniClient *client, const char *url);
void mini_client_close(MiniClient *client);

/* Sends a CALL with a body of len bytes, each (uint8_t)id. Returns the result of link_put(). */
int mini_call(MiniClient *client, uint64_t id, size_t len);

/* Runs one turn of the broker and of the client. Either may be NULL. Then sleeps for a
 * millisecond. */
void mini_turn(MiniBroker *broker, MiniClient *client);

/* Runs turns until the condition holds. False: it did not hold after two minutes. */
#define MINI_UNTIL(broker, client, condition)                                                      \
    __extension__({                                                                                \
        for (unsigned n_ = 0; n_ < MINI_TURNS_MAX && !(condition); n_++)                           \
            mini_turn(broker, client);                                                             \
        (bool)(condition);                                                                         \
    })

/* Runs this number of turns, of at least a millisecond each. */
void mini_turns(MiniBroker *broker, MiniClient *client, unsigned n);
