/* SPDX-License-Identifier: Apache-2.0 */

/* The shard of a queue, and of a job by its number. See queues-private.h. */

#include "broker/queues/queues-private.h"
#include "broker/queues/shards-private.h"

enum {
    /* The number of a job modulo JOB_CLASSES is the shard's number + 1, or NO_SHARD. So the numbers
     * of all jobs in shards are different, whichever brokers have the shards one after the other.
     */
    JOB_CLASSES = 64,
    NO_SHARD = 63,
};

/* A queue and its dead-letter queue are in one shard. All brokers must find the same shard, so the
 * hash has no seed. */
Store *shard_of(const Queues *queues, Span queue) {
    size_t len = queue.len - (queue_name_is_dead(queue) ? 5 : 0);

    return queues->shards[XXH3_64bits(queue.data, len) % queues->n_shards].store;
}

Store *shard_of_job(const Queues *queues, uint64_t job) {
    uint64_t number = job % JOB_CLASSES;

    return number > 0 && number <= queues->n_shards ? queues->shards[number - 1].store : NULL;
}

uint64_t shard_next_job(const Queues *queues, const Store *store) {
    uint64_t next = queues->last_job + 1, wanted = store->shard ? store->shard : NO_SHARD;

    return queues->n_shards > 0 ? next + (wanted - next) % JOB_CLASSES : next;
}
