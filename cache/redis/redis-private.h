/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The internals of redis.h, from the bottom up: nodes.c (the servers, and which one has a key),
 * outcome.c (the reply of one command), run.c (rounds of commands), map.c (the slot map of a
 * cluster), redis.c (life).
 */

#include "base/atomic.h"
#include "cache/redis/ketama.h"
#include "cache/redis/node.h"
#include "cache/redis/redis.h"
#include "cache/redis/slots.h"

enum { REDIS_SLOT_UNKNOWN = UINT16_MAX };

typedef struct RedisRefresh RedisRefresh;

struct Redis {
    CacheUrlKind kind;
    CacheUrl url;
    TlsContext *tls;     /* NULL: without TLS */
    ConnOptions options; /* the options of every connection; point into the two members above, and
                            own the logins */
    uint64_t timeout_ns;
    Near *near; /* NULL: no near cache */

    pthread_mutex_t lock; /* protects the addition of nodes */
    Node *nodes[REDIS_NODES_MAX];
    size_t n_nodes; /* atomic; nodes are removed only when the cache is closed */

    KetamaPoint *points; /* NULL: a single server, or a cluster */
    size_t n_points;

    uint16_t slots[SLOTS];  /* atomic; indexes of nodes */
    uint64_t refreshing;    /* atomic, ns: end of the refresh in progress; 0: no refresh */
    bool refresh_wanted;    /* atomic */
    uint64_t refresh_after; /* atomic, ns: the earliest time of the next refresh */
    RedisRefresh *map;      /* atomic; a map that arrived while a connection was locked */
    uint64_t redirects, refreshes;
};

/* ---- nodes.c ---- */

/* Returns the index of the node at host, which is added if it is new. Call it with the lock held,
 * or before another thread knows redis. 0, -ENOBUFS, -ENOMEM. */
int redis_add_node(Redis *redis, const CacheHost *host, size_t *ret);

/* Returns a node that is up, searching from index `first`. Commands for one key must use the same
 * `first`: through different nodes they could overtake each other. */
Node *redis_any_node(Redis *redis, size_t first);

/* ---- map.c ---- */

/* Fetches the map if it is wanted and no other thread is fetching it, in at most half of the
 * remaining time. */
void redis_refresh_if_wanted(Redis *redis, uint64_t deadline_ns);

/* Frees a map that was not applied. */
void redis_refresh_free(RedisRefresh *refresh);

/* ---- run.c ---- */

/* Called before each round of commands; may replace the slot map. */
typedef void (*RedisBeforeRound)(Redis *redis, uint64_t deadline_ns);

/* The common part of redis_run() and redis_run_at(). All commands go to the node `only`; if it is
 * NULL, each command goes to the node that has its key. before may be NULL. */
int redis_run_rounds(Redis *redis, Node *only, RedisBeforeRound before, RedisCommand *commands,
                     size_t n, uint64_t deadline_ns, char why[REDIS_WHY]);

/* ---- outcome.c ---- */

typedef struct RedisRound {
    Redis *redis;
    bool last;  /* there is no time for another round */
    bool later; /* a server has asked to try again later */
    char *why;
} RedisRound;

/* Takes the reply or the failure of one command: afterwards the command is settled, or pending for
 * the next round. */
void redis_take_result(RedisRound *round, RedisCommand *command);

/* Gives the command its outcome. */
void redis_settle(RedisCommand *command, int status);

/* Writes a message about a problem of a node into why, which may be NULL. */
void redis_say_text(char why[REDIS_WHY], const Node *node, const char *text);
