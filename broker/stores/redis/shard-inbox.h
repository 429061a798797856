/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The entries of a shard's inbox that were read: each becomes jobs, or waits until its queues have
 * room. On the broker's thread. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cache/connection/reply.h"

struct Queues;
struct RedisQueues;

enum {
    INBOX_ITEMS_MAX = 1024, /* items in memory; at this number no further entry is read */
    INBOX_TURN = 64,        /* items that become jobs in one turn */
    INBOX_ID_MAX = 48,
};

typedef enum InboxItemState {
    ITEM_WAITS,
    ITEM_STORING, /* a change under way makes jobs of it, and deletes it */
    ITEM_WRONG,   /* it cannot be read, and stays in Redis */
} InboxItemState;

typedef struct InboxItem {
    struct InboxItem *prev, *next;
    InboxItemState state;
    char id[INBOX_ID_MAX]; /* in Redis */
    size_t len;
    uint8_t data[];
} InboxItem;

typedef struct ShardInbox {
    InboxItem *items; /* utlist */
    size_t n, bytes;
    bool is_told; /* the log says why its first item waits */
} ShardInbox;

/* Takes over the entries of a reply, pairs of id and entry. False: out of memory; no entry of the
 * reply was taken. */
bool shard_inbox_add(ShardInbox *inbox, const Reply *reply);
/* Makes jobs of the next items. True: there is more to do, in a later turn. */
bool shard_inbox_turn(struct RedisQueues *redis, struct Queues *queues);
/* Redis has deleted the item; or the change has failed. */
void shard_inbox_stored(ShardInbox *inbox, InboxItem *item, bool is_stored);
void shard_inbox_clear(ShardInbox *inbox);
