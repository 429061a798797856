#pragma once

/*
 * What the files of redis.h share: redis.c (its life, who has a key), map.c (the map of a
 * cluster), run.c (rounds of commands), outcome.c (what came of each).
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
    ConnOptions options; /* of every connection; the login is ours */
    char *user, *password;
    uint64_t timeout_ns;
    Near *near; /* NULL: none */

    pthread_mutex_t lock; /* to add nodes */
    Node *nodes[REDIS_NODES_MAX];
    size_t n_nodes; /* atomic; nodes are never removed before the end */

    KetamaPoint *points; /* NULL: one server */
    size_t n_points;

    uint16_t slots[SLOTS];  /* atomic; indexes of nodes */
    uint64_t refreshing;    /* atomic, ns: somebody does until then; 0: nobody */
    bool refresh_wanted;    /* atomic */
    uint64_t refresh_after; /* atomic, ns: not before */
    RedisRefresh *map;      /* atomic; a map that came while nobody could take it */
    uint64_t redirects, refreshes;
};

/* ---- nodes.c ---- */

/* The one at host, which is new if need be; with the lock, or before anybody else knows redis. 0,
 * -ENOBUFS, -ENOMEM. */
int redis_add_node(Redis *redis, const CacheHost *host, size_t *ret);

/* first: where to begin. Commands for one key must not go to different ones: they would overtake
 * each other. */
Node *redis_any_node(Redis *redis, size_t first);

/* ---- map.c ---- */

/* Fetches the map if it is wanted and nobody else does so, in half of the time at most. */
void redis_refresh_if_wanted(Redis *redis, uint64_t deadline_ns);

/* A map that nobody took. */
void redis_refresh_free(RedisRefresh *refresh);

/* ---- run.c ---- */

/* Called before each round of commands; may change which node has which slots. */
typedef void (*RedisBeforeRound)(Redis *redis, uint64_t deadline_ns);

/* redis_run() and redis_run_at(): all commands go to only, or, when that is NULL, each to the node
 * that has its key. before may be NULL. */
int redis_run_rounds(Redis *redis, Node *only, RedisBeforeRound before, Command *commands, size_t n,
                     uint64_t deadline_ns, char why[REDIS_WHY]);

/* ---- outcome.c ---- */

typedef struct RedisRound {
    Redis *redis;
    bool last;  /* no time for another */
    bool later; /* somebody said: try again later */
    char *why;
} RedisRound;

/* Takes the reply of one command, or why there is none: it is settled, or pending still. */
void redis_take_result(RedisRound *round, Command *command);

/* It has its outcome. */
void redis_settle(Command *command, int status);

/* For people: what happened at a node. why may be NULL. */
void redis_say_text(char why[REDIS_WHY], const Node *node, const char *text);
