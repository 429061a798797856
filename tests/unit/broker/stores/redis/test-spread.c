/* SPDX-License-Identifier: Apache-2.0 */
/* Which shards the brokers of a cluster take and give up, for random members and views. */

#include "broker/stores/redis/spread.h"

#include <stdlib.h>
#include <string.h>

#include "support/random.h"
#include "support/suite.h"

enum {
    BROKERS = 12, /* running and not, at once */
    ROUNDS = 4000,
    WORLDS = 300,
};

/* A cluster: the leases of Redis, and what each broker believes. */
typedef struct World {
    Dice dice;
    unsigned n_shards;
    int owner[STORE_SHARDS_MAX]; /* the leases; -1: no broker */
    bool runs[BROKERS];
    uint8_t ids[BROKERS][WIRE_TOKEN];
    ShardMember told[BROKERS]; /* the last entry of each broker in Redis */
    size_t n_given, n_taken;
} World;

static uint64_t owned_by(const World *world, int broker) {
    uint64_t set = 0;

    for (unsigned k = 0; k < world->n_shards; k++)
        set |= (uint64_t)(world->owner[k] == broker) << k;
    return set;
}

static unsigned n_running(const World *world) {
    unsigned n = 0;

    for (int i = 0; i < BROKERS; i++)
        n += world->runs[i];
    return n;
}

static World new_world(uint64_t seed) {
    World world = {.dice = dice_of(seed)};

    world.n_shards = 2 + (unsigned)dice_below(&world.dice, STORE_SHARDS_MAX - 1);
    for (unsigned k = 0; k < world.n_shards; k++)
        world.owner[k] = -1;
    for (int i = 0; i < BROKERS; i++)
        for (int j = 0; j < WIRE_TOKEN; j++)
            world.ids[i][j] = (uint8_t)dice_below(&world.dice, 256);
    return world;
}

static void tell(World *world, int i) {
    uint64_t owned = owned_by(world, i);

    world->told[i] = (ShardMember){.owned = owned, .restored = owned};
    memcpy(world->told[i].id, world->ids[i], WIRE_TOKEN);
}

static void end(World *world, int i) {
    world->runs[i] = false;
    for (unsigned k = 0; k < world->n_shards; k++)
        if (world->owner[k] == i)
            world->owner[k] = -1;
}

/* Broker i decides, and tells the result. is_late: it does not know what others have told since it
 * looked, because a random one of them moves first. Returns its plan. */
static SpreadPlan decide(World *world, int i, bool is_late) {
    ShardMember members[BROKERS];
    size_t n = 0, own = 0;
    SpreadPlan plan;

    tell(world, i);
    for (int j = 0; j < BROKERS; j++) {
        if (!world->runs[j])
            continue;
        if (j == i)
            own = n;
        members[n++] = world->told[j];
    }
    plan = spread_plan(members, n, own, world->n_shards);
    if (is_late) {
        int other = (int)dice_below(&world->dice, BROKERS);

        if (other != i && world->runs[other])
            decide(world, other, false);
    }
    for (unsigned k = 0; k < world->n_shards; k++)
        if (plan.take >> k & 1 && world->owner[k] == -1) {
            world->owner[k] = i;
            world->n_taken++;
        }
    if (plan.give >= 0) {
        CU_ASSERT_EQUAL_FATAL(world->owner[plan.give], i);
        world->owner[plan.give] = -1;
        world->n_given++;
    }
    tell(world, i);
    return plan;
}

/* Runs turns of all brokers until no broker has work. Returns the number of rounds. */
static size_t settle(World *world, bool is_late) {
    size_t rounds = 0;
    bool moves = true;

    while (moves && rounds < ROUNDS) {
        moves = false;
        rounds++;
        for (int i = 0; i < BROKERS; i++) {
            SpreadPlan plan;

            if (!world->runs[i])
                continue;
            plan = decide(world, i, is_late);
            moves |= plan.take != 0 || plan.give >= 0 || !plan.is_settled;
        }
    }
    return rounds;
}

static void expect_even(const World *world) {
    unsigned least = STORE_SHARDS_MAX, most = 0, total = 0;

    for (int i = 0; i < BROKERS; i++) {
        unsigned count = (unsigned)__builtin_popcountll(owned_by(world, i));

        if (!world->runs[i])
            continue;
        least = count < least ? count : least;
        most = count > most ? count : most;
        total += count;
    }
    CU_ASSERT_EQUAL(total, world->n_shards);
    CU_ASSERT(most - least <= 1);
}

static int descending(const void *a, const void *b) {
    unsigned one = *(const unsigned *)a, other = *(const unsigned *)b;

    return one < other ? 1 : one > other ? -1 : 0;
}

/* The fewest shards that must leave their owner: the largest owners keep the larger shares. */
static size_t fewest_given(const World *world) {
    unsigned counts[BROKERS] = {0}, n = 0, n_running_now = n_running(world);
    size_t given = 0;

    for (int i = 0; i < BROKERS; i++)
        if (world->runs[i])
            counts[n++] = (unsigned)__builtin_popcountll(owned_by(world, i));
    qsort(counts, n, sizeof(*counts), descending);
    for (unsigned i = 0; i < n; i++) {
        unsigned share = world->n_shards / n_running_now + (i < world->n_shards % n_running_now);

        given += counts[i] > share ? counts[i] - share : 0;
    }
    return given;
}

/* Some brokers start, some end. */
static void change(World *world) {
    do {
        for (int i = 0; i < BROKERS; i++) {
            if (dice_below(&world->dice, 3) != 0)
                continue;
            if (world->runs[i])
                end(world, i);
            else
                world->runs[i] = true;
            tell(world, i);
        }
    } while (n_running(world) == 0);
}

static void shards_are_even_after_the_fewest_moves(void) {
    EACH_SEED(seed, 1, WORLDS) {
        World world = new_world(seed);

        for (int i = 0; i < 10; i++) {
            size_t fewest, n_free = 0;

            change(&world);
            for (unsigned k = 0; k < world.n_shards; k++)
                n_free += world.owner[k] == -1;
            fewest = fewest_given(&world);
            world.n_given = world.n_taken = 0;
            CU_ASSERT(settle(&world, false) < ROUNDS);
            expect_even(&world);
            CU_ASSERT_EQUAL(world.n_given, fewest);
            CU_ASSERT_EQUAL(world.n_taken, fewest + n_free);
        }
    }
}

static void shards_are_even_although_news_are_late(void) {
    EACH_SEED(seed, 1, WORLDS) {
        World world = new_world(seed);

        for (int i = 0; i < 10; i++) {
            change(&world);
            CU_ASSERT(settle(&world, true) < ROUNDS);
            expect_even(&world);
            /* No broker moves a shard when the shards are spread evenly. */
            world.n_given = world.n_taken = 0;
            settle(&world, true);
            CU_ASSERT_EQUAL(world.n_given + world.n_taken, 0);
        }
    }
}

static void a_member_with_too_many_gives_its_highest_one(void) {
    ShardMember members[2] = {{.id = {1}, .owned = 0xf7, .restored = 0xf7}, {.id = {2}}};
    SpreadPlan plan = spread_plan(members, 2, 0, 8);

    CU_ASSERT_EQUAL(plan.give, 7);
    CU_ASSERT_EQUAL(plan.take, 0);
    CU_ASSERT_FALSE(plan.is_settled);
    plan = spread_plan(members, 2, 1, 8);
    CU_ASSERT_EQUAL(plan.give, -1);
    CU_ASSERT_EQUAL(plan.take, 0x08);
}

static void a_cluster_is_not_settled_before_all_jobs_are_restored(void) {
    ShardMember member = {.id = {1}, .owned = 3, .restored = 1};

    CU_ASSERT_FALSE(spread_plan(&member, 1, 0, 2).is_settled);
    member.restored = 3;
    CU_ASSERT_TRUE(spread_plan(&member, 1, 0, 2).is_settled);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(shards_are_even_after_the_fewest_moves),
        TEST(shards_are_even_although_news_are_late),
        TEST(a_member_with_too_many_gives_its_highest_one),
        TEST(a_cluster_is_not_settled_before_all_jobs_are_restored),
        TESTS_END,
    };

    return run_suite("broker stores: the spread of shards", tests);
}
