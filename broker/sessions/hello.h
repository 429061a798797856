/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* How sessions begin, with HELLO, and how they end. */

#include "broker/sessions/session.h"

/* The first message of a connection: makes its session, or cuts the connection. */
void session_hello(Broker *broker, Peer *peer, const Message *message);

/* The connection is gone, and its session ends. False: the session's calls end in later turns; the
 * peer must stay until then. */
bool sessions_peer_gone(Broker *broker, Peer *peer);

/* At the end of a turn: frees the sessions that have ended. */
void sessions_turn_end(Broker *broker);

/* The last call of a session with has_calls has ended: frees it. */
void session_free(Session *session);

/* At the broker's end: frees all sessions and clients. */
void sessions_free(Broker *broker);
