/* SPDX-License-Identifier: Apache-2.0 */
/* The outcome of one command: a reply, an error, a redirection, or silence. See redis-private.h. */

#include <errno.h>
#include <stdlib.h>

#include "cache/redis/redis-private.h"

/* ---- errors ---- */

int redis_error_status(Span error) {
    static const struct {
        const char *word;
        int status;
    } known[] = {
        {"NOAUTH", -EACCES},
        {"WRONGPASS", -EACCES},
        {"NOPERM", -EACCES},
        {"OOM", -ENOBUFS},
        {"READONLY", -EROFS},
        {"WRONGTYPE", -EINVAL},
        {"LOADING", -ENOTCONN},
        {"MASTERDOWN", -ENOTCONN},
        {"CLUSTERDOWN", -ENOTCONN},
        {"TRYAGAIN", -ENOTCONN},
        {"ERR value is not an integer", -EINVAL},
        {"ERR increment or decrement would overflow", -ERANGE},
        {"ERR max number of clients", -ENOTCONN},
        {"ERR string exceeds", -EMSGSIZE},
    };

    for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
        if (span_begins(error, known[i].word))
            return known[i].status;
    return -EREMOTEIO;
}

static void say(char why[REDIS_WHY], const Node *node, const char *text, size_t len) {
    if (!why)
        return;
    if (len > 120)
        len = 120;
    if (node->host.port == 0) /* a socket's path, or a master's name at its Sentinels */
        snprintf(why, REDIS_WHY, "Redis at %.60s: %.*s", node->host.name, (int)len, text);
    else
        snprintf(why, REDIS_WHY, "Redis at %.60s:%u: %.*s", node->host.name, node->host.port,
                 (int)len, text);
    /* The text comes from the server: replace characters that could control a terminal. */
    for (char *at = why; *at; at++)
        if ((unsigned char)*at < 0x20 || *at == 0x7F)
            *at = '?';
}

void redis_say_text(char why[REDIS_WHY], const Node *node, const char *text) {
    say(why, node, text, strlen(text));
}

static const char *status_text(int status) {
    switch (status) {
    case -ETIMEDOUT:
        return "no answer in time";
    case -ENOTCONN:
        return "the server cannot be reached";
    case -ECONNRESET:
        return "the connection was lost";
    case -ENOBUFS:
        return "too many bytes wait to be sent";
    case -ECANCELED:
        return "the cache was closed";
    default:
        return strerror(-status);
    }
}

/* ---- the outcome of a command ---- */

void redis_settle(RedisCommand *command, int status) {
    command->pending = false;
    command->status = status;
}

static int follow(Redis *redis, RedisCommand *command, Redirect *redirect) {
    CacheHost host = redirect->host;
    size_t at;
    int r;

    if (!host.name)
        host.name = command->node->host.name;
    pthread_mutex_lock(&redis->lock);
    r = redis_add_node(redis, &host, &at);
    pthread_mutex_unlock(&redis->lock);
    if (r < 0)
        return r;
    bump(&redis->redirects);
    command->asking = redirect->kind == REDIRECT_ASK;
    command->node = redis->nodes[at];
    if (redirect->kind == REDIRECT_MOVED) {
        __atomic_store_n(&redis->slots[redirect->slot], (uint16_t)at, __ATOMIC_RELEASE);
        node_set_keys(redis->nodes[at], true);
        put(&redis->refresh_wanted, true);
    }
    return 0;
}

static void take_error(RedisRound *round, RedisCommand *command) {
    Redis *redis = round->redis;
    Span text = reply_span(command->reply);
    Redirect redirect = {.kind = REDIRECT_NONE};
    int status = redis_error_status(text);
    bool again = false;

    say(round->why, command->node, (const char *)text.data, text.len);
    if (redis->kind == CACHE_URL_CLUSTER || status == -ENOTCONN)
        if (redirect_parse(text, &redirect) < 0)
            status = -EPROTO;
    command->asking = false;
    switch (redirect.kind) {
    case REDIRECT_MOVED:
    case REDIRECT_ASK:
        again = redis->kind == CACHE_URL_CLUSTER && follow(redis, command, &redirect) >= 0;
        break;
    case REDIRECT_LATER:
        /* The server refused before it executed anything, so any command may be repeated. The
         * attempt is not counted: the deadline is the limit. */
        again = round->later = true;
        command->tries--;
        if (redis->kind == CACHE_URL_CLUSTER)
            put(&redis->refresh_wanted, true);
        break;
    case REDIRECT_NONE:
        /* A master has become a replica: its name may resolve to the new master by now. */
        if (status == -EROFS && command->tries == 1) {
            again = true;
            put(&redis->refresh_wanted, redis->kind == CACHE_URL_CLUSTER);
            conn_reset(command->node->conn);
        }
    }
    free(redirect.host.name);
    command->reply = reply_free(command->reply);
    command->status = status; /* another try may still succeed */
    if (!again || round->last || command->tries >= COMMAND_TRIES)
        redis_settle(command, status);
}

void redis_take_result(RedisRound *round, RedisCommand *command) {
    Redis *redis = round->redis;
    int status = command->request.status;
    bool again;

    command->reply = command->request.reply;
    if (command->reply && command->reply->type != REPLY_ERROR) {
        redis_settle(command, 0);
        return;
    }
    if (command->reply) {
        take_error(round, command);
        return;
    }
    redis_say_text(round->why, command->node,
                   command->request.problem ? command->request.problem : status_text(status));
    /* An unsent command may be repeated, too. But its time is over, so repeat it only if another
     * node has the key now. */
    again = (status == -ECONNRESET && command->repeatable) ||
            (redis->kind == CACHE_URL_CLUSTER &&
             (status == -ENOTCONN || (status == -ETIMEDOUT && command->repeatable)));
    if (redis->kind == CACHE_URL_CLUSTER)
        put(&redis->refresh_wanted, true);
    command->asking = false;
    command->status = status;
    if (!again || round->last || command->tries >= COMMAND_TRIES)
        redis_settle(command, status);
}

bool redis_take(Redis *redis, RedisCommand *command, bool last) {
    RedisRound round = {.redis = redis, .last = last};

    redis_take_result(&round, command);
    if (command->pending && round.later)
        redis_settle(command, -ENOTCONN); /* an event loop cannot wait for a connection */
    return !command->pending;
}
