/* SPDX-License-Identifier: Apache-2.0 */
/* Entries of a shard's inbox become jobs. See shard-inbox.h. */

#include "broker/stores/redis/shard-inbox.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/log.h"
#include "broker/stores/redis/redis-private.h"

static InboxItem *item_new(Span id, Span data) {
    InboxItem *item = malloc(sizeof(*item) + data.len);

    if (!item)
        return NULL;
    *item = (InboxItem){.state = ITEM_WAITS, .len = data.len};
    snprintf(item->id, sizeof(item->id), "%.*s", (int)id.len, (const char *)id.data);
    if (data.len > 0)
        memcpy(item->data, data.data, data.len);
    return item;
}

bool shard_inbox_add(ShardInbox *inbox, const Reply *reply) {
    InboxItem *items = NULL, *item, *next;
    bool is_whole = true;

    for (size_t i = 0; i + 1 < reply->n && is_whole; i += 2) {
        item = item_new(reply_word(reply, i), reply_word(reply, i + 1));
        if (item)
            DL_APPEND(items, item);
        is_whole = item != NULL;
    }
    DL_FOREACH_SAFE(items, item, next) {
        DL_DELETE(items, item);
        if (!is_whole) {
            free(item);
            continue;
        }
        DL_APPEND(inbox->items, item);
        inbox->n++;
        inbox->bytes += item->len;
    }
    return is_whole;
}

static void tell(RedisQueues *redis, const InboxItem *item, const char *problem) {
    if (redis->inbox.is_told)
        return;
    redis->inbox.is_told = true;
    log_warning("a message of another broker waits in the inbox of a shard: key=%s entry=%s "
                "reason='%s'",
                redis->link.key, item->id, problem);
}

/* False: this item must wait, and so do those behind it. */
static bool take(RedisQueues *redis, struct Queues *queues, InboxItem *item) {
    char problem[600];
    int r;

    item->state = ITEM_STORING;
    r = queues_take_entry(queues, &redis->store, span_of(item->data, item->len), item, problem,
                          sizeof(problem));
    if (r == 0) {
        redis->inbox.is_told = false;
        return true;
    }
    item->state = r == -EBADMSG ? ITEM_WRONG : ITEM_WAITS;
    if (r != -EBADMSG) {
        tell(redis, item, problem);
        return false;
    }
    log_error("an entry in the inbox of a shard cannot be used, and stays there: key=%s entry=%s "
              "reason='%s'",
              redis->link.key, item->id, problem);
    return true;
}

bool shard_inbox_turn(RedisQueues *redis, struct Queues *queues) {
    unsigned n = 0;
    InboxItem *item, *next;

    DL_FOREACH_SAFE(redis->inbox.items, item, next) {
        if (item->state != ITEM_WAITS)
            continue;
        if (n++ == INBOX_TURN || !take(redis, queues, item))
            return true;
    }
    return false;
}

void shard_inbox_stored(ShardInbox *inbox, InboxItem *item, bool is_stored) {
    if (!is_stored) {
        item->state = ITEM_WAITS;
        return;
    }
    DL_DELETE(inbox->items, item);
    inbox->n--;
    inbox->bytes -= item->len;
    free(item);
}

void shard_inbox_clear(ShardInbox *inbox) {
    InboxItem *item, *next;

    DL_FOREACH_SAFE(inbox->items, item, next) {
        free(item);
    }
    *inbox = (ShardInbox){0};
}
