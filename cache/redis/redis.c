/* Commands to one Redis, to several, to a cluster: its life, who has a key. See redis.h. */

#include <errno.h>
#include <stdlib.h>

#include "cache/redis/redis-core.h"

/* ---- life ---- */

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

static int build_ring(Redis *redis, const CacheUrl *url) {
    char names[CACHE_HOSTS_MAX][300];
    const char *servers[CACHE_HOSTS_MAX];

    for (size_t i = 0; i < url->n_hosts; i++) {
        bool colons = strchr(url->hosts[i].name, ':') != NULL;

        snprintf(names[i], sizeof(names[i]), colons ? "[%s]:%u" : "%s:%u", url->hosts[i].name,
                 url->hosts[i].port);
        servers[i] = names[i];
    }
    redis->points = ketama_new(servers, url->n_hosts);
    redis->n_points = url->n_hosts * KETAMA_POINTS;
    return redis->points ? 0 : -ENOMEM;
}

static int set_up(Redis *redis, const CacheUrl *url) {
    int r;

    if ((url->user && !(redis->user = strdup(url->user))) ||
        (url->password && !(redis->password = strdup(url->password))))
        return -ENOMEM;
    redis->options = (ConnOptions){.is_unix = url->kind == CACHE_URL_UNIX,
                                   .user = redis->user,
                                   .password = redis->password,
                                   .db = url->db};
    for (size_t i = 0, at; i < url->n_hosts; i++) {
        r = redis_add_node(redis, &url->hosts[i], &at);
        if (r < 0)
            return r;
        if (at < i)
            return -EINVAL;
        if (redis->kind != CACHE_URL_CLUSTER)
            node_set_keys(redis->nodes[i], true);
    }
    memset(redis->slots, 0xFF, sizeof(redis->slots));
    redis->refresh_wanted = redis->kind == CACHE_URL_CLUSTER;
    return url->n_hosts > 1 && redis->kind == CACHE_URL_REDIS ? build_ring(redis, url) : 0;
}

int redis_new(Redis **ret, const CacheUrl *url, uint32_t timeout_ms, Near *near) {
    CLEANUP(redis_free) Redis *redis = calloc(1, sizeof(*redis));
    int r;

    if (!redis)
        return -ENOMEM;
    pthread_mutex_init(&redis->lock, NULL);
    redis->kind = url->kind;
    redis->timeout_ns = timeout_ms * UINT64_C(1000000);
    redis->near = near;
    r = set_up(redis, url);
    if (r < 0)
        return r;
    *ret = steal(&redis);
    return 0;
}

Redis *redis_free(Redis *redis) {
    if (!redis)
        return NULL;
    for (size_t i = 0; i < redis->n_nodes; i++)
        node_free(redis->nodes[i]);
    redis_refresh_free(redis->map);
    if (redis->password)
        explicit_bzero(redis->password, strlen(redis->password));
    free(redis->user);
    free(redis->password);
    free(redis->points);
    pthread_mutex_destroy(&redis->lock);
    free(redis);
    return NULL;
}

/* ---- who has a key ---- */

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

bool redis_watches(const Command *command) {
    return command->node && !command->asking && get(&command->node->has_keys);
}

Node *redis_node(Redis *redis, size_t i) {
    size_t n = get(&redis->n_nodes);

    for (size_t at = 0; at < n; at++)
        if (get(&redis->nodes[at]->has_keys) && i-- == 0)
            return redis->nodes[at];
    return NULL;
}

void redis_stats(Redis *redis, ferry_cache_stats *to) {
    size_t n = get(&redis->n_nodes);

    to->nodes = (uint32_t)n;
    to->redirects = get(&redis->redirects);
    to->refreshes = get(&redis->refreshes);
    for (size_t i = 0; i < n; i++)
        node_stats(redis->nodes[i], to);
}
