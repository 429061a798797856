/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A small broker and a small client, in one thread, over real sockets, for the tests of hub.c and
 * link.c. The broker answers HELLO, and CALLs with what they carry.
 */

#include "rpc/link/client/link.h"
#include "rpc/link/hub/hub.h"

typedef struct MiniBroker {
    Hub *hub;
    char endpoint[256];
    uint64_t welcome_bytes; /* credit that WELCOME grants; 0: the usual */
    unsigned n_hello, n_calls, n_gone, n_batches;
    unsigned n_not_yet; /* on_gone returns false as often */
    bool mute;          /* takes everything, answers nothing */
    Peer *last;         /* whose HELLO came last; NULL when it is gone */
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

/* For a link that a test creates itself. */
LinkHandlers mini_handlers(MiniClient *client);
void mini_client_open(MiniClient *client, const char *url);
void mini_client_close(MiniClient *client);

/* A CALL with a body of so many bytes, each (uint8_t)id. 0, or what link_put() says. */
int mini_call(MiniClient *client, uint64_t id, size_t len);

/* One turn of both; either may be NULL. Sleeps at most a millisecond. */
void mini_turn(MiniBroker *broker, MiniClient *client);

/* Turns until the condition holds, at most ms long. Says whether it did. */
#define MINI_UNTIL(broker, client, ms, condition)                                                  \
    __extension__({                                                                                \
        uint64_t end_ = clock_ms() + (ms);                                                         \
        while (!(condition) && clock_ms() < end_)                                                  \
            mini_turn(broker, client);                                                             \
        (bool)(condition);                                                                         \
    })
