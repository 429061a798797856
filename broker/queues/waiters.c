/* SPDX-License-Identifier: Apache-2.0 */

/* Changes of a store that are not the change of one job: who waits for their end. And the error for
 * a change that a store did not make. See queues-private.h. */

#include <errno.h>
#include <string.h>

#include "broker/queues/changes-private.h"
#include "broker/queues/queues-private.h"
#include "broker/queues/shards-private.h"

void store_problem(const Store *store, int result, Problem *ret) {
    const char *reason = store && *store->degraded ? store->degraded : NULL;

    if (result == -EREMCHG)
        problem_set(ret, "ferry.Moved",
                    "the queue has moved to another broker: the change may have been made");
    else if (result == -ENOSPC)
        problem_set(ret, "ferry.Full",
                    "the disk of the broker is full: jobs can be finished, but not added");
    else if (result == -ENOBUFS)
        problem_set(ret, "ferry.Full", "%s: %s",
                    reason ? reason : "the memory of the store is full",
                    store ? "jobs can be finished, but not added" : "try again later");
    else if (result == -EDQUOT)
        problem_set(ret, "ferry.Full",
                    "a queue at another broker does not get the message: the inbox of its shard is "
                    "full");
    else if (result == -E2BIG)
        problem_set(ret, "ferry.Full",
                    "the brokers of the cluster keep no more or no larger retained values "
                    "(max_names, max_total_bytes)");
    else if (result == -ENOMEM)
        problem_set(ret, "ferry.OutOfMemory", "the broker is out of memory");
    else if (result == -EBUSY)
        problem_set(ret, "ferry.Overloaded", "the store cannot confirm changes now: %s",
                    reason ? reason : "it has too much to write");
    else
        problem_set(ret, "ferry.Internal", "the store failed: %s", strerror(-result));
    if (result == -EREMCHG)
        ret->away = store;
    ret->is_unknown = result == -EREMCHG;
}

void store_error(Session *session, uint64_t id, const Store *store, int result) {
    Problem problem;

    store_problem(store, result, &problem);
    problem_answer(session, id, &problem);
}

int waiter_begin(Queues *queues, Waiter *waiter, Store *store) {
    if (id_map_put(&queues->waiters, ++queues->last_ticket, waiter) < 0)
        return -ENOMEM;
    waiter->ticket = queues->last_ticket;
    waiter->store = store;
    store->n_open++;
    return 0;
}

Waiter *waiter_take(Queues *queues, uint64_t ticket) {
    Waiter *waiter = id_map_take(&queues->waiters, ticket);

    if (waiter)
        waiter->store->n_open--;
    return waiter;
}

static Waiter *waiter_of(const Queues *queues, const Store *store) {
    size_t pos = 0;
    Waiter *waiter;

    while ((waiter = id_map_next(&queues->waiters, &pos)))
        if (waiter->store == store)
            break;
    return waiter;
}

void waiters_shard_left(Queues *queues, const Store *store) {
    Waiter *waiter;

    while ((waiter = waiter_of(queues, store))) {
        waiter_take(queues, waiter->ticket);
        waiter->fn(queues, waiter, -EREMCHG);
    }
}
