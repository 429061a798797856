/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Entries of the inbox of a shard, as MessagePack. A message that was published at another broker,
 * for queues that are bound to its topic and in the shard, or as a retained value (then it has no
 * queues); or a job that moves to a queue of the shard. */

#include "base/buffer.h"
#include "rpc/wire/message.h"

enum { INBOX_QUEUES_MAX = 256 /* of one entry */ };

/* A job that moves. */
typedef struct InboxJob {
    Span origin; /* WIRE_TOKEN bytes: see forwards_name() */
    uint64_t id; /* its number in the queue that it leaves */
    uint64_t delay_ms;
    uint8_t priority;
    Span order, reason; /* see stored_job_order() and stored_job_reason() */
} InboxJob;

typedef struct InboxEntry {
    bool is_job;
    size_t n; /* 1 if it is a job */
    Span queues[INBOX_QUEUES_MAX];
    Message message; /* headers and body; name: the topic, or empty if it is a job */
    InboxJob job;
} InboxEntry;

/* At most INBOX_QUEUES_MAX queues. */
void inbox_entry_write(Buffer *to, const Span *queues, size_t n, const Message *message);
/* content: headers and body, or both in encoded form. */
void inbox_entry_write_job(Buffer *to, Span queue, const InboxJob *job, const Message *content);
/* Reads and checks an entry; the spans point into data. 0; -EBADMSG. */
int inbox_entry_read(Span data, InboxEntry *ret);
