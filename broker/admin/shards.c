/* SPDX-License-Identifier: Apache-2.0 */

/* ferry.Broker's list of shards. See admin-private.h. */

#include "broker/admin/admin-private.h"

static const char *state_of(const Store *store, const StoreShard *shard) {
    if (store->adopting)
        return "restoring";
    if (store->closing || shard->is_leaving)
        return "leaving";
    if (!store->away)
        return "here";
    return store->owner.is_known ? "elsewhere" : "none";
}

static void write_shard(Buffer *to, const StoreShard *shard) {
    const Store *store = shard->store;
    bool is_degraded = *store->degraded != '\0';

    write_map(to, is_degraded ? 5 : 4);
    write_pair(to, "shard", store->shard - 1);
    write_text(to, "state");
    write_text(to, state_of(store, shard));
    write_text(to, "owner");
    write_text(to, store->away && store->owner.is_known ? store->owner.url : "");
    write_pair(to, "jobs", store->n_jobs);
    if (is_degraded) {
        write_text(to, "degraded");
        write_text(to, store->degraded);
    }
}

int method_shards(const Ask *ask, const void *p, Buffer *to, ferry_error *reterr) {
    const Queues *queues = ask->broker->queues;

    (void)p, (void)reterr;
    write_array(to, queues->n_shards);
    for (unsigned k = 0; k < queues->n_shards; k++)
        write_shard(to, &queues->shards[k]);
    return 0;
}
