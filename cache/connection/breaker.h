/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A circuit breaker: after three failures in a row, calls to a server are refused for a pause; then
 * one call probes the server. The caller supplies the time and the locking.
 */

#include <stdbool.h>
#include <stdint.h>

enum {
    BREAKER_FAILURES = 3,
    BREAKER_FIRST_MS = 100, /* the first pause; doubles with each failed probe */
    BREAKER_LONGEST_MS = 5000,
};

typedef struct Breaker {
    uint32_t failures; /* in a row */
    uint32_t pause_ms; /* 0: closed, all calls are admitted */
    bool probing;      /* a probe is in flight */
    uint64_t until_ms; /* the earliest time of the next probe */
    uint64_t opens;
    uint64_t refused;
} Breaker;

/* True: the call may be made. A probe whose result is never reported counts as failed at
 * until_ms. */
bool breaker_admits(Breaker *breaker, uint64_t now_ms);

void breaker_succeeded(Breaker *breaker);

/* True: this failure opened the breaker. random (0 <= random < 1024) spreads the probes of many
 * processes. */
bool breaker_failed(Breaker *breaker, uint64_t now_ms, uint32_t random);

static inline bool breaker_is_open(const Breaker *breaker) {
    return breaker->pause_ms > 0;
}
