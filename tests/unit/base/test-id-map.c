/* SPDX-License-Identifier: Apache-2.0 */
#include "base/id-map.h"

#include <errno.h>

#include "base/random.h"
#include "support/oom.h"
#include "support/random.h"
#include "support/suite.h"

/* The slots that the map has looked at. */
static uint64_t n_steps;
#define ID_MAP_STEP() (n_steps++)
#include "base/id-map.c"

enum {
    IDS = 65536,
    SLIDES = 300000,
    MAX_STEPS = 100, /* on average, for each entry that is added, found or removed */
};

static void *value_of(uint64_t id) {
    return (void *)(uintptr_t)(id * 2 + 1);
}

static void an_empty_map_has_nothing(void) {
    IdMap map = {0};
    size_t pos = 0;

    CU_ASSERT_PTR_NULL(id_map_get(&map, 1));
    CU_ASSERT_PTR_NULL(id_map_take(&map, 1));
    CU_ASSERT_PTR_NULL(id_map_next(&map, &pos));
    id_map_deinit(&map);
}

static void zero_is_not_an_id(void) {
    IdMap map = {0};

    CU_ASSERT_EQUAL(id_map_put(&map, 0, &map), -EINVAL);
    CU_ASSERT_EQUAL(id_map_put(&map, 1, &map), 0);
    CU_ASSERT_EQUAL(id_map_put(&map, 0, &map), -EINVAL);
    CU_ASSERT_PTR_NULL(id_map_get(&map, 0));
    CU_ASSERT_PTR_NULL(id_map_take(&map, 0));
    CU_ASSERT_EQUAL(map.n, 1);
    id_map_deinit(&map);
}

static void an_id_is_added_once(void) {
    IdMap map = {0};
    int a, b;

    CU_ASSERT_EQUAL(id_map_put(&map, 7, &a), 0);
    CU_ASSERT_EQUAL(id_map_put(&map, 7, &b), -EEXIST);
    CU_ASSERT_PTR_EQUAL(id_map_get(&map, 7), &a);
    CU_ASSERT_PTR_EQUAL(id_map_take(&map, 7), &a);
    CU_ASSERT_PTR_NULL(id_map_get(&map, 7));
    CU_ASSERT_EQUAL(id_map_put(&map, 7, &b), 0);
    id_map_deinit(&map);
}

static void memory_shrinks_with_the_number_of_entries(void) {
    IdMap map = {0};

    for (uint64_t id = 1; id <= 100000; id++)
        id_map_put(&map, id, value_of(id));
    CU_ASSERT(map.mask >= 131071);
    for (uint64_t id = 1; id <= 100000; id++)
        id_map_take(&map, id);
    CU_ASSERT_EQUAL(map.n, 0);
    CU_ASSERT(map.mask < 4096);
    id_map_deinit(&map);
}

/* An id from a pool where neighbours, and ids with the same low or high bits, are likely. */
static uint64_t some_id(Dice *dice) {
    uint64_t small = dice_below(dice, 300) + 1;

    switch (dice_below(dice, 4)) {
    case 0:
        return small << 32;
    case 1:
        return small << 54 | 1;
    case 2:
        return UINT64_C(1) << 63 | small;
    default:
        return small;
    }
}

static void the_map_agrees_with_a_naive_list(void) {
    enum { N = 1200 };
    Dice dice = dice_new(99);
    uint64_t ids[N], wrong = 0;
    size_t n = 0;
    IdMap map = {0};

    for (int round = 0; round < 100000 && !wrong; round++) {
        /* The map grows and shrinks in turns. */
        bool grows = (round / 10000) % 2 == 0;
        uint64_t id = some_id(&dice);
        size_t at = 0;

        while (at < n && ids[at] != id)
            at++;
        if (dice_below(&dice, 3) < (grows ? 2 : 1)) {
            int r = id_map_put(&map, id, value_of(id));

            wrong += r != (at < n ? -EEXIST : 0);
            if (at == n)
                ids[n++] = id;
        } else {
            wrong += id_map_take(&map, id) != (at < n ? value_of(id) : NULL);
            if (at < n)
                ids[at] = ids[--n];
        }
        wrong += map.n != n;
        if (round % 500 == 0) {
            size_t pos = 0, seen = 0;

            for (size_t i = 0; i < n; i++)
                wrong += id_map_get(&map, ids[i]) != value_of(ids[i]);
            while (id_map_next(&map, &pos))
                seen++;
            wrong += seen != n;
        }
    }
    CU_ASSERT_EQUAL(wrong, 0);
    id_map_deinit(&map);
}

/* The number of slots that the map looks at, for IDS entries added and removed. */
static uint64_t steps_for(uint64_t (*id_of)(uint64_t i)) {
    IdMap map = {0};

    n_steps = 0;
    for (uint64_t i = 0; i < IDS; i++)
        id_map_put(&map, id_of(i), &map);
    for (uint64_t i = 0; i < IDS; i++)
        id_map_take(&map, id_of(i));
    CU_ASSERT_EQUAL(map.n, 0);
    id_map_deinit(&map);
    return n_steps;
}

static uint64_t same_low_bits(uint64_t i) {
    return (i + 1) << 20;
}

static uint64_t same_low_bits_far_apart(uint64_t i) {
    return (i + 1) << 46 | 5;
}

/* Ids for which `id ^ (id >> 32) * 0x9E3779B1`, a hash with public constants, has equal low
 * bits. */
static uint64_t made_for_a_known_hash(uint64_t i) {
    uint64_t high = i + 1;

    return high << 32 | (uint32_t)(high * 0x9E3779B1u);
}

static void ids_that_a_peer_chose_to_collide_cost_no_more(void) {
    /* If all ids were in one run, the map would look at IDS / 2 slots for each. */
    CU_ASSERT(steps_for(same_low_bits) < IDS * MAX_STEPS);
    CU_ASSERT(steps_for(same_low_bits_far_apart) < IDS * MAX_STEPS);
    CU_ASSERT(steps_for(made_for_a_known_hash) < IDS * MAX_STEPS);
}

/* The pattern of calls and pushes: the map has `window` ids; in each step the oldest id is removed
 * and the next one added. Returns the number of slots that the map looks at. */
static uint64_t steps_to_slide(uint64_t window, uint64_t n) {
    IdMap map = {0};

    for (uint64_t id = 1; id <= window; id++)
        id_map_put(&map, id, &map);
    n_steps = 0;
    for (uint64_t id = window + 1; id <= window + n; id++) {
        id_map_put(&map, id, &map);
        id_map_take(&map, id - window);
    }
    id_map_deinit(&map);
    return n_steps;
}

static void runs_of_ids_that_count_up_never_join(void) {
    static const uint64_t windows[] = {1, 100, 1000, 4000, 20000, 65536, 200000};
    uint64_t seed = hash_seed();

    /* If runs joined, each step would move a whole run. */
    for (int i = 0; i < 10; i++) {
        hash_seed_value = i == 0 ? 1 : i == 1 ? UINT64_MAX : random_u64() | 1;
        for (size_t k = 0; k < sizeof(windows) / sizeof(*windows); k++)
            CU_ASSERT(steps_to_slide(windows[k], SLIDES) < SLIDES * MAX_STEPS);
    }
    hash_seed_value = seed;
}

/* Without the scattered layout, each id of one range would move behind all ids of the other
 * range. */
static void ids_of_many_ranges_cost_no_more(void) {
    enum { N = 200000, LIVES = 5 };
    IdMap map = {0};
    size_t n = 0, pos = 0;

    n_steps = 0;
    for (uint64_t life = 1; life <= LIVES; life++)
        for (uint64_t i = 0; i < N; i++) {
            uint64_t id = life * UINT64_C(1000003000) + i;

            n += id_map_put(&map, id, value_of(id)) == 0;
        }
    CU_ASSERT_EQUAL(n, N * LIVES);
    CU_ASSERT_EQUAL(id_map_put(&map, UINT64_C(1000003000), &map), -EEXIST);
    for (n = 0; id_map_next(&map, &pos); n++)
        continue;
    CU_ASSERT_EQUAL(n, N * LIVES);
    for (uint64_t life = 1; life <= LIVES; life++)
        for (uint64_t i = 0; i < N; i++) {
            uint64_t id = life * UINT64_C(1000003000) + i;

            n -= id_map_take(&map, id) == value_of(id);
        }
    CU_ASSERT_EQUAL(n, 0);
    CU_ASSERT_EQUAL(map.n, 0);
    CU_ASSERT(n_steps < 2 * N * LIVES * MAX_STEPS);
    id_map_deinit(&map);
}

/* With this seed two ranges need the same slots when the table grows. If they were moved id by id,
 * each id would pass all ids of the other range. */
static void ranges_that_meet_in_a_larger_table_cost_no_more(void) {
    enum { N = 400000 };
    uint64_t seed = hash_seed();
    IdMap map = {0};
    size_t n = 0;

    hash_seed_value = UINT64_C(0x736ae31d6e461e0d);
    n_steps = 0;
    for (uint64_t id = 1000003000; id < 1000003000 + N; id++)
        n += id_map_put(&map, id, value_of(id)) == 0;
    for (uint64_t id = 2000006000; id < 2000006000 + N; id++)
        n += id_map_put(&map, id, value_of(id)) == 0;
    CU_ASSERT_EQUAL(n, 2 * N);
    for (uint64_t id = 1000003000; id < 1000003000 + N; id++)
        n -= id_map_get(&map, id) == value_of(id);
    CU_ASSERT_EQUAL(n, N);
    CU_ASSERT(n_steps < 3 * N * MAX_STEPS);
    id_map_deinit(&map);
    hash_seed_value = seed;
}

static void out_of_memory_leaves_the_map_as_it_was(void) {
    OOM_EACH(n) {
        IdMap map = {0};
        int r = 0;
        uint64_t id = 0;

        while (r == 0 && id < 100) {
            id++;
            r = id_map_put(&map, id, value_of(id));
        }
        OOM_STOP;
        CU_ASSERT_EQUAL(r, oom_happened() ? -ENOMEM : 0);
        CU_ASSERT_EQUAL(map.n, oom_happened() ? id - 1 : id);
        for (uint64_t i = 1; i <= map.n; i++)
            CU_ASSERT_PTR_EQUAL(id_map_get(&map, i), value_of(i));
        id_map_deinit(&map);
    }
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(an_empty_map_has_nothing),
        TEST(zero_is_not_an_id),
        TEST(an_id_is_added_once),
        TEST(memory_shrinks_with_the_number_of_entries),
        TEST(the_map_agrees_with_a_naive_list),
        TEST(ids_that_a_peer_chose_to_collide_cost_no_more),
        TEST(runs_of_ids_that_count_up_never_join),
        TEST(ids_of_many_ranges_cost_no_more),
        TEST(ranges_that_meet_in_a_larger_table_cost_no_more),
        TEST(out_of_memory_leaves_the_map_as_it_was),
        TESTS_END,
    };

    return run_suite("base id map", tests);
}
