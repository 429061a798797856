/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Peers without sockets, for the tests of the files above broker/sessions/session.c: the broker's
 * output stays in each peer's real outbox until the test reads it.
 */

#include "broker/sessions/session.h"

/* Rooms, limits, timers, now_ms = 1000: a whole broker but for its hub. */
void fake_hub_init(Broker *broker);
/* Ends all sessions and rooms, and frees all peers. */
void fake_hub_deinit(Broker *broker);

/* A connection that has said nothing yet. */
Peer *fake_peer_new(Broker *broker);
/* Its connection ends: the broker is told, and the peer freed. */
void fake_peer_gone(Broker *broker, Peer *peer);

/* A batch comes from it, unless it was cut; then the turn ends. */
void fake_receive(Broker *broker, Peer *peer, const void *data, size_t len);
/* A batch with one message in it. */
void fake_say(Broker *broker, Peer *peer, const Message *message);
/* HELLO with 16 times this byte as client, and credit without end. */
void fake_hello(Broker *broker, Peer *peer, uint8_t client);

/* The next message that the peer was sent, or NULL. Lent until the next call. */
const Message *fake_next(Peer *peer);
/* The next one that is not session control, but for BYE and FAULT. */
const Message *fake_next_real(Peer *peer);
/* The value of a key of an error, as text: static. */
const char *fake_error(const Message *message, const char *key);

/* Moves the clock and runs the timers. */
void fake_wait(Broker *broker, uint64_t ms);
