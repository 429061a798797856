/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Clusters of brokers that share queues by shards. Each shard is a space of the keeper. As in
 * broker/stores/redis/shards.c each broker tells the keeper again and again which shards it has,
 * hears about the others, and takes or gives up shards as spread_plan() says.
 */

#include "takeovers.h"
#include "world.h"

typedef struct ClusterSize {
    unsigned n_clusters, n_brokers, n_shards; /* brokers and shards of one cluster */
} ClusterSize;

typedef struct ClusterCounts {
    uint64_t beats;  /* of brokers, to the keeper */
    uint64_t moves;  /* shards that a broker has begun to adopt */
    uint64_t failed; /* adoptions that did not end */
    Takeovers lost;  /* after a broker was killed or stopped */
    Takeovers given; /* after a broker gave the shard up */
} ClusterCounts;

/* The keeper has a space for each shard of each cluster. */
void clusters_init(World *world, uint64_t seed, const ClusterSize *size, Keeper *keeper,
                   uint64_t lease_us);
ClusterCounts *clusters_counts(void);

static inline unsigned cluster_of(const ClusterSize *size, const SimBroker *one) {
    return one->number / size->n_brokers;
}
/* The token of the shard at this broker; 0: the broker has no lease of it. */
uint64_t cluster_token(const SimBroker *one, unsigned shard);
unsigned cluster_space(const SimBroker *one, unsigned shard);
/* The broker with this URL; NULL: there is no such broker. */
SimBroker *cluster_broker(World *world, const char *url);

/* A broker ends in order: it gives up its shards first. */
void cluster_stop(SimBroker *one, uint64_t restart_us);
/* When the broker adopts a shard again, it is stopped for this time (for_us > 0), or ends in order,
 * in the middle. */
void cluster_strike_adopting(SimBroker *one, uint64_t for_us, uint64_t restart_us);
/* All shards have an owner, and the numbers of shards of two brokers differ by one at most. */
bool clusters_are_spread(const World *world);
