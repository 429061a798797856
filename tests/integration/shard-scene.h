/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Three active brokers that share shards in a Redis or a Redis Cluster, and a client at each. */

#include "support/faults.h"
#include "support/process.h"
#include "support/redis.h"

enum { BROKERS = 3, SHARDS = 6, SERVERS_MAX = 3, LOOK_MS = 20 };

typedef struct Scene {
    RedisServer servers[SERVERS_MAX];
    size_t n_servers;
    char config[600];
    Daemon brokers[BROKERS];
    ferry_client *clients[BROKERS]; /* one at each broker */
    bool runs[BROKERS];             /* and is not stopped */
    int last;                       /* message */
} Scene;

/* settings: of all queues, lines of ferry.conf. Returns when each broker has its share. */
void scene_begin_with(Scene *scene, size_t n_servers, const char *lease, const char *settings);
void scene_end(Scene *scene);
/* Waits until each running broker has its share. */
void scene_until_spread(const Scene *scene);
/* kill -9 */
void scene_kill(Scene *scene, unsigned broker);
