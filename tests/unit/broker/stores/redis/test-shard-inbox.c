/* SPDX-License-Identifier: Apache-2.0 */
/* Entries of an inbox in Redis become jobs and leave Redis in one step. */

#include "broker/stores/redis/shard-inbox.h"

#include "broker/queues/inbox-entry.h"
#include "unit/broker/stores/redis-life.h"

static RedisQueues *store(void) {
    return redis_of(redis);
}

/* Puts an entry with this id into the inbox, as far as deleting it needs it. */
static void put_in_redis(const char *id) {
    char words[100];

    snprintf(words, sizeof(words), "XADD @:inbox %s e x", id);
    CU_ASSERT_EQUAL(*ask(words), '$');
}

static int n_in_redis(void) {
    return atoi(ask("XLEN @:inbox") + 1);
}

/* The broker has read the entry. */
static void read_bytes(const char *id, Span data) {
    Reply *reply = calloc(1, sizeof(*reply) + 2 * sizeof(Reply *));
    Reply first = {.type = REPLY_STRING, .bytes = {.data = id, .len = strlen(id)}};
    Reply second = {.type = REPLY_STRING, .bytes = {.data = data.data, .len = data.len}};

    CU_ASSERT_PTR_NOT_NULL_FATAL(reply);
    reply->n = 2;
    reply->elements[0] = &first;
    reply->elements[1] = &second;
    CU_ASSERT_TRUE(shard_inbox_add(&store()->inbox, reply));
    free(reply);
}

static void read_entry(const char *id, const char *body) {
    CLEANUP(buffer_deinit) Buffer bytes = {0};
    Span names[] = {span_text("a"), span_text("b")};
    Message message = {.op = OP_PUBLISH, .name = span_text("t"), .body = span_text(body)};

    inbox_entry_write(&bytes, names, 2, &message);
    read_bytes(id, span_of(bytes.data, bytes.len));
}

static void until_taken(void) {
    for (int i = 0; i < 6000 && store()->inbox.n > 0; i++) {
        shard_inbox_turn(store(), queues);
        turn(10);
    }
    CU_ASSERT_EQUAL(store()->inbox.n, 0);
}

static void an_entry_leaves_redis_with_its_jobs(void) {
    new_place();
    begin();
    for (int i = 1; i <= 3; i++) {
        char id[8];

        snprintf(id, sizeof(id), "1-%d", i);
        put_in_redis(id);
        read_entry(id, id);
    }
    until_taken();
    CU_ASSERT_EQUAL(n_in_redis(), 0);
    CU_ASSERT_EQUAL(jobs_in_redis(), 6);
    stop();
    begin();
    CU_ASSERT_EQUAL(count_of("a", "ready"), 3);
    CU_ASSERT_EQUAL(count_of("b", "ready"), 3);
    stop();
}

static void a_broker_that_is_killed_leaves_the_entry_or_the_jobs(void) {
    new_place();
    begin();
    put_in_redis("1-1");
    read_entry("1-1", "x");
    CU_ASSERT_FALSE(shard_inbox_turn(store(), queues)); /* the call has not begun */
    crash();
    CU_ASSERT_EQUAL(n_in_redis(), 1);
    CU_ASSERT_EQUAL(jobs_in_redis(), 0);
    begin();
    read_entry("1-1", "x");
    until_taken();
    crash();
    CU_ASSERT_EQUAL(n_in_redis(), 0);
    CU_ASSERT_EQUAL(jobs_in_redis(), 2);
}

static void an_entry_waits_while_redis_is_full(void) {
    new_place();
    begin();
    put_in_redis("1-1");
    read_entry("1-1", "x");
    ask("CONFIG SET maxmemory 1");
    for (int i = 0; i < 6000 && store()->state != WRITER_FULL; i++) {
        shard_inbox_turn(store(), queues);
        turn(10);
    }
    CU_ASSERT_EQUAL(store()->state, WRITER_FULL);
    CU_ASSERT_EQUAL(store()->inbox.n, 1);
    CU_ASSERT_EQUAL(n_in_redis(), 1);
    CU_ASSERT_EQUAL(jobs_in_redis(), 0);
    ask("CONFIG SET maxmemory 0");
    until_taken();
    CU_ASSERT_EQUAL(n_in_redis(), 0);
    CU_ASSERT_EQUAL(count_of("a", "ready"), 1);
    stop();
}

static void an_entry_that_cannot_be_read_stays(void) {
    new_place();
    begin();
    put_in_redis("1-1");
    put_in_redis("1-2");
    read_bytes("1-1", span_text("wrong"));
    read_entry("1-2", "x");
    for (int i = 0; i < 6000 && store()->inbox.n > 1; i++) {
        shard_inbox_turn(store(), queues);
        turn(10);
    }
    CU_ASSERT_EQUAL(store()->inbox.n, 1);
    CU_ASSERT_EQUAL(n_in_redis(), 1);
    CU_ASSERT_EQUAL(count_of("a", "ready"), 1);
    stop();
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(an_entry_leaves_redis_with_its_jobs),
        TEST(a_broker_that_is_killed_leaves_the_entry_or_the_jobs),
        TEST(an_entry_waits_while_redis_is_full),
        TEST(an_entry_that_cannot_be_read_stays),
        TESTS_END,
    };
    int status;

    if (!redis_available())
        return EXIT_SKIPPED;
    log_level = LOG_LEVEL_ERROR;
    redis_start(&server, NULL);
    status = run_suite("broker/stores/redis shard-inbox", tests);
    redis_stop(&server);
    return status;
}
