/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Pushes that were stored before, by an earlier process or under the name of forwards. */

#include "broker/queues/queues-private.h"

/* ---- restored-pushes.c ---- */

/* The name, as long as a client's id, under which jobs of this queue move to another store. */
void queue_name_as_client(const Queue *queue, uint8_t name[WIRE_TOKEN]);
/* True: an earlier process has stored this push, or (name of forwards) it was stored. */
bool restored_pushes_have(const Queues *queues, const uint8_t *client, uint64_t id);
/* The client is back: from now on its push ids are in its dedup window. */
void restored_pushes_adopt(Queues *queues, Client *client);
void restored_pushes_free(Queues *queues);
/* Forgets, here and in the stores, the pushes that moved jobs of this queue to other stores. */
void restored_pushes_queue_gone(Queue *queue);

/* A job of a shard that is forwarded to a shard is stored there under the name of its queue
 * and the user of its worker, with its number as the id of the push, whichever broker stores it.
 * The name has the length of a client's id, and no client has it. */
void forwards_name(const User *user, Span queue, uint8_t name[WIRE_TOKEN]);
bool forwards_have_name(const uint8_t *name);
/* Finds or makes the forwards of this name, with room for one more. NULL: out of memory. */
RestoredPushes *forwards_reserve(Queues *queues, const uint8_t name[WIRE_TOKEN]);
const uint8_t *forwards_client(const RestoredPushes *forwards); /* their name */
/* They stay while a change has them. */
void forwards_hold(RestoredPushes *forwards);
void forwards_let_go(RestoredPushes *forwards);
/* The job was stored. */
void forwards_add(Queues *queues, RestoredPushes *forwards, uint64_t job);
