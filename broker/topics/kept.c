/* SPDX-License-Identifier: Apache-2.0 */
/* Published messages that the broker keeps. See kept.h. */

#include "broker/topics/kept.h"

#include <errno.h>
#include <stdlib.h>

#include "base/block.h"

/* The bytes that are charged for a kept message, and taken off the account when it is freed. It
 * uses cap, which does not change; len may change. */
static size_t charge_of(const Kept *kept) {
    return sizeof(*kept) + kept->cap + kept->body.len;
}

static void fill_data(Kept *kept, const Message *message) {
    if (message->passed.data) {
        kept->len = (uint32_t)message->passed.len;
        memcpy(kept->data, message->passed.data, message->passed.len);
        return;
    }
    kept->name_len = (uint32_t)message->name.len;
    kept->len = (uint32_t)(message->name.len + message->headers.len);
    memcpy(kept->data, message->name.data, message->name.len);
    if (message->headers.len > 0)
        memcpy(kept->data + kept->name_len, message->headers.data, message->headers.len);
}

int kept_new(Kept **ret, Broker *broker, const Message *message, const void *block) {
    size_t len =
        message->passed.data ? message->passed.len : message->name.len + message->headers.len;
    size_t cap = (len + 15) & ~(size_t)15;
    Kept *kept;

    if (broker->stored_bytes + kept_size_of(message) > broker->limits.max_total_bytes)
        return -ENOSPC;
    kept = malloc(sizeof(*kept) + cap);
    if (!kept)
        return -ENOMEM;
    *kept = (Kept){.owners = 1, .cap = (uint32_t)cap};
    if (!message->passed.data && message->body.len > 0 &&
        block_hold((ferry_bytes){message->body.data, message->body.len, block}, &kept->body) < 0) {
        free(kept);
        return -ENOMEM;
    }
    fill_data(kept, message);
    broker->stored_bytes += charge_of(kept);
    *ret = kept;
    return 0;
}

bool kept_reuse(Kept *kept, const Message *message, const void *block) {
    size_t len = message->passed.len;

    /* The block is kept only for a message that fills much of it: short messages must not keep
     * memory that long ones needed. */
    if (kept->owners != 1 || kept->body.block || block || !message->passed.data ||
        len > kept->cap || kept->cap > 256 + 4 * len)
        return false;
    kept->name_len = 0;
    fill_data(kept, message);
    return true;
}

Kept *kept_unref(Broker *broker, Kept *kept) {
    if (!kept || --kept->owners > 0)
        return NULL;
    broker->stored_bytes -= charge_of(kept);
    ferry_free(kept->body.block);
    free(kept);
    return NULL;
}

void kept_fill(const Kept *kept, Message *message) {
    message->body_transfer = 0;
    if (kept->name_len == 0) {
        message->passed = (Span){kept->data, kept->len};
        message->name = message->headers = message->body = (Span){NULL, 0};
        return;
    }
    message->passed = (Span){NULL, 0};
    message->name = (Span){kept->data, kept->name_len};
    message->headers = (Span){kept->data + kept->name_len, kept->len - kept->name_len};
    message->body = (Span){kept->body.data, kept->body.len};
}
