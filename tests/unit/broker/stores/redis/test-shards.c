/* SPDX-License-Identifier: Apache-2.0 */
/* Shards that come to a broker and leave it, under the real queue router and on a real Redis. */

#include "broker/stores/redis/shards.h"

#include <poll.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "broker/queues/queues-private.h"
#include "broker/queues/shards-private.h"
#include "support/redis.h"
#include "unit/broker/queues/verbs.h"

enum {
    SHARDS = 2,
    JOBS = 3000,
    AT_ONCE = 500,
    PIECE_MAX = 512 + 1024, /* the last segment of a piece is restored as a whole */
    TURNS = 6000,
};

static RedisServer server;
static RedisShards *shards;
static Waker waker = {.fd = -1};
static int n_places;

/* One command; "@" is the name of the cluster. */
static const char *ask(const char *format) {
    char words[300], name[20], *at = words;
    static char line[200];

    snprintf(name, sizeof(name), "place%d", n_places);
    for (const char *from = format; *from && at < words + sizeof(words) - sizeof(name); from++)
        if (*from == '@')
            at += sprintf(at, "%s", name);
        else
            *at++ = *from;
    *at = '\0';
    snprintf(line, sizeof(line), "%s", redis_ask(&server, words));
    line[strcspn(line, "\r\n")] = '\0';
    return line;
}

/* ---- lives of a broker ---- */

static void begin_alone(void) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    char url[200];
    int r;

    setup();
    CU_ASSERT_EQUAL(waker_open(&waker), 0);
    snprintf(url, sizeof(url), "redis://127.0.0.1:%u?name=place%d&shards=%d&lease=1s", server.port,
             n_places, SHARDS);
    CU_ASSERT_EQUAL_FATAL(redis_shards_new(url, &shards, &error), 0);
    CU_ASSERT_EQUAL_FATAL(redis_shards_add(shards, queues), 0);
    CU_ASSERT_EQUAL_FATAL(queues_open_stores(queues, &waker, &error), 0);
    while ((r = redis_shards_check(shards, &error)) == STORE_HAS_MORE)
        continue;
    CU_ASSERT_EQUAL_FATAL(r, 0);
}

static void start(void) {
    CU_ASSERT_EQUAL_FATAL(redis_shards_start(shards, broker.id, "tcp://a:5877", NULL), 0);
}

static void join(void) {
    int i = 0;

    while (!redis_shards_join(shards) && i < TURNS)
        i++;
    CU_ASSERT(i < TURNS);
}

static void begin(void) {
    begin_alone();
    start();
    join();
}

static void end(void) {
    redis_shards_stop(shards);
    teardown();
    shards = redis_shards_free(shards);
    waker_close(&waker);
}

static void turn(void) {
    struct pollfd wake = {.fd = waker.fd, .events = POLLIN};
    bool is_readable;

    rooms_turn_end(&broker);
    is_readable = poll(&wake, 1, 10) > 0;
    waker_take(&waker, is_readable);
    redis_shards_turn(shards);
    fake_advance(&broker, 1);
    rooms_run_timers(&broker);
    rooms_turn_end(&broker);
}

/* Turns until this many shards are here. Returns the most jobs that one turn has restored. */
static size_t until_here(unsigned wanted) {
    size_t most = 0;

    for (int i = 0; i < TURNS; i++) {
        size_t before = 0, after = 0;
        unsigned n_here = 0;

        for (unsigned k = 0; k < SHARDS; k++) {
            before += queues->shards[k].store->n_jobs;
            n_here += !queues->shards[k].store->away;
        }
        if (n_here == wanted)
            return most;
        turn();
        for (unsigned k = 0; k < SHARDS; k++)
            after += queues->shards[k].store->n_jobs;
        if (after > before && after - before > most)
            most = after - before;
    }
    CU_FAIL("the shards do not move");
    return most;
}

static void until_sent(const Session *session, size_t n) {
    for (int i = 0; i < TURNS && fake_n_sent(session) < n; i++)
        turn();
    CU_ASSERT(fake_n_sent(session) >= n);
}

/* The jobs of queue q, in its shard. */
static Store *store_of_q(void) {
    return shard_of(queues, span_text("q"));
}

/* One command to the first key of the shard of q, "$". */
static const char *ask_shard(const char *format) {
    char words[200], *at = words;

    for (; *format; format++)
        if (*format == '$')
            at += sprintf(at, "ferry:{@.%u}", store_of_q()->shard - 1);
        else
            *at++ = *format;
    *at = '\0';
    return ask(words);
}

static void push_some(Session *s, uint64_t first, uint64_t n) {
    for (uint64_t id = first; id < first + n; id++)
        push(s, id, "q", "x", NULL);
    until_sent(s, n);
    for (uint64_t id = first; id < first + n; id++)
        CU_ASSERT_NOT_EQUAL(expect_ok(s, id), 0);
}

/* A broker with all shards, and two confirmed jobs. */
static Session *begin_with_two_jobs(void) {
    Session *s;

    n_places++;
    begin();
    until_here(SHARDS);
    s = fake_connect(&broker, 's');
    push_some(s, 1, 2);
    return s;
}

static void expect_two_jobs(void) {
    until_here(SHARDS);
    CU_ASSERT_EQUAL(count_of("q", "ready"), 2);
    CU_ASSERT_FALSE(queues_lost(queues));
    CU_ASSERT_FALSE(queues_broken(queues));
    end();
}

/* ---- tests ---- */

static void jobs_are_restored_in_pieces_beside_the_turns(void) {
    Session *s;
    size_t most;

    n_places++;
    begin();
    s = fake_connect(&broker, 's');
    push(s, 1, "q", "x", NULL);
    expect_error(s, 1, "ferry.Moved");
    until_here(SHARDS);
    for (uint64_t n = 0; n < JOBS; n += AT_ONCE)
        push_some(s, n + 2, AT_ONCE);
    end();
    begin();
    most = until_here(SHARDS);
    CU_ASSERT(most > 0 && most <= PIECE_MAX);
    CU_ASSERT_EQUAL(count_of("q", "ready"), JOBS);
    end();
}

static void a_shard_that_another_broker_has_taken_leaves_and_comes_back(void) {
    Session *s = begin_with_two_jobs();

    ask_shard("HSET $ token 999-0");
    push(s, 3, "q", "lost", NULL);
    until_here(SHARDS - 1);
    expect_error(s, 3, "ferry.Moved");
    CU_ASSERT_TRUE(store_of_q()->away);
    expect_two_jobs();
}

static void a_shard_of_which_redis_lost_changes_is_read_again(void) {
    Session *s = begin_with_two_jobs();

    ask_shard("HSET $ pushes 0 releases 0");
    push(s, 3, "q", "lost", NULL);
    until_here(SHARDS - 1);
    expect_error(s, 3, "ferry.Moved");
    expect_two_jobs();
}

static void a_shard_whose_lease_may_be_over_leaves(void) {
    Session *s = begin_with_two_jobs();

    redis_freeze(&server);
    push(s, 3, "q", "waits", NULL);
    until_here(0);
    expect_error(s, 3, "ferry.Moved");
    redis_unfreeze(&server);
    until_here(SHARDS);
    /* Redis may have applied the push before it was frozen for good. */
    CU_ASSERT(count_of("q", "ready") >= 2);
    end();
}

static void a_shard_whose_data_is_gone_is_not_made_anew(void) {
    Session *s = begin_with_two_jobs();

    /* The list of members says that the shard exists. */
    for (int i = 0; i < TURNS && strcmp(ask("HSTRLEN ferry:{@}:cluster made"), ":5") != 0; i++)
        turn();
    ask_shard("DEL $ $:segments $:order $:pushes");
    push(s, 3, "q", "lost", NULL);
    until_here(SHARDS - 1);
    expect_error(s, 3, "ferry.Moved");
    for (int i = 0; i < TURNS && !*store_of_q()->degraded; i++)
        turn();
    CU_ASSERT_PTR_NOT_NULL(strstr(store_of_q()->degraded, "it was there before"));
    CU_ASSERT_STRING_EQUAL(ask_shard("EXISTS $"), ":0");
    end();
}

#define OTHER "00000000000000000000000000000001"

static void a_new_member_gets_its_share_and_a_lost_one_leaves_it(void) {
    Session *s = begin_with_two_jobs();
    unsigned given;

    /* A later ferry may have added the last word. */
    ask("HSET ferry:{@}:members " OTHER " \"99999999999999 tcp://x:1 later\"");
    until_here(SHARDS - 1);
    given = queues->shards[0].store->away ? 0 : 1;
    /* The lease was given back: until is "0". */
    CU_ASSERT_STRING_EQUAL(
        ask(given == 0 ? "HSTRLEN ferry:{@.0} until" : "HSTRLEN ferry:{@.1} until"), ":1");
    CU_ASSERT_FALSE(queues->shards[given].store->owner.is_known);
    ask(given == 0 ? "HSET ferry:{@}:members " OTHER " \"99999999999999 tcp://x:1 0\""
                   : "HSET ferry:{@}:members " OTHER " \"99999999999999 tcp://x:1 1\"");
    for (int i = 0; i < TURNS && !queues->shards[given].store->owner.is_known; i++)
        turn();
    CU_ASSERT_STRING_EQUAL(queues->shards[given].store->owner.url, "tcp://x:1");
    ask("HDEL ferry:{@}:members " OTHER);
    fake_drop(s);
    expect_two_jobs();
}

/* It would not know the binds of the other brokers. */
static void a_broker_does_not_join_while_redis_is_silent(void) {
    enum { LOOKS = 35 };

    begin_alone();
    redis_freeze(&server);
    start();
    for (int i = 0; i < LOOKS; i++)
        CU_ASSERT_FALSE(redis_shards_join(shards));
    redis_unfreeze(&server);
    join();
    until_here(SHARDS);
    end();
}

/* The clock of Redis was set back: the entry has not ended. */
static void a_member_that_does_not_write_its_entry_is_gone(void) {
    n_places++;
    ask("HSET ferry:{@}:members " OTHER " \"99999999999999 tcp://x:1 0\"");
    begin();
    until_here(SHARDS - 1);
    CU_ASSERT_TRUE(queues->shards[0].store->away);
    until_here(SHARDS);
    end();
}

static void a_broker_that_leaves_gives_all_leases_back(void) {
    begin_with_two_jobs();
    redis_shards_leave(shards);
    for (int i = 0; i < TURNS && redis_shards_n_left(shards) > 0; i++)
        turn();
    CU_ASSERT_EQUAL(redis_shards_n_left(shards), 0);
    CU_ASSERT_STRING_EQUAL(ask("HSTRLEN ferry:{@.0} until"), ":1");
    CU_ASSERT_STRING_EQUAL(ask("HSTRLEN ferry:{@.1} until"), ":1");
    end();
    CU_ASSERT_STRING_EQUAL(ask("HLEN ferry:{@}:members"), ":0");
}

static uint64_t served_ms[SHARDS];

static void on_here(unsigned shard, uint64_t ms, void *ctx) {
    (void)ctx;
    served_ms[shard] = ms;
}

static void begin_to_note_served(void) {
    begin();
    memset(served_ms, 0xFF, sizeof(served_ms));
    redis_shards_relay(shards)->values.on_here = on_here;
    until_here(SHARDS);
}

/* The clocks of Redis and of the broker are compared through a busy machine. */
static void the_next_broker_knows_until_when_a_shard_was_served(void) {
    enum { SLACK_MS = 5000 };
    uint64_t from_ms, to_ms;

    n_places++;
    begin_to_note_served();
    for (unsigned k = 0; k < SHARDS; k++)
        CU_ASSERT_EQUAL(served_ms[k], 0);
    from_ms = clock_ms();
    redis_shards_leave(shards);
    for (int i = 0; i < TURNS && redis_shards_n_left(shards) > 0; i++)
        turn();
    to_ms = clock_ms();
    end();
    begin_to_note_served();
    for (unsigned k = 0; k < SHARDS; k++)
        CU_ASSERT(served_ms[k] + SLACK_MS >= from_ms && served_ms[k] <= to_ms + SLACK_MS);
    end();
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(jobs_are_restored_in_pieces_beside_the_turns),
        TEST(a_shard_that_another_broker_has_taken_leaves_and_comes_back),
        TEST(a_shard_of_which_redis_lost_changes_is_read_again),
        TEST(a_shard_whose_lease_may_be_over_leaves),
        TEST(a_shard_whose_data_is_gone_is_not_made_anew),
        TEST(a_new_member_gets_its_share_and_a_lost_one_leaves_it),
        TEST(a_broker_does_not_join_while_redis_is_silent),
        TEST(a_member_that_does_not_write_its_entry_is_gone),
        TEST(a_broker_that_leaves_gives_all_leases_back),
        TEST(the_next_broker_knows_until_when_a_shard_was_served),
        TESTS_END,
    };
    int status;

    if (!redis_available())
        return EXIT_SKIPPED;
    log_level = LOG_LEVEL_ERROR;
    redis_start(&server, NULL);
    status = run_suite("broker stores: shards in Redis", tests);
    redis_stop(&server);
    return status;
}
