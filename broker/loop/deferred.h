/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Batches that wait for a later turn. A turn does TURN_WORK units of work: the rest of a batch then
 * waits with its session, and so do the batches that follow it. A batch of ten thousand small
 * publishes to ten thousand subscribers each would otherwise be a turn of seconds. The credit of a
 * batch goes back when the batch is done, so the credit bounds the deferred bytes.
 *
 * A single message can be costly: a new wildcard where there are many topics, the lists of
 * ferry.Broker. A thousand peers may send one each, so a costly message always waits for the share
 * of the turn that deferred batches have.
 */

#include "broker/sessions/session.h"

/* In units of about 100 ns: a message handled, a message delivered, a pattern compared. Together
 * three quarters of a millisecond; an ordinary batch has 512 messages. */
enum { TURN_WORK = 8192 };

int deferred_new(Deferred **ret, Broker *broker); /* -ENOMEM */
Deferred *deferred_free(Deferred *deferred);

/* Defers the rest of a batch, or a batch that arrived after a deferred one. -ENOMEM. */
int deferred_add(Session *session, const Reader *rest);

/* The session whose turn it is: the longest waiting one, which is moved to the end. NULL: no
 * batch is deferred. */
Session *deferred_turn(Deferred *deferred);
/* The session at the end, or NULL. */
const Session *deferred_last(const Deferred *deferred);

/* The first batch of the session: a reader of its bytes; notes how far it was read; removes it
 * and gives its credit back. */
Reader deferred_reader(const Session *session);
void deferred_read_to(Session *session, const Reader *reader);
void deferred_done(Session *session);
