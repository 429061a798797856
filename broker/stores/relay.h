/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * How brokers that share queues tell each other about queues that are bound to topics. Each broker
 * announces the binds of the shards that it has. A message that is published at another broker goes
 * into the inbox of the shard, and the broker that has the shard takes it from there: see
 * queues_take_entry().
 *
 * All functions are called on the broker's thread.
 */

#include "base/buffer.h"
#include "rpc/wire/reader.h"

typedef struct TopicRelay TopicRelay;

enum {
    RELAY_ENTRIES_MAX = 10000,          /* entries of one inbox */
    RELAY_INBOX_BYTES_MAX = 64 << 20,   /* bytes of these entries, unless there is only one entry */
    RELAY_BACKLOG_BYTES_MAX = 64 << 20, /* entries that wait to be stored in inboxes */
};

typedef struct RelayOps {
    /* The binds of a shard (numbers begin with 0) that is here have changed: the relay will ask for
     * them. Returns the number of the announcement, for on_known(). */
    uint64_t (*announce)(TopicRelay *relay, unsigned shard);
    /* Checks that entries can be sent now. 0; -EBUSY: they would wait for too long. */
    int (*admit)(TopicRelay *relay, unsigned shard);
    /* Appends an entry to the inbox of the shard; on_sent() will be called with `sending`. -ENOMEM.
     */
    int (*send)(TopicRelay *relay, unsigned shard, Span entry, void *sending);
} RelayOps;

/* The functions that the relay calls. */
typedef struct RelayUser {
    void *ctx;
    /* Writes the binds of a shard. False: the shard is not here. */
    bool (*write_binds)(unsigned shard, Buffer *to, void *ctx);
    /* A broker has announced the binds of a shard. */
    void (*on_binds)(unsigned shard, Span binds, void *ctx);
    /* All brokers of the cluster know the announcements up to this number. */
    void (*on_known)(uint64_t number, void *ctx);
    /* result: 0; -EDQUOT: the inbox is full; -ENOBUFS: the memory of the store is full; -EBUSY: the
     * shard has no inbox yet. */
    void (*on_sent)(void *sending, int result, void *ctx);
} RelayUser;

struct TopicRelay {
    const RelayOps *ops;
    RelayUser user;
};
