/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The homes of queues: which of several brokers has a queue. Brokers that share queues have each of
 * them at one broker only, and answer ferry.Moved at the others (docs/scaling.md).
 *
 * All pushes of a leader stay in its log (resend/push-log.h), which sends them through the
 * leader's own connection. The first answer ferry.Moved makes homes: from then on each queue with
 * pushes has one, and the pushes of a queue at another broker are sent through the member of that
 * broker, with the leader as their origin. The pushes of a queue keep their order: if a broker
 * refuses one of them, or is lost, all later ones wait until each that was sent has its answer.
 * Then the oldest one goes alone, and the others follow when its broker has taken it.
 */

#include "clients/c/resend/push-log.h"

enum { HOMES_MAX = 4096 }; /* homes of queues without pushes that a client remembers */

/* True: the leader has homes, so home_add() sends new pushes. */
static inline bool homes_are_known(const Core *leader) {
    return leader->pushes->left_home != NULL;
}

/* Sends a new push of the log, or has it wait behind older ones. 0, -ENOMEM. */
int home_add(Core *leader, Push *push);

/* True: the leader has learned that the queue is at another broker than this one. */
bool home_is_known_elsewhere(const Core *leader, Span queue, const uint8_t broker[WIRE_TOKEN]);

/* True: the push does not need the leader's own connection. */
bool home_is_elsewhere(const Push *push);
/* Why no broker has taken the push, lent until the next turn; NULL: the reason is not known. */
const char *home_why(const Push *push);

/* Receives the answer to a push of a leader. */
void home_answer(Core *leader, Await *await, const Message *message, const void *block);

/* ---- for members.c ---- */

/* A session of the leader has ended. Its pushes of closed homes come back, because the log would
 * send them before older ones. The log sends the other ones again. */
void homes_leader_down(Core *leader);

/* The member's session begins, ends, or has room in its outbox. */
void homes_member_up(Core *member);
void homes_member_down(Core *member);
void homes_member_pump(Core *member);

/* Waits a limited time for the answers of members, then ends the pushes that have no answer. */
void homes_close(Core *leader);
void homes_free(Core *leader);
