/* SPDX-License-Identifier: Apache-2.0 */
/* The stores that the options of a broker name. See own-stores.h. */

#include "broker/own-stores.h"

#include <errno.h>

#include "base/error.h"
#include "broker/stores/disk.h"

#ifdef FERRY_WITH_REDIS
#include "broker/admin/binds.h"
#include "broker/admin/retained.h"
#include "broker/stores/redis/redis-store.h"
#include "broker/stores/redis/shards.h"
#endif

/* Queues without a durability of their own are in this store. */
static int add(Broker *broker, Store *store) {
    queues_set_default_store(broker->queues, store);
    return queues_add_store(broker->queues, store);
}

static int add_disk(OwnStores *stores, Broker *broker, const char *data) {
    stores->disk = store_disk_new(data);
    return stores->disk ? add(broker, stores->disk) : -ENOMEM;
}

#ifdef FERRY_WITH_REDIS

static int add_redis(OwnStores *stores, Broker *broker, const char *url, ferry_error *reterr) {
    int r = redis_shards_new(url, &stores->shards, reterr);

    if (r < 0)
        return r;
    if (stores->shards) {
        binds_set_relay(broker->binds, redis_shards_relay(stores->shards));
        retained_set_relay(broker->retained, redis_shards_relay(stores->shards));
        r = redis_shards_add(stores->shards, broker->queues);
        return r < 0 ? error_set_code(reterr, r, NULL) : 0;
    }
    r = store_redis_new(url, &stores->redis, reterr);
    if (r < 0)
        return r;
    r = add(broker, stores->redis);
    return r < 0 ? error_set_code(reterr, r, NULL) : 0;
}

int own_stores_check(OwnStores *stores, ferry_error *reterr) {
    return stores->shards ? redis_shards_check(stores->shards, reterr) : 0;
}

int own_stores_start(OwnStores *stores, Broker *broker, const char *url, ferry_error *reterr) {
    if (!stores->shards)
        return 0;
    if (!broker->cluster)
        broker->cluster = redis_shards_id(stores->shards);
    return redis_shards_start(stores->shards, broker->id, url, reterr);
}

bool own_stores_join(OwnStores *stores) {
    return !stores->shards || redis_shards_join(stores->shards);
}

void own_stores_turn(OwnStores *stores) {
    stores->are_busy = stores->shards && redis_shards_turn(stores->shards);
}

void own_stores_leave(OwnStores *stores) {
    if (stores->shards)
        redis_shards_leave(stores->shards);
}

bool own_stores_have_left(const OwnStores *stores) {
    return !stores->shards || redis_shards_n_left(stores->shards) == 0;
}

void own_stores_stop(OwnStores *stores) {
    if (stores->shards)
        redis_shards_stop(stores->shards);
}

void own_stores_free(OwnStores *stores) {
    store_disk_free(stores->disk);
    store_redis_free(stores->redis);
    redis_shards_free(stores->shards);
}

#else

static int add_redis(OwnStores *stores, Broker *broker, const char *url, ferry_error *reterr) {
    (void)stores, (void)broker, (void)url;
    return error_set(reterr, "ferry.Unsupported",
                     "this ferry was built without Redis (-Dcache): --store is not available");
}

int own_stores_check(OwnStores *stores, ferry_error *reterr) {
    (void)stores, (void)reterr;
    return 0;
}

int own_stores_start(OwnStores *stores, Broker *broker, const char *url, ferry_error *reterr) {
    (void)stores, (void)broker, (void)url, (void)reterr;
    return 0;
}

bool own_stores_join(OwnStores *stores) {
    (void)stores;
    return true;
}

void own_stores_turn(OwnStores *stores) {
    (void)stores;
}

void own_stores_leave(OwnStores *stores) {
    (void)stores;
}

bool own_stores_have_left(const OwnStores *stores) {
    (void)stores;
    return true;
}

void own_stores_stop(OwnStores *stores) {
    (void)stores;
}

void own_stores_free(OwnStores *stores) {
    store_disk_free(stores->disk);
}

#endif

int own_stores_add(OwnStores *stores, Broker *broker, const char *data, const char *url,
                   ferry_error *reterr) {
    int r = data ? add_disk(stores, broker, data) : 0;

    if (r < 0)
        return error_set_code(reterr, r, NULL);
    return url ? add_redis(stores, broker, url, reterr) : 0;
}
