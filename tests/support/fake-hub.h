/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Peers without sockets, for tests of the files above broker/sessions/session.c. The broker's
 * output stays in the real outbox of each peer until the test reads it.
 */

#include "broker/sessions/session.h"

/* Sets up a whole broker except its hub: rooms, limits and timers, with now_ms = 1000. */
void fake_hub_init(Broker *broker);
/* Ends all sessions and rooms, and frees all peers. */
void fake_hub_deinit(Broker *broker);

/* Returns a connection that has not sent a message yet. */
Peer *fake_peer_new(Broker *broker);
/* Ends the peer's connection: tells the broker, and frees the peer. */
void fake_peer_gone(Broker *broker, Peer *peer);

/* Passes a batch of the peer to the broker, unless the peer was cut, and ends the turn. */
void fake_receive(Broker *broker, Peer *peer, const void *data, size_t len);
/* Like fake_receive(), for a batch with one message. */
void fake_say(Broker *broker, Peer *peer, const Message *message);
/* Sends HELLO with 16 times this byte as client, and unlimited credit. */
void fake_hello(Broker *broker, Peer *peer, uint8_t client);
/* A new peer over ipc://, of the user with this uid, that has sent HELLO. */
Peer *fake_peer_of_user(Broker *broker, uid_t uid, uint8_t client);
/* A new peer whose HELLO was answered; its output so far is dropped. */
Peer *fake_peer_connected(Broker *broker, uint8_t client);

/* A peer that has got output since it was returned last; NULL: all output was returned. */
Peer *fake_touched(Broker *broker);
/* The next message that the broker has sent to the peer, or NULL. Lent until the next call. */
const Message *fake_next(Peer *peer);
/* The next message that is not session control, or is BYE or FAULT. */
const Message *fake_next_real(Peer *peer);
/* The value of a key of an error, as a static text. */
const char *fake_error(const Message *message, const char *key);

/* Moves the clock and runs the timers. */
void fake_wait(Broker *broker, uint64_t ms);
