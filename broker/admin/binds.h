/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Durable subscriptions: a queue that is bound to a topic pattern gets a job for each message that
 * is published on a matching topic. A bind comes from a command, and then outlives a restart, or
 * from the configuration.
 */

#include "broker/queues/queues.h"
#include "broker/schedules/schedules.h"
#include "broker/sessions/session.h"

typedef struct Binds Binds;

enum {
    QUEUE_BINDS_MAX = 10000, /* all binds of the broker, or of its cluster */
    BIND_CHANGES_MAX = 1000, /* commands that wait until all brokers of the cluster know a bind */
};

/* Call it after queues_new() and topics_new(). */
int binds_new(Binds **ret, Broker *broker);
/* Call it before queues_free(). */
Binds *binds_free(Binds *binds);

/* PUBLISH, to subscribers and to bound queues, and to the retained values that brokers share. If
 * the message has an id, the publisher gets OK when each bound queue has stored it, or an error.
 * Without an id, a queue that cannot take the message misses it, which is logged and counted. */
void binds_publish(Binds *binds, Session *session, const Message *message, const void *block);

/* Binds the queue to the pattern, or removes the bind. QUEUES_LATER: the session gets the answer to
 * id. -EINVAL: the queue or the pattern is not valid, and *reterr says why; -ENOENT: the queue
 * is not bound to the pattern; -EPERM: the configuration has bound it; -ENOSPC: there are too many
 * binds; -EBUSY; -ENOMEM. */
int binds_add(Binds *binds, Span queue, Span pattern, Session *session, uint64_t id,
              ferry_error *reterr);
int binds_remove(Binds *binds, Span queue, Span pattern, Session *session, uint64_t id);

/* Adds a schedule, or replaces the one of this name, which exists once in a cluster; removes it. As
 * schedules_add() and schedules_remove(). -EBUSY: reterr says why. */
int schedule_names_add(Binds *binds, const ScheduleParts *parts, Session *session, uint64_t id,
                       ferry_error *reterr);
int schedule_names_remove(Binds *binds, Span name, Session *session, uint64_t id,
                          ferry_error *reterr);
/* True: another broker has the schedule, and this is its queue. */
bool schedule_names_find_far(const Binds *binds, Span name, Span *ret_queue);

/* The broker shares queues with others. */
void binds_set_relay(Binds *binds, TopicRelay *relay);

/* For the configuration: [queue NAME] bind = PATTERN PATTERN … -EINVAL: problem (static text) says
 * why; -ENOMEM. */
int binds_configure(Binds *binds, const char *queue, const char *patterns, const char **problem);
/* Reads the configuration again: see queues_reload(). */
void binds_reload(Binds *binds);
void binds_reloaded(Binds *binds, bool is_right);

/* Writes the patterns of a queue as MessagePack: a list of strings. */
void binds_describe(const Queue *queue, Buffer *to);
