/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a Redis handle. See redis.h; redis-private.h lists the other files. */

#include <errno.h>
#include <stdlib.h>

#include "cache/redis/redis-private.h"

/* ---- life ---- */

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

void redis_stats(Redis *redis, ferry_cache_stats *to) {
    size_t n = get(&redis->n_nodes);

    to->nodes = (uint32_t)n;
    to->redirects = get(&redis->redirects);
    to->refreshes = get(&redis->refreshes);
    for (size_t i = 0; i < n; i++)
        node_stats(redis->nodes[i], to);
}

int redis_run(Redis *redis, RedisCommand *commands, size_t n, uint64_t deadline_ns,
              char why[REDIS_WHY]) {
    return redis_run_rounds(redis, NULL, redis_refresh_if_wanted, commands, n, deadline_ns, why);
}
