/* SPDX-License-Identifier: Apache-2.0 */
/* Stored messages. See record.h. */

#include "clients/c/core/record.h"

#include <stdlib.h>

Record *record_new(const Message *message, const void *block) {
    size_t cap = stored_message_cap(message, block, STORE_MESSAGE);
    Record *record = malloc(sizeof(*record) + cap);

    if (!record)
        return NULL;
    *record = (Record){.op = message->op, .id = message->id};
    if (stored_message_put(&record->stored, cap, message, block, STORE_MESSAGE) < 0) {
        free(record);
        return NULL;
    }
    return record;
}

Record *record_free(Record *record) {
    if (record)
        stored_message_drop(&record->stored);
    free(record);
    return NULL;
}

void records_put(RecordList *list, Record *record) {
    record->next = NULL;
    if (list->last)
        list->last->next = record;
    else
        list->first = record;
    list->last = record;
    list->bytes += record_size(record);
}

Record *records_take(RecordList *list) {
    Record *record = list->first;

    if (!record)
        return NULL;
    list->first = record->next;
    if (!list->first)
        list->last = NULL;
    list->bytes -= record_size(record);
    return record;
}

void records_keep(RecordList *list, RecordTest stays, const void *ctx) {
    RecordList kept = {0};
    Record *record;

    while ((record = records_take(list)))
        if (stays(record, ctx))
            records_put(&kept, record);
        else
            record_free(record);
    *list = kept;
}

void records_clear(RecordList *list) {
    Record *record;

    while ((record = records_take(list)))
        record_free(record);
}
