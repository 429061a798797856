/* SPDX-License-Identifier: Apache-2.0 */
/* The slot map of a cluster: which node has which slots. See redis-private.h. */

#include <stdlib.h>

#include "base/clock.h"
#include "base/random.h"
#include "cache/redis/redis-private.h"

/* A CLUSTER SLOTS command in flight. */
struct RedisRefresh {
    ConnRequest request;
    Redis *redis;
    Node *node;
};

void redis_refresh_free(RedisRefresh *refresh) {
    if (refresh)
        reply_free(refresh->request.reply);
    free(refresh);
}

typedef struct NewMap {
    Redis *redis;
    Node *asked;
    uint16_t slots[SLOTS];
    bool has_keys[REDIS_NODES_MAX];
} NewMap;

static int map_range(uint16_t first, uint16_t last, const CacheHost *host, void *ctx) {
    NewMap *map = ctx;
    CacheHost here = *host;
    size_t at;
    int r;

    if (!here.name)
        here.name = map->asked->host.name;
    r = redis_add_node(map->redis, &here, &at);
    if (r < 0)
        return r;
    map->has_keys[at] = true;
    for (unsigned slot = first; slot <= last; slot++)
        map->slots[slot] = (uint16_t)at;
    return 0;
}

static int take_map(Redis *redis, Node *asked, const Reply *reply) {
    NewMap *map = malloc(sizeof(*map));
    int r;

    if (!map)
        return -ENOMEM;
    map->redis = redis;
    map->asked = asked;
    memset(map->slots, 0xFF, sizeof(map->slots));
    memset(map->has_keys, 0, sizeof(map->has_keys));
    pthread_mutex_lock(&redis->lock);
    r = slots_parse(reply, map_range, map);
    pthread_mutex_unlock(&redis->lock);
    if (r >= 0) {
        for (size_t i = 0; i < SLOTS; i++)
            __atomic_store_n(&redis->slots[i], map->slots[i], __ATOMIC_RELEASE);
        for (size_t i = 0; i < get(&redis->n_nodes); i++)
            node_set_keys(redis->nodes[i], map->has_keys[i]);
        bump(&redis->refreshes);
    }
    free(map);
    return r;
}

static void fetch_map(Redis *redis, uint64_t deadline_ns) {
    size_t n = get(&redis->n_nodes), first = random_below(n);

    for (size_t i = 0; i < n && clock_ns() < deadline_ns; i++) {
        Node *node = redis->nodes[(first + i) % n];
        RedisCommand command = {.repeatable = true};
        uint64_t now = clock_ns(), share = now + (deadline_ns - now) / (i + 1 < n ? 2 : 1);
        char why[REDIS_WHY];

        if (breaker_is_open(&node->breaker) && i + 1 < n)
            continue;
        command_add_text(&command, "CLUSTER");
        command_add_text(&command, "SLOTS");
        if (redis_run_at(redis, node, &command, 1, share, why) >= 0 &&
            take_map(redis, node, command.reply) >= 0)
            i = n; /* done */
        reply_free(command.reply);
    }
}

/* True if the map should be fetched now and no other thread does so. */
static bool begin_refresh(Redis *redis) {
    uint64_t now, busy;

    if (!get(&redis->refresh_wanted))
        return false;
    now = clock_ns();
    busy = get(&redis->refreshing);
    /* An answer that never arrives must not block all other threads. */
    if (now < get(&redis->refresh_after) || now < busy ||
        !__atomic_compare_exchange_n(&redis->refreshing, &busy,
                                     now + REDIS_REFRESH_MS * UINT64_C(1000000), false,
                                     __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        return false;
    put(&redis->refresh_wanted, false);
    /* A tenth of the interval is random, so that clients do not all ask at the same time. */
    put(&redis->refresh_after,
        now + (REDIS_REFRESH_MS * 9 / 10 + random_below(REDIS_REFRESH_MS / 5)) * UINT64_C(1000000));
    return true;
}

static void take_waiting_map(Redis *redis);

void redis_refresh_if_wanted(Redis *redis, uint64_t deadline_ns) {
    uint64_t now;

    take_waiting_map(redis);
    if (!begin_refresh(redis))
        return;
    now = clock_ns();
    if (deadline_ns > now)
        fetch_map(redis, now + (deadline_ns - now) / 2);
    put(&redis->refreshing, 0);
}

/* ---- fetching the map without waiting ---- */

/* Called with the connection locked. The near cache, which depends on the map, takes its locks in
 * the other order. So the map is stored, and the next thread without a lock applies it. */
static void refreshed(ConnRequest *request) {
    RedisRefresh *refresh = (RedisRefresh *)request;
    Redis *redis = refresh->redis;

    if (request->reply && request->reply->type == REPLY_ARRAY) {
        refresh = __atomic_exchange_n(&redis->map, refresh, __ATOMIC_ACQ_REL);
    } else {
        put(&redis->refresh_wanted, true);
        put(&redis->refreshing, 0);
    }
    redis_refresh_free(refresh);
}

/* Applies a map that arrived meanwhile. */
static void take_waiting_map(Redis *redis) {
    RedisRefresh *refresh;

    if (!get(&redis->map))
        return;
    refresh = __atomic_exchange_n(&redis->map, NULL, __ATOMIC_ACQ_REL);
    if (refresh)
        take_map(redis, refresh->node, refresh->request.reply);
    redis_refresh_free(refresh);
    put(&redis->refreshing, 0);
}

void redis_refresh_soon(Redis *redis) {
    static const Span args[] = {{(const uint8_t *)"CLUSTER", 7}, {(const uint8_t *)"SLOTS", 5}};
    RedisRefresh *refresh;
    Conn *conn;
    int r;

    take_waiting_map(redis);
    if (!begin_refresh(redis))
        return;
    refresh = calloc(1, sizeof(*refresh));
    if (refresh) {
        *refresh = (RedisRefresh){.request.done = refreshed,
                                  .redis = redis,
                                  .node = redis_any_node(redis, random_below(REDIS_NODES_MAX))};
        conn = refresh->node->conn;
        conn_lock(conn);
        r = conn_put(conn, args, 2, &refresh->request);
        conn_flush(conn);
        conn_unlock(conn);
        if (r >= 0)
            return;
        free(refresh);
    }
    put(&redis->refreshing, 0);
}
