/* SPDX-License-Identifier: Apache-2.0 */
/* The cache in a loop: lookups, stamps and stores that never wait. The setup "memory" answers
 * everything at once. */

#include "cache/api/lookup.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "suites.h"
#include "support/suite.h"

static ferry_cache *cache;
static CacheLookups *lookups;
static CacheSetup *setup;
static bool is_near;

enum { PATIENCE_MS = 60000 /* only a hang takes that long */ };

static bool open_cache(uint32_t timeout_ms) {
    ferry_cache_options options = {.timeout_ms = timeout_ms, .near_cache = is_near};

    return ferry_cache_open(setup->url, &options, &cache, NULL) == 0 &&
           cache_lookups_open(cache, &lookups) == 0;
}

static void close_cache(void) {
    lookups = cache_lookups_close(lookups);
    ferry_cache_close(cache);
}

typedef struct Outcome {
    int calls;
    LookState state;
    ferry_bytes *value;
    int status;
} Outcome;

static void on_got(LookState state, ferry_bytes *value, int status, void *ctx) {
    Outcome *outcome = ctx;

    outcome->calls++;
    outcome->state = state;
    outcome->value = value;
    outcome->status = status;
}

static void on_done(int status, void *ctx) {
    Outcome *outcome = ctx;

    outcome->calls++;
    outcome->status = status;
}

/* As a client's loop does: waits for the descriptor, then processes. */
static void run_until(const int *calls, int wanted) {
    uint64_t until = clock_ms() + PATIENCE_MS;

    while (*calls < wanted && clock_ms() < until) {
        struct pollfd wait = {.fd = cache_lookups_fd(lookups), .events = POLLIN};

        poll(&wait, 1, (int)(until - clock_ms()));
        cache_lookups_process(lookups);
    }
}

static Outcome look(const char *key) {
    Outcome outcome = {.calls = 0};
    int r =
        cache_try_get(lookups, ferry_str(key), &outcome.state, &outcome.value, on_got, &outcome);

    if (r == -EINPROGRESS)
        run_until(&outcome.calls, 1);
    else
        outcome.status = r;
    return outcome;
}

static bool is(Outcome outcome, LookState state, const char *value) {
    bool same = outcome.state == state &&
                (value ? outcome.value && outcome.value->len == strlen(value) &&
                             memcmp(outcome.value->data, value, strlen(value)) == 0
                       : !outcome.value);

    ferry_free(outcome.value);
    return same;
}

static int store(const char *key, const char *value, CacheTimes times, const CacheStamps *stamps) {
    Outcome outcome = {.calls = 0};
    int r =
        cache_try_set(lookups, ferry_str(key), ferry_str(value), &times, stamps, on_done, &outcome);

    if (r != -EINPROGRESS)
        return r;
    run_until(&outcome.calls, 1);
    return outcome.calls == 1 ? outcome.status : -EIO;
}

static int stamp(const char *tags, CacheStamps *stamps) {
    Outcome outcome = {.calls = 0};
    int r = cache_try_stamp(lookups, tags, 60000, stamps, on_done, &outcome);

    if (r != -EINPROGRESS)
        return r;
    run_until(&outcome.calls, 1);
    return outcome.calls == 1 ? outcome.status : -EIO;
}

static void a_stored_value_is_found(void) {
    FERRY_AUTO(ferry_free) ferry_bytes *got = NULL;

    CU_ASSERT_TRUE(is(look("a"), LOOK_ABSENT, NULL));
    CU_ASSERT_EQUAL(store("a", "one", (CacheTimes){.ttl_ms = 60000}, NULL), 0);
    CU_ASSERT_TRUE(is(look("a"), LOOK_FRESH, "one"));
    CU_ASSERT_TRUE(is(look("a"), LOOK_FRESH, "one"));
    CU_ASSERT_EQUAL(ferry_cache_get(cache, ferry_str("a"), &got, NULL), 1);
    ferry_cache_set(cache, ferry_str("b"), ferry_str("raw"), 0, NULL);
    CU_ASSERT_TRUE(is(look("b"), LOOK_FRESH, "raw"));
}

static void stale_and_negative_entries_are_distinguished(void) {
    CU_ASSERT_EQUAL(store("s", "old", (CacheTimes){.ttl_ms = 20, .stale_ms = 60000}, NULL), 0);
    CU_ASSERT_EQUAL(store("n", "", (CacheTimes){.ttl_ms = 60000, .negative = true}, NULL), 0);
    sleep_ms(40);
    CU_ASSERT_TRUE(is(look("s"), LOOK_STALE, "old"));
    CU_ASSERT_TRUE(is(look("n"), LOOK_NEGATIVE, NULL));
}

static void tags_are_checked(void) {
    static CacheStamps stamps;

    CU_ASSERT_EQUAL(stamp("x,y", &stamps), 0);
    CU_ASSERT_EQUAL(store("t", "1", (CacheTimes){.ttl_ms = 60000}, &stamps), 0);
    CU_ASSERT_TRUE(is(look("t"), LOOK_FRESH, "1"));
    CU_ASSERT_TRUE(is(look("t"), LOOK_FRESH, "1"));
    CU_ASSERT_EQUAL(ferry_cache_invalidate(cache, "y", NULL), 0);
    CU_ASSERT_TRUE(is(look("t"), LOOK_ABSENT, NULL));
    /* An entry with stamps from before the invalidation is not valid. */
    CU_ASSERT_EQUAL(store("t", "2", (CacheTimes){.ttl_ms = 60000}, &stamps), 0);
    CU_ASSERT_TRUE(is(look("t"), LOOK_ABSENT, NULL));
}

static void hundreds_of_operations_are_in_flight_at_once(void) {
    enum { N = 500 };
    static Outcome outcomes[N];
    static char names[N][16];
    int found = 0;

    memset(outcomes, 0, sizeof(outcomes));
    for (int i = 0; i < N; i++) {
        snprintf(names[i], sizeof(names[i]), "many:%d", i);
        ferry_cache_set(cache, ferry_str(names[i]), ferry_str(names[i]), 0, NULL);
    }
    for (int i = 0; i < N; i++) {
        int r = cache_try_get(lookups, ferry_str(names[i]), &outcomes[i].state, &outcomes[i].value,
                              on_got, &outcomes[i]);

        CU_ASSERT_EQUAL(outcomes[i].calls, 0);
        CU_ASSERT_TRUE(r == 0 || r == -EINPROGRESS);
        if (r == 0)
            outcomes[i].calls = 1;
    }
    for (int i = 0; i < N; i++) {
        run_until(&outcomes[i].calls, 1);
        found += is(outcomes[i], LOOK_FRESH, names[i]);
    }
    CU_ASSERT_EQUAL(found, N);
}

static void bad_keys_and_times_are_refused(void) {
    LookState state;
    ferry_bytes *value = NULL;
    static CacheStamps stamps;

    CU_ASSERT_EQUAL(cache_try_get(lookups, ferry_str(""), &state, &value, on_got, NULL), -EINVAL);
    CU_ASSERT_EQUAL(stamp("a,,b", &stamps), -EINVAL);
    CU_ASSERT_EQUAL(stamp("", &stamps), 0);
    CU_ASSERT_EQUAL(store("k", "v", (CacheTimes){.negative = true}, NULL), -EINVAL);
    CU_ASSERT_EQUAL(store("k", "v", (CacheTimes){.ttl_ms = UINT64_MAX}, NULL), -EINVAL);
}

static void a_frozen_server_costs_the_deadline_and_no_more(void) {
    Outcome outcome = {.calls = 0};
    int r, tries = 0;

    if (setup->n == 0)
        return;
    close_cache();
    CU_ASSERT_TRUE_FATAL(open_cache(500));
    for (size_t i = 0; i < setup->n; i++)
        redis_freeze(&setup->servers[i]);
    r = cache_try_get(lookups, ferry_str("frozen"), &outcome.state, &outcome.value, on_got,
                      &outcome);
    CU_ASSERT_EQUAL(r, -EINPROGRESS);
    run_until(&outcome.calls, 1);
    CU_ASSERT_EQUAL(outcome.calls, 1);
    CU_ASSERT_EQUAL(outcome.state, LOOK_FAILED);
    for (size_t i = 0; i < setup->n; i++)
        redis_unfreeze(&setup->servers[i]);
    while (!is(look("frozen"), LOOK_ABSENT, NULL) && tries++ < 3000)
        sleep_ms(20);
    CU_ASSERT_TRUE(tries < 3000);
    close_cache();
    CU_ASSERT_TRUE_FATAL(open_cache(PATIENCE_MS));
}

static void a_server_that_is_gone_is_found_again(void) {
    int tries = 0;

    if (setup->n != 1)
        return;
    ferry_cache_set(cache, ferry_str("g"), ferry_str("1"), 0, NULL);
    CU_ASSERT_TRUE(is(look("g"), LOOK_FRESH, "1"));
    redis_restart(&setup->servers[0]);
    while (!is(look("g"), LOOK_ABSENT, NULL) && tries++ < 3000)
        sleep_ms(20);
    CU_ASSERT_TRUE(tries < 3000);
}

static void closing_cancels_operations_in_flight(void) {
    Outcome outcome = {.calls = 0};
    int r =
        cache_try_get(lookups, ferry_str("late"), &outcome.state, &outcome.value, on_got, &outcome);

    lookups = cache_lookups_close(lookups);
    CU_ASSERT_EQUAL(outcome.calls, r == -EINPROGRESS);
    if (r == -EINPROGRESS)
        CU_ASSERT_EQUAL(outcome.state, LOOK_FAILED);
    ferry_free(outcome.value);
}

int lookup_suite(CacheSetup *given, bool near) {
    CU_TestInfo tests[] = {
        TEST(a_stored_value_is_found),
        TEST(stale_and_negative_entries_are_distinguished),
        TEST(tags_are_checked),
        TEST(hundreds_of_operations_are_in_flight_at_once),
        TEST(bad_keys_and_times_are_refused),
        TEST(a_frozen_server_costs_the_deadline_and_no_more),
        TEST(a_server_that_is_gone_is_found_again),
        TEST(closing_cancels_operations_in_flight),
        TESTS_END,
    };
    int r;

    setup = given;
    is_near = near;
    if (!open_cache(PATIENCE_MS))
        return EXIT_FAILURE;
    r = run_suite("cache: in a loop", tests);
    close_cache();
    return r;
}
