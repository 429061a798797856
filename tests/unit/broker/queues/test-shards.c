/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers of jobs in shards, the shard of a name, and lost shards. */

#include "unit/broker/queues/shard-store.h"

/* ---- numbers ---- */

static void a_job_has_a_number_that_no_other_shard_uses(void) {
    Session *s = set_up();
    uint64_t last = 0, number;

    configure("plain", "durability", "memory");
    adopt(1);
    for (int i = 1; i < 200; i++) {
        unsigned k = (unsigned)i % 3;

        push(s, (uint64_t)i, k == 2 ? "plain" : queue_in(k, (unsigned)i % 5), "x", NULL);
        if (k < 2)
            end_changes(&shards[k]);
        number = expect_ok(s, (uint64_t)i);
        CU_ASSERT_EQUAL(number % 64, k == 2 ? 63 : k + 1);
        CU_ASSERT(number > last);
        last = number;
    }
    tear_down();

    begin_broker(); /* its numbers would begin lower */
    adopt(1);
    s = fake_connect(&broker, 's');
    push(s, 1, queue_in(1, 0), "x", NULL);
    end_changes(&shards[1]);
    CU_ASSERT(expect_ok(s, 1) > shards[1].jobs[shards[1].n - 2].id);
    tear_down();
}

static void a_queue_and_its_dead_letters_are_in_one_shard(void) {
    char name[300], dead[310];
    unsigned n[N_SHARDS] = {0};

    set_up();
    for (unsigned i = 0; i < 300; i++) {
        snprintf(name, sizeof(name), "orders.%u", i);
        snprintf(dead, sizeof(dead), "%s.dead", name);
        CU_ASSERT_PTR_EQUAL(shard_of(queues, span_text(name)), shard_of(queues, span_text(dead)));
        n[shard_of(queues, span_text(name))->shard - 1]++;
    }
    for (unsigned k = 0; k < N_SHARDS; k++)
        CU_ASSERT(n[k] > 60);
    /* The hash is the same in all brokers, of all versions. */
    CU_ASSERT_EQUAL(XXH3_64bits("mail", 4), UINT64_C(4298297509709462591));
    tear_down();
}

/* ---- failures ---- */

static void a_lost_shard_does_not_end_the_broker(void) {
    set_up();
    shards[0].store.lost = shards[0].store.broken = true;
    CU_ASSERT_FALSE(queues_lost(queues));
    CU_ASSERT_FALSE(queues_broken(queues));
    store_memory.lost = store_memory.broken = true;
    CU_ASSERT_TRUE(queues_lost(queues));
    CU_ASSERT_TRUE(queues_broken(queues));
    store_memory.lost = store_memory.broken = false;
    store_set_degraded(&shards[0].store, "Redis is away");
    CU_ASSERT_STRING_EQUAL(queues_degraded(queues), "shard 0: Redis is away");
    let_go(0, false);
    CU_ASSERT_PTR_NULL(queues_degraded(queues));
    CU_ASSERT_FALSE(shards[0].store.lost);
    tear_down();
}

/* Only shards of one store are restored at the start, and only while they are here. */
static void a_shard_that_is_away_is_not_restored_at_the_start(void) {
    empty_shards();
    begin_broker();
    CU_ASSERT_EQUAL(queues_restore(queues, NULL), 0);
    CU_ASSERT_TRUE(shards[0].store.away);
    tear_down();
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_job_has_a_number_that_no_other_shard_uses),
        TEST(a_queue_and_its_dead_letters_are_in_one_shard),
        TEST(a_lost_shard_does_not_end_the_broker),
        TEST(a_shard_that_is_away_is_not_restored_at_the_start),
        TESTS_END,
    };

    return run_suite("shards of queues", tests);
}
