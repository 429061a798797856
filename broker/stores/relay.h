/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * How brokers that share queues tell each other about queues that are bound to topics, and about
 * retained values.
 *
 * Each broker announces the binds of the shards that it has. A message that is published at another
 * broker goes into the inbox of the shard, and the broker that has the shard takes it from there:
 * see queues_take_entry().
 *
 * A retained value is in the shard in which a queue of its topic's name would be. Every broker
 * stores values there, in the order of their arrival, and reads the values of all shards.
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

typedef struct RelayValue {
    Span topic, value;            /* an empty value deletes the one that is there */
    size_t max_values, max_bytes; /* the limits of the shard */
} RelayValue;

typedef struct RelayOps {
    /* The binds of a shard (numbers begin with 0) that is here have changed: the relay will ask for
     * them. Returns the number of the announcement, for on_known(). */
    uint64_t (*announce)(TopicRelay *relay, unsigned shard);
    /* Checks that entries can be sent now. 0; -EBUSY: they would wait for too long. */
    int (*admit)(TopicRelay *relay, unsigned shard);
    /* Appends an entry to the inbox of the shard; on_sent() will be called with `sending`. -ENOMEM.
     */
    int (*send)(TopicRelay *relay, unsigned shard, Span entry, void *sending);
    /* Stores the value in the shard; on_sent() will be called with `sending`. -ENOMEM. */
    int (*retain)(TopicRelay *relay, unsigned shard, const RelayValue *value, void *sending);
    /* Reads all values that are stored by now. Returns a number for on_looked(). */
    uint64_t (*look)(TopicRelay *relay);
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
    /* result: 0; -EDQUOT: the inbox is full; -E2BIG: there is no room for the value; -ENOBUFS: the
     * memory of the store is full; -EBUSY: the shard was never restored yet. */
    void (*on_sent)(void *sending, int result, void *ctx);
} RelayUser;

/* The functions that the relay calls about retained values. Times are of the broker's clock. */
typedef struct RelayValues {
    void *ctx;
    /* All values of the shard follow: forget what is there. */
    void (*on_all)(unsigned shard, void *ctx);
    /* A value was stored, or deleted, which was published at this time; is_new: after the first
     * reading. False: out of memory; the relay begins again with on_all(). */
    bool (*on_value)(unsigned shard, Span topic, Span value, bool is_new, uint64_t published_ms,
                     void *ctx);
    /* The look with this number, and earlier ones, have ended; with what could be read. */
    void (*on_looked)(uint64_t number, void *ctx);
    /* This broker has taken the shard, which another one had at this time; 0: no other one had it.
     */
    void (*on_here)(unsigned shard, uint64_t served_ms, void *ctx);
} RelayValues;

struct TopicRelay {
    const RelayOps *ops;
    RelayUser user;
    RelayValues values;
};
