/* SPDX-License-Identifier: Apache-2.0 */

/* Memoised methods of a server that has a cache: with memory://, or with "redis", "near" or "far"
 * as an argument with a real Redis. */

#include <stdio.h>
#include <sys/epoll.h>

#include "memo-scene.h"
#include "support/broker.h"
#include "support/suite.h"

#define SQUARE_OF_7 "memo.Users.square#2962172c \x91\x07"

static ferry_cache *server_cache; /* the server's cache; NULL: no cache */

enum { HANG_MS = 60000 };

enum { DEFERS = 1, FORGETS = 2, IS_OVERTAKEN = 3 }; /* behaviour of the method slow */

static ferry_client *serving;
static ferry_request *deferred;

static int slow(ferry_request *request, int32_t a, void *ctx) {
    int64_t n = memo_count();

    (void)ctx;
    if (a == DEFERS) {
        deferred = ferry_request_defer(request);
        return deferred ? 0 : -ENOMEM;
    }
    if (a == FORGETS)
        return 0;
    if (a == IS_OVERTAKEN && n == 1)
        ferry_cache_invalidate(server_cache, "slow", NULL);
    return memo_users_slow_return(request, n);
}

/* A method that changes data, and invalidates its tags in the cache. It also answers deferred
 * requests. */
static int forget(ferry_request *request, const char *tags, void *ctx) {
    (void)request, (void)ctx;
    if (deferred)
        memo_users_slow_return(deferred, 42);
    deferred = NULL;
    return server_cache && *tags ? ferry_cache_invalidate(server_cache, tags, NULL) : 0;
}

static int serve(ferry_client *client, void *ctx) {
    static memo_users_handlers handlers;

    handlers = memo_handlers;
    handlers.slow = slow;
    handlers.forget = forget;
    if (ferry_with(client, &(ferry_options){.cache = server_cache}, &serving, NULL) < 0)
        return -1;
    return memo_users_serve(serving, &handlers, &(ferry_serve_options){.slots = 16}, ctx, NULL,
                            NULL);
}

/* ---- the clients ---- */

static TestBroker broker;
static Runner runner;
static ferry_client *client;  /* has no cache */
static ferry_client *caching; /* a client that has the server's cache, or the same Redis */
static ferry_cache *cache;    /* the cache of `caching` */

static void set_up_with(uint32_t cache_ms) {
    memo_start();
    deferred = NULL;
    server_cache = memo_cache(cache_ms);
    broker_spawn(&broker);
    runner_start(&runner, &broker, serve, NULL);
    client = connect_client(&broker);
    cache = with_redis ? memo_cache(cache_ms) : server_cache;
    CU_ASSERT_EQUAL_FATAL(ferry_with(client, &(ferry_options){.cache = cache}, &caching, NULL), 0);
}

static void set_up(void) {
    set_up_with(MEMO_PATIENCE_MS);
}

static void tear_down(void) {
    caching = ferry_close(caching);
    client = ferry_close(client);
    runner_stop(&runner);
    serving = ferry_close(serving);
    if (cache != server_cache)
        ferry_cache_close(cache);
    cache = server_cache = ferry_cache_close(server_cache);
    broker_terminate(&broker);
}

static uint64_t n_stores(void) {
    ferry_cache_stats stats;

    ferry_cache_get_stats(server_cache, &stats);
    return stats.stores;
}

/* Waits until the server has stored more than n values. */
static bool wait_until_stored(uint64_t n) {
    for (int i = 0; i < HANG_MS && n_stores() <= n; i++)
        usleep(1000);
    return n_stores() > n;
}

/* A server may still be storing a value after it has answered. */
static bool wait_for(const char *key, size_t len) {
    for (int i = 0; i < HANG_MS; i++) {
        if (ferry_cache_exists(cache, ferry_bytes_of(key, len), NULL) == 1)
            return true;
        usleep(1000);
    }
    return false;
}

static bool wait_until_asked(int n) {
    for (int i = 0; i < HANG_MS && times_asked() < n; i++)
        usleep(1000);
    return times_asked() >= n;
}

/* ---- storing and answering ---- */

static void clients_without_a_cache_get_answers_from_the_servers_cache(void) {
    int64_t result = 0;

    set_up();
    for (int i = 0; i < 5; i++) {
        CU_ASSERT_EQUAL(memo_users_square(client, 7, &result, NULL), 0);
        CU_ASSERT_EQUAL(result, 49);
        CU_ASSERT_TRUE(wait_for(SQUARE_OF_7, sizeof(SQUARE_OF_7) - 1));
    }
    CU_ASSERT_EQUAL(times_asked(), 1);
    CU_ASSERT_EQUAL(memo_users_square(client, 8, &result, NULL), 0);
    CU_ASSERT_EQUAL(result, 64);
    CU_ASSERT_EQUAL(times_asked(), 2);
    tear_down();
}

static void note_answer(const ferry_reply *reply, const ferry_error *error, void *ctx) {
    CU_ASSERT_PTR_NULL(error);
    CU_ASSERT_TRUE(reply && reply_int(reply) == 49);
    ++*(int *)ctx;
}

/* The program waits with an epoll descriptor of its own, and runs turns when it is readable. */
static void a_server_of_two_brokers_stores_answers_in_the_loop_of_its_program(void) {
    struct epoll_event event = {.events = EPOLLIN};
    int loop = epoll_create1(EPOLL_CLOEXEC), n = 0;
    TestBroker second, both = {.pid = 0};
    ferry_client *program;

    memo_start();
    cache = server_cache = memo_cache(MEMO_PATIENCE_MS);
    broker_spawn(&broker);
    broker_spawn(&second);
    broker_list(&both, broker.url);
    broker_list(&both, second.url);
    program = connect_client(&both);
    client = connect_client(&second);
    CU_ASSERT_EQUAL_FATAL(epoll_ctl(loop, EPOLL_CTL_ADD, ferry_fd(program), &event), 0);
    CU_ASSERT_EQUAL_FATAL(epoll_ctl(loop, EPOLL_CTL_ADD, ferry_fd(client), &event), 0);
    CU_ASSERT_EQUAL_FATAL(serve(program, NULL), 0);
    for (int i = 1; i <= 5; i++) {
        ferry_call_async(client, "memo.Users.square", ferry_str("\x91\x07"), note_answer, &n, NULL);
        while (n < i) {
            CU_ASSERT_EQUAL_FATAL(epoll_wait(loop, &event, 1, HANG_MS), 1);
            CU_ASSERT_EQUAL_FATAL(ferry_process(program, NULL), 0);
            CU_ASSERT_EQUAL_FATAL(ferry_process(client, NULL), 0);
        }
        CU_ASSERT_TRUE(wait_for(SQUARE_OF_7, sizeof(SQUARE_OF_7) - 1));
    }
    CU_ASSERT_EQUAL(times_asked(), 1);
    client = ferry_close(client);
    serving = ferry_close(serving);
    ferry_close(program);
    close(loop);
    cache = server_cache = ferry_cache_close(server_cache);
    broker_terminate(&second);
    broker_terminate(&broker);
}

static void calls_by_name_get_answers_from_the_cache(void) {
    ferry_reply *reply = NULL;
    int64_t result = 0;

    set_up();
    CU_ASSERT_EQUAL(memo_users_square(client, 7, &result, NULL), 0);
    CU_ASSERT_TRUE(wait_for(SQUARE_OF_7, sizeof(SQUARE_OF_7) - 1));
    CU_ASSERT_EQUAL_FATAL(ferry_callf(client, "memo.Users.square", &reply, NULL, "i", 7), 0);
    CU_ASSERT_EQUAL(reply_int(reply), 49);
    ferry_free(reply);
    CU_ASSERT_EQUAL(times_asked(), 1);
    tear_down();
}

static void clients_find_values_that_a_server_stored(void) {
    memo_user *user = NULL;
    char *text = NULL;
    uint64_t n;

    set_up();
    n = n_stores();
    CU_ASSERT_EQUAL(memo_users_find(client, 5, &user, NULL), 0);
    ferry_free(user);
    CU_ASSERT_EQUAL(memo_users_title(client, &(memo_user){1, "one", NULL}, "en", &text, NULL), 0);
    ferry_free(text);
    CU_ASSERT_TRUE(wait_until_stored(n + 1));
    CU_ASSERT_EQUAL(times_asked(), 2);
    CU_ASSERT_EQUAL(memo_users_find(caching, 5, &user, NULL), 0);
    CU_ASSERT_STRING_EQUAL(user->name, "old");
    ferry_free(user);
    /* If some of the fields make the key, client and server must make the same key. */
    CU_ASSERT_EQUAL(memo_users_title(caching, &(memo_user){1, "other", "x"}, "en", &text, NULL), 0);
    CU_ASSERT_STRING_EQUAL(text, "one");
    ferry_free(text);
    CU_ASSERT_EQUAL(times_asked(), 2);
    tear_down();
}

static void servers_find_values_that_a_client_stored(void) {
    int64_t result = 0;

    set_up();
    CU_ASSERT_EQUAL(memo_users_square(caching, 7, &result, NULL), 0);
    CU_ASSERT_TRUE(wait_for(SQUARE_OF_7, sizeof(SQUARE_OF_7) - 1));
    CU_ASSERT_EQUAL(memo_users_square(client, 7, &result, NULL), 0);
    CU_ASSERT_EQUAL(result, 49);
    CU_ASSERT_EQUAL(times_asked(), 1);
    tear_down();
}

/* Otherwise the client's cache would give an old value of the server a new time to live. */
static void a_client_with_a_cache_of_its_own_gets_a_fresh_answer(void) {
    ferry_cache *own = NULL;
    ferry_client *other = NULL;
    int64_t result = 0;

    set_up();
    CU_ASSERT_EQUAL_FATAL(ferry_cache_open("memory://", NULL, &own, NULL), 0);
    CU_ASSERT_EQUAL_FATAL(ferry_with(client, &(ferry_options){.cache = own}, &other, NULL), 0);
    CU_ASSERT_EQUAL(memo_users_stale(client, 1, &result, NULL), 0);
    CU_ASSERT_EQUAL(memo_users_stale(other, 1, &result, NULL), 0);
    CU_ASSERT_EQUAL(result, 2);
    CU_ASSERT_EQUAL(times_asked(), 2);
    ferry_close(other);
    ferry_cache_close(own);
    tear_down();
}

static void a_named_instance_is_asked_itself(void) {
    ferry_client *named = NULL;
    ferry_description *description = NULL;
    int64_t result = 0;

    set_up();
    CU_ASSERT_EQUAL(memo_users_square(client, 7, &result, NULL), 0);
    CU_ASSERT_TRUE(wait_for(SQUARE_OF_7, sizeof(SQUARE_OF_7) - 1));
    CU_ASSERT_EQUAL_FATAL(ferry_describe(client, "memo.Users", &description, NULL), 0);
    CU_ASSERT_EQUAL_FATAL(ferry_with(caching,
                                     &(ferry_options){.instance = description->instances[0].name},
                                     &named, NULL),
                          0);
    CU_ASSERT_EQUAL(memo_users_square(named, 7, &result, NULL), 0);
    CU_ASSERT_EQUAL(times_asked(), 2);
    ferry_close(named);
    ferry_free(description);
    tear_down();
}

/* Makes four calls, of which only the first reaches the handler. Returns the time that they
 * took. */
static uint64_t find_nobody(ferry_error *error) {
    uint64_t start_ms = clock_ms(), n = n_stores();
    const memo_no_such_user *e;
    memo_user *user = NULL;

    for (int i = 0; i < 4; i++) {
        CU_ASSERT_EQUAL(memo_users_find(i % 2 ? caching : client, -5, &user, error), -EREMOTEIO);
        CU_ASSERT_STRING_EQUAL(error->type, "memo.NoSuchUser");
        CU_ASSERT_STRING_EQUAL(error->message, "nobody");
        CU_ASSERT_PTR_NOT_NULL(ferry_error_origin(error));
        e = memo_no_such_user_in(error);
        CU_ASSERT_PTR_NOT_NULL_FATAL(e);
        CU_ASSERT_EQUAL(e->id, -5);
        if (i == 0)
            CU_ASSERT_TRUE(wait_until_stored(n));
    }
    return clock_ms() - start_ms;
}

static void declared_exceptions_are_remembered(void) {
    ferry_error error = FERRY_ERROR_INIT;
    memo_user *user = NULL;
    uint64_t start_ms;
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
    do {
        uint64_t n = n_stores();

        usleep(250 * 1000);
        n_asked = times_asked();
        start_ms = clock_ms();
        for (int i = 0; i < 2; i++) {
            CU_ASSERT_EQUAL(memo_users_find(client, MEMO_FIELDLESS, &user, &error), -EREMOTEIO);
            CU_ASSERT_STRING_EQUAL(error.type, "memo.NoSuchUser");
            CU_ASSERT_TRUE(wait_until_stored(n));
        }
    } while (clock_ms() - start_ms >= 200);
    CU_ASSERT_EQUAL(times_asked(), n_asked + 1);
    ferry_error_clear(&error);
    tear_down();
}

static void other_failures_are_not_remembered(void) {
    ferry_error error = FERRY_ERROR_INIT;
    memo_user *user = NULL;
    uint64_t n;

    set_up();
    n = n_stores();
    for (int i = 1; i <= 3; i++) {
        CU_ASSERT_EQUAL(memo_users_find(client, MEMO_UNDECLARED, &user, &error), -EREMOTEIO);
        CU_ASSERT_STRING_EQUAL(error.type, "memo.Undeclared");
        /* A declared exception without cache.negative. */
        CU_ASSERT_EQUAL(memo_users_plain(client, 1, NULL, &error), -EREMOTEIO);
        CU_ASSERT_EQUAL(times_asked(), 2 * i);
    }
    CU_ASSERT_EQUAL(n_stores(), n);
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

static void a_stale_answer_is_given_while_the_handler_makes_a_new_one(void) {
    int64_t result = 0;
    uint64_t n;

    set_up();
    n = n_stores();
    CU_ASSERT_EQUAL(memo_users_stale(client, 1, &result, NULL), 0);
    CU_ASSERT_EQUAL(result, 1);
    CU_ASSERT_TRUE(wait_until_stored(n));
    usleep(50 * 1000); /* the value is fresh for 20 ms */
    CU_ASSERT_EQUAL(memo_users_stale(client, 1, &result, NULL), 0);
    CU_ASSERT_EQUAL(result, 1);
    CU_ASSERT_TRUE(wait_until_asked(2));
    CU_ASSERT_TRUE(wait_until_stored(n + 1));
    CU_ASSERT_EQUAL(memo_users_stale(client, 1, &result, NULL), 0);
    CU_ASSERT(result >= 2);
    tear_down();
}

/* ---- tags ---- */

static void a_handler_invalidates_values_at_both_ends(void) {
    memo_user *user = NULL;

    set_up();
    for (int i = 0; i < 2; i++) {
        uint64_t n = n_stores();

        CU_ASSERT_EQUAL(memo_users_find(client, 5, &user, NULL), 0);
        CU_ASSERT_STRING_EQUAL(user->name, "old");
        ferry_free(user);
        if (i == 0)
            CU_ASSERT_TRUE(wait_until_stored(n));
        CU_ASSERT_EQUAL(memo_users_find(caching, 5, &user, NULL), 0);
        CU_ASSERT_STRING_EQUAL(user->name, "old");
        ferry_free(user);
    }
    CU_ASSERT_EQUAL(times_asked(), 1);
    CU_ASSERT_EQUAL(memo_users_forget(client, "users", NULL), 0);
    /* With Redis, the client's near cache is invalidated a little later: see
     * another_client_sees_the_invalidation(). */
    for (int i = 0; i < HANG_MS; i++) {
        CU_ASSERT_EQUAL_FATAL(memo_users_find(caching, 5, &user, NULL), 0);
        if (!with_redis || strcmp(user->name, "new") == 0)
            break;
        user = ferry_free(user);
        usleep(1000);
    }
    CU_ASSERT_PTR_NOT_NULL_FATAL(user);
    CU_ASSERT_STRING_EQUAL(user->name, "new");
    ferry_free(user);
    CU_ASSERT_EQUAL(memo_users_find(client, 5, &user, NULL), 0);
    CU_ASSERT_STRING_EQUAL(user->name, "new");
    ferry_free(user);
    CU_ASSERT_EQUAL(times_asked(), 2);
    tear_down();
}

static int compare(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* When the call of `forget` returns to this client, its handler has invalidated the tags. */
static void another_client_sees_the_invalidation(void) {
    enum { TIMES = 51 };
    uint64_t took_us[TIMES];

    if (!with_redis)
        return;
    set_up();
    for (int i = 0; i < TIMES; i++) {
        int64_t before = 0, after = 0;
        uint64_t began_us;

        CU_ASSERT_EQUAL(memo_users_slow(caching, 9, &before, NULL), 0);
        CU_ASSERT_EQUAL(memo_users_slow(caching, 9, &after, NULL), 0);
        CU_ASSERT_EQUAL(before, after);
        CU_ASSERT_EQUAL(memo_users_forget(client, "slow", NULL), 0);
        began_us = clock_us();
        while (after == before && clock_us() - began_us < 60000000)
            CU_ASSERT_EQUAL(memo_users_slow(caching, 9, &after, NULL), 0);
        took_us[i] = clock_us() - began_us;
        CU_ASSERT_NOT_EQUAL(after, before);
    }
    qsort(took_us, TIMES, sizeof(*took_us), compare);
    printf("an invalidation is seen after %.2f ms at the median, %.2f ms at most\n",
           (double)took_us[TIMES / 2] / 1000, (double)took_us[TIMES - 1] / 1000);
    tear_down();
}

static void values_invalidated_while_the_handler_runs_are_not_kept(void) {
    int64_t result = 0, before = -1;

    set_up();
    CU_ASSERT_EQUAL(memo_users_slow(client, IS_OVERTAKEN, &result, NULL), 0);
    CU_ASSERT_EQUAL(result, 1);
    usleep(20000); /* time in which it could be stored by mistake */
    CU_ASSERT_EQUAL(memo_users_slow(client, IS_OVERTAKEN, &result, NULL), 0);
    CU_ASSERT_EQUAL(result, 2);
    /* A later answer is stored. */
    for (int i = 0; i < HANG_MS && result != before; i++) {
        before = result;
        usleep(1000);
        CU_ASSERT_EQUAL(memo_users_slow(client, IS_OVERTAKEN, &result, NULL), 0);
    }
    CU_ASSERT_EQUAL(result, before);
    tear_down();
}

/* ---- handlers ---- */

typedef struct Answers {
    int n, code;
    int64_t last;
} Answers;

static void on_number(int64_t result, const ferry_error *error, void *ctx) {
    Answers *answers = ctx;

    answers->n++;
    answers->last = result;
    answers->code = error ? error->code : 0;
}

static void a_deferred_answer_is_stored_too(void) {
    Answers answers = {0};
    int64_t result = 0;
    uint64_t n;

    set_up();
    n = n_stores();
    CU_ASSERT_EQUAL(memo_users_slow_async(client, DEFERS, on_number, &answers, NULL), 0);
    while (times_asked() == 0)
        ferry_process(client, NULL);
    CU_ASSERT_EQUAL(memo_users_forget(client, "", NULL), 0);
    CU_ASSERT_TRUE(process_until(client, &answers.n, 1));
    CU_ASSERT_EQUAL(answers.last, 42);
    CU_ASSERT_TRUE(wait_until_stored(n));
    CU_ASSERT_EQUAL(memo_users_slow(client, DEFERS, &result, NULL), 0);
    CU_ASSERT_EQUAL(result, 42);
    CU_ASSERT_EQUAL(times_asked(), 1);
    tear_down();
}

static void a_handler_that_forgets_to_answer_is_found_out(void) {
    ferry_error error = FERRY_ERROR_INIT;
    int64_t result = 0;

    set_up();
    CU_ASSERT(memo_users_slow(client, FORGETS, &result, &error) < 0);
    CU_ASSERT_STRING_EQUAL(error.type, "ferry.Internal");
    ferry_error_clear(&error);
    tear_down();
}

/* ---- errors ---- */

/* Stores the value of another program and calls: directly, through the cache, with a callback. */
static void call_with(ferry_bytes key, ferry_bytes value, int way) {
    Answers answers = {0};
    int64_t result = 0;

    CU_ASSERT_EQUAL(ferry_cache_set(server_cache, key, value, 0, NULL), 0);
    if (with_redis)
        usleep(5000);
    if (way == 2) {
        CU_ASSERT_EQUAL(memo_users_square_async(caching, 7, on_number, &answers, NULL), 0);
        CU_ASSERT_TRUE(process_until(client, &answers.n, 1));
        CU_ASSERT_EQUAL(answers.code, 0);
        result = answers.last;
    } else {
        CU_ASSERT_EQUAL(memo_users_square(way ? caching : client, 7, &result, NULL), 0);
    }
    CU_ASSERT_EQUAL(result, 49);
    usleep(5000);
}

static void bytes_of_others_in_the_cache_change_nothing(void) {
    enum { TRIES = 100 };
    static const struct {
        const char *bytes;
        size_t len;
    } bad[] = {{"", 0},
               {"x", 1},
               {"\x91", 1},
               {"\x91\xA1x", 3},
               {"\x91\x92", 2},
               {"\x91\x31\x31", 3},
               {"\x92\xCF", 2},
               {"\xC1\x66zzzzzzzz", 10},
               {"\x90", 1},
               {"\x91\xC0", 2},
               {"\x91\xDD\xFF\xFF\xFF\xFF", 6}};
    static const char lie[] = "\x92\xCF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"
                              "\x82\xA4type\xB0memo.NoSuchUser!\xA7message\xA1x";

    set_up();
    for (size_t i = 0; i <= sizeof(bad) / sizeof(*bad); i++) {
        bool last = i == sizeof(bad) / sizeof(*bad);
        ferry_bytes key = ferry_bytes_of(SQUARE_OF_7, sizeof(SQUARE_OF_7) - 1);
        ferry_bytes value =
            last ? ferry_bytes_of(lie, sizeof(lie) - 1) : ferry_bytes_of(bad[i].bytes, bad[i].len);

        for (int way = 0; way < 3; way++) {
            int before = times_asked(), tries = 0;

            /* The answer of the earlier call may be stored late, over this value. */
            do
                call_with(key, value, way);
            while (times_asked() == before && ++tries < TRIES);
            CU_ASSERT_EQUAL(times_asked(), before + 1);
        }
    }
    tear_down();
}

static void a_stopped_redis_does_not_stop_a_server(void) {
    Answers answers = {0};
    int64_t result = 0;

    if (!with_redis || over_cluster)
        return;
    set_up_with(MEMO_FROZEN_MS);
    CU_ASSERT_EQUAL(memo_users_square(client, 7, &result, NULL), 0);
    redis_freeze(&memo_servers.servers[0]);
    for (int i = 0; i < 5; i++) {
        CU_ASSERT_EQUAL(memo_users_slow(client, 100 + i, &result, NULL), 0);
    }
    /* While requests wait for Redis, the server handles other requests. */
    for (int i = 0; i < 10; i++)
        CU_ASSERT_EQUAL(memo_users_slow_async(client, 200 + i, on_number, &answers, NULL), 0);
    CU_ASSERT_EQUAL(memo_users_forget(client, "", NULL), 0);
    CU_ASSERT_TRUE(process_until(client, &answers.n, 10));
    CU_ASSERT_EQUAL(answers.code, 0);
    redis_unfreeze(&memo_servers.servers[0]);
    tear_down();
}

static void a_call_in_a_hurry_does_not_wait_for_redis(void) {
    enum { CACHE_MS = 60000 };
    const ferry_options options = {.timeout_ms = CACHE_MS + CACHE_MS / 2};
    ferry_client *hurried = NULL;
    int64_t result = 0;
    uint64_t start_ms;

    if (!with_redis || over_cluster)
        return;
    set_up_with(CACHE_MS);
    CU_ASSERT_EQUAL_FATAL(ferry_with(client, &options, &hurried, NULL), 0);
    redis_freeze(&memo_servers.servers[0]);
    start_ms = clock_ms();
    for (int i = 0; i < 3; i++) {
        CU_ASSERT_EQUAL(memo_users_slow(hurried, 100 + i, &result, NULL), 0);
    }
    CU_ASSERT(clock_ms() - start_ms < CACHE_MS);
    redis_unfreeze(&memo_servers.servers[0]);
    ferry_close(hurried);
    tear_down();
}

static void a_call_cancelled_before_its_handler_ran_does_not_run(void) {
    enum { CACHE_MS = 15000 };
    Answers answers = {0};
    int64_t result = 0;

    if (!with_redis || over_cluster)
        return;
    set_up_with(CACHE_MS);
    redis_freeze(&memo_servers.servers[0]);
    CU_ASSERT_EQUAL(memo_users_slow_async(caching, 100, on_number, &answers, NULL), 0);
    CU_ASSERT_EQUAL(memo_users_slow_async(client, 100, on_number, &answers, NULL), 0);
    usleep(10000);
    ferry_process(client, NULL);
    caching = ferry_close(caching);
    client = ferry_close(client);
    CU_ASSERT_EQUAL(answers.n, 2);
    /* The server has read the cancellation when it gets this call, which needs no cache. */
    client = connect_client(&broker);
    CU_ASSERT_EQUAL(memo_users_plain(client, 1, NULL, NULL), -EREMOTEIO);
    CU_ASSERT_EQUAL(times_asked(), 1);
    redis_unfreeze(&memo_servers.servers[0]);
    CU_ASSERT_EQUAL(memo_users_square(client, 7, &result, NULL), 0);
    CU_ASSERT_EQUAL(times_asked(), 2);
    tear_down();
}

static void a_stopping_server_ends_requests_that_wait_for_redis(void) {
    Answers answers = {0};

    if (!with_redis || over_cluster)
        return;
    set_up_with(MEMO_FROZEN_MS);
    redis_freeze(&memo_servers.servers[0]);
    for (int i = 0; i < 10; i++)
        CU_ASSERT_EQUAL(memo_users_slow_async(client, 100 + i, on_number, &answers, NULL), 0);
    usleep(10000);
    ferry_process(client, NULL);
    runner_stop(&runner);
    ferry_close(serving);
    runner_start(&runner, &broker, serve, NULL);
    CU_ASSERT_TRUE(process_until(client, &answers.n, 10));
    redis_unfreeze(&memo_servers.servers[0]);
    tear_down();
}

int memo_serve_suite(void) {
    CU_TestInfo tests[] = {
        TEST(clients_without_a_cache_get_answers_from_the_servers_cache),
        TEST(a_server_of_two_brokers_stores_answers_in_the_loop_of_its_program),
        TEST(calls_by_name_get_answers_from_the_cache),
        TEST(clients_find_values_that_a_server_stored),
        TEST(servers_find_values_that_a_client_stored),
        TEST(a_client_with_a_cache_of_its_own_gets_a_fresh_answer),
        TEST(a_named_instance_is_asked_itself),
        TEST(declared_exceptions_are_remembered),
        TEST(other_failures_are_not_remembered),
        TEST(an_answer_is_forgotten_after_its_ttl),
        TEST(a_stale_answer_is_given_while_the_handler_makes_a_new_one),
        TEST(a_handler_invalidates_values_at_both_ends),
        TEST(another_client_sees_the_invalidation),
        TEST(values_invalidated_while_the_handler_runs_are_not_kept),
        TEST(a_deferred_answer_is_stored_too),
        TEST(a_handler_that_forgets_to_answer_is_found_out),
        TEST(bytes_of_others_in_the_cache_change_nothing),
        TEST(a_stopped_redis_does_not_stop_a_server),
        TEST(a_call_in_a_hurry_does_not_wait_for_redis),
        TEST(a_call_cancelled_before_its_handler_ran_does_not_run),
        TEST(a_stopping_server_ends_requests_that_wait_for_redis),
        TESTS_END,
    };

    return run_suite("memoised methods, served", tests);
}
