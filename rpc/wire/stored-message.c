/* SPDX-License-Identifier: Apache-2.0 */
/* Stored messages. See stored-message.h. */

#include "rpc/wire/stored-message.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "base/block.h"

/* True: the body is stored beside the message. A body without a block is only stored there if it is
 * too large for a message. */
static bool keeps_body(const Message *message, const void *block) {
    return message->body.len > (size_t)(block ? STORED_COPY_MAX : WIRE_INLINE_MAX);
}

static Message without_body(const Message *message) {
    Message head = *message;

    head.body = head.passed = (Span){NULL, 0};
    return head;
}

enum { ENCODED_MAX = 8192 };

/* Encodes the fields of a small message without `passed` into ENCODED_MAX bytes. If data is NULL,
 * the message stays unencoded. */
static Span encode_fields(const Message *message, const void *block, uint8_t *to) {
    Reader reader;
    Message encoded;

    if (keeps_body(message, block) || message_size(message) > ENCODED_MAX)
        return (Span){NULL, 0};
    reader = reader_of(to, (size_t)(message_write(to, message) - to));
    return message_read(&reader, &encoded) == 1 ? encoded.passed : (Span){NULL, 0};
}

/* The fields to store, in encoded form. If data is NULL, the whole message is stored. */
static Span fields_of(const Message *message, const void *block, StoredForm form, uint8_t *space) {
    if (form != STORE_FIELDS)
        return (Span){NULL, 0};
    return message->passed.data ? message->passed : encode_fields(message, block, space);
}

size_t stored_message_cap(const Message *message, const void *block, StoredForm form) {
    uint8_t space[ENCODED_MAX];
    Span fields = fields_of(message, block, form, space);

    if (fields.data)
        return fields.len;
    if (keeps_body(message, block)) {
        Message head = without_body(message);

        return sizeof(ferry_bytes) + message_size(&head);
    }
    return message_size(message);
}

int stored_message_put(StoredMessage *to, size_t cap, const Message *message, const void *block,
                       StoredForm form) {
    uint8_t *bytes = (uint8_t *)(to + 1), *end;
    uint8_t space[ENCODED_MAX];
    Span fields = fields_of(message, block, form, space);

    assert(cap < (size_t)1 << 30 && "the limits of headers and texts keep a message far below");
    *to = (StoredMessage){.cap = (uint32_t)cap & 0x3FFFFFFF};
    if (fields.data) {
        to->is_fields = 1;
        end = put_bytes(bytes, fields.data, fields.len);
    } else if (keeps_body(message, block)) {
        ferry_bytes body = {message->body.data, message->body.len, block};
        Message head = without_body(message);

        if (block_hold(body, (ferry_bytes *)(void *)bytes) < 0)
            return -ENOMEM;
        to->has_body = 1;
        end = message_write(bytes + sizeof(body), &head);
    } else {
        end = message_write(bytes, message);
    }
    to->len = (uint32_t)(end - bytes);
    return 0;
}

void stored_message_drop(StoredMessage *stored) {
    if (stored->has_body)
        ferry_free(((ferry_bytes *)(void *)(stored + 1))->block);
}

StoredMessage *stored_message_new(const Message *message, const void *block, StoredForm form) {
    size_t cap = stored_message_cap(message, block, form);
    StoredMessage *stored = malloc(sizeof(*stored) + cap);

    if (stored && stored_message_put(stored, cap, message, block, form) < 0) {
        free(stored);
        return NULL;
    }
    return stored;
}

StoredMessage *stored_message_free(StoredMessage *stored) {
    if (stored)
        stored_message_drop(stored);
    free(stored);
    return NULL;
}

const void *stored_message_read(const StoredMessage *stored, Message *to) {
    const uint8_t *bytes = (const uint8_t *)(stored + 1);
    size_t skip = stored->has_body ? sizeof(ferry_bytes) : 0;
    Reader reader = reader_of(bytes + skip, stored->len - skip);

    message_read(&reader, to);
    if (!stored->has_body)
        return NULL;
    to->body = stored_message_body(stored);
    to->passed = (Span){NULL, 0}; /* it has no body */
    return ((const ferry_bytes *)(const void *)bytes)->block;
}

const void *stored_message_forward(const StoredMessage *stored, Op op, uint64_t id, Message *to) {
    Message from;
    const void *block = NULL;

    if (stored->is_fields)
        from.passed = span_of(stored + 1, stored->len);
    else
        block = stored_message_read(stored, &from);
    message_forward_head(to, op, id, &from);
    return block;
}
