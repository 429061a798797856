/* SPDX-License-Identifier: Apache-2.0 */
/* One Redis server. See node.h. */

#include "cache/redis/node.h"

#include <errno.h>
#include <stdlib.h>

#include "base/random.h"

int node_new(Node **ret, const CacheHost *host, const ConnOptions *options, Near *near) {
    CLEANUP(node_free) Node *node = calloc(1, sizeof(*node));
    ConnOptions data = *options;
    int r;

    if (!node)
        return -ENOMEM;
    pthread_mutex_init(&node->lock, NULL);
    node->host = (CacheHost){strdup(host->name), host->port};
    if (!node->host.name)
        return -ENOMEM;
    data.host = node->host;
    if (near) {
        r = near_link_new(&node->link, near, &data);
        if (r < 0)
            return r;
        data.greet = near_link_greet;
        data.greeted = near_link_greeted;
        data.lost = near_link_lost;
        data.ctx = node->link;
    }
    r = conn_new(&node->conn, &data);
    if (r < 0)
        return r;
    *ret = steal(&node);
    return 0;
}

Node *node_free(Node *node) {
    if (!node)
        return NULL;
    /* The link's request may be in flight; freeing the connection ends it. */
    if (node->link)
        near_link_detach(node->link);
    conn_free(node->conn);
    near_link_free(node->link);
    pthread_mutex_destroy(&node->lock);
    free(node->host.name);
    free(node);
    return NULL;
}

bool node_admits(Node *node, uint64_t now_ns) {
    bool admits;

    pthread_mutex_lock(&node->lock);
    admits = breaker_admits(&node->breaker, now_ns / 1000000);
    pthread_mutex_unlock(&node->lock);
    return admits;
}

void node_succeeded(Node *node, size_t n_commands, uint64_t took_ns) {
    uint64_t us = took_ns / 1000;
    int bucket = us < 32 ? 0 : 59 - __builtin_clzll(us);

    pthread_mutex_lock(&node->lock);
    breaker_succeeded(&node->breaker);
    node->commands += n_commands;
    node->round_trips++;
    node->latency_us_sum += us;
    if (us > node->latency_us_max)
        node->latency_us_max = us;
    node->latency_us[bucket > 15 ? 15 : bucket]++;
    pthread_mutex_unlock(&node->lock);
}

void node_failed(Node *node, uint64_t now_ns) {
    bool opened;

    pthread_mutex_lock(&node->lock);
    opened = breaker_failed(&node->breaker, now_ns / 1000000, (uint32_t)random_below(1024));
    pthread_mutex_unlock(&node->lock);
    /* The connection itself may be the cause, so the probe opens a new one. */
    if (opened)
        conn_reset(node->conn);
}

void node_set_keys(Node *node, bool has_keys) {
    if (__atomic_exchange_n(&node->has_keys, has_keys, __ATOMIC_ACQ_REL) == has_keys)
        return;
    if (node->link && has_keys)
        near_link_attach(node->link, node->conn);
    else if (node->link)
        near_link_detach(node->link);
}

void node_stats(Node *node, ferry_cache_stats *to) {
    to->connects += conn_state(node->conn).connects;
    pthread_mutex_lock(&node->lock);
    to->commands += node->commands;
    to->round_trips += node->round_trips;
    to->latency_us_sum += node->latency_us_sum;
    if (node->latency_us_max > to->latency_us_max)
        to->latency_us_max = node->latency_us_max;
    for (int i = 0; i < 16; i++)
        to->latency_us[i] += node->latency_us[i];
    to->breaker_opens += node->breaker.opens;
    to->breaker_refused += node->breaker.refused;
    to->breakers_open += breaker_is_open(&node->breaker);
    pthread_mutex_unlock(&node->lock);
}
