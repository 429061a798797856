#pragma once

/*
 * A turn does so much work and no more. What is left of a batch then waits with its session, and
 * with it the batches that follow: a batch of ten thousand small publishes to ten thousand
 * subscribers each would be a turn of seconds. Its credit is given back when it is done, so that
 * what waits is bounded by it.
 *
 * Some messages cost much each by itself: a new wildcard where there are many topics, the lists of
 * ferry.Broker. A thousand peers may send one each, so they wait for that share in any case.
 */

#include "broker/broker.h"

/* In units of about 100 ns: a message handled, a message delivered, a pattern looked at. Three
 * quarters of a millisecond; an ordinary batch has 512 messages. */
enum { TURN_WORK = 8192 };

/* The rest of a batch, or a batch that has come behind one. -ENOMEM. */
int parked_add(Session *session, const Reader *rest);

/* All that waits is forgotten. */
void parked_clear(Session *session);

/* Once in each turn, before what has come since: a share for all that wait. */
void parked_go_on(Broker *broker);

/* ---- dispatch.c ---- */

/* Handles messages until the batch ends, or the session, or so much work is done; true: nothing is
 * left. */
bool session_handle(Session *session, Reader *reader, bool of_control);
