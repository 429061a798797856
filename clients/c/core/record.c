/* SPDX-License-Identifier: Apache-2.0 */
/* Stored messages. See record.h. */

#include "clients/c/core/record.h"

#include <stdlib.h>

#include "base/block.h"

Record *record_new(const Message *message, const void *block) {
    Message plain = *message;
    Span body = message->body;
    const void *kept = NULL;
    Record *record;

    /* A larger body is sent beside its message: see docs/PROTOCOL.md, section 8. */
    if (block || body.len > WIRE_INLINE_MAX) {
        ferry_bytes held;

        if (block_hold((ferry_bytes){body.data, body.len, block}, &held) < 0)
            return NULL;
        kept = held.block;
        body.data = held.data;
        plain.body = (Span){NULL, 0};
        plain.passed = (Span){NULL, 0};
    }
    record = malloc(sizeof(*record) + message_size(&plain));
    if (!record) {
        ferry_free(kept);
        return NULL;
    }
    *record = (Record){.block = kept, .op = message->op, .id = message->id};
    if (kept)
        record->body = body;
    record->len = (uint32_t)(message_write(record->bytes, &plain) - record->bytes);
    return record;
}

void record_read(const Record *record, Message *message) {
    Reader reader = reader_of(record->bytes, record->len);

    *message = (Message){0};
    message_read(&reader, message);
    if (record->block) {
        message->body = record->body;
        message->passed = (Span){NULL, 0};
    }
}

Record *record_free(Record *record) {
    if (record) {
        ferry_free(record->block);
        free(record);
    }
    return NULL;
}
