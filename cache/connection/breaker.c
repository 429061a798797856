/* SPDX-License-Identifier: Apache-2.0 */
/* A circuit breaker. See breaker.h. */

#include "cache/connection/breaker.h"

bool breaker_admits(Breaker *breaker, uint64_t now_ms) {
    if (breaker->pause_ms == 0)
        return true;
    if (now_ms < breaker->until_ms) {
        breaker->refused++;
        return false;
    }
    /* This call is the probe. If its result is never reported, the next probe follows after another
     * pause. */
    breaker->probing = true;
    breaker->until_ms = now_ms + breaker->pause_ms;
    return true;
}

void breaker_succeeded(Breaker *breaker) {
    breaker->failures = 0;
    breaker->pause_ms = 0;
    breaker->probing = false;
}

bool breaker_failed(Breaker *breaker, uint64_t now_ms, uint32_t random) {
    bool was_open = breaker->pause_ms > 0;

    if (breaker->failures < UINT32_MAX)
        breaker->failures++;
    if (was_open && !breaker->probing)
        return false; /* the call began before the breaker opened */
    if (!was_open && breaker->failures < BREAKER_FAILURES)
        return false;
    breaker->pause_ms = was_open ? breaker->pause_ms * 2 : BREAKER_FIRST_MS;
    if (breaker->pause_ms > BREAKER_LONGEST_MS)
        breaker->pause_ms = BREAKER_LONGEST_MS;
    breaker->probing = false;
    /* A random part of up to a quarter is added to the pause. */
    breaker->until_ms = now_ms + breaker->pause_ms + breaker->pause_ms * (uint64_t)random / 4096;
    breaker->opens += !was_open;
    return !was_open;
}
