/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Retries of idempotent calls: exponential backoff with full jitter, not earlier than the server's
 * advice, within a budget that all calls of a client share, so that retries do not add load to a
 * server that is already overloaded. Pure.
 */

#include <ferry/base.h>

enum {
    RETRY_ATTEMPTS_MAX = 5, /* including the first attempt */
    RETRY_BASE_MS = 50,
    RETRY_MAX_MS = 2000,
    RETRY_BUDGET_MAX = 10000, /* largest budget, in thousandths of a retry */
    RETRY_COST = 1000,
    RETRY_EARNED = 100, /* added by each call: one retry per ten calls */
};

/* True: another attempt may succeed. */
bool retry_is_worth(const ferry_error *error);

/* Returns the pause after `attempts` attempts. random: any number. advice_ms: the server's advice;
 * -1: no advice. */
uint64_t retry_delay_ms(unsigned attempts, int64_t advice_ms, uint64_t random);

void retry_earn(int64_t *budget);
bool retry_spend(int64_t *budget); /* false: the budget is used up */
