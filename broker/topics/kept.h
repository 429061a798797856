/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A published message that the broker keeps: as a retained value, for replay, in backlogs. All its
 * owners share one copy; its memory is counted in broker->stored_bytes. The broker's thread only.
 */

#include "broker/sessions/session.h"

typedef struct Kept {
    uint32_t owners;
    uint32_t cap; /* of data */
    uint32_t len;
    uint32_t name_len;
    /* The fields topic, headers, body as they stood in PUBLISH; or, when body.block is set, the
     * topic and then the headers alone. */
    ferry_bytes body;
    uint8_t data[];
} Kept;

/* Copies the PUBLISH; a body in a block is shared. -ENOSPC: max_total_bytes is reached; -ENOMEM. */
int kept_new(Kept **ret, Broker *broker, const Message *message, const void *block);

/* Puts another message into the same memory, if it has no other owner and the size fits. */
bool kept_reuse(Kept *kept, const Message *message, const void *block);

/* One owner less. Returns NULL. */
Kept *kept_unref(Broker *broker, Kept *kept);

static inline Kept *kept_ref(Kept *kept) {
    kept->owners++;
    return kept;
}

/* Sets the fields topic, headers, body of a message to be sent; they are the Kept's. */
void kept_fill(const Kept *kept, Message *message);

/* Bytes that holding it takes, and would take. */
static inline size_t kept_size(const Kept *kept) {
    return sizeof(*kept) + kept->len + kept->body.len;
}

static inline size_t kept_size_of(const Message *message) {
    return sizeof(Kept) + (message->passed.data
                               ? message->passed.len
                               : message->name.len + message->headers.len + message->body.len);
}
