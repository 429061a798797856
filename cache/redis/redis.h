/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Commands to one Redis server, to several with sharded keys, or to a cluster. If Sentinels name
 * the server, its connections find it through them; it counts as one server here. Each command goes
 * to the server that has its key; all commands of one call take one round trip for each server.
 * Follows redirections, repeats commands that may be repeated, and stops asking a server that keeps
 * failing.
 */

#include <ferry/cache.h>

#include "cache/connection/conn.h"
#include "cache/connection/url.h"
#include "cache/near/near.h"

enum {
    COMMAND_ARGS = 22,     /* as many as the scripts of broker/stores/redis need */
    COMMAND_TRIES = 6,     /* redirections and lost connections, including the first try */
    REDIS_NODES_MAX = 512, /* servers that one cache can know */
    REDIS_WHY = 200,
    REDIS_REFRESH_MS = 1000, /* between two refreshes of the slot map */
};

typedef struct Redis Redis;
typedef struct Node Node;

typedef struct RedisCommand {
    Span route;      /* the key that selects the server */
    bool repeatable; /* the command may be executed twice */

    /* Used only by the files of this folder. */
    bool asking; /* an ASK redirection has named the node */
    bool pending;
    uint8_t tries;
    uint32_t n_args;
    struct RedisCommand *next;
    Node *node;
    void *owner;
    uint64_t sent_ns;
    ConnRequest request;

    /* The result: a reply that is not an error, owned by the caller, or a negative errno. */
    Reply *reply;
    int status;

    Span args[COMMAND_ARGS];
} RedisCommand;

/* Adds an argument. */
static inline void command_add(RedisCommand *command, const void *data, size_t len) {
    command->args[command->n_args++] = (Span){data, len};
}

static inline void command_add_text(RedisCommand *command, const char *text) {
    command_add(command, text, strlen(text));
}

/* Begins a command with its verb and its key, which also selects the server. Returns the command.
 */
static inline RedisCommand *command_begin(RedisCommand *command, const char *verb, Span key,
                                          bool repeatable) {
    command->route = key;
    command->repeatable = repeatable;
    command_add_text(command, verb);
    command_add(command, key.data, key.len);
    return command;
}

/* url is moved from. 0, or a negative errno with its cause in reterr. */
int redis_new(Redis **ret, CacheUrl *url, uint32_t timeout_ms, Near *near, ferry_error *reterr);
Redis *redis_free(Redis *redis);
DEFINE_CLEANUP(Redis *, redis_free);

/* Runs commands; each has a reply or a status afterwards. why receives the text of the last error,
 * for people. Returns 0, or the status of the first command that failed. */
int redis_run(Redis *redis, RedisCommand *commands, size_t n, uint64_t deadline_ns,
              char why[REDIS_WHY]);

/* Takes the result of a command that was sent in a batch. True: the command has its outcome; false:
 * send it again. last: there is no time for another try. */
bool redis_take(Redis *redis, RedisCommand *command, bool last);

/* Fetches the slot map without waiting, if it is wanted. */
void redis_refresh_soon(Redis *redis);

/* Returns the status for an error reply. */
int redis_error_status(Span error);

/* Returns the server that has a key, by the latest map. */
Node *redis_route(Redis *redis, Span key);

/* True if the near cache may keep the value that this command read. False for a server that only
 * holds the key while it moves to another. */
bool redis_watches(const RedisCommand *command);

/* Iterates over all servers that have keys: NULL after the last one. */
Node *redis_node(Redis *redis, size_t i);

/* As redis_run(), with all commands sent to one server. */
int redis_run_at(Redis *redis, Node *node, RedisCommand *commands, size_t n, uint64_t deadline_ns,
                 char why[REDIS_WHY]);

/* Keeps the replies of GET and PTTL in the near cache. */
void near_keep_reply(Near *near, NearToken token, Span key, const ferry_bytes *stored,
                     const RedisCommand *value, const RedisCommand *ttl);

void redis_stats(Redis *redis, ferry_cache_stats *to);
