/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A published message that the broker stores: as a retained value, for replay, and in backlogs. All
 * its owners share one copy; its memory counts in the broker's budget. Only the broker's thread
 * uses it.
 */

#include "broker/sessions/session.h"
#include "rpc/wire/stored-message.h"

typedef struct SharedMessage {
    uint32_t owners;
    StoredMessage stored; /* the last member: the bytes of the message follow */
} SharedMessage;

/* Stores the PUBLISH, with one owner. -ENOSPC: max_total_bytes is reached; -ENOMEM. */
int shared_message_new(SharedMessage **ret, Broker *broker, const Message *message,
                       const void *block);
/* Like shared_message_new(), also if max_total_bytes is reached. */
int shared_message_make(SharedMessage **ret, Broker *broker, const Message *message,
                        const void *block);

/* Stores another message in the same memory, if `shared` has no other owner and the message
 * fits. */
bool shared_message_reuse(SharedMessage *shared, const Message *message, const void *block);

/* Removes one owner; frees the message after the last one. Returns NULL. */
SharedMessage *shared_message_unref(Broker *broker, SharedMessage *shared);

static inline SharedMessage *shared_message_ref(SharedMessage *shared) {
    shared->owners++;
    return shared;
}

/* The bytes of memory that a stored message takes, or would take. */
static inline size_t shared_message_size(const SharedMessage *shared) {
    return sizeof(*shared) + stored_message_size(&shared->stored);
}

static inline size_t shared_message_size_of(const Message *message) {
    return sizeof(SharedMessage) +
           (message->passed.data ? message->passed.len
                                 : message->name.len + message->headers.len + message->body.len);
}
