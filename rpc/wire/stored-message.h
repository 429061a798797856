/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A message that outlives the batch in which it came: a copy of its bytes. A large body is not
 * copied if it has a block, which the stored message then shares.
 *
 * The memory is the caller's. A record that holds a message has a StoredMessage as its last member,
 * and stored_message_cap() more bytes:
 *
 *     size_t cap = stored_message_cap(message, block, STORE_MESSAGE);
 *     record = malloc(sizeof(*record) + cap);
 *     …
 *     r = stored_message_put(&record->stored, cap, message, block, STORE_MESSAGE);
 */

#include <ferry/base.h>

#include "base/cleanup.h"
#include "rpc/wire/message.h"

typedef struct StoredMessage {
    _Alignas(8) uint32_t len; /* of the bytes behind this record that are in use */
    uint32_t cap : 30;        /* all bytes behind this record */
    uint32_t is_fields : 1;   /* the bytes are `passed` of a message, and not a whole message */
    uint32_t has_body : 1;    /* the body, a ferry_bytes, stands before the bytes of the message */
} StoredMessage;

typedef enum StoredForm {
    STORE_MESSAGE, /* all fields: for stored_message_read() */
    STORE_FIELDS,  /* the fields that the broker forwards: enough for stored_message_forward() */
} StoredForm;

/* A body with a block is copied up to this size: a block keeps more memory alive than its body. */
enum { STORED_COPY_MAX = 4096 };

/* The bytes that the message takes behind the record: an upper bound, or exact if its fields have
 * come in encoded form and the form is STORE_FIELDS. */
size_t stored_message_cap(const Message *message, const void *block, StoredForm form);

/* Stores the message in the cap bytes behind the record. block: the block around message->body, or
 * NULL. -ENOMEM: there is no memory for a copy of the body, and the record needs no drop. */
int stored_message_put(StoredMessage *to, size_t cap, const Message *message, const void *block,
                       StoredForm form);

/* Gives the body's block back. The record's memory stays the caller's. */
void stored_message_drop(StoredMessage *stored);

/* A record of its own, and its end. NULL: out of memory. */
StoredMessage *stored_message_new(const Message *message, const void *block, StoredForm form);
StoredMessage *stored_message_free(StoredMessage *stored);

/* Reads a message that was stored by STORE_MESSAGE. The message is lent, and so is the result: the
 * block around its body, or NULL. */
const void *stored_message_read(const StoredMessage *stored, Message *to);

/* Sets the head of a message that forwards the name, the headers and the body of the stored one,
 * and leaves the part alone: see message_forward_head(). Lent, and so is the result: the block
 * around the body, or NULL. */
const void *stored_message_forward(const StoredMessage *stored, Op op, uint64_t id, Message *to);

/* The body that stands beside the message; empty: the message has no body, or it is inside. */
static inline Span stored_message_body(const StoredMessage *stored) {
    const ferry_bytes *body = (const ferry_bytes *)(const void *)(stored + 1);

    return stored->has_body ? (Span){body->data, body->len} : (Span){NULL, 0};
}

/* The bytes of the message, with its body. */
static inline size_t stored_message_size(const StoredMessage *stored) {
    return stored->len - (stored->has_body ? sizeof(ferry_bytes) : 0) +
           stored_message_body(stored).len;
}

DEFINE_CLEANUP(StoredMessage *, stored_message_free);
