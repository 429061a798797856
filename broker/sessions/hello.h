/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The beginning of a session, with HELLO, and its end. */

#include "broker/sessions/session.h"

/* Handles the first message of a connection: makes a session, or cuts the connection. */
void session_hello(Broker *broker, Peer *peer, const Message *message);

/* The connection is gone: ends its session. False: the session's calls end in later turns; the peer
 * must live until then. */
bool sessions_peer_gone(Broker *broker, Peer *peer);

/* At the end of a turn: frees the sessions that have ended. */
void sessions_turn_end(Broker *broker);

/* Frees a session with has_calls, after its last call has ended. */
void session_free(Session *session);

/* When the broker ends: frees all sessions and clients. */
void sessions_free(Broker *broker);
