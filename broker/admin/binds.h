/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Durable subscriptions: a queue that is bound to topic patterns gets a job for each message that
 * is published there. Binds are made by commands, which a restart keeps, or by the configuration.
 */

#include "broker/queues/queues.h"
#include "broker/sessions/session.h"

typedef struct Binds Binds;

enum { QUEUE_BINDS_MAX = 10000 }; /* of the broker */

/* After queues_new() and topics_new(). */
int binds_new(Binds **ret, Broker *broker);
/* Before queues_free(). */
Binds *binds_free(Binds *binds);

/* PUBLISH, to subscribers and to bound queues. A message with an id is answered when every bound
 * queue has stored it, or with an error. Without an id, a queue that cannot take the message misses
 * it, which is logged and counted. */
void binds_publish(Binds *binds, Session *session, const Message *message, const void *block);

/* Binds the queue to the pattern, or ends that. QUEUES_LATER: the session gets the answer to id.
 * -EINVAL: queue or pattern is no valid name or pattern, *reterr says why; -ENOENT: the queue is
 * not bound to the pattern; -EPERM: the configuration has bound it; -ENOSPC; -ENOMEM. */
int binds_add(Binds *binds, Span queue, Span pattern, Session *session, uint64_t id,
              ferry_error *reterr);
int binds_remove(Binds *binds, Span queue, Span pattern, Session *session, uint64_t id);

/* The configuration: [queue NAME] bind = PATTERN PATTERN … -EINVAL: problem (static text) says why;
 * -ENOMEM. */
int binds_configure(Binds *binds, const char *queue, const char *patterns, const char **problem);
/* As queues_reload(). */
void binds_reload(Binds *binds);
void binds_reloaded(Binds *binds, bool is_right);

/* The patterns of a queue: a list of strings, as MessagePack. */
void binds_describe(const Queue *queue, Buffer *to);
