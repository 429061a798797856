/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One budget of bytes: it counts all memory that peers make this process hold, by kind. If one peer
 * is the cause, its account counts the bytes too. Counting allocates nothing.
 *
 * A peer may hold at most BUDGET_SHARE times the bytes that are still free. So a single peer can
 * use about three quarters of the budget, each of many peers can use less, and some bytes are
 * always free for a new peer. The broker stops reading from a peer before the peer's share is used
 * up: see account_is_used_up().
 *
 * Incomplete frames of many peers may take bytes that no share allows. So a sixteenth of the
 * budget is a reserve for peers that hold at most BUDGET_LITTLE: the process serves them while
 * other peers fill the rest.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    BUDGET_SHARE = 3,
    BUDGET_LITTLE = 16 * 1024,
    BUDGET_RESERVE = 16, /* the reserve is the budget divided by this */
};

typedef enum BudgetKind {
    BUDGET_CONNECTIONS, /* the records of connections */
    BUDGET_INPUT,       /* received bytes that are not handled yet */
    BUDGET_TRANSFERS,   /* large bodies that are arriving */
    BUDGET_OUTPUT,      /* messages that wait to be sent */
    BUDGET_LISTS,       /* replies of ferry.Broker with lists, while they are written */
    BUDGET_CALLS,       /* copies of requests that wait, or that may be sent again */
    BUDGET_STREAMS,     /* items of streams that wait for a server */
    BUDGET_SERVICES,    /* services, descriptions, statistics of methods */
    BUDGET_TOPICS,      /* subscriptions, backlogs, retained values, stored messages, gathers */
    BUDGET_QUEUES,      /* jobs, deduplication keys, ids of pushes */
    N_BUDGET_KINDS
} BudgetKind;

typedef struct Budget {
    uint64_t max;           /* 0: no limit */
    uint64_t max_transfers; /* limit of BUDGET_TRANSFERS alone; 0: no limit */
    uint64_t bytes[N_BUDGET_KINDS];
} Budget;

/* The bytes that one peer causes this process to hold. */
typedef struct Account {
    Budget *budget;
    uint64_t held;   /* caused by messages of the peer */
    uint64_t due;    /* part of held: the broker frees it without further input from the peer */
    uint64_t output; /* output that waits because the peer does not read */
} Account;

uint64_t budget_used(const Budget *budget);

static inline uint64_t budget_free(const Budget *budget) {
    uint64_t used = budget_used(budget);

    return budget->max == 0 ? UINT64_MAX / 4 : used < budget->max ? budget->max - used : 0;
}

/* The free bytes without the reserve. */
static inline uint64_t budget_free_for_many(const Budget *budget) {
    uint64_t left = budget_free(budget), reserve = budget->max / BUDGET_RESERVE;

    return left > reserve ? left - reserve : 0;
}

/* True: the process may hold n more bytes that belong to no account. */
static inline bool budget_allows(const Budget *budget, uint64_t n) {
    return n <= budget_free_for_many(budget) / 2;
}

/* True: the process may hold n more bytes because of this peer's messages. */
bool account_allows(const Account *account, uint64_t n);
/* True: a peer whose transfers hold `own` bytes may have n more, by the same rule for
 * max_transfers. */
bool budget_allows_transfer(const Budget *budget, uint64_t own, uint64_t n);
/* True: n more bytes may wait to be sent to this peer. */
bool account_allows_output(const Account *account, uint64_t n);
/* True: due bytes take half of the peer's share, so the caller should stop reading from the
 * peer. */
bool account_is_used_up(const Account *account);

/* True: the broker frees bytes of this kind without further input from the peer. In contrast, a
 * large body that is arriving is freed only after the peer has sent the rest of it. */
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

/* The name of a kind, as in the reply of ferry.Broker.stats. */
const char *budget_kind_name(BudgetKind kind);
