/* SPDX-License-Identifier: Apache-2.0 */
/* A message that was published at another broker becomes jobs of queues in a shard, and a job that
 * moves from another broker comes here. See store.h. */

#include <errno.h>

#include "broker/core/peer-log.h"
#include "broker/queues/changes-private.h"
#include "broker/queues/inbox-entry.h"
#include "broker/queues/queues-private.h"

/* The publisher has its confirmation. So a queue that is full still takes the message, and
 * the other brokers are told to send no more: other queues of the shard do not wait for it. */
static int check_room(Queue *queue, const Message *message, Problem *problem) {
    Queues *queues = queue->queues;
    size_t bytes = fan_out_bytes(message);

    if (queues_fan_out_check(queue, message, problem) == 0)
        return 0;
    if (*queue->settings.store->degraded || !queue_is_full(queue, bytes) ||
        !broker_may_store(queues->broker, bytes))
        return -EAGAIN;
    if (queues->on_bound_full)
        queues->on_bound_full(queue, queues->bound_full_ctx);
    return 0;
}

/* Finds the queues of the shard. 0, and *ret_n of them; -EAGAIN: the broker or its store has no
 * room, and *problem says why. */
static int find_queues(Queues *queues, const Store *store, const InboxEntry *entry, Queue **found,
                       size_t *ret_n, Problem *problem) {
    size_t n = 0;

    for (size_t i = 0; i < entry->n; i++) {
        Queue *queue = queue_get(queues, entry->queues[i], problem);

        if (!queue)
            return -EAGAIN;
        if (queue->settings.store != store) {
            queue_maybe_idle(queue);
            continue;
        }
        if (check_room(queue, &entry->message, problem) < 0)
            return -EAGAIN;
        found[n++] = queue;
    }
    *ret_n = n;
    return 0;
}

/* The configuration of this broker has queues of the entry in another store. */
static void tell_missed(Queues *queues, const Store *store, const InboxEntry *entry) {
    for (size_t i = 0; i < entry->n; i++) {
        Queue *queue = queue_find(queues, entry->queues[i]);

        if (!queue || queue->settings.store == store)
            continue;
        queue->n_dropped++;
        queues->broker->stats.dropped++;
        peer_log(queues->broker, LOG_LEVEL_WARNING,
                 "a bound queue is in another store here, and misses a message of another broker: "
                 "queue='%s'",
                 queue->name);
    }
}

static int take(Queues *queues, Store *store, const InboxEntry *read, void *entry,
                Problem *problem) {
    Queue *found[INBOX_QUEUES_MAX];
    Fanout *fan_out;
    size_t n = 0;
    int r;

    if (read->is_job)
        return far_move_take(queues, store, read, entry, problem);
    r = find_queues(queues, store, read, found, &n, problem);
    if (r < 0)
        return r;
    if (queues_fan_out(queues, found, n, NULL, &read->message, NULL, &fan_out) < 0) {
        problem_set(problem, "ferry.OutOfMemory", "the broker is out of memory");
        return -EAGAIN;
    }
    if (fan_out_store_entry(fan_out, store, entry) < 0) {
        problem_set(problem, "ferry.Internal", "the store cannot take it now");
        return -EAGAIN;
    }
    if (n < read->n)
        tell_missed(queues, store, read);
    return 0;
}

int queues_take_entry(Queues *queues, Store *store, Span data, void *entry, char *problem,
                      size_t size) {
    Problem why = {.text = "the entry is not one of this version of ferry"};
    InboxEntry read;
    int r = inbox_entry_read(data, &read);

    if (r == 0 && read.n == 0) /* a retained value, which is in no inbox */
        r = -EBADMSG;
    if (r == 0)
        r = take(queues, store, &read, entry, &why);
    snprintf(problem, size, "%s", r < 0 ? why.text : "");
    return r;
}
