/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Announcements of binds (relay.h) in Redis: the broker's thread hands over the binds of its
 * shards. The thread of the members (members.h) writes them, and reads the binds of all brokers.
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
    uint64_t number; /* the number of the announcement in Redis */
    size_t len;
    uint8_t data[];
} ShardBinds;

typedef struct RedisAnnounce {
    char id[33]; /* of the data */
    LinkScript write, read;

    pthread_mutex_t lock;
    /* Shared, under the lock. */
    ShardBinds *todo; /* a list by next, with at most one element for each shard */
    uint64_t wanted;  /* the number (see relay.h) of the last announcement that was handed over */
    ShardBinds *found, **found_end;
    /* The number in Redis of the last announcement that was put into `found`. */
    uint64_t found_up_to;

    /* Of the thread. */
    uint64_t read_up_to;
    uint64_t done;        /* Redis has the announcements up to this number (see relay.h) */
    uint64_t done_number; /* the number in Redis of the last of these announcements */
} RedisAnnounce;

void redis_announce_init(RedisAnnounce *announce);
void redis_announce_deinit(RedisAnnounce *announce);

/* ---- for the broker's thread ---- */

/* Hands over binds, which replace earlier binds of the shard. number: see relay.h. -ENOMEM. */
int redis_announce_put(RedisAnnounce *announce, unsigned shard, uint64_t lease, uint64_t number,
                       Span binds);
/* Handles a number for which there is nothing to announce. */
void redis_announce_skip(RedisAnnounce *announce, uint64_t number);
/* Takes the announcements that were read: a list by next, which the caller frees. *ret_up_to: the
 * number of the last announcement that was read so far. */
ShardBinds *redis_announce_take(RedisAnnounce *announce, uint64_t *ret_up_to);

/* ---- for the thread of the members ---- */

/* Writes the binds that were handed over. */
void redis_announce_write(RedisAnnounce *announce, RedisLink *link);
/* Reads the new announcements. last: the number of the last announcement in Redis. True: all of
 * them were read. */
bool redis_announce_read(RedisAnnounce *announce, RedisLink *link, uint64_t last);
