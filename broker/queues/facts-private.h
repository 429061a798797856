/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Settings, binds and schedules that commands make. Stores keep them as facts. */

#include "broker/queues/queues-private.h"

/* A fact of a shard belongs to one queue of the shard. Two shards may have facts with one name. */
struct Fact {
    UT_hash_handle hh; /* uthash by shard and name */
    uint32_t n_name, n_value;
    uint8_t shard;  /* see Store; 0: it belongs to no shard */
    uint8_t data[]; /* name and value */
};

/* ---- facts.c ---- */

/* A new fact of this shard (0: of no shard), in no table. NULL: out of memory. */
Fact *fact_new(unsigned shard, Span name, Span value);
Fact *fact_find(const Queues *queues, unsigned shard, Span name); /* NULL: there is no such fact */
/* Stores the fact under the name; NULL: the name has no fact from now on. The caller owns
 * *ret_before, the fact that was there. -ENOMEM. */
int fact_replace(Queues *queues, unsigned shard, Span name, Fact *fact, Fact **ret_before);
void facts_free(Queues *queues);
/* The facts of the shard take effect, or are gone. */
void facts_shard_here(Queues *queues, const Store *store);
void facts_shard_left(Queues *queues, const Store *store);

/* ---- fact-changes.c ---- */

void fact_changes_session_gone(Queues *queues, const Session *session);
void fact_changes_free(Queues *queues);
