#pragma once

/* Numbers for tests that must come again: xorshift64* from a seed that a failure names. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct Dice {
    uint64_t seed, state;
} Dice;

/* TEST_SEED in the environment, or this one. */
static inline Dice dice_new(uint64_t seed) {
    const char *said = getenv("TEST_SEED");

    seed = said ? strtoull(said, NULL, 0) : seed;
    return (Dice){seed, seed * UINT64_C(0x9E3779B97F4A7C15) | 1};
}

static inline uint64_t dice_u64(Dice *dice) {
    dice->state ^= dice->state >> 12;
    dice->state ^= dice->state << 25;
    dice->state ^= dice->state >> 27;
    return dice->state * UINT64_C(0x2545F4914F6CDD1D);
}

/* 0 <= result < below */
static inline uint64_t dice_below(Dice *dice, uint64_t below) {
    return (dice_u64(dice) >> 16) % below;
}

/* Numbers of all lengths, the short ones as often as the long ones. */
static inline uint64_t dice_any(Dice *dice) {
    return dice_u64(dice) >> dice_below(dice, 64);
}
