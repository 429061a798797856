/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Random bytes from the kernel, and a fast generator for jitter and sampling. */

#include <stddef.h>
#include <stdint.h>

void random_bytes(void *to, size_t size);
uint64_t random_u64(void);

/* The seed for hashing names that peers choose: an odd random number, chosen once per process. */
extern uint64_t hash_seed_value;
uint64_t hash_seed_choose(void);

static inline uint64_t hash_seed(void) {
    uint64_t seed = __atomic_load_n(&hash_seed_value, __ATOMIC_RELAXED);

    return __builtin_expect(seed != 0, 1) ? seed : hash_seed_choose();
}

/* 0 <= result < below; below > 0. For random pauses, not for keys. */
uint64_t random_below(uint64_t below);
