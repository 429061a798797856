/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Pairs of brokers: brokers 2n and 2n + 1 share space n. One has the lease and listens, the other
 * one waits. */

#include "takeovers.h"
#include "world.h"

void pairs_init(World *world, uint64_t seed, unsigned n_spaces, Keeper *keeper, uint64_t lease_us);
static inline unsigned pair_space(const SimBroker *one) {
    return one->number / 2;
}
Takeovers *pairs_takeovers(void);
