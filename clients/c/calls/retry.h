/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * When a call of an idempotent method is made again, and after how long: exponential backoff with
 * full jitter, no sooner than the server advised, within a budget that all calls of a client share
 * (so that a server in trouble is not buried by retries). Pure.
 */

#include <ferry/base.h>

enum {
    RETRY_ATTEMPTS_MAX = 5, /* the first one included */
    RETRY_BASE_MS = 50,
    RETRY_MAX_MS = 2000,
    RETRY_BUDGET_MAX = 10000, /* thousandths of a retry that can be saved up */
    RETRY_COST = 1000,
    RETRY_EARNED = 100, /* by each call: one retry in ten calls */
};

/* Might another attempt end better? */
bool retry_is_worth(const ferry_error *error);

/* Before the attempt after `attempts` of them; random is any number; advice_ms: -1: none. */
uint64_t retry_delay_ms(unsigned attempts, int64_t advice_ms, uint64_t random);

void retry_earn(int64_t *budget);
bool retry_spend(int64_t *budget); /* false: the budget is used up */
