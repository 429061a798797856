/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Queues that are bound to topics, at active brokers that share the queues in one Redis: a message
 * that is published at any broker becomes one job of each bound queue, also when brokers are
 * killed, and when Redis is away.
 */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ferry/ferry.h>

#include "base/clock.h"
#include "base/hash.h"
#include "integration/shard-scene.h"
#include "support/suite.h"

enum {
    QUEUES = 12,
    MESSAGES = 120, /* of most tests */
    MESSAGES_MAX = 12000,
    SLOTS = 16,
    INBOX_MAX = 10000, /* entries: RELAY_ENTRIES_MAX */
};

/* The messages that brokers have confirmed, and that workers have got. */
typedef struct Ledger {
    int n_answers, n_confirmed, n_full;
    bool confirmed[MESSAGES_MAX];
    uint8_t got[QUEUES][MESSAGES_MAX];
    int n_got;
} Ledger;

static Ledger ledger;

static void start(Scene *scene, size_t n_servers, const char *lease) {
    memset(&ledger, 0, sizeof(ledger));
    scene_begin_with(scene, n_servers, lease, "");
}

/* ---- queues ---- */

static const char *queue_name(int i) {
    static char names[2][16];
    static int next;

    next ^= 1;
    snprintf(names[next], sizeof(names[0]), "q%d", i);
    return names[next];
}

/* Asks one broker after the other, until the one that has the queue agrees. Returns its number. */
static unsigned bind_or_unbind(const Scene *scene, int queue, const char *pattern, bool binds) {
    uint64_t until_ms = clock_ms() + PATIENCE_MS;

    while (clock_ms() < until_ms) {
        for (unsigned i = 0; i < BROKERS; i++) {
            int r = !scene->clients[i] ? -EINVAL
                    : binds
                        ? ferry_queue_bind(scene->clients[i], queue_name(queue), pattern, NULL)
                        : ferry_queue_unbind(scene->clients[i], queue_name(queue), pattern, NULL);

            if (r == 0)
                return i;
        }
        sleep_ms(LOOK_MS);
    }
    CU_FAIL("no broker has bound the queue");
    return 0;
}

static void bind_all(const Scene *scene, const char *pattern) {
    for (int i = 0; i < QUEUES; i++)
        bind_or_unbind(scene, i, pattern, true);
}

/* A queue that is at this broker, and bound now. */
static int bind_one_at(const Scene *scene, unsigned broker, const char *pattern) {
    for (int i = 0; i < QUEUES; i++) {
        ferry_error error = FERRY_ERROR_INIT;
        int r = ferry_queue_bind(scene->clients[broker], queue_name(i), pattern, &error);

        ferry_error_clear(&error);
        if (r == 0)
            return i;
    }
    CU_FAIL_FATAL("no queue is at this broker");
    return 0;
}

/* ---- messages ---- */

static void on_published(const ferry_error *error, void *ctx) {
    int number = (int)(intptr_t)ctx;

    ledger.n_answers++;
    ledger.confirmed[number] = !error;
    ledger.n_confirmed += !error;
    ledger.n_full += error && strcmp(error->type, "ferry.Full") == 0;
}

/* Publishes the next message, which is its number. */
static void publish(Scene *scene, unsigned broker, const char *topic) {
    ferry_publish_options options = {
        .confirm = true, .fn = on_published, .ctx = (void *)(intptr_t)scene->last};
    char body[12];

    snprintf(body, sizeof(body), "%d", scene->last++);
    CU_ASSERT_EQUAL(ferry_publish(scene->clients[broker], topic, ferry_str(body), &options, NULL),
                    0);
}

static void until_answered(const Scene *scene) {
    turn_all_until(scene->clients, BROKERS, &ledger.n_answers, scene->last, PATIENCE_MS);
    CU_ASSERT_EQUAL(ledger.n_answers, scene->last);
}

static void publish_some(Scene *scene, int n, const char *topic) {
    for (int i = 0; i < n; i++)
        if (scene->clients[i % BROKERS])
            publish(scene, (unsigned)i % BROKERS, topic);
}

/* ---- jobs ---- */

static int on_job(ferry_job *job, void *ctx) {
    char text[12];
    int number;

    snprintf(text, sizeof(text), "%.*s", (int)job->body.len, (const char *)job->body.data);
    number = atoi(text);
    CU_ASSERT_FATAL(number >= 0 && number < MESSAGES_MAX);
    ledger.n_got += ++((uint8_t *)ctx)[number] == 1;
    return 0;
}

/* Works at the broker that has the queue. */
static void work(const Scene *scene, int queue) {
    uint64_t until_ms = clock_ms() + PATIENCE_MS;

    while (clock_ms() < until_ms) {
        for (unsigned i = 0; i < BROKERS; i++)
            if (scene->clients[i] && ferry_work(scene->clients[i], queue_name(queue),
                                                &(ferry_work_options){.slots = SLOTS}, on_job,
                                                ledger.got[queue], NULL, NULL) == 0)
                return;
        sleep_ms(LOOK_MS);
    }
    CU_FAIL("no broker has the queue");
}

/* Checks that each of these queues has got each confirmed message exactly once, and no others. */
static void expect_once(const Scene *scene, int first, int n_queues) {
    int n_wrong = 0, n_extra = 0;

    for (int queue = first; queue < first + n_queues; queue++)
        work(scene, queue);
    turn_all_until(scene->clients, BROKERS, &ledger.n_got, n_queues * ledger.n_confirmed,
                   PATIENCE_MS);
    turn_all_for(scene->clients, BROKERS, 200);
    for (int queue = first; queue < first + n_queues; queue++)
        for (int i = 0; i < scene->last; i++) {
            n_wrong += ledger.confirmed[i] && ledger.got[queue][i] != 1;
            n_extra += !ledger.confirmed[i] && ledger.got[queue][i] != 0;
        }
    CU_ASSERT_EQUAL(n_wrong, 0);
    CU_ASSERT_EQUAL(n_extra, 0);
}

/* ---- tests ---- */

static void publish_at_each_broker(size_t n_servers) {
    Scene scene = {0};

    start(&scene, n_servers, "10s");
    bind_all(&scene, "news.>");
    publish_some(&scene, MESSAGES, "news.today");
    publish_some(&scene, BROKERS, "other"); /* no queue gets it */
    until_answered(&scene);
    CU_ASSERT_EQUAL(ledger.n_confirmed, MESSAGES + BROKERS);
    ledger.n_confirmed = MESSAGES;
    for (int i = MESSAGES; i < MESSAGES + BROKERS; i++)
        ledger.confirmed[i] = false;
    expect_once(&scene, 0, QUEUES);
    scene_end(&scene);
}

static void a_message_at_any_broker_becomes_one_job_of_each_bound_queue(void) {
    publish_at_each_broker(1);
}

static void so_it_is_with_a_redis_cluster(void) {
    publish_at_each_broker(SERVERS_MAX);
}

/* The answer to a bind and to an unbind comes when all brokers know it. */
static void binds_and_unbinds_have_an_effect_at_all_brokers_at_once(void) {
    Scene scene = {0};

    start(&scene, 1, "10s");
    for (int i = 0; i < QUEUES; i++) {
        char topic[16];
        unsigned owner;

        snprintf(topic, sizeof(topic), "t%d", i);
        owner = bind_or_unbind(&scene, i, topic, true);
        publish(&scene, (owner + 1) % BROKERS, topic);
        publish(&scene, (owner + 2) % BROKERS, topic);
        until_answered(&scene);
        bind_or_unbind(&scene, i, topic, false);
        publish(&scene, (owner + 1) % BROKERS, topic);
        until_answered(&scene);
    }
    CU_ASSERT_EQUAL(ledger.n_confirmed, 3 * QUEUES);
    for (int i = 0; i < QUEUES; i++)
        work(&scene, i);
    turn_all_until(scene.clients, BROKERS, &ledger.n_got, 2 * QUEUES, PATIENCE_MS);
    turn_all_for(scene.clients, BROKERS, 200);
    for (int i = 0; i < QUEUES; i++)
        for (int message = 0; message < scene.last; message++)
            CU_ASSERT_EQUAL(ledger.got[i][message], message / 3 == i && message % 3 < 2);
    scene_end(&scene);
}

static void a_broker_that_starts_knows_the_binds_before_it_takes_messages(void) {
    Scene scene = {0};

    start(&scene, 1, "10m");
    bind_all(&scene, "news.>");
    ferry_close(scene.clients[2]);
    CU_ASSERT_EQUAL(process_end(&scene.brokers[2].process, SIGTERM, PATIENCE_MS), 0);
    daemon_restart(&scene.brokers[2]);
    scene.clients[2] = open_with(scene.brokers[2].url, NULL);
    publish(&scene, 2, "news.first");
    until_answered(&scene);
    scene_until_spread(&scene);
    CU_ASSERT_EQUAL(ledger.n_confirmed, 1);
    expect_once(&scene, 0, QUEUES);
    scene_end(&scene);
}

/* The inboxes of a stopped broker keep its messages until another broker has its shards. */
static void messages_for_a_broker_that_is_killed_are_not_lost(void) {
    Scene scene = {0};

    start(&scene, 1, "2s");
    bind_all(&scene, "news.>");
    publish_some(&scene, MESSAGES, "news.today");
    until_answered(&scene);
    process_signal(&scene.brokers[2].process, SIGSTOP);
    for (int i = 0; i < MESSAGES; i++)
        publish(&scene, (unsigned)i % 2, "news.today");
    until_answered(&scene);
    scene_kill(&scene, 2);
    for (int i = 0; i < MESSAGES; i++)
        publish(&scene, (unsigned)i % 2, "news.today");
    until_answered(&scene);
    scene_until_spread(&scene);
    CU_ASSERT(ledger.n_confirmed > MESSAGES);
    for (int i = 0; i < scene.last; i++)
        ledger.confirmed[i] |= ledger.got[0][i] > 0;
    expect_once(&scene, 0, QUEUES);
    scene_end(&scene);
}

/* A broker drains and starts again while messages are published all the time. */
static void shards_move_while_messages_are_published(void) {
    Scene scene = {0};

    start(&scene, 1, "10m");
    bind_all(&scene, "news.>");
    publish_some(&scene, MESSAGES, "news.today");
    until_answered(&scene);
    ferry_close(scene.clients[2]);
    scene.clients[2] = NULL;
    process_signal(&scene.brokers[2].process, SIGTERM);
    for (int i = 0; i < MESSAGES; i++) {
        publish(&scene, (unsigned)i % 2, "news.today");
        turn_all_for(scene.clients, BROKERS, 2);
    }
    CU_ASSERT_EQUAL(process_end(&scene.brokers[2].process, 0, PATIENCE_MS), 0);
    daemon_restart(&scene.brokers[2]);
    scene.clients[2] = open_with(scene.brokers[2].url, NULL);
    for (int i = 0; i < MESSAGES; i++) {
        publish(&scene, (unsigned)i % BROKERS, "news.today");
        turn_all_for(scene.clients, BROKERS, 2);
    }
    until_answered(&scene);
    scene_until_spread(&scene);
    CU_ASSERT(ledger.n_confirmed >= 2 * MESSAGES);
    expect_once(&scene, 0, QUEUES);
    scene_end(&scene);
}

static void messages_are_confirmed_when_redis_is_back(void) {
    Scene scene = {0};

    start(&scene, 1, "10m");
    bind_all(&scene, "news.>");
    redis_freeze(&scene.servers[0]);
    publish_some(&scene, BROKERS, "news.today");
    turn_all_for(scene.clients, BROKERS, 1500);
    CU_ASSERT_EQUAL(ledger.n_answers, 0);
    redis_unfreeze(&scene.servers[0]);
    until_answered(&scene);
    CU_ASSERT_EQUAL(ledger.n_confirmed, BROKERS);
    expect_once(&scene, 0, QUEUES);
    scene_end(&scene);
}

static void a_full_inbox_refuses_messages(void) {
    Scene scene = {0};
    int queue;

    start(&scene, 1, "10m");
    queue = bind_one_at(&scene, 2, "news.>");
    process_signal(&scene.brokers[2].process, SIGSTOP);
    for (int i = 0; i < INBOX_MAX + 100; i++) {
        publish(&scene, (unsigned)i % 2, "news.today");
        if (i % 500 == 499)
            until_answered(&scene);
    }
    until_answered(&scene);
    CU_ASSERT_EQUAL(ledger.n_confirmed, INBOX_MAX);
    CU_ASSERT_EQUAL(ledger.n_full, 100);
    process_signal(&scene.brokers[2].process, SIGCONT);
    expect_once(&scene, queue, 1);
    scene_end(&scene);
}

static uint64_t shard_of(int queue) {
    const char *name = queue_name(queue);

    return XXH3_64bits(name, strlen(name)) % SHARDS;
}

/* Another queue of the same shard, which is bound now. */
static int bind_neighbour(const Scene *scene, unsigned broker, int queue, const char *pattern) {
    int other = QUEUES; /* a queue that no other test of this file uses */

    while (shard_of(other) != shard_of(queue))
        other++;
    CU_ASSERT_EQUAL(ferry_queue_bind(scene->clients[broker], queue_name(other), pattern, NULL), 0);
    return other;
}

static int n_got_of(const uint8_t got[MESSAGES_MAX]) {
    int n = 0;

    for (int i = 0; i < MESSAGES_MAX; i++)
        n += got[i] == 1;
    return n;
}

/* It refuses messages at all brokers, soon after it is full, and again takes them when it has room.
 */
static void a_full_queue_does_not_hold_up_its_neighbours(void) {
    static uint8_t at_neighbour[MESSAGES_MAX];
    int queue, neighbour, n_before;
    Scene scene = {0};

    memset(at_neighbour, 0, sizeof(at_neighbour));
    memset(&ledger, 0, sizeof(ledger));
    scene_begin_with(&scene, 1, "10m", "max_jobs = 10\n");
    queue = bind_one_at(&scene, 2, "news.>");
    neighbour = bind_neighbour(&scene, 2, queue, "news.>");
    CU_ASSERT_EQUAL(ferry_work(scene.clients[2], queue_name(neighbour),
                               &(ferry_work_options){.slots = SLOTS}, on_job, at_neighbour, NULL,
                               NULL),
                    0);
    while (ledger.n_full == 0 && scene.last < MESSAGES_MAX / 2) {
        publish(&scene, (unsigned)scene.last % 2, "news.today");
        until_answered(&scene);
    }
    CU_ASSERT_EQUAL(ledger.n_full, 1);
    CU_ASSERT(ledger.n_confirmed > 10);
    turn_all_until(scene.clients, BROKERS, &ledger.n_got, ledger.n_confirmed, PATIENCE_MS);
    CU_ASSERT_EQUAL(n_got_of(at_neighbour), ledger.n_confirmed);
    n_before = ledger.n_confirmed;
    work(&scene, queue);
    while (ledger.n_confirmed == n_before && scene.last < MESSAGES_MAX) {
        publish(&scene, 0, "news.today");
        until_answered(&scene);
    }
    turn_all_until(scene.clients, BROKERS, &ledger.n_got, 2 * ledger.n_confirmed, PATIENCE_MS);
    CU_ASSERT_EQUAL(n_got_of(at_neighbour), n_before + 1);
    CU_ASSERT_EQUAL(n_got_of(ledger.got[queue]), n_before + 1);
    scene_end(&scene);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_message_at_any_broker_becomes_one_job_of_each_bound_queue),
        TEST(so_it_is_with_a_redis_cluster),
        TEST(binds_and_unbinds_have_an_effect_at_all_brokers_at_once),
        TEST(a_broker_that_starts_knows_the_binds_before_it_takes_messages),
        TEST(messages_for_a_broker_that_is_killed_are_not_lost),
        TEST(shards_move_while_messages_are_published),
        TEST(messages_are_confirmed_when_redis_is_back),
        TEST(a_full_inbox_refuses_messages),
        TEST(a_full_queue_does_not_hold_up_its_neighbours),
        TESTS_END,
    };

    if (!redis_available())
        return EXIT_SKIPPED;
    return run_suite("faults: bound queues of brokers that share them in Redis", tests);
}
