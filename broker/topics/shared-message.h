/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A published message that the broker stores: as a retained value, for replay, in backlogs. All its
 * owners share one copy; its memory counts in the broker's budget. The broker's thread only.
 */

#include "broker/sessions/session.h"
#include "rpc/wire/stored-message.h"

typedef struct SharedMessage {
    uint32_t owners;
    StoredMessage stored; /* the last member: its bytes follow */
} SharedMessage;

/* Stores the PUBLISH, with one owner. -ENOSPC: max_total_bytes is reached; -ENOMEM. */
int shared_message_new(SharedMessage **ret, Broker *broker, const Message *message,
                       const void *block);

/* Puts another message into the same memory, if it has no other owner and the size fits. */
bool shared_message_reuse(SharedMessage *shared, const Message *message, const void *block);

/* One owner less. Returns NULL. */
SharedMessage *shared_message_unref(Broker *broker, SharedMessage *shared);

static inline SharedMessage *shared_message_ref(SharedMessage *shared) {
    shared->owners++;
    return shared;
}

/* Bytes that holding it takes, and would take. */
static inline size_t shared_message_size(const SharedMessage *shared) {
    return sizeof(*shared) + stored_message_size(&shared->stored);
}

static inline size_t shared_message_size_of(const Message *message) {
    return sizeof(SharedMessage) +
           (message->passed.data ? message->passed.len
                                 : message->name.len + message->headers.len + message->body.len);
}
