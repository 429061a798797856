/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* All stores of the router together, and the shards among them, which come and go. */

#include "broker/queues/queues-private.h"

/* ---- shards.c ---- */

/* The shard of a queue. There must be shards. */
Store *shard_of(const Queues *queues, Span queue);
/* The shard of a job; NULL: its queue is in no shard. */
Store *shard_of_job(const Queues *queues, uint64_t job);
/* The first free number of a job in this store. */
uint64_t shard_next_job(const Queues *queues, const Store *store);

/* ---- away.c ---- */

/* The store of the queue, if it is a shard that is away. NULL: the queue is here. */
Store *shard_away(Queues *queues, Span queue);
/* Sets the problem that the queue's shard is away. */
void problem_set_moved(Problem *problem, Span queue, const Store *store);
/* Answers with the problem. */
void problem_answer(Session *session, uint64_t id, const Problem *problem);
/* Answers a push with the problem. ferry.Moved gets the number of these answers in the session. */
void push_refuse(Session *session, uint64_t id, const Problem *problem);
/* Fails if the push was sent before the client knew that an older push to this shard was refused
 * (docs/PROTOCOL.md §11). 0; -1: *problem is set. */
int push_in_order(Queues *queues, const Session *session, const Message *push, uint64_t moved,
                  Problem *problem);
void moved_session_gone(Session *session);
/* Tells the pull that its queue is at another broker. */
void shard_tell_moved(const Pull *pull);

/* ---- stores.c ---- */

void stores_flush(Queues *queues);
/* A name of the store for people: "disk", "shard 3". The text is static. */
const char *store_shown(const Store *store);
/* The reason why it cannot write. The text is static. */
const char *store_why_degraded(const Store *store);
/* Changes that stores have not finished. Stores that cannot write do not finish theirs, and do not
 * count. */
size_t stores_n_open(const Queues *queues);
void stores_close(Queues *queues);
void stores_forget_pushes(Queues *queues, const uint8_t *client, uint64_t floor);

/* ---- shard-moves.c ---- */

/* One slice of the jobs, keys and facts that leave memory, once in each turn. */
void shards_go_on(Queues *queues);
/* When the broker ends: the jobs that have not left yet are freed with their queues. */
void shards_free(Queues *queues);
