/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a Redis handle. See redis.h; redis-private.h lists the other files. */

#include <errno.h>
#include <stdlib.h>

#include "base/error.h"
#include "cache/redis/redis-private.h"

/* ---- opening and closing ---- */

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

/* The connections of this one node ask the Sentinels where the master is. */
static int add_master(Redis *redis, const CacheUrl *url, ferry_error *reterr) {
    size_t at = 0;
    int r;

    redis->options.sentinels = url->hosts;
    redis->options.n_sentinels = url->n_hosts;
    redis->options.master = url->master;
    r = conn_login_new(&redis->options.sentinel_login, url->sentinel_user, url->sentinel_password);
    if (r == 0)
        r = redis_add_node(redis, &(CacheHost){.name = url->master}, &at);
    if (r < 0)
        return error_set_code(reterr, r, NULL);
    node_set_keys(redis->nodes[at], true);
    return 0;
}

static int add_hosts(Redis *redis, const CacheUrl *url, ferry_error *reterr) {
    for (size_t i = 0, at; i < url->n_hosts; i++) {
        int r = redis_add_node(redis, &url->hosts[i], &at);

        if (r < 0)
            return error_set_code(reterr, r, NULL);
        if (at < i)
            return error_set(reterr, "ferry.InvalidArgument",
                             "a host occurs twice in the cache URL");
        if (redis->kind != CACHE_URL_CLUSTER)
            node_set_keys(redis->nodes[i], true);
    }
    return 0;
}

static int set_up(Redis *redis, ferry_error *reterr) {
    const CacheUrl *url = &redis->url;
    int r = 0;

    if (url->tls)
        r = tls_context_new(&redis->tls, url->ca, url->certificate, url->key, reterr);
    if (r < 0)
        return r;
    redis->options =
        (ConnOptions){.is_unix = url->kind == CACHE_URL_UNIX, .db = url->db, .tls = redis->tls};
    r = conn_login_new(&redis->options.login, url->user, url->password);
    if (r < 0)
        return error_set_code(reterr, r, NULL);
    r = redis->kind == CACHE_URL_SENTINEL ? add_master(redis, url, reterr)
                                          : add_hosts(redis, url, reterr);
    if (r < 0)
        return r;
    memset(redis->slots, 0xFF, sizeof(redis->slots));
    redis->refresh_wanted = redis->kind == CACHE_URL_CLUSTER;
    if (url->n_hosts > 1 && redis->kind == CACHE_URL_REDIS)
        r = build_ring(redis, url);
    return r < 0 ? error_set_code(reterr, r, NULL) : 0;
}

int redis_new(Redis **ret, CacheUrl *url, uint32_t timeout_ms, Near *near, ferry_error *reterr) {
    CLEANUP(redis_free) Redis *redis = calloc(1, sizeof(*redis));
    int r;

    if (!redis)
        return error_set_code(reterr, -ENOMEM, NULL);
    pthread_mutex_init(&redis->lock, NULL);
    redis->kind = url->kind;
    redis->url = *url;
    *url = (CacheUrl){0};
    redis->timeout_ns = timeout_ms * UINT64_C(1000000);
    redis->near = near;
    r = set_up(redis, reterr);
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
    tls_context_free(redis->tls);
    conn_login_free(redis->options.login);
    conn_login_free(redis->options.sentinel_login);
    cache_url_deinit(&redis->url);
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
