/* SPDX-License-Identifier: Apache-2.0 */
/* Pushes to queues at other brokers of a cluster: the client follows ferry.Moved. */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "clients/c/brokers/homes.h"
#include "moved-scene.h"
#include "support/suite.h"

/* ---- pushes ---- */

static void a_push_goes_to_the_broker_that_has_its_queue(void) {
    ferry_client *client = set_up("012", NULL);
    Seen first, second;
    int n_asked;

    owner = 2;
    CU_ASSERT_EQUAL(push(client, "mail", "one"), 0);
    /* The client asks its broker again as long as it has no session with the other one. */
    n_asked = n_at(0, OP_PUSH);
    first = last_at(0, OP_PUSH);
    second = last_at(2, OP_PUSH);
    CU_ASSERT_FALSE(first.has_origin);
    CU_ASSERT_TRUE(second.has_origin);
    CU_ASSERT_EQUAL(first.id, second.id);
    CU_ASSERT_EQUAL(memcmp(first.origin, second.origin, WIRE_TOKEN), 0);
    CU_ASSERT_STRING_EQUAL(second.body, "one");
    CU_ASSERT_EQUAL(second.flags, PUSH_COUNTS);

    /* The client remembers it. */
    CU_ASSERT_EQUAL(push(client, "mail", "two"), 0);
    CU_ASSERT_EQUAL(n_at(0, OP_PUSH), n_asked);
    CU_ASSERT_EQUAL(n_at(1, OP_PUSH), 0);
    CU_ASSERT_EQUAL(n_at(2, OP_PUSH), 2);

    /* And learns that it has moved again, also to the leader's own broker. */
    set_owner(0);
    CU_ASSERT_EQUAL(push(client, "mail", "three"), 0);
    CU_ASSERT_EQUAL(n_at(0, OP_PUSH), n_asked + 1);
    CU_ASSERT_FALSE(last_at(0, OP_PUSH).has_origin);
    CU_ASSERT_EQUAL(push(client, "mail", "four"), 0);
    CU_ASSERT_EQUAL(n_at(0, OP_PUSH), n_asked + 2);
    CU_ASSERT_EQUAL(n_at(2, OP_PUSH), 3);
    tear_down(client);
}

static void a_push_waits_until_some_broker_has_its_queue(void) {
    ferry_client *client = set_up("012", NULL);

    owner = 1;
    n_unknown = 4;
    answer = known_after_some;
    CU_ASSERT_EQUAL(push(client, "mail", "one"), 0);
    CU_ASSERT(n_at(0, OP_PUSH) >= 5);
    CU_ASSERT_EQUAL(n_at(1, OP_PUSH), 1);
    tear_down(client);
}

static void a_push_without_a_broker_ends_at_its_deadline(void) {
    ferry_client *client = set_up("012", NULL), *hasty = NULL;
    ferry_error error = FERRY_ERROR_INIT;

    owner = UNKNOWN;
    CU_ASSERT_EQUAL(ferry_with(client, &(ferry_options){.timeout_ms = 300}, &hasty, NULL), 0);
    CU_ASSERT_EQUAL(ferry_ping(client, NULL, NULL), 0);
    CU_ASSERT_EQUAL(ferry_push(hasty, "mail", ferry_str("one"), NULL, &error), -ETIMEDOUT);
    CU_ASSERT_TRUE(error.outcome_unknown);
    ferry_error_clear(&error);
    /* The next one is not held up by it. */
    set_owner(2);
    CU_ASSERT_EQUAL(push(client, "mail", "two"), 0);
    CU_ASSERT_EQUAL(n_at(2, OP_PUSH), 1);
    CU_ASSERT_STRING_EQUAL(last_at(2, OP_PUSH).body, "two");
    ferry_close(hasty);
    tear_down(client);
}

static void a_broker_that_the_url_does_not_list_is_an_error(void) {
    static const char *const urls[] = {"01", "0"};

    for (int i = 0; i < 2; i++) {
        ferry_client *client = set_up(urls[i], NULL);
        ferry_error error = FERRY_ERROR_INIT;

        owner = 2;
        CU_ASSERT_EQUAL(ferry_push(client, "mail", ferry_str("one"), NULL, &error), -EREMCHG);
        CU_ASSERT_PTR_NOT_NULL_FATAL(error.type);
        CU_ASSERT_STRING_EQUAL(error.type, "ferry.Moved");
        CU_ASSERT_PTR_NOT_NULL(strstr(error.message, brokers[2].url));
        CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "a URL lists all brokers of a cluster"));
        ferry_error_clear(&error);
        CU_ASSERT_EQUAL(n_at(2, OP_PUSH), 0);
        /* It is asked again for each push. */
        set_owner(0);
        CU_ASSERT_EQUAL(push(client, "mail", "two"), 0);
        tear_down(client);
    }
}

/* The push waits for the owner, and the error says why. */
static void expect_reason(ferry_client *client, const char *reason) {
    uint64_t until_ms = clock_ms() + PATIENCE_MS;
    ferry_error error = FERRY_ERROR_INIT;

    while (!(error.message && strstr(error.message, reason)) && !is_over(until_ms)) {
        ferry_error_clear(&error);
        CU_ASSERT_EQUAL_FATAL(ferry_push(client, "mail", ferry_str("one"), NULL, &error),
                              -ETIMEDOUT);
    }
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, brokers[2].url));
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, reason));
    ferry_error_clear(&error);
}

static void an_owner_of_another_protocol_is_named(void) {
    ferry_client *client = set_up("012", &(ferry_options){.timeout_ms = 300});

    scripted_lock();
    owner = 2;
    brokers[2].refusal = "HELLO: this broker speaks only version 2";
    scripted_unlock();
    expect_reason(client, "speaks only version 2");
    CU_ASSERT_EQUAL(n_at(2, OP_PUSH), 0);
    /* When a broker has the queue that this client can use, pushes go on. */
    set_owner(1);
    CU_ASSERT_EQUAL(push(client, "mail", "two"), 0);
    CU_ASSERT_EQUAL(n_at(1, OP_PUSH), 1);
    tear_down(client);
}

static void an_owner_that_cannot_be_reached_is_named(void) {
    ferry_client *client = set_up("012", &(ferry_options){.timeout_ms = 300});

    scripted_stop(&brokers[2]);
    set_owner(2);
    expect_reason(client, "is at another broker");
    scripted_restart(&brokers[2]);
    tear_down(client);
}

/* ---- lost brokers ---- */

static int swallowing = -1;

static void swallow(int at, int fd, const Message *message) {
    if (at != swallowing)
        by_owner(at, fd, message);
}

static void pushes_of_a_lost_broker_keep_their_origin_and_id_at_the_next_one(void) {
    ferry_client *client = set_up("012", NULL);
    int results[2] = {0};
    Seen first, second;

    owner = swallowing = 1;
    answer = swallow;
    CU_ASSERT_EQUAL(push_async(client, "mail", 1, results), 0);
    await(client, 1, OP_PUSH, 1);
    first = last_at(1, OP_PUSH);
    set_owner(2);
    scripted_stop(&brokers[1]);
    await(client, 2, OP_PUSH, 1);
    CU_ASSERT_EQUAL(ferry_flush(client, NULL), 0);
    second = last_at(2, OP_PUSH);
    CU_ASSERT_TRUE(second.has_origin);
    CU_ASSERT_EQUAL(first.id, second.id);
    CU_ASSERT_EQUAL(memcmp(first.origin, second.origin, WIRE_TOKEN), 0);
    ferry_process(client, NULL);
    CU_ASSERT_EQUAL(results[0], 1);
    scripted_restart(&brokers[1]);
    tear_down(client);
}

static void a_broker_that_starts_again_is_waited_for(void) {
    ferry_client *client = set_up("012", NULL);
    ScriptedBroker old;

    owner = 1;
    CU_ASSERT_EQUAL(push(client, "mail", "one"), 0);
    old = brokers[1];
    scripted_stop(&brokers[1]);
    scripted_restart(&brokers[1]);
    /* Its old lease names an id that no broker has any more. */
    scripted_lock();
    answer = known_after_some;
    n_unknown = 0;
    scripted_unlock();
    CU_ASSERT_EQUAL(push(client, "mail", "two"), 0);
    CU_ASSERT_NOT_EQUAL(memcmp(old.id, brokers[1].id, WIRE_TOKEN), 0);
    CU_ASSERT_EQUAL(n_at(1, OP_PUSH), 2);
    tear_down(client);
}

static ScriptedBroker old_life;
static int n_old;

static void names_an_old_life(int at, int fd, const Message *message) {
    if (at != owner && n_old > 0) {
        n_old--;
        scripted_moved(fd, message->id, &old_life, 0);
    } else {
        by_owner(at, fd, message);
    }
}

static void an_old_id_of_a_listed_broker_is_no_error(void) {
    ferry_client *client = set_up("012", NULL);

    owner = 1;
    CU_ASSERT_EQUAL(push(client, "mail", "one"), 0);
    old_life = brokers[1];
    strcpy(old_life.url, "tcp://known.by.another.name:5877");
    scripted_stop(&brokers[1]);
    scripted_restart(&brokers[1]);
    scripted_lock();
    answer = names_an_old_life;
    n_old = 3;
    scripted_unlock();
    CU_ASSERT_EQUAL(push(client, "mail", "two"), 0);
    CU_ASSERT_EQUAL(n_old, 0);
    /* A client that does not know the old life knows the URL. */
    ferry_close(client);
    scripted_lock();
    strcpy(old_life.url, brokers[1].url);
    n_old = 3;
    scripted_unlock();
    CU_ASSERT_EQUAL_FATAL(ferry_open(url_of("012"), NULL, &client, NULL), 0);
    CU_ASSERT_EQUAL(push(client, "mail", "three"), 0);
    CU_ASSERT_EQUAL(n_old, 0);
    tear_down(client);
}

static int n_draining;

static void drain_some(int at, int fd, const Message *message) {
    if (at == 1 && n_draining > 0) {
        n_draining--;
        owner = 2;
        scripted_error(fd, message->id, "ferry.Draining");
    } else {
        by_owner(at, fd, message);
    }
}

static void a_broker_that_drains_gives_its_queues_away(void) {
    ferry_client *client = set_up("012", NULL);

    owner = 1;
    n_draining = 1;
    answer = drain_some;
    CU_ASSERT_EQUAL(push(client, "mail", "one"), 0);
    CU_ASSERT_EQUAL(n_at(1, OP_PUSH), 1);
    CU_ASSERT_EQUAL(n_at(2, OP_PUSH), 1);
    CU_ASSERT_EQUAL(n_draining, 0);
    tear_down(client);
}

/* ---- the end ---- */

static void pushes_that_wait_end_with_the_client(void) {
    ferry_client *client = set_up("012", NULL);
    int results[2] = {0};

    owner = 1;
    CU_ASSERT_EQUAL(push(client, "mail", "one"), 0);
    set_owner(UNKNOWN);
    for (int i = 0; i < 10; i++)
        CU_ASSERT_EQUAL(push_async(client, i % 2 ? "mail" : "news", i, results), 0);
    await(client, 0, OP_PUSH, 7);
    tear_down(client);
    CU_ASSERT_EQUAL(results[0], 0);
    CU_ASSERT_EQUAL(results[1], 10);
}

/* Returns how long closing took. */
static uint64_t push_and_close(int at, int results[2]) {
    ferry_client *client = set_up("012", NULL);
    uint64_t began_ms;

    owner = at;
    CU_ASSERT_EQUAL(ferry_ping(client, NULL, NULL), 0);
    for (int i = 0; i < 100; i++)
        CU_ASSERT_EQUAL(push_async(client, "mail", i, results), 0);
    began_ms = clock_ms();
    ferry_close(client);
    return clock_ms() - began_ms;
}

/* Closing takes at most a second. If the machine is too busy for this, the test begins again. */
static void a_client_that_closes_finishes_its_moved_pushes(void) {
    for (int at = 0; at < N; at++)
        for (int n = 0; n < 20; n++) {
            int results[2] = {0};
            bool is_late = push_and_close(at, results) >= 1000;

            CU_ASSERT_EQUAL(results[0] + results[1], 100);
            CU_ASSERT_TRUE(is_late || results[0] == 100);
            CU_ASSERT_TRUE(is_late || n_at(at, OP_PUSH) == 100);
            tear_down(NULL);
            if (!is_late)
                break;
        }
}

static void move_and_stop(ferry_client *client, int at, int results[2]) {
    for (int i = 0; i < 100; i++)
        CU_ASSERT_EQUAL(push_async(client, "mail", i, results), 0);
    await(client, at, OP_PUSH, 100);
    CU_ASSERT_EQUAL(ferry_stop(client), 0);
    CU_ASSERT_EQUAL(ferry_run(client, NULL), 0);
}

static void a_run_that_stops_finishes_its_moved_pushes(void) {
    ferry_client *client = set_up("012", NULL);
    int results[2] = {0};

    owner = 2;
    move_and_stop(client, 2, results);
    CU_ASSERT_EQUAL(results[0], 100);
    tear_down(client);
}

/* ---- limits ---- */

static void the_homes_of_4096_idle_queues_are_remembered(void) {
    ferry_client *client = set_up("012", NULL);
    char queue[16];
    int n;

    owner = 1;
    for (int i = 0; i < HOMES_MAX + 10; i++) {
        snprintf(queue, sizeof(queue), "q%d", i);
        CU_ASSERT_EQUAL_FATAL(push(client, queue, "one"), 0);
        scripted_lock();
        n_seen = 0;
        scripted_unlock();
    }
    CU_ASSERT_EQUAL(push(client, queue, "two"), 0);
    CU_ASSERT_EQUAL(push(client, "q10", "two"), 0);
    CU_ASSERT_EQUAL(n_at(0, OP_PUSH), 0);
    n = n_at(1, OP_PUSH);
    CU_ASSERT_EQUAL(n, 2);
    /* The oldest is forgotten: the client asks its own broker first. */
    CU_ASSERT_EQUAL(push(client, "q9", "two"), 0);
    CU_ASSERT_EQUAL(n_at(0, OP_PUSH), 1);
    CU_ASSERT_EQUAL(n_at(1, OP_PUSH), 3);
    tear_down(client);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_push_goes_to_the_broker_that_has_its_queue),
        TEST(a_push_waits_until_some_broker_has_its_queue),
        TEST(a_push_without_a_broker_ends_at_its_deadline),
        TEST(a_broker_that_the_url_does_not_list_is_an_error),
        TEST(an_owner_of_another_protocol_is_named),
        TEST(an_owner_that_cannot_be_reached_is_named),
        TEST(pushes_of_a_lost_broker_keep_their_origin_and_id_at_the_next_one),
        TEST(a_broker_that_starts_again_is_waited_for),
        TEST(an_old_id_of_a_listed_broker_is_no_error),
        TEST(a_broker_that_drains_gives_its_queues_away),
        TEST(pushes_that_wait_end_with_the_client),
        TEST(a_client_that_closes_finishes_its_moved_pushes),
        TEST(a_run_that_stops_finishes_its_moved_pushes),
        TEST(the_homes_of_4096_idle_queues_are_remembered),
        TESTS_END,
    };

    return run_suite("pushes to queues that move", tests);
}
