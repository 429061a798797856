/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Repeatable random numbers for tests: xorshift64* from a seed, which a failure prints. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct Dice {
    uint64_t seed, state;
} Dice;

static inline Dice dice_of(uint64_t seed) {
    return (Dice){seed, seed * UINT64_C(0x9E3779B97F4A7C15) | 1};
}

/* The number in this environment variable, or `usual`. */
static inline uint64_t said_or(const char *name, uint64_t usual) {
    const char *said = getenv(name);

    return said ? strtoull(said, NULL, 0) : usual;
}

/* A generator with the seed TEST_SEED of the environment, or with this seed. */
static inline Dice dice_new(uint64_t seed) {
    return dice_of(said_or("TEST_SEED", seed));
}

/* For a test that runs with several seeds: TEST_SEEDS of them (or `usual`), from TEST_SEED (or
 * `from`) upwards. */
#define EACH_SEED(name, from, usual)                                                               \
    for (uint64_t name = said_or("TEST_SEED", from), n_##name = said_or("TEST_SEEDS", usual);      \
         n_##name > 0; n_##name--, name++)

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

/* Numbers of all lengths; short numbers are as frequent as long ones. */
static inline uint64_t dice_any(Dice *dice) {
    return dice_u64(dice) >> dice_below(dice, 64);
}
