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
