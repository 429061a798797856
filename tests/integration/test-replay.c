/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The bytes that a client sent are captured and sent again on another connection. The line is not
 * encrypted, so an eavesdropper can pose as that client; but a push that is already stored is not
 * stored twice.
 */

#include <stdio.h>
#include <unistd.h>

#include <ferry/ferry.h>

#include "base/clock.h"
#include "support/faults.h"
#include "support/process.h"
#include "support/proxy.h"
#include "support/random.h"
#include "support/raw-peer.h"
#include "support/suite.h"

enum { CAPTURE = 1 << 20, JOBS = 50, ACKED = 20, TOOK_MS = 300, GREETING = 64, HANDSHAKE_MS = 50 };

static uint8_t capture[CAPTURE];

typedef struct Scene {
    Daemon broker;
    Proxy *proxy;
    ferry_client *client, *witness;
    int n_done;
    size_t n_captured;
} Scene;

static int count_job(ferry_job *job, void *ctx) {
    int *n = ctx;

    (void)job;
    ++*n;
    return 0;
}

/* A client pushes, in batches of random sizes, and works; all its traffic is captured. */
static void set_up(Scene *scene, Dice *dice) {
    *scene = (Scene){.n_done = 0};
    daemon_start(&scene->broker, &(DaemonOptions){.tcp = true});
    scene->proxy = proxy_start(scene->broker.port);
    scene->witness = open_with(scene->broker.url, NULL);
    proxy_record(scene->proxy, capture, sizeof(capture));
    scene->client = open_with(proxy_url(scene->proxy), NULL);
    for (int i = 0; i < JOBS; i++) {
        CU_ASSERT_EQUAL(
            ferry_push_async(scene->client, "kept", ferry_str("job"), NULL, NULL, NULL, NULL), 0);
        if (dice_below(dice, 3) == 0)
            ferry_process(scene->client, NULL);
    }
    for (int i = 0; i < ACKED; i++)
        CU_ASSERT_EQUAL(ferry_push(scene->client, "done", ferry_str("job"), NULL, NULL), 0);
    CU_ASSERT_EQUAL(ferry_work(scene->client, "done", NULL, count_job, &scene->n_done, NULL, NULL),
                    0);
    CU_ASSERT_TRUE(turn_until(scene->client, &scene->n_done, ACKED, PATIENCE_MS));
    for (int i = 0; i < 60000 && broker_stat(scene->client, "acked") < ACKED; i++)
        sleep_ms(1);
    scene->n_captured = proxy_recorded(scene->proxy);
    CU_ASSERT(scene->n_captured > 0 && scene->n_captured < CAPTURE);
}

static void tear_down(Scene *scene) {
    ferry_close(scene->client);
    ferry_close(scene->witness);
    proxy_stop(scene->proxy);
    daemon_end(&scene->broker);
}

/* Sends the first n captured bytes on another connection. */
static void play_back(Scene *scene, size_t n) {
    /* ZMTP's greeting, a command's head and its bytes: libzmq expects a pause after them. */
    size_t n_first = GREETING + 2 + capture[GREETING + 1];
    int fd = raw_connect(scene->broker.port);

    CU_ASSERT_TRUE(raw_bytes(fd, capture, n < n_first ? n : n_first));
    sleep_ms(HANDSHAKE_MS);
    if (n > n_first)
        CU_ASSERT_TRUE(raw_bytes(fd, capture + n_first, n - n_first));
    turn_for(scene->client ? scene->client : scene->witness, TOOK_MS);
    close(fd);
}

static void expect_nothing_new(Scene *scene, uint64_t n_pushed, const char *what, uint64_t seed) {
    uint64_t again = broker_stat(scene->witness, "pushed") - n_pushed;
    uint64_t settled = broker_stat(scene->witness, "acked") - ACKED;

    printf("\n    seed %llu: %zu bytes of %s played back: of %llu pushes stored twice %llu, of %d "
           "jobs settled twice %llu",
           (unsigned long long)seed, scene->n_captured, what, (unsigned long long)n_pushed,
           (unsigned long long)again, ACKED, (unsigned long long)settled);
    CU_ASSERT_EQUAL(again, 0);
    CU_ASSERT_EQUAL(settled, 0);
    CU_ASSERT_EQUAL(scene->n_done, ACKED);
}

static void beside_a_living_client_nothing_is_stored_twice(void) {
    EACH_SEED(seed, 81, 2) {
        Dice dice = dice_of(seed);
        Scene scene;

        set_up(&scene, &dice);
        play_back(&scene, scene.n_captured);
        play_back(&scene, 1 + dice_below(&dice, scene.n_captured));
        expect_nothing_new(&scene, JOBS + ACKED, "a living client", seed);
        /* The replayed session replaced the client's, and a replaced client stays away. */
        CU_ASSERT(ferry_push(scene.client, "kept", ferry_str("job"), NULL, NULL) < 0);
        tear_down(&scene);
    }
}

static void beside_a_client_that_came_back_nothing_is_stored_twice(void) {
    EACH_SEED(seed, 84, 2) {
        Dice dice = dice_of(seed);
        Scene scene;

        set_up(&scene, &dice);
        proxy_cut(scene.proxy);
        CU_ASSERT_EQUAL(ferry_push(scene.client, "kept", ferry_str("job"), NULL, NULL), 0);
        /* The new session does not know the ids of the old one: they are below the ids that the
         * client may still send. */
        play_back(&scene, scene.n_captured);
        expect_nothing_new(&scene, JOBS + ACKED + 1, "one that had to come back", seed);
        tear_down(&scene);
    }
}

static void after_a_lost_client_nothing_is_stored_twice(void) {
    EACH_SEED(seed, 82, 2) {
        Dice dice = dice_of(seed);
        Scene scene;

        set_up(&scene, &dice);
        proxy_refuse(scene.proxy, true);
        proxy_cut(scene.proxy);
        play_back(&scene, scene.n_captured);
        play_back(&scene, scene.n_captured);
        expect_nothing_new(&scene, JOBS + ACKED, "a lost one", seed);
        tear_down(&scene);
    }
}

/* As docs/security.md says: to detect this, a broker would have to remember all clients for
 * ever. */
static void after_a_good_bye_the_playback_is_a_client_of_its_own(void) {
    Dice dice = dice_new(83);
    Scene scene;

    set_up(&scene, &dice);
    scene.client = ferry_close(scene.client);
    while (broker_stat(scene.witness, "sessions") > 1) /* until the BYE has arrived */
        sleep_ms(1);
    play_back(&scene, scene.n_captured);
    for (int i = 0; i < PATIENCE_MS && broker_stat(scene.witness, "pushed") < 2 * (JOBS + ACKED);
         i++)
        sleep_ms(1);
    CU_ASSERT_EQUAL(broker_stat(scene.witness, "pushed"), 2 * (JOBS + ACKED));
    CU_ASSERT_EQUAL(broker_stat(scene.witness, "acked"), ACKED);
    tear_down(&scene);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(beside_a_living_client_nothing_is_stored_twice),
        TEST(beside_a_client_that_came_back_nothing_is_stored_twice),
        TEST(after_a_lost_client_nothing_is_stored_twice),
        TEST(after_a_good_bye_the_playback_is_a_client_of_its_own),
        TESTS_END,
    };

    return run_suite("captured and played back", tests);
}
