/* SPDX-License-Identifier: Apache-2.0 */
/* The store in Redis under the real queue router: what Redis confirmed comes back. */

#include "unit/broker/stores/redis-life.h"
#include "unit/broker/stores/survival.h"

/* ---- the data ---- */

/* The next begin() fails, with this text. */
static void refuses(const char *because) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;

    CU_ASSERT(try_begin(&error) < 0);
    CU_ASSERT_PTR_NOT_NULL_FATAL(error.message);
    if (!strstr(error.message, because))
        printf("%s\n", error.message);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, because));
    stop();
}

static void store_two(void) {
    Session *s;

    new_place();
    begin();
    s = fake_connect(&broker, 's');
    push(s, 1, "q", "one", NULL);
    push(s, 2, "q", "two", NULL);
    until_sent(s, 2);
    stop();
}

static void redis_has_what_is_left_and_no_more(void) {
    uint64_t job;
    Session *s;

    store_two();
    CU_ASSERT_EQUAL(jobs_in_redis(), 2);
    /* One member for consecutive pushes of one call. */
    CU_ASSERT(atoi(ask("ZCARD @:pushes") + 1) <= 2);
    begin();
    s = fake_connect(&broker, 's');
    pull(s, 1, "q", 2);
    expect_ok(s, 1);
    job = expect_job(s, 1, "one", 1);
    expect_job(s, 1, "two", 1);
    retry(s, 2, job, 1, 50, "again");
    expect_ok(s, 2);
    wait_ms(60);
    expect_job(s, 1, "one", 2);
    ack(s, 3, job, 2);
    until_sent(s, 1);
    expect_ok(s, 3);
    stop();
    CU_ASSERT_EQUAL(jobs_in_redis(), 1);
    /* The note of the finished job was deleted with the job. The other job was delivered, so it has
     * a note. */
    CU_ASSERT_STRING_EQUAL(ask("HLEN @:notes"), ":1");
}

static void no_note_outlives_its_job(void) {
    Session *s;

    new_place();
    begin();
    s = fake_connect(&broker, 's');
    push(s, 1, "q", "one", NULL);
    push(s, 2, "q", "two", NULL);
    push(s, 3, "q", "three", NULL);
    until_sent(s, 3);
    fake_drop(s);
    pull(s, 4, "q", 3);
    expect_ok(s, 4);
    /* All in one batch: the notes of three deliveries, and their ends. */
    forward(s, 5, expect_job(s, 4, "one", 1), 1, "r", "done");
    ack(s, 6, expect_job(s, 4, "two", 1), 1);
    retry(s, 7, expect_job(s, 4, "three", 1), 1, 3600000, "later");
    until_sent(s, 3);
    stop();
    CU_ASSERT_EQUAL(jobs_in_redis(), 2);
    CU_ASSERT_STRING_EQUAL(ask("HLEN @:notes"), ":1");
    begin();
    CU_ASSERT_EQUAL(count_of("q", "delayed"), 1);
    stop();
}

static void data_of_another_id_is_refused(void) {
    store_two();
    strcpy(url_more, "&id=00000000000000000000000000000000");
    refuses("belongs to other data");
    *url_more = '\0';
    CU_ASSERT_EQUAL(jobs_in_redis(), 2);
}

static void an_emptied_redis_is_refused_if_the_url_has_an_id(void) {
    store_two();
    CU_ASSERT_STRING_EQUAL(ask("HSTRLEN @ id"), ":32");
    ask("DEL @ @:segments @:order @:pushes @:notes");
    strcpy(url_more, "&id=00000000000000000000000000000000");
    refuses("it was emptied, or is another Redis");
    *url_more = '\0';
    CU_ASSERT_STRING_EQUAL(ask("EXISTS @"), ":0");
}

static void half_of_the_data_is_refused(void) {
    store_two();
    ask("DEL @");
    refuses("a part of the data was deleted or restored");
    CU_ASSERT_EQUAL(jobs_in_redis(), 2);
}

static void a_format_of_a_newer_ferry_is_refused(void) {
    store_two();
    ask("HSET @ format 3");
    refuses("has format 3");
}

static void a_key_of_another_program_is_refused(void) {
    new_place();
    ask("SET @ text");
    refuses("WRONGTYPE");
}

static void a_damaged_record_is_refused(void) {
    store_two();
    ask("HSET @:segments 9 nonsense");
    ask("ZADD @:order 9 9");
    refuses("is damaged");
}

/* ---- while the broker runs ---- */

static void until_degraded(bool wanted) {
    for (int i = 0; i < 2000 && !queues_degraded(queues) == wanted; i++)
        turn(10);
    CU_ASSERT_EQUAL(queues_degraded(queues) != NULL, wanted);
}

static Session *begin_with_one_job(void) {
    Session *s;

    new_place();
    begin();
    s = fake_connect(&broker, 's');
    push(s, 1, "q", "one", NULL);
    until_sent(s, 1);
    fake_drop(s);
    return s;
}

/* Redis does not confirm the next pushes; jobs in memory are delivered; then all is confirmed. */
static void expect_reads_without_writes(Session *s, const char *reason) {
    push(s, 2, "q", "two", NULL);
    until_degraded(true);
    CU_ASSERT_PTR_NOT_NULL_FATAL(queues_degraded(queues));
    if (!strstr(queues_degraded(queues), reason))
        printf("%s\n", queues_degraded(queues));
    CU_ASSERT_PTR_NOT_NULL(strstr(queues_degraded(queues), reason));
    expect_nothing(s);
    pull(s, 3, "q", 1);
    expect_ok(s, 3);
    expect_job(s, 3, "one", 1);
    push(s, 4, "q", "refused", NULL);
    expect_error(s, 4, "ferry.Overloaded");
}

static void expect_all_confirmed(Session *s) {
    until_sent(s, 1);
    expect_ok(s, 2);
    until_degraded(false);
    push(s, 5, "q", "five", NULL);
    until_sent(s, 1);
    expect_ok(s, 5);
    crash();
    begin();
    CU_ASSERT_EQUAL(count_of("q", "ready") + count_of("q", "held"), 3);
    stop();
}

static void a_frozen_redis_confirms_later(void) {
    Session *s = begin_with_one_job();

    redis_freeze(&server);
    expect_reads_without_writes(s, "no answer in time");
    redis_unfreeze(&server);
    expect_all_confirmed(s);
}

static void a_forwarded_job_waits_for_redis_like_an_acknowledgement(void) {
    Session *s = begin_with_one_job();
    uint64_t job;

    pull(s, 2, "q", 1);
    expect_ok(s, 2);
    job = expect_job(s, 2, "one", 1);
    redis_freeze(&server);
    push(s, 3, "q", "two", NULL);
    until_degraded(true);
    forward(s, 4, job, 1, "r", "done");
    turn(10);
    expect_nothing(s);
    redis_unfreeze(&server);
    until_sent(s, 3);
    expect_ok(s, 3);
    expect_job(s, 2, "two", 1);
    expect_ok(s, 4);
    CU_ASSERT_EQUAL(count_of("r", "ready"), 1);
    stop();
    CU_ASSERT_EQUAL(jobs_in_redis(), 2);
}

static void a_replica_confirms_when_it_is_master_again(void) {
    Session *s = begin_with_one_job();

    ask("REPLICAOF 127.0.0.1 1");
    expect_reads_without_writes(s, "READONLY");
    ask("REPLICAOF NO ONE");
    expect_all_confirmed(s);
}

static void a_full_redis_refuses_pushes_and_takes_acknowledgements(void) {
    Session *s = begin_with_one_job();
    uint64_t job;

    pull(s, 2, "q", 1);
    expect_ok(s, 2);
    job = expect_job(s, 2, "one", 1);
    ask("CONFIG SET maxmemory 1");
    push(s, 3, "q", "two", NULL);
    until_sent(s, 1);
    expect_error(s, 3, "ferry.Full");
    until_degraded(true);
    ack(s, 4, job, 1);
    until_sent(s, 1);
    expect_ok(s, 4);
    push(s, 5, "q", "three", NULL);
    expect_error(s, 5, "ferry.Full");
    CU_ASSERT_EQUAL(jobs_in_redis(), 0);
    ask("CONFIG SET maxmemory 0");
    until_degraded(false); /* by itself */
    push(s, 6, "q", "four", NULL);
    until_sent(s, 1);
    expect_ok(s, 6);
    stop();
    CU_ASSERT_EQUAL(jobs_in_redis(), 1);
}

static void a_script_that_redis_forgot_is_sent_again(void) {
    Session *s = begin_with_one_job();

    ask("SCRIPT FLUSH");
    push(s, 2, "q", "two", NULL);
    until_sent(s, 1);
    expect_ok(s, 2);
    stop();
    CU_ASSERT_EQUAL(jobs_in_redis(), 2);
}

static void nothing_is_confirmed_without_the_replicas_of_wait(void) {
    Session *s;

    new_place();
    begin();
    stop();
    begin();
    s = fake_connect(&broker, 's');
    ((RedisQueues *)redis)->link.n_wait = 1;
    push(s, 1, "q", "one", NULL);
    until_degraded(true);
    CU_ASSERT_PTR_NOT_NULL_FATAL(queues_degraded(queues));
    CU_ASSERT_PTR_NOT_NULL(strstr(queues_degraded(queues), "0 of 1 replicas"));
    expect_nothing(s);
    crash();
}

static void expect_broken(Session *s, const char *reason) {
    push(s, 2, "q", "two", NULL);
    until_degraded(true);
    CU_ASSERT_PTR_NOT_NULL_FATAL(queues_degraded(queues));
    CU_ASSERT_PTR_NOT_NULL(strstr(queues_degraded(queues), reason));
    CU_ASSERT_TRUE(queues_broken(queues));
    expect_nothing(s);
    push(s, 3, "q", "three", NULL);
    expect_error(s, 3, "ferry.Internal");
}

static void a_redis_that_is_emptied_meanwhile_gets_nothing(void) {
    Session *s = begin_with_one_job();

    ask("DEL @ @:segments @:order @:pushes");
    expect_broken(s, "the data of the queues is gone");
    stop();
    CU_ASSERT_STRING_EQUAL(ask("EXISTS @ @:segments"), ":0");
}

static void a_redis_that_lost_confirmed_changes_gets_nothing(void) {
    Session *s = begin_with_one_job();

    ask("HSET @ pushes 0");
    expect_broken(s, "Redis has lost changes");
    stop();
    CU_ASSERT_EQUAL(jobs_in_redis(), 1);
}

static void a_broker_that_lost_its_lease_writes_nothing(void) {
    Session *s = begin_with_one_job();

    CU_ASSERT_FALSE(queues_lost(queues));
    ask("HSET @ token 999-0");
    expect_broken(s, "another broker");
    CU_ASSERT_TRUE(queues_lost(queues));
    stop();
    CU_ASSERT_EQUAL(jobs_in_redis(), 1);
}

static const char *const kept[] = {"", ":segments", ":order", ":ended", ":pushes", ":notes"};

/* Copies the keys of the space: "from" and "to" are their beginnings. */
static void copy_all(const char *from, const char *to) {
    char words[100];

    for (size_t i = 0; i < sizeof(kept) / sizeof(*kept); i++) {
        snprintf(words, sizeof(words), "DEL %s%s", to, kept[i]);
        ask(words);
        snprintf(words, sizeof(words), "COPY %s%s %s%s", from, kept[i], to, kept[i]);
        ask(words);
    }
}

static void a_redis_restored_from_an_old_dump_gets_nothing(void) {
    Session *s = begin_with_one_job();

    copy_all("@", "dump");
    s = fake_connect(&broker, 's');
    push(s, 11, "q", "later", NULL);
    until_sent(s, 1);
    expect_ok(s, 11);
    copy_all("dump", "@");
    expect_broken(s, "Redis has lost changes");
    stop();
    CU_ASSERT_EQUAL(jobs_in_redis(), 1);
    /* The next start has what the dump has, and no number is used again. */
    begin();
    CU_ASSERT_EQUAL(count_of("q", "ready"), 1);
    stop();
}

/* Begins to restore a second store of the space, until the lease is taken. Returns the number of
 * looks at the lease of another broker. */
static int take_over(void) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    Store *second = NULL;
    int n = 0;

    CU_ASSERT_EQUAL_FATAL(store_redis_new(url, &second, NULL), 0);
    second->ctx = queues;
    CU_ASSERT_EQUAL_FATAL(second->ops->open(second, &waker, &error), 0);
    while (n < 1000 && second->ops->restore(second, 1, &error) == STORE_HAS_MORE &&
           !((RedisQueues *)second)->restoring.has_lease)
        n++;
    CU_ASSERT_TRUE(((RedisQueues *)second)->restoring.has_lease);
    second->ops->close(second);
    store_redis_free(second);
    return n;
}

static void a_lease_that_redis_has_lost_is_not_valid_again(void) {
    Session *s;

    new_place();
    begin();
    stop();
    copy_all("@", "dump");
    begin();
    s = fake_connect(&broker, 's');
    /* Redis forgets the lease, and the next one has its number. */
    copy_all("dump", "@");
    take_over();
    expect_broken(s, "another broker");
    CU_ASSERT_TRUE(queues_lost(queues));
    stop();
    CU_ASSERT_EQUAL(jobs_in_redis(), 0);
}

static void a_lease_ends_also_when_the_clock_of_redis_was_set_back(void) {
    strcpy(url_more, "&lease=1s");
    begin_with_one_job();
    /* The holder of this lease is dead. */
    ask("HSET @ token 999-0 holder other until 99999999999999");
    CU_ASSERT(take_over() > 0);
    stop();
    *url_more = '\0';
}

static void a_second_broker_waits_for_the_lease(void) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    Store *second = NULL;

    begin_with_one_job();
    CU_ASSERT_EQUAL(store_redis_new(url, &second, NULL), 0);
    second->ctx = queues;
    CU_ASSERT_EQUAL(second->ops->open(second, &waker, &error), 0);
    CU_ASSERT_EQUAL(second->ops->restore(second, 1, &error), STORE_HAS_MORE);
    CU_ASSERT_FALSE(((RedisQueues *)second)->restoring.has_lease);
    stop();
    for (int i = 0; i < 1000 && !((RedisQueues *)second)->restoring.has_lease; i++)
        CU_ASSERT_EQUAL(second->ops->restore(second, 1, &error), STORE_HAS_MORE);
    CU_ASSERT_TRUE(((RedisQueues *)second)->restoring.has_lease);
    second->ops->close(second);
    store_redis_free(second);
    /* It gave the lease back, although it had not read everything: until is "0". */
    CU_ASSERT_STRING_EQUAL(ask("HSTRLEN @ until"), ":1");
}

static void a_lease_that_was_given_back_is_not_prolonged(void) {
    strcpy(url_more, "&lease=1s");
    begin_with_one_job();
    ask("CLIENT PAUSE 500"); /* a third of the lease passes before its end is written */
    stop();
    CU_ASSERT_STRING_EQUAL(ask("HSTRLEN @ until"), ":1");
    *url_more = '\0';
}

/* ---- the URL ---- */

static void settings_of_the_store_are_taken_from_the_url(void) {
    CLEANUP(redis_options_deinit) RedisStoreOptions options = {0};

    CU_ASSERT_EQUAL_FATAL(
        redis_options_parse("redis://:secret@h:1/2?lease=3s&name=a-b&wait=2&shards=8", &options,
                            NULL),
        0);
    CU_ASSERT_STRING_EQUAL(options.name, "a-b");
    CU_ASSERT_EQUAL(options.n_wait, 2);
    CU_ASSERT_EQUAL(options.n_shards, 8);
    CU_ASSERT_EQUAL(options.lease_ms, 3000);
    CU_ASSERT_EQUAL(options.url.db, 2);
    CU_ASSERT_EQUAL(options.url.hosts[0].port, 1);
    redis_options_deinit(&options);
    /* Settings of the connection stay in the URL. */
    CU_ASSERT_EQUAL_FATAL(redis_options_parse("redis+unix:///run/r?name=x&db=3", &options, NULL),
                          0);
    CU_ASSERT_STRING_EQUAL(options.name, "x");
    CU_ASSERT_EQUAL(options.url.db, 3);
}

static void wrong_urls_are_refused(void) {
    static const char *const wrong[][2] = {
        {"redis://h?name=", "'name='"},      {"redis://h?name=a%20b", "'name='"},
        {"redis://h?wait=x", "'wait='"},     {"redis://h?lease=1ms", "'lease='"},
        {"redis://h?shards=1", "'shards='"}, {"redis://h?shards=63", "'shards='"},
        {"redis://h?id=12", "'id='"},        {"redis://h?nome=x", "after '?'"},
        {"redis://h,i", "several hosts"},    {"memory://", "not a store"},
        {"http://h", "is not a cache"},      {"redis+cluster://h/1", "no databases"},
    };

    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
        RedisStoreOptions options = {0};

        CU_ASSERT(redis_options_parse(wrong[i][0], &options, &error) < 0);
        CU_ASSERT_PTR_NOT_NULL_FATAL(error.message);
        if (!strstr(error.message, wrong[i][1]))
            printf("%s: %s\n", wrong[i][0], error.message);
        CU_ASSERT_PTR_NOT_NULL(strstr(error.message, wrong[i][1]));
    }
}

int main(void) {
    CU_TestInfo tests[] = {
        SURVIVAL_TESTS,
        TEST(redis_has_what_is_left_and_no_more),
        TEST(no_note_outlives_its_job),
        TEST(data_of_another_id_is_refused),
        TEST(an_emptied_redis_is_refused_if_the_url_has_an_id),
        TEST(half_of_the_data_is_refused),
        TEST(a_format_of_a_newer_ferry_is_refused),
        TEST(a_key_of_another_program_is_refused),
        TEST(a_damaged_record_is_refused),
        TEST(a_frozen_redis_confirms_later),
        TEST(a_forwarded_job_waits_for_redis_like_an_acknowledgement),
        TEST(a_replica_confirms_when_it_is_master_again),
        TEST(a_full_redis_refuses_pushes_and_takes_acknowledgements),
        TEST(a_script_that_redis_forgot_is_sent_again),
        TEST(nothing_is_confirmed_without_the_replicas_of_wait),
        TEST(a_redis_that_is_emptied_meanwhile_gets_nothing),
        TEST(a_redis_that_lost_confirmed_changes_gets_nothing),
        TEST(a_broker_that_lost_its_lease_writes_nothing),
        TEST(a_redis_restored_from_an_old_dump_gets_nothing),
        TEST(a_lease_that_redis_has_lost_is_not_valid_again),
        TEST(a_lease_ends_also_when_the_clock_of_redis_was_set_back),
        TEST(a_second_broker_waits_for_the_lease),
        TEST(a_lease_that_was_given_back_is_not_prolonged),
        TEST(settings_of_the_store_are_taken_from_the_url),
        TEST(wrong_urls_are_refused),
        TESTS_END,
    };
    int r;

    if (!redis_available())
        return EXIT_SKIPPED;
    log_level = LOG_LEVEL_ERROR;
    redis_start(&server, NULL);
    r = run_suite("broker stores: Redis", tests);
    redis_stop(&server);
    return r;
}
