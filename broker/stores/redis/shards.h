/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The shards of a cluster: queues in Redis that several active brokers share. Each shard is a space
 * with a lease of its own, and a store of the queue router (store.h). Brokers spread the shards
 * evenly among them (spread.h), take over the shards of a broker that is gone, and give their own
 * ones back when they end.
 */

#include "base/cleanup.h"
#include "broker/stores/relay.h"
#include "broker/stores/store.h"

typedef struct RedisShards RedisShards;

/* *ret is NULL if the URL of the store has no setting shards=N. 0, or a negative errno with its
 * cause in reterr. */
int redis_shards_new(const char *url, RedisShards **ret, ferry_error *reterr);
/* After the close() of all stores. Returns NULL. */
RedisShards *redis_shards_free(RedisShards *shards);
DEFINE_CLEANUP(RedisShards *, redis_shards_free);

/* Adds one store for each shard, and makes them the default. 0, or a negative errno. */
int redis_shards_add(RedisShards *shards, struct Queues *queues);

/* Where the binds of the cluster are announced. */
TopicRelay *redis_shards_relay(RedisShards *shards);

/* When the stores are open: checks that Redis has the cluster of the URL, or begins it.
 * STORE_HAS_MORE: Redis does not answer, call it again; 0; or a negative errno, and *reterr. */
int redis_shards_check(RedisShards *shards, ferry_error *reterr);

/* The id of the data of the cluster, known after the check. Lent until the shards are freed. */
const char *redis_shards_id(const RedisShards *shards);

/* The broker listens: it becomes a member of the cluster, under its id (WIRE_TOKEN bytes) and at
 * this URL. 0, or a negative errno, and *reterr. */
int redis_shards_start(RedisShards *shards, const uint8_t *broker, const char *url,
                       ferry_error *reterr);

/* After the start: waits a moment for the binds of the cluster, which the broker must know before
 * it takes messages. True: it knows them; otherwise call the function again. */
bool redis_shards_join(RedisShards *shards);

/* Takes over what the threads have done, and restores the next piece of a shard: after each call of
 * the waker, and again in some milliseconds while it returns true. */
bool redis_shards_turn(RedisShards *shards);

/* The broker ends in order: gives all shards up. */
void redis_shards_leave(RedisShards *shards);
/* Shards that the broker has not given up yet. */
unsigned redis_shards_n_left(const RedisShards *shards);
/* The broker ends now: writes what is under way, and gives the leases back, for all shards at once.
 */
void redis_shards_stop(RedisShards *shards);
