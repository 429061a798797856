/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The limits of one user, over all sessions of that user together: a flood of one user is an error
 * for that user alone. A user's jobs are counted until the broker stops; those that a store
 * restores belong to no user.
 */

#include "base/hash.h"
#include "broker/sessions/session.h"

typedef struct Quota {
    char name[USER_NAME_MAX + 1];
    uint32_t number;   /* of broker->quotas, from 1 */
    Session *sessions; /* utlist */
    uint32_t n_sessions;
    uint64_t job_bytes;  /* of the jobs that the user has pushed */
    uint64_t publish_us; /* when the publishes so far would have come, at the allowed rate */
    PeerLog log;         /* denials, and limits that were reached */
    UT_hash_handle hh;
} Quota;

/* The session belongs to this user from now on; NULL: to no user. 0 or -ENOMEM, which changes
 * nothing. */
int session_set_user(Session *session, User *user);

typedef enum QuotaKind {
    QUOTA_CALL,
    QUOTA_PUBLISH,
    QUOTA_PUSH, /* bytes: of the job */
    QUOTA_SUBSCRIBE,
} QuotaKind;

/* The same, of a user that has limits. */
bool quota_check(Session *session, uint64_t id, QuotaKind kind, uint64_t bytes);

/* True: the user would exceed a limit. The message with this id got its error, ferry.Full or
 * ferry.Overloaded, and the log may have a line. */
static inline bool quota_refuses(Session *session, uint64_t id, QuotaKind kind, uint64_t bytes) {
    return session->user && session->user->limits.any && quota_check(session, id, kind, bytes);
}

/* Of the session's user; 0: no user. */
static inline uint32_t quota_number(const Session *session) {
    return session->quota ? session->quota->number : 0;
}

/* Count a job of the quota with this number; 0: of no user. */
void quota_charge_job(Broker *broker, uint32_t number, uint64_t bytes);
void quota_refund_job(Broker *broker, uint32_t number, uint64_t bytes);

void quotas_free(Broker *broker);
