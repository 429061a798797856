#pragma once

/*
 * The ids of the pushes that were stored for one client: a push that is sent again after a lost
 * connection is looked up here. Ids nearly always come in ascending order: then adding one is an
 * append. At most max ids are remembered, the highest; memory grows with their number.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

typedef struct PushLedger PushLedger;

/* What its ids take is added to *total, which outlives it. NULL: out of memory. */
PushLedger *push_ledger_new(uint64_t *total);
PushLedger *push_ledger_free(PushLedger *ledger);

/* Makes sure that the next push_ledger_add() succeeds. -ENOMEM. */
int push_ledger_reserve(PushLedger *ledger, size_t max);
/* -ENOMEM. max: the most ids to remember, at least 1. */
int push_ledger_add(PushLedger *ledger, uint64_t id, size_t max);
bool push_ledger_has(const PushLedger *ledger, uint64_t id);
uint64_t push_ledger_last(const PushLedger *ledger); /* the highest id; 0: it is empty */

/* Forgets the ids below floor. */
void push_ledger_floor(PushLedger *ledger, uint64_t floor);
size_t push_ledger_count(const PushLedger *ledger);

DEFINE_CLEANUP(PushLedger *, push_ledger_free);
