/* SPDX-License-Identifier: Apache-2.0 */

/* All stores of the queues at once: open, process, flush, forget. See store.h. */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "broker/events/events.h"
#include "broker/queues/queues-private.h"

int queues_open_stores(Queues *queues, Waker *waker, ferry_error *reterr) {
    int r = 0;

    for (size_t i = 0; i < queues->n_stores && r == 0; i++)
        if (queues->stores[i]->ops->open)
            r = queues->stores[i]->ops->open(queues->stores[i], waker, reterr);
    return r;
}

void queues_process_stores(Queues *queues) {
    for (size_t i = 0; i < queues->n_stores; i++)
        if (queues->stores[i]->ops->process)
            queues->stores[i]->ops->process(queues->stores[i]);
}

void stores_forget_pushes(Queues *queues, const uint8_t *client, uint64_t floor) {
    for (size_t i = 0; i < queues->n_stores; i++)
        store_forget_pushes(queues->stores[i], client, floor);
}

void stores_close(Queues *queues) {
    for (size_t i = 0; i < queues->n_stores; i++)
        if (queues->stores[i]->ops->close)
            queues->stores[i]->ops->close(queues->stores[i]);
}

/* A store does not know the broker, so this function asks the store at the end of each turn. */
static void tell_degraded(Queues *queues, size_t i) {
    const Store *store = queues->stores[i];
    bool is_degraded = *store->degraded != '\0';

    if (queues->told_degraded[i] == is_degraded)
        return;
    queues->told_degraded[i] = is_degraded;
    if (event_is_watched(queues->broker, EVENT_STORE_DEGRADED))
        event_raise(queues->broker, EVENT_STORE_DEGRADED,
                    &(broker_events_store_degraded){.store = store->ops->durability,
                                                    .reason = store->degraded});
}

void stores_flush(Queues *queues) {
    for (size_t i = 0; i < queues->n_stores; i++) {
        store_flush(queues->stores[i]);
        tell_degraded(queues, i);
    }
}

void store_set_degraded(Store *store, const char *reason) {
    bool was = *store->degraded != '\0';

    if (reason && !was)
        log_error("store '%s' cannot write, pushes are not confirmed: %s", store->ops->durability,
                  reason);
    else if (!reason && was)
        log_info("store '%s' can write again", store->ops->durability);
    snprintf(store->degraded, sizeof(store->degraded), "%s", reason ? reason : "");
}

bool queues_broken(const Queues *queues) {
    for (size_t i = 0; i < queues->n_stores; i++)
        if (queues->stores[i]->broken)
            return true;
    return false;
}

bool queues_lost(const Queues *queues) {
    for (size_t i = 0; i < queues->n_stores; i++)
        if (queues->stores[i]->lost)
            return true;
    return false;
}

void queues_set_default_store(Queues *queues, Store *store) {
    queues->default_store = store;
}

const char *queues_default_durability(const Queues *queues) {
    return queues->default_store->ops->durability;
}

const char *queues_degraded(const Queues *queues) {
    for (size_t i = 0; i < queues->n_stores; i++)
        if (*queues->stores[i]->degraded)
            return queues->stores[i]->degraded;
    return NULL;
}

/* ---- changes of facts, and of several jobs at once ---- */

void store_error(Session *session, uint64_t id, int result) {
    const char *reason = queues_degraded(session->broker->queues);

    if (result == -ENOSPC)
        session_error(session, id, "ferry.Full",
                      "the disk of the broker is full: jobs can be finished, but not added");
    else if (result == -ENOBUFS)
        session_error(session, id, "ferry.Full", "%s: jobs can be finished, but not added",
                      reason ? reason : "the memory of the store is full");
    else if (result == -EBUSY)
        session_error(session, id, "ferry.Overloaded", "the store cannot confirm changes now: %s",
                      reason ? reason : "it has too much to write");
    else
        session_error(session, id, "ferry.Internal", "the store failed: %s", strerror(-result));
}

uint64_t waiter_ticket(Queues *queues, Waiter *waiter) {
    return id_map_put(&queues->waiters, ++queues->last_ticket, waiter) < 0 ? 0
                                                                           : queues->last_ticket;
}

void waiter_forget(Queues *queues, uint64_t ticket) {
    id_map_take(&queues->waiters, ticket);
}
