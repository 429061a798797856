/* SPDX-License-Identifier: Apache-2.0 */

/* All stores of the queues at once: open, process, flush, forget. See store.h. */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "broker/events/events.h"
#include "broker/queues/queues-private.h"
#include "broker/queues/shards-private.h"

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

const char *store_shown(const Store *store) {
    static char text[24];

    if (!store->shard)
        return store->ops->durability;
    snprintf(text, sizeof(text), "shard %u", store->shard - 1);
    return text;
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
                    &(broker_events_store_degraded){.store = store_shown(store),
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
        log_error("store '%s' cannot write, pushes are not confirmed: %s", store_shown(store),
                  reason);
    else if (!reason && was)
        log_info("store '%s' can write again", store_shown(store));
    snprintf(store->degraded, sizeof(store->degraded), "%s", reason ? reason : "");
}

/* A shard that is broken or lost goes to another broker, or comes back: this broker need not end.
 */
bool queues_broken(const Queues *queues) {
    for (size_t i = 0; i < queues->n_stores; i++)
        if (queues->stores[i]->broken && !queues->stores[i]->shard)
            return true;
    return false;
}

bool queues_lost(const Queues *queues) {
    for (size_t i = 0; i < queues->n_stores; i++)
        if (queues->stores[i]->lost && !queues->stores[i]->shard)
            return true;
    return false;
}

void queues_set_default_store(Queues *queues, Store *store) {
    queues->default_store = store;
}

const char *queues_default_durability(const Queues *queues) {
    return queues->default_store->ops->durability;
}

const char *store_why_degraded(const Store *store) {
    static char text[STORE_REASON_MAX + 32];

    if (!store->shard)
        return store->degraded;
    snprintf(text, sizeof(text), "%s: %s", store_shown(store), store->degraded);
    return text;
}

const char *queues_degraded(const Queues *queues) {
    for (size_t i = 0; i < queues->n_stores; i++)
        if (*queues->stores[i]->degraded)
            return store_why_degraded(queues->stores[i]);
    return NULL;
}

size_t stores_n_open(const Queues *queues) {
    size_t n = 0;

    for (size_t i = 0; i < queues->n_stores; i++)
        n += *queues->stores[i]->degraded ? 0 : queues->stores[i]->n_open;
    return n;
}
