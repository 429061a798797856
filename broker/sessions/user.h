/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The users of sessions, and what they may do. */

#include "broker/sessions/session.h"

/* Finds the user at the other end of a connection. 0; *ret is NULL: the broker has no users.
 * -EACCES: the connection's key belongs to no user any more, or the connection has no key and the
 * broker now wants one. */
int session_user_of(const Broker *broker, const Peer *peer, User **ret);

/* True: the session may do this. A broker without users allows everything. */
static inline bool session_may(Session *session, Action action, Span name) {
    return !session->user || decisions_may(&session->decisions, session->user, action, name);
}

/* True: the session may see this name in lists. actions: SIGHT_OF_…; session NULL: yes. */
static inline bool session_sees(const Session *session, unsigned actions, Span name) {
    return !session || !session->user || user_may_any(session->user, actions, name);
}

/* Writes a line to the log, and sets the error ferry.PermissionDenied, which is the same whether
 * the name exists or not. action: a verb; an empty name is left out. Returns -EACCES. */
int session_denied(Session *session, const char *action, Span name, ferry_error *reterr);

/* Answers the message with ferry.PermissionDenied. */
void session_deny(Session *session, uint64_t id, Action action, Span name);

/* Gives the broker these users (NULL: everything is allowed). Takes ownership of the Rights, and
 * frees the earlier ones. Sessions whose user is gone, or has lost a right, end with this turn. */
void sessions_set_rights(Broker *broker, Rights *rights);
