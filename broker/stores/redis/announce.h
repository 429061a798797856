/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Announcements of binds (relay.h) in Redis: the broker's thread hands over those of its shards,
 * the thread of the members (members.h) writes them, and reads those of all brokers.
 */

#include <pthread.h>

#include "base/buffer.h"
#include "broker/stores/redis/link.h"
#include "broker/stores/store.h"

enum {
    ANNOUNCE_SLICE = 4 << 20, /* bytes that one call reads, besides the last announcement */
    ANNOUNCE_CALL_MS = 1000,
};

/* The binds of a shard. */
typedef struct ShardBinds {
    struct ShardBinds *next;
    unsigned shard;
    uint64_t lease;  /* the number of the lease under which they are announced */
    uint64_t number; /* of the announcement in Redis */
    size_t len;
    uint8_t data[];
} ShardBinds;

typedef struct RedisAnnounce {
    char id[33]; /* of the data */
    LinkScript write, read;

    pthread_mutex_t lock;
    /* Shared, under the lock. */
    ShardBinds *todo; /* one for a shard at most */
    uint64_t wanted;  /* the number by relay.h of the last one that was handed over */
    ShardBinds *found, **found_end;
    uint64_t found_up_to; /* the number in Redis of the last one of `found` so far */

    /* Of the thread. */
    uint64_t read_up_to;
    uint64_t done;        /* announcements up to this number by relay.h are in Redis */
    uint64_t done_number; /* the number in Redis of the last of them */
} RedisAnnounce;

void redis_announce_init(RedisAnnounce *announce);
void redis_announce_deinit(RedisAnnounce *announce);

/* ---- for the broker's thread ---- */

/* Hands binds over, which replace earlier ones of the shard; number: by relay.h. -ENOMEM. */
int redis_announce_put(RedisAnnounce *announce, unsigned shard, uint64_t lease, uint64_t number,
                       Span binds);
/* The number needs no announcement of its own. */
void redis_announce_skip(RedisAnnounce *announce, uint64_t number);
/* Takes the announcements that were read: a list by next, which the caller frees. *ret_up_to: they
 * are those up to this number. */
ShardBinds *redis_announce_take(RedisAnnounce *announce, uint64_t *ret_up_to);

/* ---- for the thread of the members ---- */

/* Writes what was handed over. */
void redis_announce_write(RedisAnnounce *announce, RedisLink *link);
/* Reads the announcements that are new; last: the number of the last one. */
void redis_announce_read(RedisAnnounce *announce, RedisLink *link, uint64_t last);
