/* SPDX-License-Identifier: Apache-2.0 */
/* Which shards a broker takes or gives up. See spread.h. */

#include "broker/stores/redis/spread.h"

#include <assert.h>
#include <string.h>

static unsigned count_of(uint64_t set) {
    return (unsigned)__builtin_popcountll(set);
}

/* The number of members that stand before this one: members with more shards, and of the members
 * with equally many shards, those with lower ids. */
static size_t rank_of(const ShardMember *members, size_t n, size_t own) {
    unsigned own_count = count_of(members[own].owned);
    size_t rank = 0;

    for (size_t i = 0; i < n; i++) {
        unsigned count = count_of(members[i].owned);

        rank += count > own_count ||
                (count == own_count && memcmp(members[i].id, members[own].id, WIRE_TOKEN) < 0);
    }
    return rank;
}

static unsigned target_of(const ShardMember *members, size_t n, size_t i, unsigned n_shards) {
    assert(n > 0 && i < n);
    return n_shards / (unsigned)n + (rank_of(members, n, i) < n_shards % n);
}

/* Shards without an owner go one by one to the member that has the fewest, and the lowest id.
 * Returns those of `own`. */
static uint64_t share_of_free(const ShardMember *members, size_t n, size_t own, uint64_t free) {
    unsigned counts[MEMBERS_MAX];
    uint64_t share = 0;

    for (size_t i = 0; i < n; i++)
        counts[i] = count_of(members[i].owned);
    for (; free; free &= free - 1) {
        size_t least = 0;

        for (size_t i = 1; i < n; i++)
            if (counts[i] < counts[least] ||
                (counts[i] == counts[least] &&
                 memcmp(members[i].id, members[least].id, WIRE_TOKEN) < 0))
                least = i;
        counts[least]++;
        if (least == own)
            share |= free & -free;
    }
    return share;
}

SpreadPlan spread_plan(const ShardMember *members, size_t n, size_t own, unsigned n_shards) {
    SpreadPlan plan = {.give = -1, .is_settled = true};
    uint64_t free = (UINT64_C(1) << n_shards) - 1;

    assert(own < n && n <= MEMBERS_MAX && n_shards <= STORE_SHARDS_MAX);
    for (size_t i = 0; i < n; i++) {
        free &= ~members[i].owned;
        plan.is_settled &= members[i].owned == members[i].restored &&
                           count_of(members[i].owned) == target_of(members, n, i, n_shards);
    }
    plan.take = share_of_free(members, n, own, free);
    if (count_of(members[own].owned) > target_of(members, n, own, n_shards))
        plan.give = 63 - __builtin_clzll(members[own].owned);
    return plan;
}
