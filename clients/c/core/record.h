/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A stored message, which is sent or handled later, and lists of them. */

#include <stdbool.h>

#include "rpc/wire/stored-message.h"

typedef struct Record {
    struct Record *next;
    uint64_t id;
    uint64_t received_ms; /* arrival of a deferred message */
    uint8_t op;
    uint8_t lane;         /* the lane for sending it later */
    StoredMessage stored; /* the last member: its bytes follow */
} Record;

/* Stores a message. block: the block around its body, or NULL. NULL: out of memory. */
Record *record_new(const Message *message, const void *block);

/* Reads the message. Returns the block around its body, or NULL. Both are borrowed from the record.
 */
static inline const void *record_read(const Record *record, Message *message) {
    return stored_message_read(&record->stored, message);
}

static inline size_t record_size(const Record *record) {
    return sizeof(*record) + stored_message_size(&record->stored);
}

Record *record_free(Record *record);

DEFINE_CLEANUP(Record *, record_free);

/* Messages in the order of their arrival. */
typedef struct RecordList {
    Record *first, *last;
    size_t bytes; /* of all records, see record_size() */
} RecordList;

typedef bool (*RecordTest)(const Record *record, const void *ctx);

/* Appends the record; the list owns it. */
void records_put(RecordList *list, Record *record);
/* Removes the first record, which the caller owns from now on. NULL: the list is empty. */
Record *records_take(RecordList *list);
/* Frees the records for which stays() returns false. */
void records_keep(RecordList *list, RecordTest stays, const void *ctx);
/* Frees all records. */
void records_clear(RecordList *list);
