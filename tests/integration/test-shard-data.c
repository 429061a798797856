/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Active brokers that share the queues in Redis, and a Redis that does not have their data any
 * more: it was emptied, restored from an old dump, taken by another cluster, converted by a later
 * ferry, or is away; and a URL that lists brokers of two clusters. The brokers say so, and write
 * nothing.
 */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ferry/ferry.h>

#include "base/clock.h"
#include "support/faults.h"
#include "support/process.h"
#include "support/redis.h"
#include "support/suite.h"

enum { BROKERS = 2, SHARDS = 4, QUEUES = 8, LOOK_MS = 20, TIMEOUT_MS = 1000 };

static RedisServer redis;
static Daemon brokers[BROKERS + 1]; /* the last one belongs to another cluster */
static char urls[400];              /* of the first ones */

/* ---- brokers ---- */

static void start_broker(unsigned i, const char *settings) {
    char config[200];

    snprintf(config, sizeof(config), "[broker]\nstore = redis://127.0.0.1:%u?%s\n", redis.port,
             settings);
    daemon_start(&brokers[i], &(DaemonOptions){.tcp = true, .config = config, .level = "info"});
}

static unsigned n_shards_of(unsigned broker, unsigned n_shards) {
    char words[60];
    unsigned n = 0;

    for (unsigned k = 0; k < n_shards; k++) {
        const char *at;

        snprintf(words, sizeof(words), "HGET ferry:{s.%u} holder", k);
        at = strstr(redis_ask(&redis, words), "process ");
        n += at && atoi(at + strlen("process ")) == brokers[broker].process.pid;
    }
    return n;
}

static void until_shards(unsigned broker, unsigned wanted, unsigned n_shards) {
    uint64_t until_ms = clock_ms() + PATIENCE_MS;

    while (n_shards_of(broker, n_shards) != wanted && clock_ms() < until_ms)
        sleep_ms(LOOK_MS);
    CU_ASSERT(clock_ms() < until_ms);
}

static void until_logged(const Daemon *broker, const char *text, size_t wanted) {
    uint64_t until_ms = clock_ms() + PATIENCE_MS;

    while (daemon_log_lines(broker, text) < wanted && clock_ms() < until_ms)
        sleep_ms(LOOK_MS);
    CU_ASSERT(clock_ms() < until_ms);
}

#define LEASE "name=s&shards=4&lease=2s"

/* Both brokers have their shards. */
static void begin(void) {
    redis_start(&redis, NULL);
    for (unsigned i = 0; i < BROKERS; i++)
        start_broker(i, LEASE);
    snprintf(urls, sizeof(urls), "%s,%s", brokers[0].url, brokers[1].url);
    for (unsigned i = 0; i < BROKERS; i++)
        until_shards(i, SHARDS / BROKERS, SHARDS);
}

static void end(void) {
    for (unsigned i = 0; i <= BROKERS; i++) {
        if (*brokers[i].folder)
            daemon_end(&brokers[i]);
        brokers[i] = (Daemon){0};
    }
    redis_stop(&redis);
}

static unsigned n_occurrences(ferry_bytes in, const char *word) {
    const char *at = in.data, *end = at + in.len;
    unsigned n = 0;

    while ((at = memmem(at, (size_t)(end - at), word, strlen(word)))) {
        n++;
        at++;
    }
    return n;
}

/* Waits until each broker knows which shards the other one has. */
static void until_owners_are_known(void) {
    uint64_t until_ms = clock_ms() + PATIENCE_MS;

    for (unsigned i = 0; i < BROKERS; i++) {
        ferry_client *client = open_with(brokers[i].url, NULL);
        unsigned n = 0;

        while (n != SHARDS / BROKERS && clock_ms() < until_ms) {
            ferry_reply *reply = NULL;

            sleep_ms(LOOK_MS);
            n = 0;
            if (ferry_call(client, "ferry.Broker.shards", ferry_str("\x90"), &reply, NULL) == 0)
                n = n_occurrences(reply->body, "elsewhere");
            ferry_free(reply);
        }
        ferry_close(client);
    }
    CU_ASSERT(clock_ms() < until_ms);
}

/* ---- jobs ---- */

static int push_to(ferry_client *client, unsigned queue, const char *body, ferry_error *reterr) {
    char name[16];

    snprintf(name, sizeof(name), "q%u", queue);
    return ferry_push(client, name, ferry_str(body), NULL, reterr);
}

/* A job with this body in each queue. */
static void push_all(const char *body) {
    ferry_client *client = open_with(urls, NULL);

    for (unsigned i = 0; i < QUEUES; i++)
        CU_ASSERT_EQUAL(push_to(client, i, body, NULL), 0);
    ferry_close(client);
}

/* No broker accepts a job, and the error has this reason, as soon as the client knows it. */
static void expect_no_push(const char *reason) {
    ferry_client *client = open_with(urls, &(ferry_options){.timeout_ms = TIMEOUT_MS});
    uint64_t until_ms = clock_ms() + PATIENCE_MS;

    for (unsigned i = 0; i < QUEUES; i++) {
        ferry_error error = FERRY_ERROR_INIT;
        bool is_named;

        do {
            CU_ASSERT(push_to(client, i, "lost", &error) < 0);
            is_named = strstr(error.message, reason) != NULL;
            ferry_error_clear(&error);
        } while (!is_named && clock_ms() < until_ms);
        CU_ASSERT_TRUE(is_named);
    }
    ferry_close(client);
}

/* No retained value is accepted, either. */
static void expect_no_value(const char *reason) {
    ferry_client *client = open_with(urls, NULL);
    ferry_error error = FERRY_ERROR_INIT;

    CU_ASSERT_EQUAL(ferry_publish(client, "news", ferry_str("lost"),
                                  &(ferry_publish_options){.retain = true}, NULL),
                    0);
    CU_ASSERT(ferry_flush(client, &error) < 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, reason));
    ferry_error_clear(&error);
    ferry_close(client);
}

typedef struct Jobs {
    const char *wanted;
    int n, n_others;
} Jobs;

static int on_job(ferry_job *job, void *ctx) {
    Jobs *jobs = ctx;

    jobs->n++;
    jobs->n_others += strncmp(job->body.data, jobs->wanted, job->body.len) != 0;
    return 0;
}

/* Checks that there are this many jobs, all with this body. */
static void expect_jobs(const char *url, const char *body, int wanted) {
    ferry_client *client = open_with(url, NULL);
    Jobs jobs = {.wanted = body};
    char name[16];

    for (unsigned i = 0; i < QUEUES; i++) {
        snprintf(name, sizeof(name), "q%u", i);
        CU_ASSERT_EQUAL(ferry_work(client, name, NULL, on_job, &jobs, NULL, NULL), 0);
    }
    CU_ASSERT_TRUE(turn_until(client, &jobs.n, wanted, PATIENCE_MS));
    turn_for(client, 500);
    CU_ASSERT_EQUAL(jobs.n, wanted);
    CU_ASSERT_EQUAL(jobs.n_others, 0);
    ferry_close(client);
}

/* ---- tests ---- */

static void an_emptied_redis_gets_nothing(void) {
    begin();
    push_all("first");
    redis_ask(&redis, "FLUSHALL");
    for (unsigned i = 0; i < BROKERS; i++) {
        until_logged(&brokers[i], "there is no ferry:{s}:cluster in Redis: it was emptied", 1);
        until_logged(&brokers[i], "the data of the queues is gone from Redis", SHARDS / BROKERS);
    }
    expect_no_push("it was emptied");
    expect_no_value("its data is gone");
    CU_ASSERT_STRING_EQUAL(redis_ask(&redis, "DBSIZE"), ":0\r\n");
    end();
}

/* The dump has the leases that the brokers have, or an earlier one. */
static void restore_a_dump(bool has_leases) {
    redis_start(&redis, NULL);
    start_broker(0, LEASE);
    until_logged(&brokers[0], "the queues in Redis were read", SHARDS);
    snprintf(urls, sizeof(urls), "%s", brokers[0].url);
    push_all("first");
    if (!has_leases)
        redis_ask(&redis, "SAVE");
    start_broker(1, LEASE);
    for (unsigned i = 0; i < BROKERS; i++)
        until_shards(i, SHARDS / BROKERS, SHARDS);
    snprintf(urls, sizeof(urls), "%s,%s", brokers[0].url, brokers[1].url);
    if (has_leases)
        redis_ask(&redis, "SAVE");
    push_all("second");
    redis_kill(&redis);
    redis_restart(&redis);
    for (unsigned i = 0; i < BROKERS; i++)
        until_logged(&brokers[i], "Redis has lost changes that it had confirmed", SHARDS / BROKERS);
    for (unsigned i = 0; i < BROKERS; i++)
        until_shards(i, SHARDS / BROKERS, SHARDS);
    expect_jobs(urls, "first", QUEUES);
    end();
}

static void shards_of_a_redis_with_an_old_dump_are_read_again(void) {
    restore_a_dump(true);
}

static void so_they_are_if_the_dump_has_earlier_leases(void) {
    restore_a_dump(false);
}

static void brokers_of_another_cluster_in_their_redis_are_left_alone(void) {
    begin();
    push_all("first");
    redis_ask(&redis, "FLUSHALL");
    start_broker(BROKERS, "name=s&shards=6&lease=2s");
    until_logged(&brokers[BROKERS], "the queues in Redis were read", 6);
    for (unsigned i = 0; i < BROKERS; i++)
        until_logged(&brokers[i], "has shards=6, and the URL says shards=4", 1);
    expect_no_push("has shards=6, and the URL says shards=4");
    snprintf(urls, sizeof(urls), "%s", brokers[BROKERS].url);
    push_all("other");
    expect_jobs(urls, "other", QUEUES);
    CU_ASSERT_EQUAL(n_shards_of(BROKERS, 6), 6);
    end();
}

static void a_cluster_of_the_same_form_is_another_one(void) {
    begin();
    redis_ask(&redis, "FLUSHALL");
    start_broker(BROKERS, LEASE);
    until_shards(BROKERS, SHARDS, SHARDS);
    for (unsigned i = 0; i < BROKERS; i++)
        until_logged(&brokers[i], "ferry:{s}:cluster in Redis has the id ", 1);
    expect_no_push("ferry:{s}:cluster in Redis has the id ");
    CU_ASSERT_EQUAL(n_shards_of(BROKERS, SHARDS), SHARDS);
    end();
}

/* The brokers have their shards as long as they have the leases. */
static void a_format_of_a_later_ferry_stops_the_moves_of_shards(void) {
    begin();
    until_owners_are_known();
    redis_ask(&redis, "HSET ferry:{s}:cluster format 2");
    for (unsigned i = 0; i < BROKERS; i++)
        until_logged(&brokers[i], "has format 2, and this ferry reads format 1", 1);
    push_all("first");
    redis_ask(&redis, "HSET ferry:{s}:cluster format 1");
    for (unsigned i = 0; i < BROKERS; i++)
        until_logged(&brokers[i], "the brokers of the cluster are known again", 1);
    expect_jobs(urls, "first", QUEUES);
    end();
}

/* The leases end, and no broker can take them. */
static void a_redis_that_does_not_answer_is_named(void) {
    begin();
    redis_freeze(&redis);
    for (unsigned i = 0; i < BROKERS; i++)
        until_logged(&brokers[i], "a shard has left this broker", SHARDS / BROKERS);
    expect_no_push("Redis at ");
    redis_unfreeze(&redis);
    push_all("first");
    expect_jobs(urls, "first", QUEUES);
    end();
}

static int say(ferry_request *request, void *ctx) {
    (void)ctx;
    return ferry_request_return(request, request->body);
}

static void clients_do_not_mix_brokers_of_two_clusters(void) {
    ferry_error error = FERRY_ERROR_INIT;
    ferry_client *client, *other;
    char url[300];

    redis_start(&redis, NULL);
    start_broker(0, "name=east&shards=4&lease=2s");
    start_broker(1, "name=west&shards=4&lease=2s");
    snprintf(url, sizeof(url), "%s,%s?prefer=order", brokers[0].url, brokers[1].url);
    client = open_with(url, &(ferry_options){.timeout_ms = PATIENCE_MS});
    CU_ASSERT_EQUAL(ferry_push(client, "jobs", ferry_str("x"), NULL, NULL), 0);
    CU_ASSERT_EQUAL(ferry_serve_method(client, "test.Echo.say", NULL, say, NULL, NULL, &error),
                    -EINVAL);
    CU_ASSERT_STRING_EQUAL(error.type, "ferry.Misuse");
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "a URL lists brokers of one cluster"));
    ferry_error_clear(&error);
    /* Without a broker of its cluster the client fails. */
    daemon_kill(&brokers[0]);
    CU_ASSERT(ferry_call(client, "test.Echo.say", ferry_str("x"), NULL, NULL) < 0);
    ferry_close(client);
    other = open_with(brokers[1].url, NULL);
    CU_ASSERT_EQUAL(broker_stat(other, "pushed"), 0);
    ferry_close(other);
    end();
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(an_emptied_redis_gets_nothing),
        TEST(shards_of_a_redis_with_an_old_dump_are_read_again),
        TEST(so_they_are_if_the_dump_has_earlier_leases),
        TEST(brokers_of_another_cluster_in_their_redis_are_left_alone),
        TEST(a_cluster_of_the_same_form_is_another_one),
        TEST(a_format_of_a_later_ferry_stops_the_moves_of_shards),
        TEST(a_redis_that_does_not_answer_is_named),
        TEST(clients_do_not_mix_brokers_of_two_clusters),
        TESTS_END,
    };

    if (!redis_available())
        return EXIT_SKIPPED;
    return run_suite("faults: brokers with shards, and a Redis with other data", tests);
}
