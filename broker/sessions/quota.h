/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The limits of one user, over all sessions of that user together: if one user floods the broker,
 * only that user gets errors. A user's jobs are counted until the broker stops; jobs that a store
 * restores are counted for no user.
 */

#include "base/hash.h"
#include "broker/sessions/session.h"

typedef enum QuotaKind {
    QUOTA_CALL,
    QUOTA_PUBLISH,
    QUOTA_PUSH, /* bytes: size of the job */
    QUOTA_SUBSCRIBE,
    N_QUOTA_KINDS,
} QuotaKind;

/* Messages of a user since the start of the broker. */
typedef struct QuotaCounts {
    uint64_t done[N_QUOTA_KINDS]; /* with the right to it; a limit may have refused them */
    uint64_t bytes;               /* bytes that have arrived from the user, without handshakes */
    uint64_t refused;             /* without a right, or at a limit */
} QuotaCounts;

typedef struct Quota {
    char name[USER_NAME_MAX + 1];
    uint32_t number;   /* its place in broker->quotas.all, from 1 */
    Session *sessions; /* utlist */
    uint32_t n_sessions;
    uint64_t job_bytes;  /* bytes of the jobs that the user has pushed */
    uint64_t publish_us; /* the time of the last publish, if all publishes had come at the allowed
                          * rate */
    QuotaCounts counts;
    PeerLog log; /* log lines about denials, and about limits that were reached */
    UT_hash_handle hh;
} Quota;

/* From now on the session belongs to this user; NULL: to no user. 0, or -ENOMEM: nothing has
 * changed. */
int session_set_user(Session *session, User *user);

/* Like quota_refuses(), for a user that has limits. */
bool quota_check(Session *session, uint64_t id, QuotaKind kind, uint64_t bytes);

/* True: the user would exceed a limit. The message with this id has been answered with ferry.Full
 * or ferry.Overloaded, and the log may have a line. */
static inline bool quota_refuses(Session *session, uint64_t id, QuotaKind kind, uint64_t bytes) {
    return session->user && session->user->limits.any && quota_check(session, id, kind, bytes);
}

/* Counts a message of the session's user. */
static inline void quota_count(const Session *session, QuotaKind kind) {
    if (session->quota)
        session->quota->counts.done[kind]++;
}

/* The number of the quota of the session's user; 0: no user. */
static inline uint32_t quota_number(const Session *session) {
    return session->quota ? session->quota->number : 0;
}

/* Counts a job in the quota with this number; 0: in no quota. */
void quota_charge_job(Broker *broker, uint32_t number, uint64_t bytes);
void quota_refund_job(Broker *broker, uint32_t number, uint64_t bytes);

void quotas_free(Broker *broker);
