#pragma once

/*
 * A circuit breaker: after three failures in a row a server is left alone for a while, then one
 * call tries. No clock and no lock of its own.
 */

#include <stdbool.h>
#include <stdint.h>

enum {
    BREAKER_FAILURES = 3,
    BREAKER_FIRST_MS = 100, /* left alone at first; doubles with each probe that fails */
    BREAKER_LONGEST_MS = 5000,
};

typedef struct Breaker {
    uint32_t failures; /* in a row */
    uint32_t pause_ms; /* 0: closed, everything is tried */
    bool probing;      /* one call is on its way to find out */
    uint64_t until_ms; /* no call before */
    uint64_t opens;
    uint64_t refused;
} Breaker;

/* May this call be tried? One that may and never reports back counts as failed at until_ms. */
bool breaker_admits(Breaker *breaker, uint64_t now_ms);

void breaker_succeeded(Breaker *breaker);

/* True: it opened just now. random spreads the probes of many processes: 0 <= random < 1024. */
bool breaker_failed(Breaker *breaker, uint64_t now_ms, uint32_t random);

static inline bool breaker_is_open(const Breaker *breaker) {
    return breaker->pause_ms > 0;
}
