/* SPDX-License-Identifier: Apache-2.0 */
/* Every public function of the cache except ferry_cache_fetch(), against the cache of a setup. */

#include <ferry/cache.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "suites.h"
#include "support/suite.h"

static ferry_cache *cache;

static ferry_bytes text(const char *s) {
    return ferry_str(s);
}

static bool found(const char *key, const char *value) {
    FERRY_AUTO(ferry_free) ferry_bytes *got = NULL;
    int r = ferry_cache_get(cache, text(key), &got, NULL);

    if (!value)
        return r == 0 && !got;
    return r == 1 && got->len == strlen(value) && memcmp(got->data, value, got->len) == 0;
}

static void a_set_value_is_found_until_deleted(void) {
    CU_ASSERT_TRUE(found("a", NULL));
    CU_ASSERT_EQUAL(ferry_cache_set(cache, text("a"), text("1"), 0, NULL), 0);
    CU_ASSERT_TRUE(found("a", "1"));
    CU_ASSERT_EQUAL(ferry_cache_set(cache, text("a"), text("2"), 0, NULL), 0);
    CU_ASSERT_TRUE(found("a", "2"));
    CU_ASSERT_EQUAL(ferry_cache_delete(cache, text("a"), NULL), 0);
    CU_ASSERT_TRUE(found("a", NULL));
    CU_ASSERT_EQUAL(ferry_cache_delete(cache, text("a"), NULL), 0);
}

static void keys_and_values_are_any_bytes(void) {
    static const char key[] = "k\0\r\n{}\xff", value[] = "\0\r\n$5\r\n\xc1";
    FERRY_AUTO(ferry_free) ferry_bytes *got = NULL;

    CU_ASSERT_EQUAL(ferry_cache_set(cache, ferry_bytes_of(key, sizeof(key)),
                                    ferry_bytes_of(value, sizeof(value)), 0, NULL),
                    0);
    CU_ASSERT_EQUAL_FATAL(ferry_cache_get(cache, ferry_bytes_of(key, sizeof(key)), &got, NULL), 1);
    CU_ASSERT_EQUAL(got->len, sizeof(value));
    CU_ASSERT_EQUAL(memcmp(got->data, value, sizeof(value)), 0);
    CU_ASSERT_EQUAL(ferry_cache_delete(cache, ferry_bytes_of(key, sizeof(key)), NULL), 0);
    CU_ASSERT_EQUAL(ferry_cache_exists(cache, ferry_bytes_of(key, sizeof(key)), NULL), 0);
}

static int unexpected(ferry_packer *out, void *ctx) {
    (void)out, (void)ctx;
    return -EIO;
}

/* Uses the parent's cache in a child. Returns the exit status of the child: 0, or the number of the
 * wrong result. */
static int use_in_child(void) {
    ferry_cache_stats stats = {.hits = 1};
    ferry_bytes *got = NULL, key = text("forked");
    ferry_cache *other = NULL;
    int64_t number = 0;
    uint64_t ttl_ms = 0;
    ferry_bytes *many[1] = {NULL};
    const int results[] = {
        ferry_cache_get(cache, key, &got, NULL),
        ferry_cache_set(cache, key, key, 0, NULL),
        ferry_cache_set_tagged(cache, key, key, 0, "tag", NULL),
        ferry_cache_add(cache, key, key, 0, NULL),
        ferry_cache_replace(cache, key, key, 0, NULL),
        ferry_cache_delete(cache, key, NULL),
        ferry_cache_touch(cache, key, 0, NULL),
        ferry_cache_exists(cache, key, NULL),
        ferry_cache_get_ttl(cache, key, &ttl_ms, NULL),
        ferry_cache_incr(cache, key, 1, 0, &number, NULL),
        ferry_cache_append(cache, key, key, NULL),
        ferry_cache_invalidate(cache, "tag", NULL),
        ferry_cache_clear(cache, NULL),
        ferry_cache_fetch(cache, key, NULL, unexpected, NULL, &got, NULL),
        ferry_cache_get_many(cache, &key, 1, many, NULL),
        ferry_cache_set_many(cache, &key, &key, 1, 0, NULL),
        ferry_cache_with(cache, "a:", &other),
    };

    for (size_t i = 0; i < sizeof(results) / sizeof(*results); i++)
        if (results[i] != -ECHILD)
            return (int)i + 1;
    ferry_cache_get_stats(cache, &stats);
    ferry_cache_close(cache);
    return stats.hits == 0 ? 0 : 100;
}

static void a_child_gets_echild(void) {
    int status = 0;
    pid_t pid;

    CU_ASSERT_EQUAL(ferry_cache_set(cache, text("forked"), text("parent"), 0, NULL), 0);
    pid = fork();
    if (pid == 0)
        _exit(use_in_child());
    waitpid(pid, &status, 0);
    CU_ASSERT_EQUAL(status, 0);
    /* The parent's cache still works. */
    CU_ASSERT_TRUE(found("forked", "parent"));
    CU_ASSERT_EQUAL(ferry_cache_delete(cache, text("forked"), NULL), 0);
}

static void an_empty_value_is_a_value(void) {
    FERRY_AUTO(ferry_free) ferry_bytes *got = NULL;

    CU_ASSERT_EQUAL(ferry_cache_set(cache, text("empty"), text(""), 0, NULL), 0);
    CU_ASSERT_EQUAL_FATAL(ferry_cache_get(cache, text("empty"), &got, NULL), 1);
    CU_ASSERT_EQUAL(got->len, 0);
    CU_ASSERT_PTR_NOT_NULL(got->data);
}

static void a_value_that_looks_like_a_header_comes_back_whole(void) {
    static const char value[] = "\xc1\x66\x01 not one";
    FERRY_AUTO(ferry_free) ferry_bytes *got = NULL;

    CU_ASSERT_EQUAL(ferry_cache_set(cache, text("head"), text(value), 0, NULL), 0);
    CU_ASSERT_EQUAL_FATAL(ferry_cache_get(cache, text("head"), &got, NULL), 1);
    CU_ASSERT_EQUAL(got->len, strlen(value));
    CU_ASSERT_EQUAL(memcmp(got->data, value, got->len), 0);
}

static void large_values_come_back_whole(void) {
    size_t size = 3 * 1024 * 1024 + 7;
    char *value = malloc(size);
    FERRY_AUTO(ferry_free) ferry_bytes *got = NULL;

    for (size_t i = 0; i < size; i++)
        value[i] = (char)(i * 7 + i / 1000);
    CU_ASSERT_EQUAL(ferry_cache_set(cache, text("large"), ferry_bytes_of(value, size), 0, NULL), 0);
    CU_ASSERT_EQUAL_FATAL(ferry_cache_get(cache, text("large"), &got, NULL), 1);
    CU_ASSERT_EQUAL_FATAL(got->len, size);
    CU_ASSERT_EQUAL(memcmp(got->data, value, size), 0);
    ferry_cache_delete(cache, text("large"), NULL);
    /* A returned value belongs to the user and outlives its entry. */
    CU_ASSERT_EQUAL(memcmp(got->data, value, size), 0);
    free(value);
}

static void add_stores_absent_keys_and_replace_existing_ones(void) {
    FERRY_AUTO(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;

    CU_ASSERT_EQUAL(ferry_cache_replace(cache, text("b"), text("0"), 0, &error), -ENOENT);
    CU_ASSERT_STRING_EQUAL(error.type, "ferry.NotFound");
    CU_ASSERT_EQUAL(ferry_cache_add(cache, text("b"), text("1"), 0, NULL), 0);
    CU_ASSERT_EQUAL(ferry_cache_add(cache, text("b"), text("2"), 0, &error), -EEXIST);
    CU_ASSERT_TRUE(found("b", "1"));
    CU_ASSERT_EQUAL(ferry_cache_replace(cache, text("b"), text("3"), 0, NULL), 0);
    CU_ASSERT_TRUE(found("b", "3"));
}

static void entries_end_after_their_ttl(void) {
    uint64_t left = 0, start_ms;
    bool was_found, had_ttl;

    /* On a busy machine the entry may expire before the look-up: repeat. */
    do {
        start_ms = clock_ms();
        CU_ASSERT_EQUAL(ferry_cache_set(cache, text("t"), text("1"), 60, NULL), 0);
        had_ttl = ferry_cache_get_ttl(cache, text("t"), &left, NULL) == 1 && left > 0 && left <= 60;
        was_found = found("t", "1");
    } while (clock_ms() - start_ms >= 60);
    CU_ASSERT_TRUE(had_ttl);
    CU_ASSERT_TRUE(was_found);
    sleep_ms(80);
    CU_ASSERT_TRUE(found("t", NULL));
    CU_ASSERT_EQUAL(ferry_cache_get_ttl(cache, text("t"), &left, NULL), 0);
}

static void touch_gives_a_new_ttl_and_takes_it_away(void) {
    uint64_t left = 0;

    CU_ASSERT_EQUAL(ferry_cache_touch(cache, text("nothing"), 100, NULL), -ENOENT);
    CU_ASSERT_EQUAL(ferry_cache_touch(cache, text("nothing"), 0, NULL), -ENOENT);
    CU_ASSERT_EQUAL(ferry_cache_set(cache, text("u"), text("1"), 50, NULL), 0);
    CU_ASSERT_EQUAL(ferry_cache_touch(cache, text("u"), 100000, NULL), 0);
    CU_ASSERT_EQUAL(ferry_cache_get_ttl(cache, text("u"), &left, NULL), 1);
    CU_ASSERT_TRUE(left > 50000 && left <= 100000);
    CU_ASSERT_EQUAL(ferry_cache_touch(cache, text("u"), 0, NULL), 0);
    CU_ASSERT_EQUAL(ferry_cache_get_ttl(cache, text("u"), &left, NULL), 1);
    CU_ASSERT_EQUAL(left, UINT64_MAX);
}

static void incr_counts_from_nothing_and_keeps_the_ttl(void) {
    FERRY_AUTO(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    uint64_t left = 0;
    int64_t now = 0;

    CU_ASSERT_EQUAL(ferry_cache_incr(cache, text("n"), 5, 0, &now, NULL), 0);
    CU_ASSERT_EQUAL(now, 5);
    CU_ASSERT_EQUAL(ferry_cache_decr(cache, text("n"), 7, 0, &now, NULL), 0);
    CU_ASSERT_EQUAL(now, -2);
    CU_ASSERT_TRUE(found("n", "-2"));
    CU_ASSERT_EQUAL(ferry_cache_incr(cache, text("m"), INT64_MAX - 1, 100000, &now, NULL), 0);
    CU_ASSERT_EQUAL(now, INT64_MAX - 1);
    CU_ASSERT_EQUAL(ferry_cache_incr(cache, text("m"), 1, 5, &now, NULL), 0);
    CU_ASSERT_EQUAL(now, INT64_MAX);
    CU_ASSERT_EQUAL(ferry_cache_get_ttl(cache, text("m"), &left, NULL), 1);
    CU_ASSERT_TRUE(left > 50000);
    CU_ASSERT_EQUAL(ferry_cache_incr(cache, text("m"), 1, 0, &now, &error), -ERANGE);
    CU_ASSERT_EQUAL(ferry_cache_incr(cache, text("m"), 1, 100, &now, &error), -ERANGE);
    CU_ASSERT_EQUAL(ferry_cache_set(cache, text("w"), text("word"), 0, NULL), 0);
    CU_ASSERT_EQUAL(ferry_cache_incr(cache, text("w"), 1, 0, &now, &error), -EINVAL);
    CU_ASSERT_EQUAL(ferry_cache_incr(cache, text("w"), 1, 100, &now, &error), -EINVAL);
    CU_ASSERT_EQUAL(ferry_cache_decr(cache, text("w"), INT64_MIN, 0, &now, &error), -EINVAL);
}

static void append_adds_to_the_end(void) {
    CU_ASSERT_EQUAL(ferry_cache_append(cache, text("p"), text("ab"), NULL), 0);
    CU_ASSERT_EQUAL(ferry_cache_append(cache, text("p"), text(""), NULL), 0);
    CU_ASSERT_EQUAL(ferry_cache_append(cache, text("p"), text("cd"), NULL), 0);
    CU_ASSERT_TRUE(found("p", "abcd"));
}

static void many_keys_are_set_and_found_at_once(void) {
    enum { N = 300 };
    static char names[N][16];
    ferry_bytes keys[N], values[N];
    FERRY_AUTO(ferry_free) ferry_bytes *got = NULL;

    for (size_t i = 0; i < N; i++) {
        snprintf(names[i], sizeof(names[i]), "many:%zu", i);
        keys[i] = text(names[i]);
        values[i] = i == 7 ? text("\xc1\x66") : i == 8 ? text("") : text(names[i]);
    }
    CU_ASSERT_EQUAL(ferry_cache_set_many(cache, keys, values, N, 60000, NULL), 0);
    ferry_cache_delete(cache, keys[5], NULL);
    CU_ASSERT_EQUAL_FATAL(ferry_cache_get_many(cache, keys, N, &got, NULL), N - 1);
    for (size_t i = 0; i < N; i++) {
        if (i == 5) {
            CU_ASSERT_PTR_NULL(got[i].data);
            continue;
        }
        CU_ASSERT_PTR_NOT_NULL_FATAL(got[i].data);
        CU_ASSERT_EQUAL(got[i].len, values[i].len);
        CU_ASSERT_EQUAL(memcmp(got[i].data, values[i].data, values[i].len), 0);
    }
}

static void invalidating_a_tag_invalidates_its_entries(void) {
    CU_ASSERT_EQUAL(ferry_cache_set_tagged(cache, text("x"), text("1"), 0, "red,blue", NULL), 0);
    CU_ASSERT_EQUAL(ferry_cache_set_tagged(cache, text("y"), text("2"), 60000, "blue", NULL), 0);
    CU_ASSERT_EQUAL(ferry_cache_set_tagged(cache, text("z"), text("3"), 0, "", NULL), 0);
    CU_ASSERT_TRUE(found("x", "1") && found("y", "2") && found("z", "3"));
    CU_ASSERT_EQUAL(ferry_cache_invalidate(cache, "red", NULL), 0);
    CU_ASSERT_TRUE(found("x", NULL) && found("y", "2") && found("z", "3"));
    CU_ASSERT_EQUAL(ferry_cache_set_tagged(cache, text("x"), text("4"), 0, "red,blue", NULL), 0);
    CU_ASSERT_TRUE(found("x", "4"));
    CU_ASSERT_EQUAL(ferry_cache_invalidate(cache, "green,blue", NULL), 0);
    CU_ASSERT_TRUE(found("x", NULL) && found("y", NULL) && found("z", "3"));
    CU_ASSERT_EQUAL(ferry_cache_exists(cache, text("y"), NULL), 0);
}

static void handles_with_a_prefix_see_their_own_keys_alone(void) {
    FERRY_AUTO(ferry_cache_close) ferry_cache *shop = NULL;
    FERRY_AUTO(ferry_free) ferry_bytes *got = NULL, *many = NULL;
    ferry_bytes keys[] = {text("k"), text("l")}, values[] = {text("1"), text("2")};

    CU_ASSERT_EQUAL(ferry_cache_with(cache, "sh*p[", &shop), 0);
    CU_ASSERT_EQUAL(ferry_cache_set(cache, text("k"), text("outside"), 0, NULL), 0);
    CU_ASSERT_EQUAL(ferry_cache_set(cache, text("shop[x"), text("outside"), 0, NULL), 0);
    CU_ASSERT_EQUAL(ferry_cache_get(shop, text("k"), &got, NULL), 0);
    CU_ASSERT_EQUAL(ferry_cache_set_many(shop, keys, values, 2, 0, NULL), 0);
    CU_ASSERT_EQUAL(ferry_cache_get_many(shop, keys, 2, &many, NULL), 2);
    CU_ASSERT_TRUE(found("sh*p[l", "2"));
    /* Each handle has its own tags too. */
    ferry_cache_set_tagged(cache, text("out"), text("1"), 0, "t", NULL);
    CU_ASSERT_EQUAL(ferry_cache_invalidate(shop, "t", NULL), 0);
    CU_ASSERT_TRUE(found("out", "1"));
    CU_ASSERT_EQUAL(ferry_cache_clear(shop, NULL), 0);
    CU_ASSERT_TRUE(found("sh*p[l", NULL));
    CU_ASSERT_TRUE(found("k", "outside"));
    CU_ASSERT_TRUE(found("shop[x", "outside"));
}

static void clear_removes_everything(void) {
    CU_ASSERT_EQUAL(ferry_cache_set(cache, text("c1"), text("1"), 0, NULL), 0);
    CU_ASSERT_EQUAL(ferry_cache_clear(cache, NULL), 0);
    CU_ASSERT_TRUE(found("c1", NULL));
}

static void bad_input_is_refused_with_its_cause(void) {
    FERRY_AUTO(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    static char huge[64 * 1024];
    ferry_bytes *got = NULL, none = ferry_bytes_of(NULL, 0), null = ferry_bytes_of(NULL, 5);
    ferry_bytes too_large = ferry_bytes_of(huge, FERRY_CACHE_VALUE_MAX + 1);

    memset(huge, 'k', sizeof(huge));
    CU_ASSERT_EQUAL(ferry_cache_get(cache, none, &got, &error), -EINVAL);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "empty"));
    CU_ASSERT_EQUAL(ferry_cache_get(cache, null, &got, &error), -EINVAL);
    CU_ASSERT_EQUAL(ferry_cache_get(cache, text(""), &got, &error), -EINVAL);
    CU_ASSERT_EQUAL(ferry_cache_get(cache, ferry_bytes_of(huge, sizeof(huge)), &got, &error),
                    -EMSGSIZE);
    CU_ASSERT_EQUAL(
        ferry_cache_set(cache, ferry_bytes_of(huge, FERRY_CACHE_KEY_MAX), text("1"), 0, &error), 0);
    CU_ASSERT_EQUAL(
        ferry_cache_set(cache, ferry_bytes_of(huge, FERRY_CACHE_KEY_MAX + 1), text("1"), 0, &error),
        -EMSGSIZE);
    CU_ASSERT_EQUAL(ferry_cache_set(cache, text("v"), too_large, 0, &error), -EMSGSIZE);
    CU_ASSERT_EQUAL(ferry_cache_set(cache, text("v"), null, 0, &error), -EINVAL);
    CU_ASSERT_EQUAL(ferry_cache_set(cache, text("v"), text("1"), (uint64_t)-1, &error), -EINVAL);
    CU_ASSERT_EQUAL(ferry_cache_set(cache, text("v"), text("1"), FERRY_CACHE_TTL_MAX + 1, &error),
                    -EINVAL);
    CU_ASSERT_EQUAL(ferry_cache_set(cache, text("v"), text("1"), FERRY_CACHE_TTL_MAX, &error), 0);
    CU_ASSERT_EQUAL(ferry_cache_set_tagged(cache, text("v"), text("1"), 0, ",", &error), -EINVAL);
    CU_ASSERT_EQUAL(ferry_cache_set_tagged(cache, text("v"), text("1"), 0, "a,,b", &error),
                    -EINVAL);
    CU_ASSERT_EQUAL(ferry_cache_invalidate(cache, "", &error), -EINVAL);
    CU_ASSERT_EQUAL(ferry_cache_invalidate(cache, NULL, &error), -EINVAL);
    CU_ASSERT_EQUAL(ferry_cache_get_many(cache, &none, 0, &got, &error), -EINVAL);
    CU_ASSERT_EQUAL(ferry_cache_get_many(cache, &none, 1, &got, &error), -EINVAL);
    CU_ASSERT_EQUAL(ferry_cache_get(NULL, text("a"), &got, &error), -EINVAL);
    CU_ASSERT_STRING_EQUAL(error.type, "ferry.Misuse");
    CU_ASSERT_PTR_NULL(got);
}

enum { THREADS = 8, ROUNDS = 400 };

static void *count_up(void *arg) {
    char key[32];

    for (int i = 0; i < ROUNDS; i++) {
        FERRY_AUTO(ferry_free) ferry_bytes *got = NULL;

        snprintf(key, sizeof(key), "own:%d:%d", (int)(intptr_t)arg, i % 10);
        if (ferry_cache_incr(cache, text("shared"), 1, 0, NULL, NULL) < 0 ||
            ferry_cache_set(cache, text(key), text(key), 0, NULL) < 0 ||
            ferry_cache_get(cache, text(key), &got, NULL) != 1 || got->len != strlen(key) ||
            memcmp(got->data, key, got->len) != 0)
            return "wrong";
    }
    return NULL;
}

static void many_threads_share_one_cache(void) {
    pthread_t threads[THREADS];
    int64_t now = 0;

    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, count_up, (void *)(intptr_t)i);
    for (int i = 0; i < THREADS; i++) {
        void *wrong = NULL;

        pthread_join(threads[i], &wrong);
        CU_ASSERT_PTR_NULL(wrong);
    }
    CU_ASSERT_EQUAL(ferry_cache_incr(cache, text("shared"), 0, 0, &now, NULL), 0);
    CU_ASSERT_EQUAL(now, THREADS * ROUNDS);
}

static void statistics_count_what_happened(void) {
    ferry_cache_stats before, after;

    ferry_cache_set(cache, text("s"), text("1"), 0, NULL);
    ferry_cache_get_stats(cache, &before);
    CU_ASSERT_TRUE(found("s", "1") && found("not there", NULL));
    ferry_cache_get_stats(cache, &after);
    CU_ASSERT_EQUAL(after.hits, before.hits + 1);
    CU_ASSERT_EQUAL(after.misses, before.misses + 1);
    CU_ASSERT_EQUAL(after.errors, 0);
}

int api_suite(CacheSetup *setup, bool near) {
    CU_TestInfo tests[] = {
        TEST(a_set_value_is_found_until_deleted),
        TEST(keys_and_values_are_any_bytes),
        TEST(a_child_gets_echild),
        TEST(an_empty_value_is_a_value),
        TEST(a_value_that_looks_like_a_header_comes_back_whole),
        TEST(large_values_come_back_whole),
        TEST(add_stores_absent_keys_and_replace_existing_ones),
        TEST(entries_end_after_their_ttl),
        TEST(touch_gives_a_new_ttl_and_takes_it_away),
        TEST(incr_counts_from_nothing_and_keeps_the_ttl),
        TEST(append_adds_to_the_end),
        TEST(many_keys_are_set_and_found_at_once),
        TEST(invalidating_a_tag_invalidates_its_entries),
        TEST(handles_with_a_prefix_see_their_own_keys_alone),
        TEST(clear_removes_everything),
        TEST(bad_input_is_refused_with_its_cause),
        TEST(many_threads_share_one_cache),
        TEST(statistics_count_what_happened),
        TESTS_END,
    };
    ferry_cache_options options = {.timeout_ms = 60000, .strict = true, .near_cache = near};
    int r;

    if (ferry_cache_open(setup->url, &options, &cache, NULL) < 0)
        return EXIT_FAILURE;
    r = run_suite("cache: every function", tests);
    ferry_cache_close(cache);
    return r;
}
