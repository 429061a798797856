/* Messages kept for later. See record.h. */

#include "clients/c/record.h"

#include <stdlib.h>

Record *record_new(const Message *message, const void *block) {
    Message plain = *message;
    const void *kept = block ? ferry_keep(block) : NULL;
    Record *record;

    if (block && kept != block) {
        /* A lent block would move: its bytes are copied instead. */
        ferry_free(kept);
        kept = NULL;
    }
    if (kept) {
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
        record->body = message->body;
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
