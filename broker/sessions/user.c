/* SPDX-License-Identifier: Apache-2.0 */
/* The user of a session, and what the user may do. See user.h. */

#include "broker/sessions/user.h"

#include <errno.h>
#include <utlist.h>

#include "broker/core/peer-log.h"
#include "broker/events/events.h"
#include "broker/sessions/quota.h"

int session_user_of(const Broker *broker, const Peer *peer, User **ret) {
    const uint8_t *key = connection_key(&peer->connection);

    if (!broker->rights) {
        *ret = NULL;
    } else if (peer->has_uid) {
        *ret = rights_user_of_uid(broker->rights, peer->uid);
    } else if (key) {
        *ret = rights_user_of_key(broker->rights, key);
        return *ret ? 0 : -EACCES;
    } else {
        *ret = rights_user(broker->rights, USER_ANONYMOUS);
        return broker->keys.n_pairs > 0 ? -EACCES : 0;
    }
    return 0;
}

/* Writes the log line of a denial, and publishes its event. */
static void tell_denial(Session *session, const char *action, Span name) {
    char address[CONNECTION_ADDRESS_MAX];

    session->quota->counts.refused++;
    user_log(session->broker, &session->quota->log, LOG_LEVEL_WARNING,
             "permission denied: user='%s' action='%s' name='%s' session=%u peer=%s",
             session->user->name, action, shown(name), session->number,
             peer_address(session->peer, address));
    if (event_is_watched(session->broker, EVENT_RIGHT_REFUSED))
        event_raise(session->broker, EVENT_RIGHT_REFUSED,
                    &(broker_events_right_refused){.session = session->number,
                                                   .user = session->user->name,
                                                   .action = action,
                                                   .subject = shown(name)});
}

int session_denied(Session *session, const char *action, Span name, ferry_error *reterr) {
    tell_denial(session, action, name);
    return error_set(reterr, "ferry.PermissionDenied", "the user '%s' has no right to %s%s%s%s",
                     session->user->name, action, name.len > 0 ? " '" : "", shown(name),
                     name.len > 0 ? "'" : "");
}

void session_deny(Session *session, uint64_t id, Action action, Span name) {
    tell_denial(session, action_name(action), name);
    session_error(session, id, "ferry.PermissionDenied", "the user '%s' has no right to %s '%s'",
                  session->user->name, action_name(action), shown(name));
}

/* True: the session may continue with its new user. */
static bool may_continue(const User *before, const User *now) {
    if (!now)
        return true;
    if (!before)
        return user_may(now, ACTION_ADMIN, span_text(">"));
    return strcmp(before->name, now->name) == 0 && user_has_rights_of(now, before);
}

static int change_user(Session *session, User *now) {
    Client *client = session->client;

    if (session_set_user(session, now) < 0)
        return -ENOMEM;
    user_unref(client->user);
    client->user = user_ref(now);
    session->decisions = decisions_free(session->decisions);
    return 0;
}

void sessions_set_rights(Broker *broker, Rights *rights) {
    Rights *before = broker->rights;
    Session *session;

    broker->rights = rights;
    DL_FOREACH(broker->sessions.first, session) {
        User *now = NULL;
        bool has_user = session_user_of(broker, session->peer, &now) == 0;

        if (session->ending)
            continue;
        if (has_user && may_continue(session->user, now) && change_user(session, now) == 0)
            continue;
        log_info("a session ends, its user has lost rights: session=%u user='%s'", session->number,
                 session->user ? session->user->name : "");
        /* Forget the client of a user that is gone: its id must stay usable for the next user. */
        session->said_bye |= !session->user ||
                             (now && strcmp(session->user->name, now->name) != 0) ||
                             (!now && !rights_user(rights, session->user->name));
        session_end(session, "rights");
    }
    rights_free(before);
}
