/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One Redis server: its connection, its circuit breaker, its statistics. */

#include <ferry/cache.h>

#include "cache/connection/breaker.h"
#include "cache/connection/conn.h"
#include "cache/near/near.h"

typedef struct Node {
    CacheHost host;
    Conn *conn;
    NearLink *link; /* NULL: no near cache */
    bool has_keys;  /* false: a cluster node that has no slots in the latest map. Atomic */

    pthread_mutex_t lock; /* protects the fields below */
    Breaker breaker;
    uint64_t commands, round_trips;
    uint64_t latency_us_sum, latency_us_max, latency_us[16];
} Node;

/* host is copied. */
int node_new(Node **ret, const CacheHost *host, const ConnOptions *options, Near *near);
Node *node_free(Node *node);
DEFINE_CLEANUP(Node *, node_free);

bool node_admits(Node *node, uint64_t now_ns);
void node_succeeded(Node *node, size_t n_commands, uint64_t took_ns);
void node_failed(Node *node, uint64_t now_ns);

/* Sets whether the node has keys, and so whether the near cache depends on it. */
void node_set_keys(Node *node, bool has_keys);

void node_stats(Node *node, ferry_cache_stats *to);
