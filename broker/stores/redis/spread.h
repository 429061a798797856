/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Which shards a broker of a cluster takes or gives up. Each broker decides for itself, from the
 * entries of all members in Redis. If the views of two brokers differ, the leases of the shards
 * prevent that both own one shard.
 *
 * With N shards and m members, the N mod m members with the most shards keep one more than N / m,
 * so shards move only from members with too many to those with too few.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/stores/store.h"

enum { MEMBERS_MAX = 64 /* brokers of a cluster */ };

/* A broker of the cluster. Bit k of a set is shard k. */
typedef struct ShardMember {
    uint8_t id[WIRE_TOKEN];
    uint64_t owned;    /* shards whose leases it has */
    uint64_t restored; /* shards whose jobs it has, too */
    uint64_t known;    /* it knows the announcements (announce.h) up to this number */
    char url[STORE_URL_MAX];
} ShardMember;

typedef struct SpreadPlan {
    uint64_t take;   /* shards without an owner */
    int give;        /* a shard; -1: the member has no shard too many */
    bool is_settled; /* no member has anything to do */
} SpreadPlan;

/* own: the index of the member that asks; n <= MEMBERS_MAX. */
SpreadPlan spread_plan(const ShardMember *members, size_t n, size_t own, unsigned n_shards);
