/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A stored message: encoded, in one piece of memory, with the block of its body. */

#include <ferry/base.h>

#include "base/cleanup.h"
#include "rpc/wire/message.h"

typedef struct Record {
    struct Record *next;
    const void *block; /* owned; NULL: the body is in bytes */
    Span body;         /* inside block */
    uint32_t len;
    uint8_t op;
    uint8_t lane; /* the lane for sending it later */
    uint64_t id;
    uint8_t bytes[];
} Record;

/* Stores a message. block NULL: the body is copied. Returns NULL: out of memory. */
Record *record_new(const Message *message, const void *block);

/* Reads the message, borrowed until the record is freed. */
void record_read(const Record *record, Message *message);

static inline size_t record_size(const Record *record) {
    return sizeof(*record) + record->len + record->body.len;
}

Record *record_free(Record *record);

DEFINE_CLEANUP(Record *, record_free);
