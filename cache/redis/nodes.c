/* SPDX-License-Identifier: Apache-2.0 */

/* The servers of a cache, and which of them has a key. See redis.h and redis-private.h. */

#include <errno.h>

#include "cache/redis/redis-private.h"

int redis_add_node(Redis *redis, const CacheHost *host, size_t *ret) {
    size_t n = redis->n_nodes;
    int r;

    for (size_t i = 0; i < n; i++)
        if (redis->nodes[i]->host.port == host->port &&
            strcmp(redis->nodes[i]->host.name, host->name) == 0) {
            *ret = i;
            return 0;
        }
    if (n == REDIS_NODES_MAX)
        return -ENOBUFS;
    r = node_new(&redis->nodes[n], host, &redis->options, redis->near);
    if (r < 0)
        return r;
    *ret = n;
    put(&redis->n_nodes, n + 1);
    return 0;
}

Node *redis_any_node(Redis *redis, size_t first) {
    size_t n = get(&redis->n_nodes);

    first %= n;
    for (size_t i = 0; i < n; i++) {
        Node *node = redis->nodes[(first + i) % n];

        if (conn_state(node->conn).is_up)
            return node;
    }
    return redis->nodes[first];
}

Node *redis_route(Redis *redis, Span key) {
    uint16_t slot, at;

    if (redis->points)
        return redis->nodes[ketama_find(redis->points, redis->n_points, ketama_hash(key))];
    if (redis->kind != CACHE_URL_CLUSTER)
        return redis->nodes[0];
    slot = slot_of_key(key);
    at = __atomic_load_n(&redis->slots[slot], __ATOMIC_ACQUIRE);
    return at == REDIS_SLOT_UNKNOWN ? redis_any_node(redis, slot) : redis->nodes[at];
}

bool redis_watches(const RedisCommand *command) {
    return command->node && !command->asking && get(&command->node->has_keys);
}

Node *redis_node(Redis *redis, size_t i) {
    size_t n = get(&redis->n_nodes);

    for (size_t at = 0; at < n; at++)
        if (get(&redis->nodes[at]->has_keys) && i-- == 0)
            return redis->nodes[at];
    return NULL;
}
