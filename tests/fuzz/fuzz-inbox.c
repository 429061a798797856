/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as an entry of an inbox in Redis. An entry that is read is written as the same bytes,
 * or as bytes that are read as the same. */

#include <stdlib.h>
#include <string.h>

#include "broker/queues/inbox-entry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_again(Buffer *to, const InboxEntry *entry) {
    if (entry->is_job)
        inbox_entry_write_job(to, entry->queues[0], &entry->job, &entry->message);
    else
        inbox_entry_write(to, entry->queues, entry->n, &entry->message);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    CLEANUP(buffer_deinit) Buffer first = {0}, second = {0};
    static InboxEntry entry;

    if (inbox_entry_read(span_of(data, size), &entry) < 0)
        return 0;
    write_again(&first, &entry);
    if (first.failed || inbox_entry_read(span_of(first.data, first.len), &entry) < 0)
        abort();
    write_again(&second, &entry);
    if (first.len != second.len || memcmp(first.data, second.data, first.len) != 0)
        abort();
    return 0;
}
