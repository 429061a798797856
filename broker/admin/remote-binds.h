/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The binds of queues in shards, as the brokers of the cluster have announced them. They count for
 * shards that are at other brokers.
 */

#include "broker/queues/queues.h"

typedef struct RemoteBinds RemoteBinds;

int remote_binds_new(RemoteBinds **ret, const Queues *queues); /* -ENOMEM */
RemoteBinds *remote_binds_free(RemoteBinds *binds);

/* An announcement is MessagePack: a list of [queue, pattern], or [queue, pattern, true] if the
 * queue is full; then of [queue, "", schedule], the schedules of the shard. */
void remote_binds_write(Buffer *to, Span queue, Span pattern, bool is_full); /* one element of it */

void remote_binds_write_schedule(Buffer *to, Span queue, Span name);

/* From now on the shard (numbers begin with 0) has these binds. -EBADMSG, -ENOMEM: it has the
 * binds from before. */
int remote_binds_set(RemoteBinds *binds, unsigned shard, Span announcement);
/* True: this is the last announcement that was set. */
bool remote_binds_are(const RemoteBinds *binds, unsigned shard, Span announcement);
size_t remote_binds_count(const RemoteBinds *binds);
size_t remote_binds_count_of(const RemoteBinds *binds, unsigned shard);

/* Finds the first shard from *shard on with a schedule of this name, and its queue. */
bool remote_binds_find_schedule(const RemoteBinds *binds, Span name, unsigned *shard,
                                Span *ret_queue);

/* A queue that gets the message, unless it is full. */
typedef void (*RemoteFn)(unsigned shard, Span queue, bool is_full, void *ctx);

/* Begins to look for the queues of one message. */
void remote_binds_begin(RemoteBinds *binds);
/* The queue was found in another way. False: it was found before. *ret_is_full: as its broker has
 * announced. */
bool remote_binds_find(RemoteBinds *binds, Span queue, bool *ret_is_full);
/* Calls fn for each queue that was not found yet, and whose pattern matches the valid topic.
 * Returns the work. */
size_t remote_binds_match(RemoteBinds *binds, Span topic, RemoteFn fn, void *ctx);
