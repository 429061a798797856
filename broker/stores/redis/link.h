/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Calls of the scripts and commands of a space: waits for each reply. One thread at a time. */

#include "broker/stores/redis/options.h"
#include "broker/stores/store.h"
#include "cache/redis/redis.h"

enum { REDIS_KEY_MAX = REDIS_NAME_MAX + 24, REDIS_KEYS = 12, REDIS_CALL_ARGS = 7 };

typedef enum LinkKeys {
    LINK_SPACE,   /* the keys of a space: script.h */
    LINK_CLUSTER, /* ":cluster", ":members", the first key of a space, ":binds" */
    LINK_INBOX,   /* the first key of a shard, ":inbox", ":senders", and those of the values */
} LinkKeys;

/* The calls that fail with a text of the server. */
typedef enum LinkOutcome {
    LINK_DONE = 0,
    LINK_AGAIN, /* no answer, or the server cannot do it now: why has the reason */
    LINK_FULL,  /* the memory of Redis is full: the call had no effect */
    LINK_WRONG, /* another attempt would fail, too: why has the reason */
} LinkOutcome;

/* A script, and its name in Redis: a hash of its text. */
typedef struct LinkScript {
    const char *text;
    char sha[41]; /* empty: not known yet */
} LinkScript;

typedef struct RedisLink {
    Redis *redis;
    char keys[REDIS_KEYS][REDIS_KEY_MAX]; /* "ferry:{NAME}", "ferry:{NAME}:segments" and so on */
    unsigned n_keys;
    const char *key; /* the first key */
    uint32_t n_wait;
    char why[REDIS_WHY]; /* the reason of the last failure */
} RedisLink;

/* A call in the making; its arguments are lent. */
typedef struct LinkCall {
    LinkScript *script;
    Span args[REDIS_CALL_ARGS];
    unsigned n_args;
    Reply *reply; /* LINK_DONE: owned by the caller */
    LinkOutcome outcome;
} LinkCall;

/* Takes the URL out of options. 0, or a negative errno with its cause in reterr. */
int redis_link_open(RedisLink *link, RedisStoreOptions *options, LinkKeys keys,
                    ferry_error *reterr);
/* Makes a link to the keys of another space, with the connections of an open link. It is not
 * closed. */
void redis_link_share(RedisLink *link, const RedisLink *with, const char *name, LinkKeys keys);
void redis_link_close(RedisLink *link);

/* Runs the scripts, at most 2, in one round trip. confirm: LINK_DONE only after n_wait replicas
 * have the changes; otherwise why says how many replicas have them. */
void redis_link_call(RedisLink *link, LinkCall *calls, unsigned n, bool confirm,
                     uint64_t deadline_ns);
/* The setting that decides what Redis can lose, "appendfsync=always wait=1" or "appendonly=no
 * wait=1"; the value is "unknown" if the server refuses to say it. Without an answer in time, *to
 * is untouched. */
void redis_link_setting(RedisLink *link, char to[STORE_SETTING_MAX]);
