/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The stores that the options of a broker name, besides the one in memory: a data folder (--data),
 * or Redis (--store), with or without shards. A broker that was built without Redis refuses a URL.
 */

#include "broker/core/broker.h"
#include "broker/stores/store.h"

struct RedisShards;

typedef struct OwnStores {
    Store *disk;                /* in the data folder; NULL: there is no data folder */
    Store *redis;               /* NULL: there is no URL of a Redis, or it has shards */
    struct RedisShards *shards; /* NULL: the URL has no shards */
    bool are_busy;              /* the shards must be looked at again soon */
} OwnStores;

/* Adds them to the queues. data, url: may be NULL. 0, or a negative errno with its cause in reterr.
 */
int own_stores_add(OwnStores *stores, Broker *broker, const char *data, const char *url,
                   ferry_error *reterr);
void own_stores_free(OwnStores *stores);

/* 0: there is no cluster in Redis, or the broker can use it. STORE_HAS_MORE: call it again. A
 * negative errno: the broker does not start. */
int own_stores_check(OwnStores *stores, ferry_error *reterr);
/* The broker listens, at this URL for others, so it may become a member of a cluster. Without a
 * name of its cluster, it has the id of the data there as the name. */
int own_stores_start(OwnStores *stores, Broker *broker, const char *url, ferry_error *reterr);
/* After the start: waits a moment for the state of the cluster. True: the broker knows it, and may
 * take messages; otherwise call the function again. */
bool own_stores_join(OwnStores *stores);
/* Looks at the shards: call it after the waker was called, and soon again while they are busy. */
void own_stores_turn(OwnStores *stores);
/* Gives all shards up. */
void own_stores_leave(OwnStores *stores);
bool own_stores_have_left(const OwnStores *stores);
/* The queues are about to be freed. */
void own_stores_stop(OwnStores *stores);
