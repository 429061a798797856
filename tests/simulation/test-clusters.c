/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Clusters of brokers that share queues by shards, and clients that push jobs and work on them, in
 * virtual time: brokers are killed, stopped and ended in order, a tenth of them is killed at once,
 * shards move, and stores become slow.
 *
 * No confirmed job may be lost, no push may be stored twice, no two brokers may change one shard
 * under one token, no job may be delivered without the lease of its shard, to two workers at once
 * or after its end, and at the end the shards are spread evenly.
 *
 * FERRY_TEST_CLUSTERS is the number of clusters, FERRY_TEST_CLIENTS that of clients; TEST_SEED
 * chooses the rest.
 */

#include <sys/resource.h>

#include "base/clock.h"
#include "base/log.h"
#include "cluster-clients.h"
#include "support/fake-hub.h"
#include "support/suite.h"

enum {
    CLUSTERS = 10,
    CLIENTS = 4000,
    SLOW_DELAY = 200 * DELAY,
    LEASE = 10 * SECOND,
    QUIET = 600 * SECOND, /* longest time until all is done after the last fault */
};

static ClusterSize size = {CLUSTERS, BROKERS, SHARDS};
static World world;
static unsigned n_clients;
static uint64_t last_fault_us, spread_us;

/* ---- faults ---- */

static void on_fast_again(World *w, const Event *event) {
    keeper_set_delay(w->keeper, event->client, DELAY);
}

static void slow_down(World *w, unsigned space) {
    keeper_set_delay(w->keeper, space, SLOW_DELAY);
    world_later(w, 5 * SECOND, (Event){.fn = on_fast_again, .client = space});
}

static void on_fault(World *w, const Event *event) {
    SimBroker *broker = &w->brokers[dice_below(&w->dice, w->n_brokers)];

    (void)event;
    last_fault_us = w->now_us;
    switch (dice_below(&w->dice, 6)) {
    case 0:
        world_kill(w, broker, SECOND + dice_below(&w->dice, 5 * SECOND));
        break;
    case 1:
        if (dice_below(&w->dice, 3) == 0)
            world_freeze(w, broker, 1 + dice_below(&w->dice, 25 * SECOND));
        else
            world_freeze_in_turn(broker, 1 + dice_below(&w->dice, 25 * SECOND));
        break;
    case 2:
        cluster_stop(broker, SECOND + dice_below(&w->dice, 5 * SECOND));
        break;
    case 3:
        cluster_strike_adopting(broker, 1 + dice_below(&w->dice, 25 * SECOND), 0);
        break;
    case 4:
        cluster_strike_adopting(broker, 0, SECOND + dice_below(&w->dice, 5 * SECOND));
        break;
    default:
        slow_down(w, cluster_space(broker, (unsigned)dice_below(&w->dice, SHARDS)));
    }
}

/* A tenth of all brokers loses its power. */
static void on_rack(World *w, const Event *event) {
    (void)event;
    for (unsigned i = 0; i < w->n_brokers; i += 10)
        world_kill(w, &w->brokers[i + dice_below(&w->dice, 10 < w->n_brokers - i ? 10 : 1)],
                   5 * SECOND);
    clients_counts()->storm_began_us = w->now_us;
}

/* ---- the run ---- */

static void set_up(uint64_t seed) {
    Keeper *keeper;

    size.n_clusters = (unsigned)said_or("FERRY_TEST_CLUSTERS", CLUSTERS);
    n_clients = (unsigned)said_or("FERRY_TEST_CLIENTS", CLIENTS);
    CU_ASSERT_FATAL(n_clients >= size.n_clusters * WORKERS);
    keeper = keeper_new(size.n_clusters * SHARDS, n_clients, PUSHES);
    clusters_init(&world, seed, &size, keeper, LEASE);
    for (unsigned i = 0; i < size.n_clusters * SHARDS; i++)
        keeper_set_delay(keeper, i, DELAY);
    clients_init(&world, &size, n_clients);
    for (unsigned i = 0; i < 4 * world.n_brokers; i++)
        world_later(&world, 15 * SECOND + dice_below(&world.dice, RUN - 15 * SECOND),
                    (Event){.fn = on_fault});
    world_later(&world, RUN / 2, (Event){.fn = on_rack});
}

static void look_at_spread(void) {
    if (!clusters_are_spread(&world))
        spread_us = 0;
    else if (spread_us == 0)
        spread_us = world.now_us;
}

static bool is_over(const JobCounts *numbers, unsigned wanted) {
    return numbers->confirmed == wanted && numbers->lost == 0 &&
           clients_counts()->n_up == clients_counts()->n_wanted && spread_us > 0 &&
           keeper_n_jobs(world.keeper) == 0;
}

static void print_brokers(uint64_t seed, uint64_t began_ms) {
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    printf(
        "\n    seed %llu: %u clusters of %u brokers and %u shards, %u clients, %.0f s of virtual "
        "time in %.1f s, %ld MiB\n",
        (unsigned long long)seed, size.n_clusters, BROKERS, SHARDS, n_clients,
        (double)world.now_us / SECOND, (double)(clock_ms() - began_ms) / 1000,
        usage.ru_maxrss / 1024);
    printf("    %llu sessions, %llu messages to brokers, %llu heartbeats\n",
           (unsigned long long)clients_counts()->sessions, (unsigned long long)world.n_messages,
           (unsigned long long)clusters_counts()->beats);
}

static void print_jobs(const JobCounts *numbers) {
    const KeeperCounts *kept = keeper_counts(world.keeper);

    printf("    %llu changes of the store, %llu refused, %llu pushes stored twice, %llu changes by "
           "a second broker under one token\n",
           (unsigned long long)kept->changes, (unsigned long long)kept->refused,
           (unsigned long long)kept->stored_twice, (unsigned long long)kept->two_owners);
    printf("    jobs: %u confirmed, %u lost, %u phantom, %u worked more than once; delivered "
           "without the lease %llu, to two at once %llu, after the end %llu\n",
           numbers->confirmed, numbers->lost, numbers->phantom, numbers->worked_twice,
           (unsigned long long)clients_counts()->unleased,
           (unsigned long long)clients_counts()->at_once,
           (unsigned long long)clients_counts()->after_end);
    printf("    ferry.Moved: %llu pushes, %llu pulls, %llu jobs of workers\n",
           (unsigned long long)clients_counts()->moved,
           (unsigned long long)clients_counts()->told_moved,
           (unsigned long long)clients_counts()->lost_away);
}

static void print_moves(void) {
    ClusterCounts *moves = clusters_counts();

    printf("    shards that began to move: %llu, of these adoptions that failed: %llu\n",
           (unsigned long long)moves->moves, (unsigned long long)moves->failed);
    takeovers_print(&moves->lost, "take-overs from brokers that were killed or stopped");
    takeovers_print(&moves->given, "from brokers that gave shards up");
    printf("    after the loss of a tenth of the brokers all clients were back after %.1f s\n",
           (double)clients_counts()->storm_us / SECOND);
    printf("    shards spread evenly %.0f s after the last fault\n",
           spread_us > last_fault_us ? (double)(spread_us - last_fault_us) / SECOND : 0.0);
}

static void check(const JobCounts *numbers, unsigned wanted) {
    const KeeperCounts *kept = keeper_counts(world.keeper);

    CU_ASSERT_EQUAL(numbers->confirmed, wanted);
    CU_ASSERT_EQUAL(numbers->lost, 0);
    CU_ASSERT_EQUAL(numbers->phantom, 0);
    CU_ASSERT_EQUAL(kept->stored_twice, 0);
    CU_ASSERT_EQUAL(kept->two_owners, 0);
    CU_ASSERT_EQUAL(clients_counts()->unleased, 0);
    CU_ASSERT_EQUAL(clients_counts()->at_once, 0);
    CU_ASSERT_EQUAL(clients_counts()->after_end, 0);
    CU_ASSERT_EQUAL(keeper_n_jobs(world.keeper), 0);
    CU_ASSERT_EQUAL(clients_counts()->n_up, clients_counts()->n_wanted);
    CU_ASSERT_TRUE(clusters_are_spread(&world));
    CU_ASSERT_TRUE(kept->refused > 0);
    CU_ASSERT_TRUE(clients_counts()->moved > 0 && clients_counts()->told_moved > 0 &&
                   clients_counts()->lost_away > 0);
    CU_ASSERT_TRUE(clusters_counts()->failed > 0);
    CU_ASSERT_TRUE(clusters_counts()->lost.n > 0 && clusters_counts()->given.n > 0);
}

static void shards_move_without_loss_or_two_owners(void) {
    unsigned wanted;
    uint64_t began_ms = clock_ms();
    Dice seeds = dice_new(1);
    JobCounts numbers = {0};

    log_level = LOG_LEVEL_ERROR;
    set_up(seeds.seed);
    wanted = (n_clients - size.n_clusters * WORKERS) * PUSHES;
    world_run(&world, RUN);
    for (uint64_t until_us = RUN; until_us < RUN + QUIET; until_us += SECOND) {
        world_run(&world, until_us);
        look_at_spread();
        numbers = clients_jobs();
        if (is_over(&numbers, wanted))
            break;
    }
    print_brokers(seeds.seed, began_ms);
    print_jobs(&numbers);
    print_moves();
    check(&numbers, wanted);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(shards_move_without_loss_or_two_owners),
        TESTS_END,
    };

    return run_suite("clusters of brokers in a simulation", tests);
}
