/* SPDX-License-Identifier: Apache-2.0 */
/* A subscriber that does not read: the other subscriber gets each message, the broker stores at
 * most the limit of the backlog, and the slow subscriber learns how many messages it missed. */

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <ferry/ferry.h>

#include "base/clock.h"
#include "support/faults.h"
#include "support/roles.h"
#include "support/suite.h"

enum {
    BODY = 1024,
    FLOOD_MESSAGES = 40000,
    BACKLOG_MAX = 4 << 20, /* bytes: max_subscriber_bytes */
    SLACK = 256 << 10,     /* bytes: the list of waiting messages */
    AHEAD = 500,           /* messages that the publisher may be ahead of the other subscriber */
};

static long n_received;

static void on_message(const ferry_message *message, void *ctx) {
    (void)message;
    (void)ctx;
    n_received++;
}

typedef struct Scene {
    Daemon broker;
    Process sleeper;
    ferry_client *publisher, *subscriber;
    long published;
} Scene;

static void set_scene(Scene *scene) {
    n_received = 0;
    scene->published = 0;
    daemon_start(&scene->broker, NULL);
    role_start(&scene->sleeper, "count", scene->broker.url, "flood", NULL);
    CU_ASSERT_TRUE(told_count(&scene->sleeper, "ready", 0, PATIENCE_MS, NULL));
    scene->publisher = open_with(scene->broker.url, NULL);
    scene->subscriber = open_with(scene->broker.url, NULL);
    CU_ASSERT_EQUAL(ferry_subscribe(scene->subscriber, "flood", NULL, on_message, NULL, NULL, NULL),
                    0);
}

static void end_scene(Scene *scene) {
    process_end(&scene->sleeper, SIGKILL, PATIENCE_MS);
    ferry_close(scene->publisher);
    ferry_close(scene->subscriber);
    daemon_end(&scene->broker);
}

/* The subscriber reads again: the messages that it got and the messages that it is told to have
 * missed must be all published messages. */
static void check_count(Scene *scene, const char *when) {
    long received = -1, missed = -1;

    /* The backlog has to be sent before there is room for the last message. */
    for (int i = 0; i < 1200 && received < 0; i++) {
        CU_ASSERT_EQUAL(ferry_publish(scene->publisher, "flood", ferry_str("end"), NULL, NULL), 0);
        ferry_process(scene->publisher, NULL);
        scene->published++;
        if (told_count(&scene->sleeper, "received", 0, 100, &received))
            CU_ASSERT_TRUE(told_count(&scene->sleeper, "missed", 0, PATIENCE_MS, &missed));
        turn_for(scene->subscriber, 1);
    }
    /* Each "end" counts as a message: wait until the last one has come. */
    while (received >= 0 && received + missed < scene->published &&
           told_count(&scene->sleeper, "received", 0, PATIENCE_MS, &received))
        told_count(&scene->sleeper, "missed", 0, PATIENCE_MS, &missed);
    printf("\n    %s: of %ld messages it got %ld and was told of %ld missed", when,
           scene->published, received, missed);
    CU_ASSERT_EQUAL(received + missed, scene->published);
    CU_ASSERT(missed > 0);
}

/* Publishes n messages. Returns after the other subscriber has got all of them. */
static void flood(Scene *scene, long n) {
    static char body[BODY];
    uint64_t until_ms = clock_ms() + PATIENCE_MS;
    long last = scene->published + n;

    while (n_received < last && clock_ms() < until_ms) {
        if (scene->published < last && scene->published < n_received + AHEAD)
            scene->published += ferry_publish(scene->publisher, "flood", ferry_bytes_of(body, BODY),
                                              NULL, NULL) == 0;
        ferry_process(scene->publisher, NULL);
        ferry_process(scene->subscriber, NULL);
    }
    CU_ASSERT_EQUAL(scene->published, last);
    CU_ASSERT_EQUAL(n_received, last);
}

/* Waits until the subscriber in the other process has all messages, too. Returns the bytes that the
 * broker still stores. */
static uint64_t catch_up(Scene *scene) {
    uint64_t until_ms = clock_ms() + PATIENCE_MS, stored;

    while ((stored = broker_stat(scene->publisher, "stored_bytes")) > SLACK &&
           clock_ms() < until_ms)
        turn_for(scene->subscriber, 10);
    CU_ASSERT(stored <= SLACK);
    return stored;
}

/* The subscriber stands still in a callback. The library tells the broker on a thread of its own
 * that the client is alive, so its session stays for any time. */
static void pause_sleeper(Scene *scene) {
    CU_ASSERT_EQUAL(ferry_publish(scene->publisher, "flood", ferry_str("pause"), NULL, NULL), 0);
    CU_ASSERT_EQUAL(ferry_flush(scene->publisher, NULL), 0);
    scene->published++;
    CU_ASSERT_TRUE(told_count(&scene->sleeper, "paused", 0, PATIENCE_MS, NULL));
}

static void a_subscriber_that_does_not_read_costs_its_limit_and_learns_its_losses(void) {
    uint64_t before, stored;
    long before_kib, grown_kib;
    Scene scene;

    set_scene(&scene);
    /* The broker's own buffers grow with the first messages. */
    flood(&scene, FLOOD_MESSAGES);
    before = catch_up(&scene);
    before_kib = (long)process_rss_kib(scene.broker.process.pid);
    pause_sleeper(&scene);
    flood(&scene, FLOOD_MESSAGES);
    stored = broker_stat(scene.publisher, "stored_bytes") - before;
    grown_kib = (long)process_rss_kib(scene.broker.process.pid) - before_kib;
    printf("\n    %d messages of 1 KiB past a subscriber that does not read: the broker stores "
           "%llu bytes, its "
           "limit is %d; its memory grew by %ld KiB",
           FLOOD_MESSAGES, (unsigned long long)stored, BACKLOG_MAX, grown_kib);
    CU_ASSERT(stored > BACKLOG_MAX / 2 && stored <= BACKLOG_MAX + SLACK);
#ifndef SANITIZED
    /* If all messages were stored, they would take more than FLOOD_MESSAGES KiB. */
    CU_ASSERT(grown_kib < FLOOD_MESSAGES / 2);
#endif
    process_signal(&scene.sleeper, SIGUSR1);
    check_count(&scene, "after a pause");
    end_scene(&scene);
}

/* Waits until the broker has ended a session. True: it has. */
static bool a_session_ends(Scene *scene) {
    uint64_t until_ms = clock_ms() + PATIENCE_MS;

    while (broker_stat(scene->publisher, "sessions") > 2 && clock_ms() < until_ms)
        turn_for(scene->subscriber, 50);
    return clock_ms() < until_ms;
}

static void a_subscriber_learns_its_losses_after_its_session_was_cut(void) {
    Scene scene;

    set_scene(&scene);
    flood(&scene, 100);
    turn_for(scene.subscriber, 2500); /* the first PING of the broker says how long the subscriber
                                       * may be silent */
    process_signal(&scene.sleeper, SIGSTOP);
    flood(&scene, 10000);
    CU_ASSERT_TRUE(a_session_ends(&scene));
    flood(&scene, 1000);
    process_signal(&scene.sleeper, SIGCONT);
    check_count(&scene, "stopped until its session ended, then resumed");
    end_scene(&scene);
}

int main(int argc, char **argv) {
    CU_TestInfo tests[] = {
        TEST(a_subscriber_that_does_not_read_costs_its_limit_and_learns_its_losses),
        TEST(a_subscriber_learns_its_losses_after_its_session_was_cut),
        TESTS_END,
    };

    roles_play(argc, argv, usual_roles);
    return run_suite("a slow subscriber", tests);
}
