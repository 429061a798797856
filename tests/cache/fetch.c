/* SPDX-License-Identifier: Apache-2.0 */
/* ferry_cache_fetch() against the cache of a setup. Where the order of two threads matters, one
 * thread waits until the other has reached the point in question. */

#include <ferry/cache.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "suites.h"
#include "support/suite.h"

enum { HANG_MS = 60000, THREADS = 16 };

static ferry_cache *cache;

/* One computation of the test. */
typedef struct Plan {
    atomic_int calls;
    int answer; /* the value, a number */
    int fails;  /* a negative errno to return instead */
    long takes_ms;
    bool held;            /* it ends after release() */
    uint64_t until_waits; /* it ends when the cache has counted this many waiting threads */
    atomic_bool released;
    const char *also_fetches;
    int inner;
} Plan;

static ferry_cache_stats stats_now(void) {
    ferry_cache_stats stats;

    ferry_cache_get_stats(cache, &stats);
    return stats;
}

static bool may_end(const Plan *plan) {
    return (!plan->held || atomic_load(&plan->released)) && stats_now().waits >= plan->until_waits;
}

static void release(Plan *plan) {
    atomic_store(&plan->released, true);
}

/* Returns when a thread computes. */
static void wait_for_call(Plan *plan) {
    for (uint64_t until_ms = clock_ms() + HANG_MS;
         atomic_load(&plan->calls) == 0 && clock_ms() < until_ms;)
        sleep_ms(1);
    CU_ASSERT_EQUAL(atomic_load(&plan->calls), 1);
}

static int compute(ferry_packer *out, void *ctx) {
    Plan *plan = ctx;
    uint64_t until_ms = clock_ms() + HANG_MS;

    atomic_fetch_add(&plan->calls, 1);
    if (plan->takes_ms > 0)
        sleep_ms(plan->takes_ms);
    while (!may_end(plan) && clock_ms() < until_ms)
        sleep_ms(1);
    if (plan->also_fetches) {
        FERRY_AUTO(ferry_free) ferry_bytes *got = NULL;
        Plan other = {.answer = 1};

        plan->inner = ferry_cache_fetch(cache, ferry_str(plan->also_fetches), NULL, compute, &other,
                                        &got, NULL);
    }
    if (plan->fails)
        return plan->fails;
    ferry_pack_int(out, plan->answer);
    return 0;
}

/* Returns the number that was fetched, or the error. */
static int fetch(const char *key, const ferry_fetch_options *options, Plan *plan) {
    FERRY_AUTO(ferry_free) ferry_bytes *got = NULL;
    int r = ferry_cache_fetch(cache, ferry_str(key), options, compute, plan, &got, NULL);

    if (r < 0)
        return r;
    return got->len == 1 ? ((const uint8_t *)got->data)[0] : -1;
}

static void a_value_is_computed_once_and_then_found(void) {
    Plan plan = {.answer = 7};

    CU_ASSERT_EQUAL(fetch("f", NULL, &plan), 7);
    CU_ASSERT_EQUAL(fetch("f", NULL, &plan), 7);
    CU_ASSERT_EQUAL(plan.calls, 1);
}

static void get_finds_what_fetch_stored(void) {
    FERRY_AUTO(ferry_free) ferry_bytes *got = NULL;
    Plan plan = {.answer = 9};

    CU_ASSERT_EQUAL(fetch("g", NULL, &plan), 9);
    CU_ASSERT_EQUAL_FATAL(ferry_cache_get(cache, ferry_str("g"), &got, NULL), 1);
    CU_ASSERT_EQUAL(got->len, 1);
    CU_ASSERT_EQUAL(((const uint8_t *)got->data)[0], 9);
}

static void fetch_finds_what_set_stored(void) {
    Plan plan = {.answer = 9};

    ferry_cache_set(cache, ferry_str("st"), ferry_str("\x05"), 0, NULL);
    CU_ASSERT_EQUAL(fetch("st", NULL, &plan), 5);
    CU_ASSERT_EQUAL(plan.calls, 0);
}

static void errors_of_the_computation_are_given_and_not_stored(void) {
    Plan plan = {.fails = -EIO};

    CU_ASSERT_EQUAL(fetch("e", NULL, &plan), -EIO);
    CU_ASSERT_EQUAL(fetch("e", NULL, &plan), -EIO);
    plan.fails = 0;
    plan.answer = 3;
    CU_ASSERT_EQUAL(fetch("e", NULL, &plan), 3);
    CU_ASSERT_EQUAL(plan.calls, 3);
}

static void negative_results_are_cached_if_enabled(void) {
    ferry_fetch_options options = {.ttl_ms = 60000, .negative_ms = 60000},
                        brief = {.ttl_ms = 60000, .negative_ms = 1};
    Plan plan = {.fails = -ENOENT};

    CU_ASSERT_EQUAL(fetch("no1", NULL, &plan), -ENOENT);
    CU_ASSERT_EQUAL(fetch("no1", NULL, &plan), -ENOENT);
    CU_ASSERT_EQUAL(plan.calls, 2);
    CU_ASSERT_EQUAL(fetch("no2", &options, &plan), -ENOENT);
    CU_ASSERT_EQUAL(fetch("no2", &options, &plan), -ENOENT);
    CU_ASSERT_EQUAL(plan.calls, 3);
    CU_ASSERT_EQUAL(ferry_cache_exists(cache, ferry_str("no2"), NULL), 0);
    CU_ASSERT_EQUAL(fetch("no3", &brief, &plan), -ENOENT);
    sleep_ms(20);
    plan = (Plan){.answer = 4};
    CU_ASSERT_EQUAL(fetch("no3", &brief, &plan), 4);
}

static void a_stale_value_is_served_when_the_computation_fails(void) {
    ferry_fetch_options options = {.ttl_ms = 30, .stale_ms = 60000};
    Plan plan = {.answer = 1}, failing = {.fails = -EIO};

    CU_ASSERT_EQUAL(fetch("sf", &options, &plan), 1);
    sleep_ms(50);
    CU_ASSERT_EQUAL(fetch("sf", &options, &failing), 1);
    CU_ASSERT_EQUAL(failing.calls, 1);
}

static void expensive_values_are_refreshed_before_their_ttl_ends(void) {
    ferry_fetch_options options = {.ttl_ms = 400};
    Plan plan = {.answer = 1, .takes_ms = 60};
    uint64_t until_ms = clock_ms() + HANG_MS;

    /* The value is computed early in nearly every period of its time to live. */
    while (stats_now().early_loads < 2 && clock_ms() < until_ms) {
        CU_ASSERT_EQUAL(fetch("early", &options, &plan), 1);
        sleep_ms(2);
    }
    CU_ASSERT_TRUE(stats_now().early_loads >= 2);
}

typedef struct Racer {
    pthread_t thread;
    const char *key;
    const ferry_fetch_options *options;
    Plan *plan;
    int result;
} Racer;

static void *race(void *arg) {
    Racer *racer = arg;

    racer->result = fetch(racer->key, racer->options, racer->plan);
    return NULL;
}

/* All threads fetch at once; the computation ends when the other threads wait for it. */
static void run_race(Racer racers[THREADS], const char *key, Plan *plan) {
    static const ferry_fetch_options patient = {.wait_ms = HANG_MS};

    plan->until_waits = stats_now().waits + THREADS - 1;
    for (int i = 0; i < THREADS; i++) {
        racers[i] = (Racer){.key = key, .options = &patient, .plan = plan};
        pthread_create(&racers[i].thread, NULL, race, &racers[i]);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(racers[i].thread, NULL);
}

static void many_threads_compute_once(void) {
    Plan plan = {.answer = 11};
    Racer racers[THREADS];

    run_race(racers, "race", &plan);
    for (int i = 0; i < THREADS; i++)
        CU_ASSERT_EQUAL(racers[i].result, 11);
    CU_ASSERT_EQUAL(plan.calls, 1);
}

static void all_waiting_threads_get_the_error(void) {
    Plan plan = {.fails = -EIO};
    Racer racers[THREADS];

    run_race(racers, "race-fails", &plan);
    for (int i = 0; i < THREADS; i++)
        CU_ASSERT_EQUAL(racers[i].result, -EIO);
    CU_ASSERT_EQUAL(plan.calls, 1);
}

/* A thread that computes until it is released. */
static void start_held(Racer *racer, const char *key, const ferry_fetch_options *options,
                       Plan *plan) {
    plan->held = true;
    *racer = (Racer){.key = key, .options = options, .plan = plan};
    pthread_create(&racer->thread, NULL, race, racer);
    wait_for_call(plan);
}

static void end_held(Racer *racer) {
    release(racer->plan);
    pthread_join(racer->thread, NULL);
    CU_ASSERT_EQUAL(racer->result, racer->plan->answer);
}

static void a_stale_value_is_served_while_one_computes(void) {
    ferry_fetch_options options = {.ttl_ms = 50, .stale_ms = 60000};
    Plan plan = {.answer = 1}, next = {.answer = 2}, other = {.answer = 3};
    uint64_t loads;
    Racer racer;

    CU_ASSERT_EQUAL(fetch("s", &options, &plan), 1);
    sleep_ms(70);
    CU_ASSERT_EQUAL(ferry_cache_exists(cache, ferry_str("s"), NULL), 0);
    loads = stats_now().loads;
    /* While one thread computes the new value, this thread gets the old one at once. */
    start_held(&racer, "s", &options, &next);
    CU_ASSERT_EQUAL(fetch("s", &options, &other), 1);
    CU_ASSERT_EQUAL(other.calls, 0);
    end_held(&racer);
    CU_ASSERT_EQUAL(stats_now().loads, loads + 1);
    CU_ASSERT_EQUAL(next.calls, 1);
}

static void waiting_ends_after_wait_ms(void) {
    ferry_fetch_options options = {.wait_ms = 30};
    Plan slow = {.answer = 1}, quick = {.answer = 2};
    uint64_t timeouts = stats_now().wait_timeouts;
    Racer racer;

    start_held(&racer, "wait", &options, &slow);
    /* The fetch returns although the other computation continues. */
    CU_ASSERT_EQUAL(fetch("wait", &options, &quick), 2);
    CU_ASSERT_EQUAL(stats_now().wait_timeouts, timeouts + 1);
    end_held(&racer);
}

static void a_key_deleted_during_its_computation_is_not_stored(void) {
    Plan slow = {.answer = 1}, next = {.answer = 2};
    Racer racer;

    start_held(&racer, "del", NULL, &slow);
    CU_ASSERT_EQUAL(ferry_cache_delete(cache, ferry_str("del"), NULL), 0);
    end_held(&racer);
    CU_ASSERT_EQUAL(fetch("del", NULL, &next), 2);
}

static void a_value_set_during_a_computation_stays(void) {
    Plan slow = {.answer = 1}, next = {.answer = 2};
    Racer racer;

    start_held(&racer, "over", NULL, &slow);
    CU_ASSERT_EQUAL(ferry_cache_set(cache, ferry_str("over"), ferry_str("\x09"), 0, NULL), 0);
    end_held(&racer);
    CU_ASSERT_EQUAL(fetch("over", NULL, &next), 9);
}

static void a_tag_invalidated_during_a_computation_counts(void) {
    ferry_fetch_options options = {.ttl_ms = 60000, .tags = "users,user:7"};
    Plan slow = {.answer = 1}, next = {.answer = 2};
    Racer racer;

    start_held(&racer, "tagged", &options, &slow);
    CU_ASSERT_EQUAL(ferry_cache_invalidate(cache, "user:7", NULL), 0);
    end_held(&racer);
    CU_ASSERT_EQUAL(fetch("tagged", &options, &next), 2);
    CU_ASSERT_EQUAL(fetch("tagged", &options, &next), 2);
    CU_ASSERT_EQUAL(next.calls, 1);
    CU_ASSERT_EQUAL(ferry_cache_invalidate(cache, "users", NULL), 0);
    CU_ASSERT_EQUAL(fetch("tagged", &options, &next), 2);
    CU_ASSERT_EQUAL(next.calls, 2);
}

static void a_computation_may_fetch_another_key_but_not_its_own(void) {
    Plan plan = {.answer = 1, .also_fetches = "inner"},
         self = {.answer = 1, .also_fetches = "self"};

    CU_ASSERT_EQUAL(fetch("outer", NULL, &plan), 1);
    CU_ASSERT_EQUAL(plan.inner, 0);
    CU_ASSERT_EQUAL(fetch("self", NULL, &self), 1);
    CU_ASSERT_EQUAL(self.inner, -EDEADLK);
}

static int packs_two(ferry_packer *out, void *ctx) {
    (void)ctx;
    ferry_pack_int(out, 1);
    ferry_pack_int(out, 2);
    return 0;
}

static int packs_nothing(ferry_packer *out, void *ctx) {
    (void)out, (void)ctx;
    return 0;
}

static void bad_computations_and_options_are_refused(void) {
    ferry_bytes *got = NULL;
    ferry_error error = FERRY_ERROR_INIT;
    ferry_fetch_options huge = {.ttl_ms = (uint64_t)-5}, odd = {.reserved = {0, 0, 1}},
                        tags = {.tags = ",,"};
    Plan plan = {.answer = 1};

    CU_ASSERT_EQUAL(ferry_cache_fetch(cache, ferry_str("two"), NULL, packs_two, NULL, &got, &error),
                    -EINVAL);
    CU_ASSERT_EQUAL(
        ferry_cache_fetch(cache, ferry_str("two"), NULL, packs_nothing, NULL, &got, &error),
        -EINVAL);
    CU_ASSERT_EQUAL(fetch("x", &huge, &plan), -EINVAL);
    CU_ASSERT_EQUAL(fetch("x", &odd, &plan), -EINVAL);
    CU_ASSERT_EQUAL(fetch("x", &tags, &plan), -EINVAL);
    CU_ASSERT_EQUAL(fetch("", NULL, &plan), -EINVAL);
    CU_ASSERT_EQUAL(plan.calls, 0);
    CU_ASSERT_PTR_NULL(got);
    ferry_error_clear(&error);
}

int fetch_suite(CacheSetup *setup, bool near) {
    CU_TestInfo tests[] = {
        TEST(a_value_is_computed_once_and_then_found),
        TEST(get_finds_what_fetch_stored),
        TEST(fetch_finds_what_set_stored),
        TEST(errors_of_the_computation_are_given_and_not_stored),
        TEST(negative_results_are_cached_if_enabled),
        TEST(a_stale_value_is_served_while_one_computes),
        TEST(a_stale_value_is_served_when_the_computation_fails),
        TEST(expensive_values_are_refreshed_before_their_ttl_ends),
        TEST(many_threads_compute_once),
        TEST(all_waiting_threads_get_the_error),
        TEST(waiting_ends_after_wait_ms),
        TEST(a_key_deleted_during_its_computation_is_not_stored),
        TEST(a_value_set_during_a_computation_stays),
        TEST(a_tag_invalidated_during_a_computation_counts),
        TEST(a_computation_may_fetch_another_key_but_not_its_own),
        TEST(bad_computations_and_options_are_refused),
        TESTS_END,
    };
    ferry_cache_options options = {.timeout_ms = 20000, .prefix = "p}:", .near_cache = near};
    int r;

    if (ferry_cache_open(setup->url, &options, &cache, NULL) < 0)
        return EXIT_FAILURE;
    r = run_suite("cache: fetch", tests);
    ferry_cache_close(cache);
    return r;
}
