/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The beginning of a session, with HELLO, and its end. */

#include "broker/sessions/session.h"

/* The broker takes no new work from now on. Clients of several brokers are told, so that they go to
 * another broker. The broker reads what they have sent before it stops:
 * broker->sessions.n_to_leave. */
void sessions_drain(Broker *broker);
/* The client sends nothing new in this session. */
void session_left(Session *session);
/* The sockets of all sessions have taken the answers of the calls lane. */
bool sessions_are_answered(const Broker *broker);

/* Handles the first message of a connection: makes a session, or cuts the connection. */
void session_hello(Broker *broker, Peer *peer, const Message *message);

/* The client with this id (WIRE_TOKEN bytes), which has a session with another broker. If it has no
 * session here, the broker remembers it from now on like a client that it has lost. -EACCES: it
 * belongs to another user than the session; -ENOBUFS: the memory is used up; -ENOMEM. */
int client_of_origin(Session *session, Span id, Client **ret);

/* The connection is gone: ends its session. False: the session's calls end in later turns; the peer
 * must live until then. */
bool sessions_peer_gone(Broker *broker, Peer *peer);

/* At the end of a turn: frees the sessions that have ended. */
void sessions_turn_end(Broker *broker);

/* Frees a session with has_calls, after its last call has ended. */
void session_free(Session *session);

/* When the broker ends: frees all sessions and clients. */
void sessions_free(Broker *broker);
