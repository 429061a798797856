/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One budget of bytes: all memory that peers make this process hold is counted here by kind, and
 * where a peer is the cause, in the peer's account too. Counting allocates nothing.
 *
 * A peer may hold at most BUDGET_SHARE times the bytes that are still free. So a single peer can
 * use three quarters of the budget, many peers less each, and a new peer always finds some bytes
 * free. A peer that waits for the broker is no longer read from before its share is used up: see
 * account_is_used_up().
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BUDGET_SHARE = 3 };

typedef enum BudgetKind {
    BUDGET_CONNECTIONS, /* the records of connections */
    BUDGET_INPUT,       /* received and not handled */
    BUDGET_TRANSFERS,   /* large bodies that are arriving */
    BUDGET_OUTPUT,      /* waiting to be sent */
    BUDGET_LISTS,       /* lists of ferry.Broker that are being written */
    BUDGET_CALLS,       /* copies of requests that wait, or that may be sent again */
    BUDGET_STREAMS,     /* items of streams that wait for a server */
    BUDGET_SERVICES,    /* services, descriptions, statistics of methods */
    BUDGET_TOPICS,      /* subscriptions, backlogs, retained values, kept messages, questions */
    BUDGET_QUEUES,      /* jobs, deduplication keys, ids of pushes */
    N_BUDGET_KINDS
} BudgetKind;

typedef struct Budget {
    uint64_t max;           /* 0: no limit */
    uint64_t max_transfers; /* of BUDGET_TRANSFERS; 0: no limit */
    uint64_t bytes[N_BUDGET_KINDS];
} Budget;

/* The bytes that one peer is the cause of. */
typedef struct Account {
    Budget *budget;
    uint64_t held; /* because of what it sent */
    uint64_t
        due; /* of these, bytes that the broker will give back without another byte of the peer */
    uint64_t output; /* because it does not read */
} Account;

uint64_t budget_used(const Budget *budget);

static inline uint64_t budget_free(const Budget *budget) {
    uint64_t used = budget_used(budget);

    return budget->max == 0 ? UINT64_MAX / 4 : used < budget->max ? budget->max - used : 0;
}

/* May others than a peer, or a peer that is not known, cause n more bytes? */
static inline bool budget_allows(const Budget *budget, uint64_t n) {
    return n <= budget_free(budget) / 2;
}

/* May this peer cause n more bytes to be held? */
bool account_allows(const Account *account, uint64_t n);
/* May a peer that has own bytes of transfers have n more? The same rule, for max_transfers. */
bool budget_allows_transfer(const Budget *budget, uint64_t own, uint64_t n);
/* May n more bytes wait to be sent to this peer? */
bool account_allows_output(const Account *account, uint64_t n);
/* The peer's share is half used up by bytes that are due: it should not be read from. */
bool account_is_used_up(const Account *account);

/* A body that arrives, in contrast, ends only if the peer sends the rest of it. */
static inline bool budget_kind_is_due(BudgetKind kind) {
    return kind == BUDGET_INPUT || kind == BUDGET_LISTS || kind == BUDGET_CALLS ||
           kind == BUDGET_STREAMS;
}

/* Counts bytes of any kind but BUDGET_OUTPUT. */
static inline void account_charge(Account *account, BudgetKind kind, uint64_t n) {
    account->held += n;
    account->due += budget_kind_is_due(kind) ? n : 0;
    account->budget->bytes[kind] += n;
}

static inline void account_refund(Account *account, BudgetKind kind, uint64_t n) {
    account->held -= n;
    account->due -= budget_kind_is_due(kind) ? n : 0;
    account->budget->bytes[kind] -= n;
}

/* The name of a kind, as ferry.Broker.stats has it. */
const char *budget_kind_name(BudgetKind kind);
