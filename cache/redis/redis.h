#pragma once

/*
 * Commands to one Redis, to several that share the keys, or to a cluster: each goes to the server
 * that has its key, all of one call in one round trip for each server. Follows redirections, tries
 * again what may be tried again, and leaves alone a server that keeps failing.
 */

#include <ferry/cache.h>

#include "cache/connection/conn.h"
#include "cache/connection/url.h"
#include "cache/near/near.h"

enum {
    COMMAND_ARGS = 9,
    COMMAND_TRIES = 6,     /* redirections and lost connections, the first try included */
    REDIS_NODES_MAX = 512, /* servers that one cache ever knows */
    REDIS_WHY = 200,
    REDIS_REFRESH_MS = 1000, /* between two maps of the cluster */
};

typedef struct Redis Redis;
typedef struct Node Node;

typedef struct Command {
    Span route;      /* the key that decides who has it */
    bool repeatable; /* doing it twice does no harm */

    /* Inside the redis files and batch.c. */
    bool asking; /* an ASK sent it to node */
    bool pending;
    uint8_t tries;
    uint32_t n_args;
    struct Command *next;
    Node *node;
    void *owner;
    uint64_t sent_ns;
    Request request;

    /* Results: a reply that is not an error, the caller's to free, or a negative errno. */
    Reply *reply;
    int status;

    Span args[COMMAND_ARGS];
} Command;

/* Adds an argument. */
static inline void command_add(Command *command, const void *data, size_t len) {
    command->args[command->n_args++] = (Span){data, len};
}

static inline void command_add_text(Command *command, const char *text) {
    command_add(command, text, strlen(text));
}

/* A verb and its key, which also decides the server. Returns the command. */
static inline Command *command_begin(Command *command, const char *verb, Span key,
                                     bool repeatable) {
    command->route = key;
    command->repeatable = repeatable;
    command_add_text(command, verb);
    command_add(command, key.data, key.len);
    return command;
}

int redis_new(Redis **ret, const CacheUrl *url, uint32_t timeout_ms, Near *near);
Redis *redis_free(Redis *redis);
DEFINE_CLEANUP(Redis *, redis_free);

/* Runs commands; every one has a reply or a status afterwards. why receives the text of the last
 * error, for people. Returns 0, or the status of the first that failed. */
int redis_run(Redis *redis, Command *commands, size_t n, uint64_t deadline_ns, char why[REDIS_WHY]);

/* Takes what came of a command that was sent in a batch. True: it has its outcome; false: send it
 * again. last: there is no time for that. */
bool redis_take(Redis *redis, Command *command, bool last);

/* Without waiting: fetches the map of the cluster if it is wanted. */
void redis_refresh_soon(Redis *redis);

/* The status that an error of Redis stands for. */
int redis_error_status(Span error);

/* The server that has a key, as far as we know. */
Node *redis_route(Redis *redis, Span key);

/* May what this command read be kept near? Not when it came from a server that only holds the key
 * on its way to another. */
bool redis_watches(const Command *command);

/* A walk over all servers that have keys: NULL after the last one. */
Node *redis_node(Redis *redis, size_t i);

/* The same for commands that go to one server, whatever their keys. */
int redis_run_at(Redis *redis, Node *node, Command *commands, size_t n, uint64_t deadline_ns,
                 char why[REDIS_WHY]);

/* Keeps what GET and PTTL gave in the near cache. */
void near_keep_reply(Near *near, NearToken token, Span key, const ferry_bytes *stored,
                     const Command *value, const Command *ttl);

void redis_stats(Redis *redis, ferry_cache_stats *to);
