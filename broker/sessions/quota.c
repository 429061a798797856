/* SPDX-License-Identifier: Apache-2.0 */
/* The limits of one user over all of the user's sessions. See quota.h. */

#include "broker/sessions/quota.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <utlist.h>

#include "broker/core/peer-log.h"

enum { SECOND_US = 1000 * 1000 };

static Quota *quota_of(Broker *broker, const User *user) {
    Quota *quota, **more;

    HASH_FIND_STR(broker->quotas.by_name, user->name, quota);
    if (quota)
        return quota;
    more = realloc(broker->quotas.all, (broker->quotas.n + 1) * sizeof(Quota *));
    if (!more)
        return NULL;
    broker->quotas.all = more;
    quota = calloc(1, sizeof(*quota));
    if (!quota)
        return NULL;
    strcpy(quota->name, user->name);
    quota->log.user = quota->name;
    HASH_ADD_STR(broker->quotas.by_name, name, quota);
    if (!hash_added(quota)) {
        free(quota);
        return NULL;
    }
    broker->quotas.all[broker->quotas.n] = quota;
    quota->number = ++broker->quotas.n;
    return quota;
}

void quotas_free(Broker *broker) {
    HASH_CLEAR(hh, broker->quotas.by_name);
    for (uint32_t i = 0; i < broker->quotas.n; i++) {
        timer_disarm(&broker->timers, &broker->quotas.all[i]->log.tell);
        free(broker->quotas.all[i]);
    }
    free(broker->quotas.all);
    broker->quotas.all = NULL;
    broker->quotas.n = 0;
}

int session_set_user(Session *session, User *user) {
    Quota *before = session->quota, *quota = NULL;

    if (user && !(quota = quota_of(session->broker, user)))
        return -ENOMEM;
    if (before) {
        DL_DELETE2(before->sessions, session, quota_prev, quota_next);
        before->n_sessions--;
    }
    if (quota) {
        DL_APPEND2(quota->sessions, session, quota_prev, quota_next);
        quota->n_sessions++;
    }
    session->quota = quota;
    user_ref(user);
    user_unref(session->user);
    session->user = user;
    return 0;
}

/* ---- checks ---- */

static uint64_t memory_of(const Quota *quota) {
    const Session *session;
    uint64_t bytes = quota->job_bytes;

    DL_FOREACH2(quota->sessions, session, quota_next) {
        bytes += session->peer->account.held + session->peer->account.output;
    }
    return bytes;
}

static uint64_t calls_of(const Quota *quota) {
    const Session *session;
    uint64_t n = 0;

    DL_FOREACH2(quota->sessions, session, quota_next) {
        n += session->calls.n;
    }
    return n;
}

static uint64_t subscriptions_of(const Quota *quota) {
    const Session *session;
    uint64_t n = 0;

    DL_FOREACH2(quota->sessions, session, quota_next) {
        n += session->client->n_subscriptions;
    }
    return n;
}

/* Counts a publish. False: the user's publishes are one second ahead of the rate. */
static bool keeps_rate(Quota *quota, uint64_t rate, uint64_t now_us) {
    if (quota->publish_us < now_us)
        quota->publish_us = now_us;
    if (quota->publish_us > now_us + SECOND_US - SECOND_US / rate)
        return false;
    quota->publish_us += SECOND_US / rate;
    return true;
}

static bool refuse(Session *session, uint64_t id, const char *type, const char *unit,
                   const char *setting, uint64_t limit) {
    char address[CONNECTION_ADDRESS_MAX];

    user_log(session->broker, &session->quota->log, LOG_LEVEL_WARNING,
             "a user is at a limit: user='%s' setting=%s limit=%" PRIu64 " session=%u peer=%s",
             session->user->name, setting, limit, session->number,
             peer_address(session->peer, address));
    session_error(session, id, type, "the user '%s' has reached the limit of %" PRIu64 " %s (%s)",
                  session->user->name, limit, unit, setting);
    return true;
}

bool quota_check(Session *session, uint64_t id, QuotaKind kind, uint64_t bytes) {
    const UserLimits *limits = &session->user->limits;
    Quota *quota = session->quota;

    if (kind == QUOTA_CALL && limits->calls && calls_of(quota) >= limits->calls)
        return refuse(session, id, "ferry.Overloaded", "unanswered calls", "max_calls",
                      limits->calls);
    if (kind == QUOTA_SUBSCRIBE && limits->subscriptions &&
        subscriptions_of(quota) >= limits->subscriptions)
        return refuse(session, id, "ferry.Full", "subscriptions", "max_subscriptions",
                      limits->subscriptions);
    if (kind == QUOTA_PUSH && limits->queue_bytes && quota->job_bytes + bytes > limits->queue_bytes)
        return refuse(session, id, "ferry.Full", "bytes of jobs", "max_queue_bytes",
                      limits->queue_bytes);
    if (limits->memory && memory_of(quota) + bytes > limits->memory)
        return refuse(session, id, "ferry.Full", "bytes of the broker's memory", "max_memory",
                      limits->memory);
    /* Check the rate last: a publish that is refused for another reason must not count. */
    if (kind == QUOTA_PUBLISH && limits->publishes &&
        !keeps_rate(quota, limits->publishes, session->broker->now_us))
        return refuse(session, id, "ferry.Overloaded", "publishes per second", "max_publishes",
                      limits->publishes);
    return false;
}

/* ---- jobs ---- */

void quota_charge_job(Broker *broker, uint32_t number, uint64_t bytes) {
    if (number > 0)
        broker->quotas.all[number - 1]->job_bytes += bytes;
}

void quota_refund_job(Broker *broker, uint32_t number, uint64_t bytes) {
    if (number > 0)
        broker->quotas.all[number - 1]->job_bytes -= bytes;
}
