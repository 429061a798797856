/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Batches that wait for a later turn. A turn does TURN_WORK units of work. The rest of a batch then
 * waits with its session, and so do the batches that follow it. Otherwise a batch of ten thousand
 * small publishes to ten thousand subscribers would be a turn of seconds. The session gets the
 * credit of a batch back when the batch is done, so the credit bounds the deferred bytes.
 *
 * A single message can be costly: a new wildcard subscription when there are many topics, or a list
 * of ferry.Broker. A thousand peers may send one each at the same time. So a costly message always
 * waits for the part of the turn that belongs to deferred batches.
 */

#include "broker/sessions/session.h"

/* A unit is about 100 ns: a message handled, a message delivered, or a pattern compared. A turn has
 * three quarters of a millisecond; an ordinary batch has 512 messages. */
enum { TURN_WORK = 8192 };

int deferred_new(Deferred **ret, Broker *broker); /* -ENOMEM */
Deferred *deferred_free(Deferred *deferred);

/* Defers the rest of a batch, or a batch that arrived after a deferred one. -ENOMEM. */
int deferred_add(Session *session, const Reader *rest);

/* The session whose deferred batch is next: the one that has waited longest. It is moved to the
 * end. NULL: no batch is deferred. */
Session *deferred_turn(Deferred *deferred);
/* The last session of the list, or NULL. */
const Session *deferred_last(const Deferred *deferred);

/* The first deferred batch of the session. deferred_reader() gives a reader of its bytes,
 * deferred_read_to() notes how far it was read, and deferred_done() removes it and gives its credit
 * back. */
Reader deferred_reader(const Session *session);
void deferred_read_to(Session *session, const Reader *reader);
void deferred_done(Session *session);
