/* SPDX-License-Identifier: Apache-2.0 */
/* The example squares: cached and computed, Redis up and stopped, keys over three of them. */

#include "examples/stage.h"
#include "squares.h"
#include "support/redis.h"

enum { KEYS = 3000 };

static Stage stage;
static RedisServer redis[3];
static bool has_redis;

static squares_counters counters(void) {
    squares_counters now = {0}, *got = NULL;

    CU_ASSERT_EQUAL(squares_stats(stage.client, &got, &stage.error), 0);
    if (got)
        now = *got;
    ferry_free(got);
    return now;
}

/* -1: failed. Else whether it came from the cache. */
static int ask(int64_t n) {
    squares_answer *answer = NULL;
    int cached = -1;

    CU_ASSERT_EQUAL(squares_square(stage.client, n, &answer, &stage.error), 0);
    if (answer) {
        CU_ASSERT_EQUAL(answer->square, n * n);
        cached = answer->cached;
    }
    ferry_free(answer);
    return cached;
}

/* ---- the hazard ---- */

static void spreading_by_the_remainder_moves_nearly_all_keys(void) {
    int moved = 0;

    /* With one server more, hash % n leads to another server for more than half of the keys. */
    for (uint32_t key = 0; key < KEYS; key++)
        moved += key * 2654435761u % 3 != key * 2654435761u % 4;
    CU_ASSERT(moved > KEYS / 2);
}

/* ---- the service ---- */

static void a_square_is_computed_once(void) {
    squares_counters before = counters(), after;

    CU_ASSERT_EQUAL(ask(500001), 0);
    CU_ASSERT_EQUAL(ask(500001), 1);
    CU_ASSERT_EQUAL(ask(500001), 1);
    after = counters();
    CU_ASSERT_EQUAL(after.computed - before.computed, 1);
    CU_ASSERT_EQUAL(after.hits - before.hits, 2);
}

static void without_the_cache_it_is_computed_each_time(void) {
    squares_counters before = counters(), after;
    squares_answer *answer = NULL;

    for (int i = 0; i < 3; i++) {
        CU_ASSERT_EQUAL(squares_compute(stage.client, 1000, &answer, &stage.error), 0);
        CU_ASSERT(answer && answer->square == 1000000 && !answer->cached);
        ferry_free(answer);
    }
    after = counters();
    CU_ASSERT_EQUAL(after.hits, before.hits);
}

static void numbers_outside_the_range_are_typed(void) {
    static const int64_t bad[] = {-1, SQUARES_MAX + 1, INT64_MIN, INT64_MAX};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const squares_out_of_range *e;
        squares_answer *answer = NULL;

        CU_ASSERT_EQUAL(squares_square(stage.client, bad[i], &answer, &stage.error), -EREMOTEIO);
        e = squares_out_of_range_in(&stage.error);
        CU_ASSERT(e && e->number == bad[i] && e->max == SQUARES_MAX);
    }
}

static int64_t shards(squares_list_shard **ret) {
    int64_t sum = 0;

    *ret = NULL;
    CU_ASSERT_EQUAL_FATAL(squares_shards(stage.client, KEYS, ret, &stage.error), 0);
    for (size_t i = 0; i < (*ret)->n; i++)
        sum += (*ret)->v[i].keys;
    return sum;
}

/* Asks for each number until all answers are in the cache. On a busy machine, Redis may be too late
 * for a write, or for a count of the keys. */
static squares_list_shard *fill_shards(void) {
    squares_list_shard *list = NULL;
    int64_t sum = 0;

    for (int tries = 0; sum < KEYS && tries < 100; tries++) {
        ferry_free(list);
        for (int64_t n = 0; n < KEYS; n++)
            ask(n);
        sum = shards(&list);
    }
    CU_ASSERT_EQUAL(sum, KEYS);
    return list;
}

static void keys_are_spread_and_each_has_one_server(void) {
    squares_list_shard *list;

    if (!has_redis)
        return;
    list = fill_shards();
    CU_ASSERT_EQUAL(list->n, 3);
    for (size_t i = 0; i < list->n; i++)
        CU_ASSERT(list->v[i].up && list->v[i].keys > KEYS / 6 && list->v[i].keys < KEYS / 2);
    ferry_free(list);
}

static void a_stopped_redis_costs_time_and_no_answer(void) {
    squares_list_shard *list;
    int64_t others, cached = 0;

    if (!has_redis)
        return;
    list = fill_shards();
    others = list->v[1].keys + list->v[2].keys;
    ferry_free(list);
    redis_stop(&redis[0]);
    for (int64_t n = 0; n < KEYS; n++)
        cached += ask(n) > 0; /* ask() has checked each of them */
    CU_ASSERT(cached <= others);
    /* The keys of the others stayed where they were. */
    for (int tries = 0; shards(&list) < others && tries < 100; tries++)
        ferry_free(list);
    CU_ASSERT_FALSE(list->v[0].up);
    CU_ASSERT(list->v[1].up && list->v[2].up);
    CU_ASSERT_EQUAL(list->v[1].keys + list->v[2].keys, others);
    ferry_free(list);
}

static void a_cache_in_memory_has_no_shards(void) {
    squares_list_shard *list = NULL;

    if (has_redis)
        return;
    CU_ASSERT_EQUAL(squares_shards(stage.client, KEYS, &list, &stage.error), -EREMOTEIO);
    CU_ASSERT_PTR_NOT_NULL(squares_not_sharded_in(&stage.error));
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(spreading_by_the_remainder_moves_nearly_all_keys),
        TEST(a_square_is_computed_once),
        TEST(without_the_cache_it_is_computed_each_time),
        TEST(numbers_outside_the_range_are_typed),
        TEST(keys_are_spread_and_each_has_one_server),
        TEST(a_stopped_redis_costs_time_and_no_answer),
        TEST(a_cache_in_memory_has_no_shards),
        TESTS_END,
    };
    char url[128];
    int status;

    has_redis = redis_available();
    for (int i = 0; has_redis && i < 3; i++)
        redis_start(&redis[i], NULL);
    snprintf(url, sizeof(url), "redis://127.0.0.1:%u,127.0.0.1:%u,127.0.0.1:%u", redis[0].port,
             redis[1].port, redis[2].port);
    setenv("SQUARES_CACHE", has_redis ? url : "memory://", 1);
    stage_open(&stage, squares_start);
    status = run_suite(has_redis ? "example squares" : "example squares, without Redis", tests);
    stage_close(&stage);
    for (int i = 0; has_redis && i < 3; i++)
        redis_stop(&redis[i]);
    return status;
}
