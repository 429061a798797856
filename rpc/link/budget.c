/* SPDX-License-Identifier: Apache-2.0 */
/* Shares of the budget. See budget.h. */

#include "rpc/link/budget.h"

uint64_t budget_used(const Budget *budget) {
    uint64_t used = 0;

    for (int kind = 0; kind < N_BUDGET_KINDS; kind++) {
        used += budget->bytes[kind];
        /* One addition at a time: a vector of two counts, one of them just written, could be loaded
         * only after that write has left the processor's store buffer. */
        __asm__("" : "+r"(used));
    }
    return used;
}

/* left: the free bytes; n of them are requested. */
static bool is_in_share(uint64_t left, uint64_t own, uint64_t n) {
    return n <= left && own + n <= BUDGET_SHARE * (left - n);
}

bool budget_allows_transfer(const Budget *budget, uint64_t own, uint64_t n) {
    uint64_t used = budget->bytes[BUDGET_TRANSFERS];

    return budget->max_transfers == 0 ||
           (used <= budget->max_transfers && is_in_share(budget->max_transfers - used, own, n));
}

/* The free bytes for a peer that will hold this much. */
static uint64_t free_for(const Budget *budget, uint64_t held) {
    return held <= BUDGET_LITTLE ? budget_free(budget) : budget_free_for_many(budget);
}

bool account_allows(const Account *account, uint64_t n) {
    return is_in_share(free_for(account->budget, account->held + n), account->held, n);
}

bool account_allows_output(const Account *account, uint64_t n) {
    return is_in_share(free_for(account->budget, account->output + n), account->output, n);
}

bool account_is_used_up(const Account *account) {
    return account->due > BUDGET_SHARE * free_for(account->budget, account->due) / 2;
}

const char *budget_kind_name(BudgetKind kind) {
    static const char *const names[N_BUDGET_KINDS] = {
        [BUDGET_CONNECTIONS] = "connections",
        [BUDGET_INPUT] = "input",
        [BUDGET_TRANSFERS] = "transfers",
        [BUDGET_OUTPUT] = "output",
        [BUDGET_LISTS] = "lists",
        [BUDGET_CALLS] = "calls",
        [BUDGET_STREAMS] = "streams",
        [BUDGET_SERVICES] = "services",
        [BUDGET_TOPICS] = "topics",
        [BUDGET_QUEUES] = "queues",
    };

    return names[kind];
}
