/* SPDX-License-Identifier: Apache-2.0 */
/* Retries of idempotent calls. See retry.h. */

#include "clients/c/resend/retry.h"

bool retry_is_worth(const ferry_error *error) {
    static const char *const passing[] = {"ferry.ServerLost", "ferry.ConnectionLost",
                                          "ferry.Overloaded", "ferry.Draining", "ferry.Full"};

    if (!error->type)
        return false;
    for (size_t i = 0; i < sizeof(passing) / sizeof(*passing); i++)
        if (strcmp(error->type, passing[i]) == 0)
            return true;
    /* Any error can carry retry advice of the server. */
    return ferry_error_retry_ms(error) >= 0;
}

uint64_t retry_delay_ms(unsigned attempts, int64_t advice_ms, uint64_t random) {
    unsigned doublings = attempts > 0 ? attempts - 1 : 0;
    uint64_t ceiling = doublings < 16 ? (uint64_t)RETRY_BASE_MS << doublings : RETRY_MAX_MS;
    uint64_t delay;

    if (ceiling > RETRY_MAX_MS)
        ceiling = RETRY_MAX_MS;
    delay = random % (ceiling + 1);
    /* Add jitter to the advice, so that its receivers do not all retry at once. */
    return advice_ms >= 0 ? (uint64_t)advice_ms + delay : delay;
}

void retry_earn(int64_t *budget) {
    *budget += RETRY_EARNED;
    if (*budget > RETRY_BUDGET_MAX)
        *budget = RETRY_BUDGET_MAX;
}

bool retry_spend(int64_t *budget) {
    if (*budget < RETRY_COST)
        return false;
    *budget -= RETRY_COST;
    return true;
}
