/* A subscriber that is stopped: what it costs the broker and the others, and what it is told. */

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
    WINDOW_MS = 100,
    WINDOWS = 12, /* of each kind, taking turns */
    FLOOD_MESSAGES = 40000,
    BACKLOG_MAX_KIB = 4096, /* max_subscriber_bytes */
    CREDIT_KIB = 2048,      /* and what is on its way */
    SLACK_KIB = 2048,       /* of the allocator; batches of the others */
};

static long n_received;

static void on_message(const ferry_message *message, void *ctx) {
    (void)message;
    (void)ctx;
    n_received++;
}

/* Publishes as fast as the other subscriber takes it; returns messages a second there. */
static double rate_in_window(ferry_client *publisher, ferry_client *subscriber, long *published) {
    static char body[BODY];
    uint64_t start_us = clock_us(), until_us = start_us + WINDOW_MS * 1000;
    long before = n_received;

    while (clock_us() < until_us) {
        ferry_cork(publisher);
        for (int i = 0; i < 50; i++)
            *published +=
                ferry_publish(publisher, "flood", ferry_bytes_of(body, BODY), NULL, NULL) == 0;
        ferry_uncork(publisher, NULL);
        ferry_process(publisher, NULL);
        for (int i = 0; i < 200 && n_received < *published; i++)
            ferry_process(subscriber, NULL);
    }
    return (double)(n_received - before) * 1e6 / (double)(clock_us() - start_us);
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median(double *values, size_t n) {
    qsort(values, n, sizeof(*values), by_size);
    return values[n / 2];
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
    process_signal(&scene->sleeper, SIGCONT);
    process_end(&scene->sleeper, SIGKILL, PATIENCE_MS);
    ferry_close(scene->publisher);
    ferry_close(scene->subscriber);
    daemon_end(&scene->broker);
}

/* Awake again: what it was sent, and what it was told to have missed, is all there was. */
static void check_count(Scene *scene, const char *when) {
    long received = -1, missed = -1;

    process_signal(&scene->sleeper, SIGCONT);
    /* Its backlog has to leave before there is room for the last message. */
    for (int i = 0; i < 200 && received < 0; i++) {
        CU_ASSERT_EQUAL(ferry_publish(scene->publisher, "flood", ferry_str("end"), NULL, NULL), 0);
        ferry_process(scene->publisher, NULL);
        scene->published++;
        if (told_count(&scene->sleeper, "received", 0, 100, &received))
            CU_ASSERT_TRUE(told_count(&scene->sleeper, "missed", 0, PATIENCE_MS, &missed));
        turn_for(scene->subscriber, 1);
    }
    /* Of several ends, the first one may be what was told of. */
    while (received >= 0 && received + missed < scene->published &&
           told_count(&scene->sleeper, "received", 0, 300, &received))
        told_count(&scene->sleeper, "missed", 0, PATIENCE_MS, &missed);
    printf("\n    %s: of %ld messages it got %ld and was told of %ld missed", when,
           scene->published, received, missed);
    CU_ASSERT_EQUAL(received + missed, scene->published);
    CU_ASSERT(missed > 0);
}

/* A stopped one against none, in turns: the median of what is left of the rate. */
static double share_left(Scene *scene) {
    double share[WINDOWS];

    for (int i = 0; i < WINDOWS; i++) {
        double with;

        role_start(&scene->sleeper, "count", scene->broker.url, "flood", NULL);
        CU_ASSERT_TRUE(told_count(&scene->sleeper, "ready", 0, PATIENCE_MS, NULL));
        process_signal(&scene->sleeper, SIGSTOP);
        with = rate_in_window(scene->publisher, scene->subscriber, &scene->published);
        process_end(&scene->sleeper, SIGKILL, PATIENCE_MS);
        share[i] = with / rate_in_window(scene->publisher, scene->subscriber, &scene->published);
    }
    return median(share, WINDOWS);
}

static void others_keep_their_rate(void) {
    double best = 0;
    Scene scene;

    set_scene(&scene);
    rate_in_window(scene.publisher, scene.subscriber, &scene.published);
    process_end(&scene.sleeper, SIGKILL, PATIENCE_MS);
    /* What the machine's other work takes from one sitting is not the broker's. */
    for (int i = 0; i < 3 && best < 0.9; i++) {
        double share = share_left(&scene);

        best = share > best ? share : best;
    }
    printf("\n    beside a stopped subscriber another one keeps %.0f %% of its rate", best * 100);
    CU_ASSERT(best >= 0.9);
    end_scene(&scene);
}

static void flood(Scene *scene, long n) {
    static char body[BODY];
    uint64_t until_ms = clock_ms() + PATIENCE_MS;

    for (long i = 0; i < n; i++) {
        if (ferry_publish(scene->publisher, "flood", ferry_bytes_of(body, BODY), NULL, NULL) == 0)
            scene->published++;
        /* No faster than the other one takes it, or that would be slow as well. */
        do {
            ferry_process(scene->publisher, NULL);
            ferry_process(scene->subscriber, NULL);
        } while (n_received + 500 < scene->published && clock_ms() < until_ms);
    }
    while (n_received < scene->published && clock_ms() < until_ms) {
        ferry_process(scene->publisher, NULL);
        ferry_process(scene->subscriber, NULL);
    }
    CU_ASSERT_EQUAL(n_received, scene->published);
}

static void it_costs_no_more_than_its_limit_and_is_told_what_it_missed(void) {
    size_t before, after;
    Scene scene;

    set_scene(&scene);
    /* What bursts between the others take is not the sleeper's. */
    flood(&scene, FLOOD_MESSAGES);
    before = process_rss_kib(scene.broker.process.pid);
    process_signal(&scene.sleeper, SIGSTOP);
    flood(&scene, FLOOD_MESSAGES);
    after = process_rss_kib(scene.broker.process.pid);
    printf("\n    %d messages of 1 KiB past a stopped subscriber: the broker grew by %ld KiB, its "
           "limit is %d",
           FLOOD_MESSAGES, (long)after - (long)before, BACKLOG_MAX_KIB + CREDIT_KIB);
#ifndef __SANITIZE_ADDRESS__
    CU_ASSERT((long)after - (long)before <= BACKLOG_MAX_KIB + CREDIT_KIB + SLACK_KIB);
#endif
    check_count(&scene, "stopped for a moment");
    end_scene(&scene);
}

static void it_is_told_even_when_it_was_given_up_meanwhile(void) {
    Scene scene;

    set_scene(&scene);
    flood(&scene, 100);
    turn_for(scene.subscriber,
             2500); /* until its first PING has told for how long it may be silent */
    process_signal(&scene.sleeper, SIGSTOP);
    flood(&scene, 10000);
    turn_for(scene.subscriber, 9000);
    flood(&scene, 1000);
    check_count(&scene, "stopped for 9 s, its session lost and resumed");
    end_scene(&scene);
}

int main(int argc, char **argv) {
    CU_TestInfo tests[] = {
        TEST(others_keep_their_rate),
        TEST(it_costs_no_more_than_its_limit_and_is_told_what_it_missed),
        TEST(it_is_told_even_when_it_was_given_up_meanwhile),
        TESTS_END,
    };

    roles_play(argc, argv, usual_roles);
    return run_suite("a stopped subscriber", tests);
}
