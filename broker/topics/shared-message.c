/* SPDX-License-Identifier: Apache-2.0 */
/* Published messages that the broker stores. See shared-message.h. */

#include "broker/topics/shared-message.h"

#include <errno.h>
#include <stdlib.h>

/* The bytes that are charged for the message, and subtracted when it is freed. When the memory is
 * used again, cap stays the same; len may change. */
static size_t charge_of(const SharedMessage *shared) {
    return sizeof(*shared) + shared->stored.cap + stored_message_body(&shared->stored).len;
}

int shared_message_make(SharedMessage **ret, Broker *broker, const Message *message,
                        const void *block) {
    /* Round up, so that messages whose sizes differ a little can use the memory again. */
    size_t cap = (stored_message_cap(message, block, STORE_FIELDS) + 15) & ~(size_t)15;
    SharedMessage *shared;

    shared = malloc(sizeof(*shared) + cap);
    if (!shared)
        return -ENOMEM;
    shared->owners = 1;
    if (stored_message_put(&shared->stored, cap, message, block, STORE_FIELDS) < 0) {
        free(shared);
        return -ENOMEM;
    }
    broker->budget.bytes[BUDGET_TOPICS] += charge_of(shared);
    *ret = shared;
    return 0;
}

int shared_message_new(SharedMessage **ret, Broker *broker, const Message *message,
                       const void *block) {
    if (!broker_may_store(broker, shared_message_size_of(message)))
        return -ENOSPC;
    return shared_message_make(ret, broker, message, block);
}

bool shared_message_reuse(SharedMessage *shared, const Message *message, const void *block) {
    size_t len = message->passed.len, cap = shared->stored.cap;

    /* Use the memory again only for a message that fills much of it: otherwise short messages would
     * keep large memory. */
    if (shared->owners != 1 || shared->stored.has_body || !message->passed.data || len > cap ||
        cap > 256 + 4 * len)
        return false;
    return stored_message_put(&shared->stored, cap, message, block, STORE_FIELDS) == 0;
}

SharedMessage *shared_message_unref(Broker *broker, SharedMessage *shared) {
    if (!shared || --shared->owners > 0)
        return NULL;
    broker->budget.bytes[BUDGET_TOPICS] -= charge_of(shared);
    stored_message_drop(&shared->stored);
    free(shared);
    return NULL;
}
