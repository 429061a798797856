/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A message that is kept longer than the batch in which it arrived. It is a copy of the message's
 * bytes. If a large body has a block, the stored message shares the block instead of copying the
 * body.
 *
 * The caller owns the memory. A record that contains a message has a StoredMessage as its last
 * member, followed by stored_message_cap() bytes:
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
    _Alignas(8) uint32_t len; /* number of used bytes behind this record */
    uint32_t cap : 30;        /* all bytes behind this record */
    uint32_t is_fields : 1;   /* the bytes are `passed` of a message instead of a whole message */
    uint32_t has_body : 1;    /* a ferry_bytes with the body precedes the bytes of the message */
} StoredMessage;

typedef enum StoredForm {
    STORE_MESSAGE, /* all fields: for stored_message_read() */
    STORE_FIELDS,  /* the fields that the broker forwards: enough for stored_message_forward() */
} StoredForm;

/* A body with a block is copied up to this size, because the block holds more memory than the
 * body. */
enum { STORED_COPY_MAX = 4096 };

/* The number of bytes that the message needs behind the record. It is exact if the message has
 * encoded fields and the form is STORE_FIELDS; otherwise it is an upper bound. */
size_t stored_message_cap(const Message *message, const void *block, StoredForm form);

/* Stores the message in the cap bytes behind the record. block is the block that contains
 * message->body, or NULL. -ENOMEM: there is no memory for a copy of the body; do not drop the
 * record. */
int stored_message_put(StoredMessage *to, size_t cap, const Message *message, const void *block,
                       StoredForm form);

/* Releases the body's block. The caller still owns the record's memory. */
void stored_message_drop(StoredMessage *stored);

/* Allocates a stored message, and frees it. NULL: out of memory. */
StoredMessage *stored_message_new(const Message *message, const void *block, StoredForm form);
StoredMessage *stored_message_free(StoredMessage *stored);

/* Reads a message that was stored with STORE_MESSAGE. Returns the block that contains its body, or
 * NULL. Both are borrowed from the stored message. */
const void *stored_message_read(const StoredMessage *stored, Message *to);

/* Sets the head of a message that forwards the name, the headers and the body of the stored
 * message. The caller sets the part: see message_forward_head(). Returns the block that contains
 * the body, or NULL. Both are borrowed from the stored message. */
const void *stored_message_forward(const StoredMessage *stored, Op op, uint64_t id, Message *to);

/* The body that is stored beside the message; empty: the message has no body, or contains it. */
static inline Span stored_message_body(const StoredMessage *stored) {
    const ferry_bytes *body = (const ferry_bytes *)(const void *)(stored + 1);

    return stored->has_body ? (Span){body->data, body->len} : (Span){NULL, 0};
}

/* The size of the message including its body. */
static inline size_t stored_message_size(const StoredMessage *stored) {
    return stored->len - (stored->has_body ? sizeof(ferry_bytes) : 0) +
           stored_message_body(stored).len;
}

DEFINE_CLEANUP(StoredMessage *, stored_message_free);
