/* SPDX-License-Identifier: Apache-2.0 */

/* Deduplication keys: a queue does not store a second job with a key that it remembers. It
 * remembers all its keys for the same time, so the oldest key expires first. See
 * queues-private.h. */

#include <utlist.h>

#include "base/container.h"
#include "broker/queues/jobs-private.h"
#include "broker/queues/queues-private.h"

Key *key_find(Queue *queue, Span key) {
    Key *found;

    HASH_FIND(hh, queue->keys, key.data, key.len, found);
    if (!found || found->until_ms > queue->queues->broker->now_ms)
        return found;
    key_forget(queue, found);
    return NULL;
}

static void on_key_timer(Timer *timer, void *ctx) {
    Queue *queue = container_of(timer, Queue, key_timer);
    Timers *timers = &queue->queues->broker->timers;

    (void)ctx;
    for (int n = 0; n < QUEUE_SLICE && queue->first_key &&
                    queue->first_key->until_ms <= queue->queues->broker->now_ms;
         n++)
        key_forget(queue, queue->first_key);
    if (queue->first_key && !timer_armed(timer))
        timer_arm(timers, timer, queue->first_key->until_ms, on_key_timer);
    queue_maybe_idle(queue);
}

Key *key_add(Queue *queue, Span text, uint64_t until_ms) {
    Queues *queues = queue->queues;
    Key *key = slabs_alloc(&queues->slabs, sizeof(Key) + text.len);

    if (!key)
        return NULL;
    *key = (Key){.until_ms = until_ms, .len = (uint8_t)text.len};
    memcpy(key->data, text.data, text.len);
    HASH_ADD_KEYPTR(hh, queue->keys, key->data, key->len, key);
    if (!hash_added(key)) {
        slabs_free(&queues->slabs, key, sizeof(Key) + key->len);
        return NULL;
    }
    if (until_ms == UINT64_MAX)
        return key; /* a unique key is not in the list: it ends with its job */
    DL_APPEND(queue->first_key, key);
    queue->n_keys++;
    if (!timer_armed(&queue->key_timer))
        timer_arm(&queues->broker->timers, &queue->key_timer, queue->first_key->until_ms,
                  on_key_timer);
    return key;
}

void key_forget(Queue *queue, Key *key) {
    if (key->owner)
        *key->owner = NULL;
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): links that uthash set */
    HASH_DEL(queue->keys, key);
    if (key->holder)
        key->holder->ties->unique = NULL;
    if (key->until_ms != UINT64_MAX) {
        DL_DELETE(queue->first_key, key);
        queue->n_keys--;
    }
    slabs_free(&queue->queues->slabs, key, sizeof(Key) + key->len);
}

void keys_trim(Queue *queue) {
    while (queue->n_keys > queue->settings.max_keys)
        key_forget(queue, queue->first_key);
}

size_t keys_free(Queue *queue, size_t max) {
    size_t n = 0;

    for (; queue->first_key && n < max; n++)
        key_forget(queue, queue->first_key);
    return n;
}
