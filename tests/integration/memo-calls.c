/* SPDX-License-Identifier: Apache-2.0 */

/* Memoised methods: with memory://, or with "redis", "near", "far" or "cluster" as an argument with
 * a real Redis. */

#include <poll.h>
#include <stdio.h>

#include "memo-scene.h"
#include "support/broker.h"
#include "support/suite.h"

static int serve(ferry_client *client, void *ctx) {
    return memo_users_serve(client, &memo_handlers, NULL, ctx, NULL, NULL);
}

/* ---- the client ---- */

enum { HANG_MS = 60000 };

static TestBroker broker;
static Runner runner;
static ferry_client *client, *uncached;
static ferry_cache *cache;

static void set_up_with(uint32_t cache_ms) {
    memo_start();
    broker_spawn(&broker);
    runner_start(&runner, &broker, serve, NULL);
    uncached = connect_client(&broker);
    cache = memo_cache(cache_ms);
    CU_ASSERT_EQUAL_FATAL(ferry_with(uncached, &(ferry_options){.cache = cache}, &client, NULL), 0);
}

static void set_up(void) {
    set_up_with(MEMO_PATIENCE_MS);
}

static void tear_down(void) {
    client = ferry_close(client);
    uncached = ferry_close(uncached);
    cache = ferry_cache_close(cache);
    runner_stop(&runner);
    broker_terminate(&broker);
}

static uint64_t n_stores(void) {
    ferry_cache_stats stats;

    ferry_cache_get_stats(cache, &stats);
    return stats.stores;
}

/* An answer may still be on its way to Redis: runs turns until the client has stored more than n
 * values. */
static bool process_until_stored(uint64_t n) {
    for (int i = 0; i < HANG_MS && n_stores() <= n; i++) {
        ferry_process(client, NULL);
        usleep(1000);
    }
    return n_stores() > n;
}

static void a_cached_answer_does_not_reach_the_server(void) {
    int64_t result = 0;

    set_up();
    for (int i = 0; i < 10; i++) {
        CU_ASSERT_EQUAL(memo_users_square(client, 7, &result, NULL), 0);
        CU_ASSERT_EQUAL(result, 49);
    }
    CU_ASSERT_EQUAL(times_asked(), 1);
    CU_ASSERT_EQUAL(memo_users_square(client, 8, &result, NULL), 0);
    CU_ASSERT_EQUAL(result, 64);
    CU_ASSERT_EQUAL(times_asked(), 2);
    CU_ASSERT_EQUAL(memo_users_square(client, 7, NULL, NULL), 0);
    CU_ASSERT_EQUAL(times_asked(), 2);
    tear_down();
}

/* All processes and machines must make the same keys, so that they share values. */
static void the_key_is_the_same_everywhere(void) {
    FERRY_AUTO(ferry_free) ferry_bytes *value = NULL;

    set_up();
    CU_ASSERT_EQUAL(memo_users_square(client, 7, NULL, NULL), 0);
    CU_ASSERT_EQUAL_FATAL(
        ferry_cache_get(cache, ferry_str("memo.Users.square#2962172c \x91\x07"), &value, NULL), 1);
    CU_ASSERT_EQUAL(value->len, 2);
    CU_ASSERT_EQUAL(memcmp(value->data, "\x91\x31", 2), 0);
    tear_down();
}

static void without_a_cache_every_call_reaches_the_server(void) {
    int64_t result = 0;

    set_up();
    for (int i = 1; i <= 3; i++) {
        CU_ASSERT_EQUAL(memo_users_square(client, 7, &result, NULL), 0);
        CU_ASSERT_EQUAL(memo_users_square(uncached, 7, &result, NULL), 0);
        CU_ASSERT_EQUAL(result, 49);
        CU_ASSERT_EQUAL(times_asked(), 1 + i);
    }
    tear_down();
}

/* Makes three calls. Returns the time that they took. */
static uint64_t find_nobody(ferry_error *error) {
    uint64_t start_ms = clock_ms();
    memo_user *user = NULL;

    for (int i = 0; i < 3; i++) {
        const memo_no_such_user *e;

        CU_ASSERT_EQUAL(memo_users_find(client, -5, &user, error), -EREMOTEIO);
        CU_ASSERT_STRING_EQUAL(error->type, "memo.NoSuchUser");
        CU_ASSERT_STRING_EQUAL(error->message, "nobody");
        CU_ASSERT_PTR_NOT_NULL(ferry_error_origin(error));
        e = memo_no_such_user_in(error);
        CU_ASSERT_PTR_NOT_NULL_FATAL(e);
        CU_ASSERT_EQUAL(e->id, -5);
    }
    return clock_ms() - start_ms;
}

static void declared_exceptions_are_remembered_for_their_own_time(void) {
    ferry_error error = FERRY_ERROR_INIT;
    memo_user *user = NULL;
    int n_asked;

    set_up();
    /* They are remembered for 200 ms: on a busy machine the calls may take longer. */
    do {
        usleep(250 * 1000);
        n_asked = times_asked();
    } while (find_nobody(&error) >= 200);
    CU_ASSERT_EQUAL(times_asked(), n_asked + 1);
    usleep(250 * 1000);
    CU_ASSERT_EQUAL(memo_users_find(client, -5, &user, &error), -EREMOTEIO);
    CU_ASSERT_EQUAL(times_asked(), n_asked + 2);
    /* Without cache.negative, each call reaches the server. */
    CU_ASSERT_EQUAL(memo_users_plain(client, 1, NULL, &error), -EREMOTEIO);
    CU_ASSERT_EQUAL(memo_users_plain(client, 1, NULL, &error), -EREMOTEIO);
    CU_ASSERT_EQUAL(times_asked(), n_asked + 4);
    ferry_error_clear(&error);
    tear_down();
}

static void an_answer_is_forgotten_after_its_ttl(void) {
    int64_t result = 0;

    set_up();
    for (int i = 0; i < HANG_MS / 10 && result < 2; i++) {
        CU_ASSERT_EQUAL(memo_users_brief(client, 1, &result, NULL), 0);
        usleep(10000);
    }
    CU_ASSERT_TRUE(result >= 2); /* more if a call was repeated on a busy machine */
    tear_down();
}

static void an_invalidated_tag_makes_the_next_call_ask(void) {
    memo_user *user = NULL;

    set_up();
    for (int i = 0; i < 3; i++) {
        CU_ASSERT_EQUAL(memo_users_find(client, 5, &user, NULL), 0);
        CU_ASSERT_STRING_EQUAL(user->name, "old");
        ferry_free(user);
    }
    CU_ASSERT_EQUAL(ferry_cache_invalidate(cache, "users", NULL), 0);
    CU_ASSERT_EQUAL(memo_users_find(client, 5, &user, NULL), 0);
    CU_ASSERT_STRING_EQUAL(user->name, "new");
    ferry_free(user);
    CU_ASSERT_EQUAL(times_asked(), 2);
    tear_down();
}

static void the_key_is_made_of_the_fields_that_it_names(void) {
    char *text = NULL;

    set_up();
    CU_ASSERT_EQUAL(memo_users_title(client, &(memo_user){1, "one", NULL}, "en", &text, NULL), 0);
    ferry_free(text);
    CU_ASSERT_EQUAL(memo_users_title(client, &(memo_user){1, "other", "x"}, "en", &text, NULL), 0);
    CU_ASSERT_STRING_EQUAL(text, "one");
    ferry_free(text);
    CU_ASSERT_EQUAL(memo_users_title(client, &(memo_user){2, "two", NULL}, "en", &text, NULL), 0);
    CU_ASSERT_STRING_EQUAL(text, "two");
    ferry_free(text);
    CU_ASSERT_EQUAL(memo_users_title(client, &(memo_user){1, "one", NULL}, "de", &text, NULL), 0);
    ferry_free(text);
    CU_ASSERT_EQUAL(times_asked(), 3);
    tear_down();
}

typedef struct Answers {
    int n, code;
    int64_t last;
    char name[16];
} Answers;

static void on_number(int64_t result, const ferry_error *error, void *ctx) {
    Answers *answers = ctx;

    answers->n++;
    answers->last = result;
    answers->code = error ? error->code : 0;
}

static void on_user(const memo_user *user, const ferry_error *error, void *ctx) {
    Answers *answers = ctx;
    const memo_no_such_user *e = error ? memo_no_such_user_in(error) : NULL;

    answers->n++;
    answers->code = error ? error->code : 0;
    answers->last = e ? e->id : 0;
    snprintf(answers->name, sizeof(answers->name), "%s", user ? user->name : "");
}

static void callback_calls_are_answered_from_the_cache(void) {
    Answers answers = {0};
    memo_user *user = NULL;

    set_up();
    for (int i = 1; i <= 5; i++) {
        CU_ASSERT_EQUAL(memo_users_find_async(client, 5, on_user, &answers, NULL), 0);
        CU_ASSERT_EQUAL(answers.n, i - 1);
        CU_ASSERT_TRUE(process_until(client, &answers.n, i));
        CU_ASSERT_STRING_EQUAL(answers.name, "old");
        CU_ASSERT_EQUAL(times_asked(), 1);
    }
    /* Values that callback calls stored answer blocking calls, and the other way round. */
    CU_ASSERT_EQUAL(memo_users_find(client, 5, &user, NULL), 0);
    CU_ASSERT_STRING_EQUAL(user->name, "old");
    ferry_free(user);
    CU_ASSERT_EQUAL(times_asked(), 1);
    CU_ASSERT_EQUAL(ferry_cache_invalidate(cache, "users", NULL), 0);
    CU_ASSERT_EQUAL(memo_users_find_async(client, 5, on_user, &answers, NULL), 0);
    CU_ASSERT_TRUE(process_until(client, &answers.n, 6));
    CU_ASSERT_STRING_EQUAL(answers.name, "new");
    for (int i = 7; i <= 8; i++) {
        CU_ASSERT_EQUAL(memo_users_find_async(client, -9, on_user, &answers, NULL), 0);
        CU_ASSERT_TRUE(process_until(client, &answers.n, i));
        CU_ASSERT_EQUAL(answers.code, -EREMOTEIO);
        CU_ASSERT_EQUAL(answers.last, -9);
        CU_ASSERT_EQUAL(times_asked(), 3);
    }
    tear_down();
}

static void a_stale_answer_is_given_while_a_new_one_is_fetched(void) {
    Answers answers = {0};
    int64_t result = 0;
    uint64_t n;

    set_up();
    n = n_stores();
    CU_ASSERT_EQUAL(memo_users_stale_async(client, 1, on_number, &answers, NULL), 0);
    CU_ASSERT_TRUE(process_until(client, &answers.n, 1));
    CU_ASSERT_TRUE(process_until_stored(n));
    usleep(50000); /* the value is fresh for 20 ms */
    CU_ASSERT_EQUAL(memo_users_stale_async(client, 1, on_number, &answers, NULL), 0);
    CU_ASSERT_TRUE(process_until(client, &answers.n, 2));
    CU_ASSERT_EQUAL(answers.last, 1);
    CU_ASSERT_TRUE(process_until_stored(n + 1));
    CU_ASSERT_EQUAL(times_asked(), 2);
    CU_ASSERT_EQUAL(memo_users_stale(client, 1, &result, NULL), 0);
    CU_ASSERT(result >= 2);
    tear_down();
}

static void closing_a_handle_ends_its_lookups(void) {
    Answers answers = {0};

    set_up();
    for (int i = 0; i < 10; i++)
        CU_ASSERT_EQUAL(memo_users_square_async(client, i, on_number, &answers, NULL), 0);
    client = ferry_close(client);
    CU_ASSERT_EQUAL(answers.n, 10);
    CU_ASSERT_EQUAL(answers.code, -ECANCELED);
    tear_down();
}

static void closing_the_client_ends_its_lookups(void) {
    Answers answers = {0};

    set_up();
    for (int i = 0; i < 10; i++)
        CU_ASSERT_EQUAL(memo_users_find_async(client, i, on_user, &answers, NULL), 0);
    uncached = ferry_close(uncached);
    CU_ASSERT_EQUAL(answers.n, 10);
    CU_ASSERT_EQUAL(answers.code, -ECANCELED);
    tear_down();
}

static void a_stopped_redis_does_not_stop_calls(void) {
    Answers answers = {0};
    int64_t result = 0;

    if (!with_redis || over_cluster)
        return;
    set_up_with(MEMO_FROZEN_MS);
    CU_ASSERT_EQUAL(memo_users_square(client, 7, &result, NULL), 0);
    redis_freeze(&memo_servers.servers[0]);
    for (int i = 0; i < 5; i++) {
        ferry_client *hurried = NULL;

        CU_ASSERT_EQUAL_FATAL(
            ferry_with(client, &(ferry_options){.timeout_ms = 60000}, &hurried, NULL), 0);
        CU_ASSERT_EQUAL(memo_users_square(hurried, 7, &result, NULL), 0);
        CU_ASSERT_EQUAL(result, 49);
        CU_ASSERT_EQUAL(memo_users_find_async(hurried, i, on_user, &answers, NULL), 0);
        CU_ASSERT_TRUE(process_until(client, &answers.n, i + 1));
        CU_ASSERT_EQUAL(answers.code, 0);
        ferry_close(hurried);
    }
    CU_ASSERT_EQUAL(times_asked(), 11);
    redis_unfreeze(&memo_servers.servers[0]);
    tear_down();
}

/* The program's loop is not blocked: neither the start of a call nor a turn waits for Redis. */
static void callback_calls_do_not_wait_for_a_stopped_redis(void) {
    enum { CALLS = 200 };
    Answers answers = {0};
    uint64_t longest_us = 0, all_us = clock_us();

    if (!with_redis || over_cluster)
        return;
    set_up_with(MEMO_FROZEN_MS);
    redis_freeze(&memo_servers.servers[0]);
    all_us = clock_us();
    for (int i = 0; i < CALLS; i++) {
        uint64_t began_us = clock_us(), took_us;

        CU_ASSERT_EQUAL(memo_users_find_async(client, i, on_user, &answers, NULL), 0);
        CU_ASSERT_EQUAL(ferry_process(client, NULL), 0);
        took_us = clock_us() - began_us;
        longest_us = took_us > longest_us ? took_us : longest_us;
    }
    all_us = clock_us() - all_us;
    printf("(%d calls begun in %.1f ms, %.1f ms at most for one) ", CALLS, (double)all_us / 1000,
           (double)longest_us / 1000);
    /* If the calls waited, each would take MEMO_FROZEN_MS. */
    CU_ASSERT(all_us < CALLS * 50000);
    CU_ASSERT_TRUE(process_until(client, &answers.n, CALLS));
    CU_ASSERT_EQUAL(answers.code, 0);
    redis_unfreeze(&memo_servers.servers[0]);
    tear_down();
}

/* Stores the value of another program, and calls: directly, or with a callback. */
static void call_over(ferry_bytes key, ferry_bytes value, int way) {
    Answers answers = {0};
    ferry_error error = FERRY_ERROR_INIT;

    CU_ASSERT_EQUAL(ferry_cache_set(cache, key, value, 0, NULL), 0);
    if (way == 0) {
        CU_ASSERT_EQUAL(memo_users_square(client, 7, &answers.last, &error), 0);
        CU_ASSERT_EQUAL(error.code, 0);
    } else {
        CU_ASSERT_EQUAL(memo_users_square_async(client, 7, on_number, &answers, NULL), 0);
        CU_ASSERT_TRUE(process_until(client, &answers.n, 1));
        CU_ASSERT_EQUAL(answers.code, 0);
    }
    CU_ASSERT_EQUAL(answers.last, 49);
    usleep(2000); /* by then the answer is usually stored */
}

/* If the cached bytes do not unpack, or hold an undeclared exception, the server is asked again. */
static void bytes_of_others_in_the_cache_change_nothing(void) {
    static const char lies[][64] = {"x",        "\x91\xA1x",    "\x91\xC0",
                                    "\x92\xCF", "\x91\x31\x31", "\x90"};
    const ferry_bytes key = ferry_str("memo.Users.square#2962172c \x91\x07");

    set_up();
    for (size_t i = 0; i < sizeof(lies) / sizeof(*lies); i++)
        for (int way = 0; way < 2; way++) {
            int before = times_asked(), tries = 0;

            /* The answer of the earlier call may be stored late, over this value. */
            do
                call_over(key, ferry_str(lies[i]), way);
            while (times_asked() == before && ++tries < 100);
            CU_ASSERT_EQUAL(times_asked(), before + 1);
        }
    tear_down();
}

static void on_last(int64_t result, const ferry_error *error, void *ctx) {
    on_number(result, error, ctx);
    ferry_stop(client);
}

/* The loop sleeps until an answer from the cache wakes it. */
static void a_running_loop_hears_of_the_answer(void) {
    Answers answers = {0};

    set_up();
    for (int i = 1; i <= 5; i++) {
        CU_ASSERT_EQUAL(memo_users_square_async(client, 3, on_last, &answers, NULL), 0);
        CU_ASSERT_EQUAL(ferry_run(client, NULL), 0);
        CU_ASSERT_EQUAL(answers.n, i);
        CU_ASSERT_EQUAL(answers.last, 9);
    }
    CU_ASSERT_EQUAL(times_asked(), 1);
    tear_down();
}

/* Calls memoised methods in a program's own loop. */
static void the_descriptor_tells_of_the_answer(void) {
    struct pollfd poll_fd = {.events = POLLIN};
    Answers answers = {0};

    set_up();
    poll_fd.fd = ferry_fd(client);
    for (int i = 1; i <= 5; i++) {
        CU_ASSERT_EQUAL(memo_users_find_async(client, 3, on_user, &answers, NULL), 0);
        for (int turns = 0; turns < 1000 && answers.n < i; turns++) {
            CU_ASSERT_EQUAL(poll(&poll_fd, 1, 500), 1);
            CU_ASSERT_EQUAL(ferry_process(client, NULL), 0);
        }
        CU_ASSERT_EQUAL(answers.n, i);
    }
    CU_ASSERT_EQUAL(times_asked(), 1);
    tear_down();
}

/* True: the broker lists one cache, with this place and this small number of hits. */
static bool broker_lists(const char *place, uint64_t hits) {
    FERRY_AUTO(ferry_free) ferry_reply *reply = NULL;
    char wanted[] = {(char)0xA4, 'h', 'i', 't', 's', (char)hits};

    if (ferry_call(uncached, "ferry.Broker.caches", (ferry_bytes){0}, &reply, NULL) < 0)
        return false;
    return reply->body.len > 0 && *(const uint8_t *)reply->body.data == 0x91 &&
           memmem(reply->body.data, reply->body.len, wanted, sizeof(wanted)) &&
           memmem(reply->body.data, reply->body.len, place, strlen(place));
}

static void the_broker_is_told_of_the_counters(void) {
    ferry_cache_stats stats;
    bool is_listed = false;

    set_up();
    for (int i = 0; i < 10; i++)
        CU_ASSERT_EQUAL(memo_users_square(client, 7, NULL, NULL), 0);
    for (int i = 0; i < HANG_MS / 50 && !is_listed; i++) {
        ferry_cache_get_stats(cache, &stats);
        is_listed = broker_lists(with_redis ? "redis" : "memory://", stats.hits);
        usleep(50000);
    }
    CU_ASSERT(stats.hits > 0);
    CU_ASSERT_TRUE(is_listed);
    tear_down();
}

int memo_calls_suite(void) {
    CU_TestInfo tests[] = {
        TEST(a_cached_answer_does_not_reach_the_server),
        TEST(the_key_is_the_same_everywhere),
        TEST(without_a_cache_every_call_reaches_the_server),
        TEST(declared_exceptions_are_remembered_for_their_own_time),
        TEST(an_answer_is_forgotten_after_its_ttl),
        TEST(an_invalidated_tag_makes_the_next_call_ask),
        TEST(the_key_is_made_of_the_fields_that_it_names),
        TEST(callback_calls_are_answered_from_the_cache),
        TEST(a_stale_answer_is_given_while_a_new_one_is_fetched),
        TEST(closing_a_handle_ends_its_lookups),
        TEST(closing_the_client_ends_its_lookups),
        TEST(a_stopped_redis_does_not_stop_calls),
        TEST(callback_calls_do_not_wait_for_a_stopped_redis),
        TEST(bytes_of_others_in_the_cache_change_nothing),
        TEST(a_running_loop_hears_of_the_answer),
        TEST(the_descriptor_tells_of_the_answer),
        TEST(the_broker_is_told_of_the_counters),
        TESTS_END,
    };

    return run_suite("memoised methods", tests);
}
