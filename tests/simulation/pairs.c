/* SPDX-License-Identifier: Apache-2.0 */
/* The lives of brokers in pairs. See pairs.h. */

#include "pairs.h"

typedef struct PairSide {
    KeeperStore *store;
    uint64_t token;
} PairSide;

static PairSide *sides;
static uint64_t *ended_us; /* by space: when its owner ended; 0: it has one */
static Takeovers takeovers;

static PairSide *side_of(const SimBroker *one) {
    return &sides[one->number];
}

Takeovers *pairs_takeovers(void) {
    return &takeovers;
}

static void on_flush(void *ctx, KeeperStore *store) {
    world_flushed(ctx, store);
}

static void begin(SimBroker *one, uint64_t token) {
    World *world = one->world;
    unsigned space = pair_space(one);
    KeeperStore *store = keeper_store_new(world->keeper, space, 0, one->number, on_flush, one);

    *side_of(one) = (PairSide){.store = store, .token = token};
    world_begin_life(one);
    keeper_store_take(store, token, one->broker->queues);
    keeper_store_open(store);
    if (ended_us[space] > 0)
        takeover_add(&takeovers, world->now_us - ended_us[space]);
    ended_us[space] = 0;
}

/* An owner renews its lease, and ends if it has lost it; a standby takes a lease that has ended. */
static void tick(SimBroker *one) {
    World *world = one->world;
    unsigned space = pair_space(one);
    uint64_t token;

    if (one->broker &&
        !keeper_renew(world->keeper, space, side_of(one)->token, world->now_us + world->lease_us)) {
        world_end_life(one);
    } else if (one->broker) {
        ended_us[space] = 0; /* it was frozen for less than the lease */
    } else {
        token = keeper_lease(world->keeper, space, world->now_us, world->lease_us);
        if (token)
            begin(one, token);
    }
}

static void look(SimBroker *one) {
    (void)one;
}

/* The broker ends if the keeper has refused its changes. */
static void after(SimBroker *one) {
    if (keeper_store_is_lost(side_of(one)->store))
        world_end_life(one);
}

static void stopped(SimBroker *one) {
    const World *world = one->world;
    unsigned space = pair_space(one);

    if (keeper_is_owner(world->keeper, space, side_of(one)->token) && ended_us[space] == 0)
        ended_us[space] = world->now_us;
}

static void ended(SimBroker *one) {
    keeper_store_free(side_of(one)->store);
    side_of(one)->store = NULL;
}

static const Lives lives = {tick, look, after, stopped, ended};

void pairs_init(World *world, uint64_t seed, unsigned n_spaces, Keeper *keeper, uint64_t lease_us) {
    sides = calloc((size_t)2 * n_spaces, sizeof(*sides));
    ended_us = calloc(n_spaces, sizeof(*ended_us));
    if (!sides || !ended_us)
        abort();
    world_init(world, seed, 2 * n_spaces, keeper, lease_us, &lives);
}
