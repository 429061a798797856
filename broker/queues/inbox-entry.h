/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A message that was published at one broker, for queues that are bound to its topic and in a shard
 * of another broker: as MessagePack, in the inbox of the shard. A retained value has no queues. */

#include "base/buffer.h"
#include "rpc/wire/message.h"

enum { INBOX_QUEUES_MAX = 256 /* of one entry */ };

typedef struct InboxEntry {
    size_t n;
    Span queues[INBOX_QUEUES_MAX];
    Message message; /* name: the topic; headers, body */
} InboxEntry;

/* At most INBOX_QUEUES_MAX queues. */
void inbox_entry_write(Buffer *to, const Span *queues, size_t n, const Message *message);
/* Reads and checks an entry; the spans point into data. 0; -EBADMSG. */
int inbox_entry_read(Span data, InboxEntry *ret);
