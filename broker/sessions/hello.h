/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* How sessions begin, with HELLO, and how they end. */

#include "broker/sessions/session.h"

/* The first message of a connection: makes its session, or cuts the connection. */
void session_hello(Broker *broker, Peer *peer, const Message *message);

/* The connection is gone, and its session ends. */
void sessions_peer_gone(Broker *broker, Peer *peer);

/* At the end of a turn: frees the sessions that have ended. */
void sessions_turn_end(Broker *broker);

/* At the broker's end: frees all sessions and clients. */
void sessions_free(Broker *broker);
