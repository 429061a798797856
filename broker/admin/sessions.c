/* SPDX-License-Identifier: Apache-2.0 */

/* ferry.Broker's lists of sessions and users, and its methods for sessions and the rights of their
 * users. */

#include <utlist.h>

#include "base/log.h"
#include "broker/admin/admin-private.h"
#include "broker/services/services.h"
#include "broker/sessions/quota.h"
#include "broker/sessions/user.h"
#include "ferry-broker.h"
#include "rpc/wire/name.h"

static size_t count_sessions(const Broker *broker) {
    return broker->sessions.n;
}

static void *first_session(const Broker *broker) {
    return broker->sessions.first;
}

static void *next_session(const void *element) {
    return ((const Session *)element)->next;
}

/* A user sees its own sessions; with the right `watch >` it sees all sessions. */
static bool is_session_seen(Session *session, const void *element) {
    return !session || session->user == ((const Session *)element)->user ||
           session_may(session, ACTION_WATCH, admin_all_names());
}

static unsigned write_session(const void *element, const Broker *broker, Buffer *to) {
    const Session *session = element;
    unsigned n_serves = services_of(session);
    char address[CONNECTION_ADDRESS_MAX];

    write_map(to, 16);
    write_pair(to, "session", session->number);
    write_text(to, "name");
    write_text(to, session->name);
    write_pair(to, "age_ms", broker->now_ms - session->since_ms);
    write_pair(to, "serves", n_serves);
    write_pair(to, "subscriptions", session->client->n_subscriptions);
    write_pair(to, "pulls", session->pulls.n);
    write_pair(to, "calls", session->calls.n);
    write_pair(to, "requests", session->requests.n);
    write_pair(to, "waiting", session_waiting(session));
    write_pair(to, "in", session->n_in);
    write_pair(to, "out", session->n_out);
    write_pair(to, "dropped", session->n_dropped);
    write_text(to, "user");
    write_text(to, session->user ? session->user->name : "");
    write_text(to, "address");
    write_text(to, peer_address(session->peer, address));
    write_pair(to, "pid", (uint64_t)session->peer->pid);
    write_pair(to, "memory", session->peer->account.held + session->peer->account.output);
    return n_serves;
}

const ListKind list_of_sessions = {
    .count = count_sessions,
    .first = first_session,
    .next = next_session,
    .is_seen = is_session_seen,
    .write = write_session,
};

int method_sessions(const Ask *ask, const void *p, Buffer *to, ferry_error *reterr) {
    (void)p;
    return admin_list_answer(ask, &list_of_sessions, to, reterr);
}

int method_kick(const Ask *ask, const void *p, Buffer *to, ferry_error *reterr) {
    const ferry_broker_kick_args *args = p;
    bool may_all = session_may(ask->session, ACTION_MANAGE, admin_all_names());
    Session *session;

    write_nil(to);
    DL_FOREACH(ask->broker->sessions.first, session) {
        if ((int64_t)session->number != args->session || session->ending)
            continue;
        if (!may_all && session->user != ask->session->user)
            break;
        log_info("a session ends, because ferry.Broker.kick was called: session=%u by=%u",
                 session->number, ask->session->number);
        session_end(session, "kicked");
        return 0;
    }
    /* The answer for a session that the user may not see is the same as for an unused number. */
    return error_set(reterr, "ferry.NotFound", "there is no session %lld",
                     (long long)args->session);
}

static void write_decision(Buffer *to, bool is_allowed, const char *rule, int line) {
    write_map(to, 3);
    write_text(to, "allowed");
    write_bool(to, is_allowed);
    write_text(to, "rule");
    write_text(to, rule);
    write_pair(to, "line", (uint64_t)line);
}

/* A user may ask about itself, and an administrator about all users. */
int method_check(const Ask *ask, const void *p, Buffer *to, ferry_error *reterr) {
    const ferry_broker_check_args *args = p;
    const User *self = ask->session->user, *user;
    char text[RIGHTS_PROBLEM_MAX];
    const Grant *grant;
    Action action;

    if (!action_parse(args->action, &action))
        return error_set(reterr, "ferry.InvalidArgument",
                         "args.action: call, serve, publish, subscribe, push, work, peek, manage, "
                         "watch or admin, not '%s'",
                         shown(span_text(args->action)));
    if (!pattern_is_valid(args->name, strlen(args->name)))
        return error_set(reterr, "ferry.InvalidArgument", "args.name: '%s': %s",
                         shown(span_text(args->name)),
                         pattern_problem(args->name, strlen(args->name)));
    if (!self) {
        write_decision(to, true, "", 0);
        return 0;
    }
    if (*args->user && strcmp(self->name, args->user) != 0 &&
        !session_may(ask->session, ACTION_ADMIN, admin_all_names()))
        return session_denied(ask->session, "ask about the user", span_text(args->user), reterr);
    user = *args->user ? rights_user(ask->broker->rights, args->user) : self;
    if (!user)
        return error_set(reterr, "ferry.NotFound", "there is no user '%s'",
                         shown(span_text(args->user)));
    grant = user_right(user, action, span_text(args->name));
    write_decision(to, grant != NULL, grant ? grant_text(grant, text, sizeof(text)) : "",
                   grant ? grant->line : 0);
    return 0;
}

/* ---- users ---- */

static size_t count_users(const Broker *broker) {
    return broker->quotas.n;
}

static void *first_user(const Broker *broker) {
    return broker->quotas.by_name;
}

static void *next_user(const void *element) {
    return ((const Quota *)element)->hh.next;
}

/* A user sees itself; with the right `watch >` it sees all users. */
static bool is_user_seen(Session *session, const void *element) {
    return !session || session->quota == element ||
           session_may(session, ACTION_WATCH, admin_all_names());
}

static unsigned write_user(const void *element, const Broker *broker, Buffer *to) {
    const Quota *quota = element;
    const QuotaCounts *counts = &quota->counts;

    (void)broker;
    write_map(to, 8);
    write_text(to, "user");
    write_text(to, quota->name);
    write_pair(to, "sessions", quota->n_sessions);
    write_pair(to, "calls", counts->done[QUOTA_CALL]);
    write_pair(to, "published", counts->done[QUOTA_PUBLISH]);
    write_pair(to, "pushed", counts->done[QUOTA_PUSH]);
    write_pair(to, "subscribed", counts->done[QUOTA_SUBSCRIBE]);
    write_pair(to, "bytes", counts->bytes);
    write_pair(to, "refused", counts->refused);
    return 0;
}

const ListKind list_of_users = {
    .count = count_users,
    .first = first_user,
    .next = next_user,
    .is_seen = is_user_seen,
    .write = write_user,
};

int method_users(const Ask *ask, const void *p, Buffer *to, ferry_error *reterr) {
    (void)p;
    return admin_list_answer(ask, &list_of_users, to, reterr);
}
