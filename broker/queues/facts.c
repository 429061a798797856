/* SPDX-License-Identifier: Apache-2.0 */
/* Facts: settings, binds and schedules that commands have made. fact-changes.c changes them. See
 * queues.h. */

#include <assert.h>
#include <errno.h>

#include "broker/queues/facts-private.h"
#include "broker/queues/queues-private.h"
#include "broker/queues/shards-private.h"

static_assert(offsetof(Fact, data) == offsetof(Fact, shard) + 1, "uthash has one range as the key");

static size_t key_len(const Fact *fact) {
    return 1 + fact->n_name;
}

static Span name_of(const Fact *fact) {
    return (Span){fact->data, fact->n_name};
}

static Span value_of(const Fact *fact) {
    return (Span){fact->data + fact->n_name, fact->n_value};
}

Fact *fact_find(const Queues *queues, unsigned shard, Span name) {
    uint8_t key[1 + FACT_NAME_MAX];
    Fact *fact;

    if (name.len > FACT_NAME_MAX)
        return NULL;
    key[0] = (uint8_t)shard;
    memcpy(key + 1, name.data, name.len);
    HASH_FIND(hh, queues->facts, key, 1 + name.len, fact);
    return fact;
}

static void add(Queues *queues, Fact *fact) {
    HASH_ADD_KEYPTR(hh, queues->facts, &fact->shard, key_len(fact), fact);
}

Span queues_fact(const Queues *queues, Span name) {
    const Fact *fact = fact_find(queues, 0, name);

    return fact ? value_of(fact) : (Span){NULL, 0};
}

/* A fact of the queue's shard; or one from a time when the queue was in no shard. */
Span queues_fact_of(const Queues *queues, Span queue, Span name) {
    const Fact *fact =
        queues->n_shards > 0 ? fact_find(queues, shard_of(queues, queue)->shard, name) : NULL;

    return fact ? value_of(fact) : queues_fact(queues, name);
}

Fact *fact_new(unsigned shard, Span name, Span value) {
    Fact *fact = malloc(sizeof(*fact) + name.len + value.len);

    if (!fact)
        return NULL;
    *fact = (Fact){
        .n_name = (uint32_t)name.len, .n_value = (uint32_t)value.len, .shard = (uint8_t)shard};
    memcpy(fact->data, name.data, name.len);
    memcpy(fact->data + name.len, value.data, value.len);
    return fact;
}

static bool is_watched(const FactWatch *watch, Span name) {
    size_t len = strlen(watch->prefix);

    return name.len >= len && memcmp(name.data, watch->prefix, len) == 0;
}

static void tell(const Queues *queues, unsigned shard, Span name, Span value) {
    for (size_t i = 0; i < queues->n_fact_watches; i++)
        if (is_watched(&queues->fact_watches[i], name))
            queues->fact_watches[i].fn(name, value, shard, queues->fact_watches[i].ctx);
}

int fact_replace(Queues *queues, unsigned shard, Span name, Fact *fact, Fact **ret_before) {
    Fact *before = fact_find(queues, shard, name);

    if (fact) {
        if (before)
            HASH_DEL(queues->facts, before);
        add(queues, fact);
        if (!hash_added(fact)) {
            if (before)
                add(queues, before);
            return -ENOMEM;
        }
    } else if (before) {
        HASH_DEL(queues->facts, before);
    }
    *ret_before = before;
    if (shard == 0 || !queues->shards[shard - 1].store->away) /* otherwise see facts_shard_here() */
        tell(queues, shard, name, fact ? value_of(fact) : (Span){NULL, 0});
    return 0;
}

void queues_watch_facts(Queues *queues, const char *prefix, FactFn fn, void *ctx) {
    FactWatch *watch = &queues->fact_watches[queues->n_fact_watches++];

    *watch = (FactWatch){prefix, fn, ctx};
    for (const Fact *fact = queues->facts; fact; fact = fact->hh.next)
        if (is_watched(watch, name_of(fact)))
            fn(name_of(fact), value_of(fact), fact->shard, ctx);
}

int queues_restore_fact(Queues *queues, Store *store, Span name, Span value) {
    Fact *fact = name.len > FACT_NAME_MAX ? NULL : fact_new(store->shard, name, value);
    Fact *before = NULL;
    int r = fact ? fact_replace(queues, store->shard, name, fact, &before) : -ENOMEM;

    free(r < 0 ? fact : before);
    return r;
}

/* ---- shards ---- */

void facts_shard_here(Queues *queues, const Store *store) {
    for (const Fact *fact = queues->facts; fact; fact = fact->hh.next)
        if (fact->shard == store->shard)
            tell(queues, fact->shard, name_of(fact), value_of(fact));
}

void facts_shard_left(Queues *queues, const Store *store) {
    Fact *fact, *next;

    HASH_ITER(hh, queues->facts, fact, next) {
        if (fact->shard != store->shard)
            continue;
        HASH_DEL(queues->facts, fact);
        tell(queues, fact->shard, name_of(fact), (Span){NULL, 0});
        free(fact);
    }
}

void facts_free(Queues *queues) {
    Fact *fact, *next;

    HASH_ITER(hh, queues->facts, fact, next) {
        HASH_DEL(queues->facts, fact);
        free(fact);
    }
}
