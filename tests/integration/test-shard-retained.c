/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Retained values at active brokers that share them in one Redis: the newest value of a topic
 * counts, whichever broker it was published at, and a new subscriber of all brokers gets it once,
 * also after a broker was killed.
 */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ferry/ferry.h>

#include "base/clock.h"
#include "base/error.h"
#include "broker/admin/retained.h"
#include "integration/shard-scene.h"
#include "support/suite.h"

enum {
    TOPICS = 24,
    ROUNDS = 12,
    SETTLE_MS = 400, /* then no further message is on the way */
    NONE = -1,
};

/* A subscriber of all brokers, and its messages. */
typedef struct Subscriber {
    ferry_client *client;
    int n, n_of[TOPICS];
    int last_of[TOPICS]; /* NONE: an empty message, or no message */
} Subscriber;

static int n_answers, n_confirmed, n_full;

/* ---- values ---- */

static void on_published(const ferry_error *error, void *ctx) {
    (void)ctx;
    n_answers++;
    n_confirmed += !error;
    n_full += error && strcmp(error->type, "ferry.Full") == 0;
}

/* value NONE: deletes the value. */
static void retain(Scene *scene, unsigned broker, int topic, int value) {
    ferry_publish_options options = {.retain = true, .fn = on_published};
    char name[16], body[12];

    snprintf(name, sizeof(name), "v.%d", topic);
    snprintf(body, sizeof(body), "%d", value);
    scene->last++;
    CU_ASSERT_EQUAL(ferry_publish(scene->clients[broker], name,
                                  ferry_str(value == NONE ? "" : body), &options, NULL),
                    0);
}

static void until_answered(const Scene *scene) {
    turn_all_until(scene->clients, BROKERS, &n_answers, scene->last, PATIENCE_MS);
    CU_ASSERT_EQUAL(n_answers, scene->last);
}

/* Each topic gets a value at each broker that runs; the last one is `value`. */
static void retain_all(Scene *scene, int value) {
    for (int round = 0; round < BROKERS; round++) {
        for (int i = 0; i < TOPICS; i++)
            if (scene->clients[(i + round) % BROKERS])
                retain(scene, (unsigned)(i + round) % BROKERS, i, value - 1);
        until_answered(scene);
    }
    for (int i = 0; i < TOPICS; i++) {
        unsigned at = (unsigned)i % BROKERS;

        retain(scene, scene->clients[at] ? at : 0, i, value);
    }
    until_answered(scene);
    CU_ASSERT_EQUAL(n_confirmed, scene->last);
}

static void start(Scene *scene, size_t n_servers, const char *lease) {
    n_answers = n_confirmed = n_full = 0;
    scene_begin_with(scene, n_servers, lease, "");
}

/* ---- subscribers ---- */

static void on_value(const ferry_message *message, void *ctx) {
    Subscriber *subscriber = ctx;
    int topic = atoi(message->topic + strlen("v."));
    char text[12];

    CU_ASSERT_FATAL(topic >= 0 && topic < TOPICS);
    snprintf(text, sizeof(text), "%.*s", (int)message->body.len, (const char *)message->body.data);
    subscriber->n++;
    subscriber->n_of[topic]++;
    subscriber->last_of[topic] = message->body.len > 0 ? atoi(text) : NONE;
}

static void open_subscriber(const Scene *scene, Subscriber *subscriber) {
    char url[3 * sizeof(scene->brokers[0].url)];

    memset(subscriber, 0, sizeof(*subscriber));
    for (int i = 0; i < TOPICS; i++)
        subscriber->last_of[i] = NONE;
    snprintf(url, sizeof(url), "%s,%s,%s", scene->brokers[0].url, scene->brokers[1].url,
             scene->brokers[2].url);
    subscriber->client = open_with(url, NULL);
}

static void subscribe_to(Subscriber *subscriber, const char *pattern) {
    CU_ASSERT_EQUAL_FATAL(
        ferry_subscribe(subscriber->client, pattern, NULL, on_value, subscriber, NULL, NULL), 0);
}

static void subscribe(const Scene *scene, Subscriber *subscriber) {
    open_subscriber(scene, subscriber);
    subscribe_to(subscriber, "v.>");
}

/* All clients of the scene, and this subscriber. */
static void turn_for_ms(const Scene *scene, const Subscriber *subscriber, uint64_t ms) {
    ferry_client *clients[BROKERS + 1] = {scene->clients[0], scene->clients[1], scene->clients[2],
                                          subscriber->client};

    turn_all_for(clients, BROKERS + 1, ms);
}

static bool has_all(const Subscriber *subscriber, int first, int value) {
    for (int i = first; i < TOPICS; i++)
        if (subscriber->last_of[i] != value)
            return false;
    return true;
}

static void until_all(const Scene *scene, const Subscriber *subscriber, int first, int value) {
    uint64_t until_ms = clock_ms() + PATIENCE_MS;

    while (!has_all(subscriber, first, value) && clock_ms() < until_ms)
        turn_for_ms(scene, subscriber, LOOK_MS);
    CU_ASSERT_TRUE(has_all(subscriber, first, value));
}

/* The subscriber has got each value once, from topic `first` on, and no other message. */
static void expect_once(const Scene *scene, const Subscriber *subscriber, int first, int value) {
    until_all(scene, subscriber, first, value);
    turn_for_ms(scene, subscriber, SETTLE_MS);
    CU_ASSERT_EQUAL(subscriber->n, TOPICS - first);
    CU_ASSERT_TRUE(has_all(subscriber, first, value));
}

static void expect_new_subscriber_gets(const Scene *scene, int first, int value) {
    Subscriber subscriber;

    turn_all_for(scene->clients, BROKERS, SETTLE_MS);
    subscribe(scene, &subscriber);
    expect_once(scene, &subscriber, first, value);
    ferry_close(subscriber.client);
}

/* ---- tests ---- */

static void the_newest_value_counts(size_t n_servers) {
    Scene scene = {0};

    start(&scene, n_servers, "10s");
    retain_all(&scene, 7);
    expect_new_subscriber_gets(&scene, 0, 7);
    for (int i = 0; i < TOPICS / 2; i++)
        retain(&scene, (unsigned)(i / 3) % BROKERS, i, NONE);
    until_answered(&scene);
    expect_new_subscriber_gets(&scene, TOPICS / 2, 7);
    scene_end(&scene);
}

static void a_new_subscriber_gets_the_newest_value_of_each_topic_once(void) {
    the_newest_value_counts(1);
}

static void so_it_is_with_a_redis_cluster(void) {
    the_newest_value_counts(SERVERS_MAX);
}

/* Each subscription begins when the first value of its topic was confirmed. */
static void the_first_value_of_a_topic_reaches_a_subscriber(void) {
    Subscriber subscriber;
    Scene scene = {0};
    char topic[16];

    start(&scene, 1, "10s");
    open_subscriber(&scene, &subscriber);
    for (int i = 0; i < TOPICS; i++) {
        retain(&scene, (unsigned)i % BROKERS, i, 7);
        until_answered(&scene);
        turn_for_ms(&scene, &subscriber, (uint64_t)i % 3 * LOOK_MS);
        snprintf(topic, sizeof(topic), "v.%d", i);
        subscribe_to(&subscriber, topic);
    }
    expect_once(&scene, &subscriber, 0, 7);
    ferry_close(subscriber.client);
    scene_end(&scene);
}

static void a_subscriber_gets_each_message_once(void) {
    uint64_t n_sessions[BROKERS];
    Subscriber subscriber;
    Scene scene = {0};

    start(&scene, 1, "10s");
    for (int i = 0; i < BROKERS; i++)
        n_sessions[i] = broker_stat(scene.clients[i], "sessions");
    subscribe(&scene, &subscriber);
    for (int i = 0; i < BROKERS; i++)
        while (broker_stat(scene.clients[i], "sessions") == n_sessions[i])
            turn_for_ms(&scene, &subscriber, LOOK_MS);
    turn_for_ms(&scene, &subscriber, RETAINED_SPREAD_MS + SETTLE_MS);
    retain_all(&scene, 7);
    turn_all_until(&subscriber.client, 1, &subscriber.n, scene.last, PATIENCE_MS);
    turn_for_ms(&scene, &subscriber, SETTLE_MS);
    CU_ASSERT_EQUAL(subscriber.n, scene.last);
    ferry_close(subscriber.client);
    scene_end(&scene);
}

/* The subscriber comes when the shards of the killed broker are at no broker. */
static void values_of_a_killed_broker_come_from_another_one(void) {
    Subscriber subscriber;
    Scene scene = {0};

    start(&scene, 1, "3s");
    retain_all(&scene, 7);
    scene_kill(&scene, 2);
    subscribe(&scene, &subscriber);
    expect_once(&scene, &subscriber, 0, 7);
    scene_until_spread(&scene);
    expect_new_subscriber_gets(&scene, 0, 7);
    retain_all(&scene, 9);
    for (int i = 0; i < TOPICS / 2; i++)
        retain(&scene, (unsigned)i % 2, i, NONE);
    until_answered(&scene);
    daemon_restart(&scene.brokers[2]);
    scene.runs[2] = true;
    scene_until_spread(&scene);
    expect_new_subscriber_gets(&scene, TOPICS / 2, 9);
    ferry_close(subscriber.client);
    scene_end(&scene);
}

static void values_outlive_all_brokers(void) {
    Subscriber subscriber;
    Scene scene = {0};

    start(&scene, 1, "2s");
    retain_all(&scene, 7);
    retain(&scene, 1, 0, NONE);
    until_answered(&scene);
    for (unsigned i = 0; i < BROKERS; i++) {
        ferry_close(scene.clients[i]);
        scene.clients[i] = NULL;
    }
    for (unsigned i = 0; i < BROKERS; i++)
        if (i == 0)
            daemon_kill(&scene.brokers[i]);
        else
            CU_ASSERT_EQUAL(process_end(&scene.brokers[i].process, SIGTERM, PATIENCE_MS), 0);
    for (unsigned i = 0; i < BROKERS; i++)
        daemon_restart(&scene.brokers[i]);
    /* While shards move, a value may come twice. */
    subscribe(&scene, &subscriber);
    until_all(&scene, &subscriber, 1, 7);
    CU_ASSERT_EQUAL(subscriber.n_of[0], 0);
    ferry_close(subscriber.client);
    scene_until_spread(&scene);
    expect_new_subscriber_gets(&scene, 1, 7);
    scene_end(&scene);
}

/* Each round a value is published at one broker while a subscriber comes to all of them. */
static void a_value_that_is_published_while_a_subscriber_comes_is_not_missed(void) {
    Scene scene = {0};

    start(&scene, 1, "10s");
    retain_all(&scene, 0);
    for (int round = 1; round <= ROUNDS; round++) {
        Subscriber subscriber;

        for (int i = 0; i < TOPICS; i++)
            retain(&scene, (unsigned)(i + round) % BROKERS, i, round);
        turn_all_for(scene.clients, BROKERS, (uint64_t)round % 4);
        subscribe(&scene, &subscriber);
        until_all(&scene, &subscriber, 0, round);
        until_answered(&scene);
        turn_for_ms(&scene, &subscriber, SETTLE_MS);
        CU_ASSERT_TRUE(has_all(&subscriber, 0, round));
        ferry_close(subscriber.client);
    }
    scene_end(&scene);
}

static void a_subscriber_that_was_away_gets_what_came_meanwhile(void) {
    Subscriber subscriber;
    Scene scene = {0};

    start(&scene, 1, "10m");
    retain_all(&scene, 7);
    subscribe(&scene, &subscriber);
    expect_once(&scene, &subscriber, 0, 7);
    /* The subscriber makes no turn while a broker ends and comes back, and gets new values. */
    ferry_close(scene.clients[1]);
    scene.clients[1] = NULL;
    CU_ASSERT_EQUAL(process_end(&scene.brokers[1].process, SIGTERM, PATIENCE_MS), 0);
    daemon_restart(&scene.brokers[1]);
    scene.clients[1] = open_with(scene.brokers[1].url, NULL);
    for (int i = 0; i < TOPICS; i++)
        retain(&scene, 1, i, 8);
    until_answered(&scene);
    until_all(&scene, &subscriber, 0, 8);
    ferry_close(subscriber.client);
    scene_end(&scene);
}

static void a_value_without_room_is_an_error(void) {
    Scene scene = {0};

    start(&scene, 1, "10s");
    retain_all(&scene, 7);
    redis_ask(&scene.servers[0], "CONFIG SET maxmemory 1");
    for (int i = 0; i < TOPICS; i++)
        retain(&scene, (unsigned)i % BROKERS, i, 8);
    until_answered(&scene);
    CU_ASSERT_EQUAL(n_full, TOPICS);
    redis_ask(&scene.servers[0], "CONFIG SET maxmemory 0");
    expect_new_subscriber_gets(&scene, 0, 7);
    scene_end(&scene);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_new_subscriber_gets_the_newest_value_of_each_topic_once),
        TEST(so_it_is_with_a_redis_cluster),
        TEST(the_first_value_of_a_topic_reaches_a_subscriber),
        TEST(a_subscriber_gets_each_message_once),
        TEST(values_of_a_killed_broker_come_from_another_one),
        TEST(values_outlive_all_brokers),
        TEST(a_value_that_is_published_while_a_subscriber_comes_is_not_missed),
        TEST(a_subscriber_that_was_away_gets_what_came_meanwhile),
        TEST(a_value_without_room_is_an_error),
        TESTS_END,
    };

    if (!redis_available())
        return EXIT_SKIPPED;
    return run_suite("faults: retained values of brokers that share them in Redis", tests);
}
